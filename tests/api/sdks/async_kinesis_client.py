"""Consumes a stream with async-kinesis. Arguments: endpoint, stream, number of records.

Prints their Sequences.
"""

# mypy: ignore-errors

import asyncio
import json
import sys

from kinesis import Consumer, MemoryCheckPointer, StringProcessor


async def main(endpoint: str, stream: str, count: int) -> None:
    sequences = []
    async with Consumer(
        stream_name=stream,
        endpoint_url=endpoint,
        region_name="us-east-1",
        processor=StringProcessor(),
        checkpointer=MemoryCheckPointer(name="test"),
        iterator_type="TRIM_HORIZON",
        record_limit=100,
        sleep_time_no_records=0.1,
    ) as consumer:
        while len(sequences) < count:
            sequences += [json.loads(record)["Sequence"] async for record in consumer]
    print(json.dumps({"sequences": sequences}))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
