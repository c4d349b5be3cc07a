"""aioboto3, unchanged. Prints one JSON object: see `tests.api.test_sdks`.

It needs an older botocore than the one beside it, so it runs in a process of its own.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aioboto3  # type: ignore[import-not-found]


async def main(endpoint: str, key: str, secret: str, photograph: str, certificate: str) -> None:
    session = aioboto3.Session(
        aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1"
    )
    where = {"CollectionId": "aioboto3"}
    image = {"Image": {"Bytes": Path(photograph).read_bytes()}}
    async with session.client("rekognition", endpoint_url=endpoint, verify=certificate) as client:
        await client.create_collection(**where)
        indexed = await client.index_faces(**where, **image, ExternalImageId="eileen")
        found = await client.search_faces_by_image(**where, **image)
        detected, text = await asyncio.gather(
            client.detect_faces(**image, Attributes=["ALL"]), client.detect_text(**image)
        )
        await client.delete_collection(**where)
        refused: Any = None
        try:
            await client.list_faces(**where)
        except client.exceptions.ResourceNotFoundException as error:
            refused = error.response
    print(
        json.dumps(
            {
                "indexed": len(indexed["FaceRecords"]),
                "name": found["FaceMatches"][0]["Face"]["ExternalImageId"],
                "detected": len(detected["FaceDetails"]),
                "text": isinstance(text["TextDetections"], list),
                "error": refused["Error"]["Code"],
                "request": refused["ResponseMetadata"]["RequestId"],
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
