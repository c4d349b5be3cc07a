"""Clients that know nothing of Onlooker: the AWS CLI, curl, and botocore's own examples."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest
from tests.support.aws_cli import ENVIRONMENT, AwsCli, arguments
from tests.support.server import Running, check
from tests.support.street_scenes import photograph

EXAMPLES: dict[str, Any] = botocore.loaders.Loader().load_service_model(
    "rekognition", "examples-1"
)["examples"]
AWS = Path(sys.executable).parent / "aws"


@pytest.fixture
def collection(server: Running) -> Iterator[str]:
    server.post("CreateCollection", {"CollectionId": "cli"})
    yield "cli"
    server.post("DeleteCollection", {"CollectionId": "cli"})


def test_the_aws_cli_creates_a_collection(server: Running) -> None:
    """The program itself, as everybody starts it."""
    words = ("rekognition", "create-collection", "--collection-id", "started")
    done = subprocess.run(
        [str(AWS), *arguments(server.url, words)],
        capture_output=True,
        env=ENVIRONMENT,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["StatusCode"] == 200
    assert server.post("DeleteCollection", {"CollectionId": "started"}).status == 200


def test_the_aws_cli_runs_every_operation(
    aws: AwsCli, server: Running, pictures: Path, tmp_path: Path
) -> None:
    cli = partial(aws, server.url, "rekognition")
    obama = pictures / "people" / "barack_obama"
    one, two = (f"fileb://{obama / name}" for name in ("1.jpg", "2.jpg"))
    sign = tmp_path / "sign.jpg"
    sign.write_bytes(photograph(pictures, 2)[0])
    made = cli("create-collection", "--collection-id", "cli", "--tags", "team=door")
    assert made["StatusCode"] == 200
    of = ("--collection-id", "cli")
    arn = cli("describe-collection", *of)["CollectionARN"]
    assert "cli" in cli("list-collections")["CollectionIds"]
    named = ("--external-image-id", "obama")
    record = cli("index-faces", *of, "--image-bytes", one, *named)
    face = record["FaceRecords"][0]["Face"]["FaceId"]
    cli("index-faces", *of, "--image-bytes", two)
    assert len(cli("list-faces", *of, "--page-size", "1")["Faces"]) == 2
    assert cli("search-faces", *of, "--face-id", face)["FaceMatches"]
    found = cli("search-faces-by-image", *of, "--image-bytes", two)
    assert len(found["FaceMatches"]) == 2
    pair = ("--source-image-bytes", one, "--target-image-bytes", two)
    assert cli("compare-faces", *pair)["FaceMatches"]
    assert cli("detect-faces", "--image-bytes", one, "--attributes", "ALL")["FaceDetails"]
    assert cli("detect-text", "--image-bytes", f"fileb://{sign}")["TextDetections"]
    user = ("--user-id", "obama")
    cli("create-user", *of, *user)
    response = cli("associate-faces", *of, *user, "--face-ids", face)
    assert response["UserStatus"] == "ACTIVE"
    assert cli("list-users", *of)["Users"][0]["UserId"] == "obama"
    assert cli("search-users", *of, "--face-id", face)["UserMatches"]
    assert cli("search-users-by-image", *of, "--image-bytes", two)["UserMatches"]
    cli("disassociate-faces", *of, *user, "--face-ids", face)
    cli("delete-user", *of, *user)
    cli("tag-resource", "--resource-arn", arn, "--tags", "floor=1")
    cli("untag-resource", "--resource-arn", arn, "--tag-keys", "team")
    assert cli("list-tags-for-resource", "--resource-arn", arn)["Tags"] == {"floor": "1"}
    assert cli("delete-faces", *of, "--face-ids", face)["DeletedFaces"] == [face]
    assert cli("delete-collection", *of)["StatusCode"] == 200


def test_curl_signs_and_asks(server: Running, collection: str) -> None:
    done = subprocess.run(
        [
            "curl",
            "--silent",
            "--show-error",
            "--aws-sigv4",
            "aws:amz:us-east-1:rekognition",
            "--user",
            "AKIDNOBODY:any",
            "--header",
            "Content-Type: application/x-amz-json-1.1",
            "--header",
            "X-Amz-Target: RekognitionService.DescribeCollection",
            "--data",
            json.dumps({"CollectionId": collection}),
            server.url,
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    check("DescribeCollection", done.stdout)
    assert json.loads(done.stdout)["FaceCount"] == 0


def test_botocores_examples_work(server: Running, pictures: Path, bucket: Path) -> None:
    group = pictures / "groups" / "two_people.jpg"
    obama = pictures / "people" / "barack_obama" / "1.jpg"
    shutil.copy(obama, bucket / "mysourceimage")
    for name in ("mytargetimage", "myphoto"):
        shutil.copy(group, bucket / name)
    client = server.client()
    order = sorted(EXAMPLES, key=lambda name: ("Create" not in name, "Index" not in name))
    order.sort(key=lambda name: name.startswith("Delete") + (name == "DeleteCollection"))
    faces: list[str] = []
    ran = []
    for operation in order:
        for example in EXAMPLES[operation]:
            if operation == "DetectLabels":
                continue
            asked = dict(example["input"])
            if "FaceId" in asked:
                asked["FaceId"] = faces[0]
            if "FaceIds" in asked:
                asked["FaceIds"] = faces
            response = getattr(client, _snake(operation))(**asked)
            faces += [one["Face"]["FaceId"] for one in response.get("FaceRecords", [])]
            # Amazon has returned no orientation since 2021.
            assert set(example["output"]) - {"OrientationCorrection"} <= set(response), operation
            ran.append(operation)
    assert len(ran) == 10
    assert ran[0] == "CreateCollection"
    assert ran[-1] == "DeleteCollection"


def _snake(operation: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
