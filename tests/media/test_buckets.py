"""Pictures in buckets."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from onlooker.config.schema import ConfigError
from onlooker.media.buckets import (
    BucketError,
    Buckets,
    Folder,
    NoBuckets,
    ObjectTooLarge,
    open_buckets,
)


def refusal(buckets: Buckets, bucket: str, name: str, version: str | None = None) -> str:
    """The error of an object that cannot be read, and is not too large."""
    with pytest.raises(BucketError) as raised:
        buckets.read(bucket, name, version, 100)
    assert type(raised.value) is BucketError
    return str(raised.value)


def is_too_large(buckets: Buckets, bucket: str, name: str) -> bool:
    with pytest.raises(ObjectTooLarge, match="101 bytes or more, and 100 are allowed"):
        buckets.read(bucket, name, None, 100)
    return True


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "root" / "photos" / "2026").mkdir(parents=True)
    (tmp_path / "root" / "photos" / "2026" / "a b.jpg").write_bytes(b"picture")
    (tmp_path / "root" / "photos" / "large").write_bytes(bytes(101))
    (tmp_path / "root" / "top").write_bytes(b"beside the buckets")
    (tmp_path / "secret").write_bytes(b"secret")
    os.symlink(tmp_path / "secret", tmp_path / "root" / "photos" / "link")
    os.symlink(tmp_path, tmp_path / "root" / "out")
    os.mkfifo(tmp_path / "root" / "photos" / "pipe")
    return Folder(tmp_path / "root")


def test_a_folder_holds_buckets(folder: Folder) -> None:
    assert folder.read("photos", "2026/a b.jpg", None, 100) == b"picture"


@pytest.mark.parametrize(
    ("bucket", "name"),
    [
        ("photos", "none.jpg"),
        ("none", "a.jpg"),
        ("photos", "../top"),
        ("photos", "../../secret"),
        ("photos", "link"),
        ("out", "secret"),
        ("..", "secret"),
        (".", "top"),
        ("...", "top"),
        ("photos", "/etc/passwd"),
        ("photos", "2026"),
        ("photos", "pipe"),
        ("photos", "a\0b"),
        ("photos", "a" * 1000),
    ],
)
def test_nothing_else_is_read(folder: Folder, bucket: str, name: str) -> None:
    assert "There is no object" in refusal(folder, bucket, name)


def test_what_is_too_large_or_has_versions_is_refused(folder: Folder) -> None:
    assert is_too_large(folder, "photos", "large")
    assert "no versions" in refusal(folder, "photos", "2026/a b.jpg", "1")


def test_what_is_not_configured_is_said(tmp_path: Path) -> None:
    assert isinstance(open_buckets(None), NoBuckets)
    assert "set [serve] buckets" in refusal(open_buckets(None), "photos", "a.jpg")
    with pytest.raises(ConfigError, match="is no folder"):
        open_buckets(str(tmp_path / "none"))


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The endpoint of moto's S3."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def environment(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDSERVER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the server's own")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def test_s3_is_read_with_boto3(environment: None) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="photos")
    client.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket="photos", Key="2026/a b.jpg", Body=b"first")["VersionId"]
    client.put_object(Bucket="photos", Key="2026/a b.jpg", Body=b"second")
    client.put_object(Bucket="photos", Key="large", Body=bytes(101))
    buckets = open_buckets("s3")
    assert buckets.read("photos", "2026/a b.jpg", None, 100) == b"second"
    assert buckets.read("photos", "2026/a b.jpg", first, 100) == b"first"
    assert is_too_large(buckets, "photos", "large")
    missing = refusal(buckets, "photos", "none")
    assert missing.startswith("photos/none: ")
    assert "NoSuchKey" in missing
    assert "NoSuchBucket" in refusal(buckets, "none", "none")
    assert refusal(buckets, "photos", "large", "no version").startswith("photos/large: ")


def test_an_endpoint_that_is_not_there_is_said(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    assert "Could not connect" in refusal(open_buckets("s3"), "photos", "a.jpg")


def test_a_connection_that_is_cut_is_said(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def cut() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")

        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread = threading.Thread(target=cut)
        thread.start()
        cause = refusal(open_buckets("s3"), "photos", "a.jpg")
        thread.join()
    assert "IncompleteRead" in cause
