"""Images of requests: bytes, and objects in buckets."""

import shutil
from pathlib import Path

import pytest
from tests.support.server import Running


def test_the_server_reads_its_bucket(server: Running, bucket: Path, samples: Path) -> None:
    shutil.copy(samples / "faces" / "identities" / "barack_obama" / "1.jpg", bucket / "one.jpg")
    client = server.client()
    there = {"S3Object": {"Bucket": "mybucket", "Name": "one.jpg"}}
    assert len(client.detect_faces(Image=there)["FaceDetails"]) == 1
    for missing in ("none.jpg", "../../onlooker.toml"):
        gone = {"S3Object": {"Bucket": "mybucket", "Name": missing}}
        with pytest.raises(client.exceptions.InvalidS3ObjectException, match="no object"):
            client.detect_faces(Image=gone)
    large = bucket / "large.jpg"
    large.write_bytes(b"\xff\xd8\xff" + bytes(15 * 1024 * 1024))
    gone = {"S3Object": {"Bucket": "mybucket", "Name": "large.jpg"}}
    with pytest.raises(client.exceptions.ImageTooLargeException, match="15728640 are allowed"):
        client.detect_faces(Image=gone)
    large.unlink()
    for both in ({}, {**there, "Bytes": b"x"}):
        with pytest.raises(client.exceptions.InvalidParameterException, match="exactly one of"):
            client.detect_faces(Image=both)
