"""Pictures in buckets."""

import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from onlooker.config.section import ConfigError
from onlooker.media import buckets as module
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
    os.symlink("round", tmp_path / "root" / "photos" / "round")
    os.symlink("circle", tmp_path / "root" / "circle")
    os.mkfifo(tmp_path / "root" / "photos" / "pipe")
    return Folder(tmp_path / "root")


def test_a_folder_holds_buckets(folder: Folder) -> None:
    assert folder.read("photos", "2026/a b.jpg", None, 100) == b"picture"
    assert folder.size("photos", "2026/a b.jpg", None) == 7


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
        ("photos", "round"),
        ("circle", "a.jpg"),
        ("photos", "a\0b"),
        ("photos", "a" * 1000),
    ],
)
def test_nothing_else_is_read(folder: Folder, bucket: str, name: str) -> None:
    assert "There is no object" in refusal(folder, bucket, name)


def test_what_is_too_large_or_has_versions_is_refused(folder: Folder) -> None:
    assert is_too_large(folder, "photos", "large")
    assert "no versions" in refusal(folder, "photos", "2026/a b.jpg", "1")


@pytest.mark.parametrize("name", ["none", "link", "pipe", "2026"])
def test_what_cannot_be_read_has_no_size(folder: Folder, name: str) -> None:
    with pytest.raises(BucketError, match="no object"):
        folder.size("photos", name, None)
    with pytest.raises(BucketError, match="reads no buckets"):
        NoBuckets().size("photos", name, None)


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
    assert cause == "photos/a.jpg: the connection ended; 46 bytes are missing"


DAWDLE_SECONDS = 0.1


@contextmanager
def dawdling(total: int, each: bytes) -> Iterator[str]:
    """Serve an object of `total` bytes, of which `each` come every DAWDLE_SECONDS."""
    over = threading.Event()

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n"
                connection.sendall(head.encode())
                while not over.wait(DAWDLE_SECONDS):
                    connection.sendall(each)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def test_an_object_that_comes_byte_by_byte_is_given_up(
    environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "OBJECT_SECONDS", 0.6)
    with dawdling(1000, b"x") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        began = time.monotonic()
        with pytest.raises(BucketError, match=r"photos/a\.jpg: not complete within 0\.6 s"):
            open_buckets("s3").read("photos", "a.jpg", None, 1000)
        assert time.monotonic() - began < 3
    with dawdling(1000, b"x") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        download = open_buckets("s3").downloaded("films", "a.mp4", None, tmp_path, 1000, 0.5)
        with pytest.raises(BucketError, match="not complete within"), download:
            pass
    assert list(tmp_path.iterdir()) == []


def test_an_object_in_pieces_is_whole(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with dawdling(9, b"abc") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        assert open_buckets("s3").read("photos", "a.jpg", None, 9) == b"abcabcabc"


def test_an_object_is_downloaded_to_a_file(environment: None, tmp_path: Path) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="films")
    content = random.Random(1).randbytes(3_000_000)
    client.put_object(Bucket="films", Key="2026/lobby.mp4", Body=content)
    client.put_object(Bucket="films", Key="empty", Body=b"")
    buckets, key = open_buckets("s3"), "2026/lobby.mp4"
    with buckets.downloaded("films", key, None, tmp_path, len(content), 30) as path:
        assert path.suffix == ".mp4"
        assert path.is_relative_to(tmp_path)
        assert path.read_bytes() == content
    with buckets.downloaded("films", "empty", None, tmp_path, 10, 30) as path:
        assert path.read_bytes() == b""
    with (
        pytest.raises(ObjectTooLarge, match="has 3000000 bytes or more"),
        buckets.downloaded("films", key, None, tmp_path, len(content) - 1, 30),
    ):
        pass
    with (
        pytest.raises(BucketError, match="No such file or directory"),
        buckets.downloaded("films", key, None, tmp_path / "none", len(content), 30),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_is_said(
    environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="full")
    client.put_object(Bucket="full", Key="a", Body=bytes(100_000))

    def full(path: Path, *mode: str) -> IO[Any]:
        return open("/dev/full" if mode == ("xb",) else path, mode[0].replace("x", "w"))

    monkeypatch.setattr(Path, "open", full)
    with (
        pytest.raises(
            BucketError, match=r"^full/a: on the server's disk: No space left on device$"
        ),
        open_buckets("s3").downloaded("full", "a", None, tmp_path, 10**6, 30),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_a_folder_is_used_where_it_is(folder: Folder, tmp_path: Path) -> None:
    with folder.downloaded("photos", "2026/a b.jpg", None, tmp_path, 100, 1) as path:
        assert path.read_bytes() == b"picture"
    assert path.exists()
    with pytest.raises(ObjectTooLarge):
        folder.downloaded("photos", "large", None, tmp_path, 100, 1)
    for name in ("../top", "link", "pipe", "none"):
        with pytest.raises(BucketError, match="There is no object"):
            folder.downloaded("photos", name, None, tmp_path, 100, 1)
    with (
        pytest.raises(BucketError, match="reads no buckets"),
        NoBuckets().downloaded("photos", "a", None, tmp_path, 100, 1),
    ):
        pass
