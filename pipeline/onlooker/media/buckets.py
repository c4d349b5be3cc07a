"""Buckets of objects: S3 or a store with its API, or a folder whose folders are buckets."""

import importlib
import os
import stat
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Any

from onlooker.config.section import ConfigError
from onlooker.errors import OnlookerError

CONNECT_SECONDS, READ_SECONDS = 5, 10
"""Seconds that S3 may take to accept a connection, and to send the next bytes."""
OBJECT_SECONDS = 20.0
"""Seconds that an object may take that is read into memory: it may also come byte by byte."""
ATTEMPTS = 2
CHUNK_BYTES = 1 << 20


class BucketError(OnlookerError):
    """An object cannot be read; the text says why."""


class ObjectTooLarge(BucketError):
    """An object has more bytes than the caller takes."""


class Buckets(ABC):
    """A place from which objects are read."""

    def read(self, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
        """Return an object's bytes.

        Raises ObjectTooLarge if it has more than `max_bytes`, and BucketError if it cannot be read,
        or not within OBJECT_SECONDS.
        """
        return b"".join(self._chunks(bucket, name, version, max_bytes, OBJECT_SECONDS))

    @abstractmethod
    def size(self, bucket: str, name: str, version: str | None) -> int:
        """Return the number of an object's bytes. Raises BucketError if it cannot be read."""

    def downloaded(
        self,
        bucket: str,
        name: str,
        version: str | None,
        folder: Path,
        max_bytes: int,
        seconds: float,
    ) -> AbstractContextManager[Path]:
        """Return a context in which an object is a file, of its own suffix, in `folder`.

        Its size is checked before it is downloaded, and it is never in memory as a whole. The file
        is deleted at the end. Raises as `read` does, within `seconds`, and BucketError if the disk
        is full.
        """
        chunks = self._chunks(bucket, name, version, max_bytes, seconds)
        return _in_file(chunks, f"{bucket}/{name}", folder)

    @abstractmethod
    def _chunks(
        self, bucket: str, name: str, version: str | None, max_bytes: int, seconds: float
    ) -> Iterator[bytes]:
        """Yield an object's bytes. Raises ObjectTooLarge before it yields too many."""


@contextmanager
def _in_file(chunks: Iterator[bytes], place: str, folder: Path) -> Iterator[Path]:
    try:
        made = tempfile.TemporaryDirectory(prefix=".onlooker-object-", dir=folder)
    except OSError as error:
        raise BucketError(f"{place}: on the server's disk: {error.strerror}") from error
    with made as own:
        path = Path(own, f"object{PurePosixPath(place).suffix[:16]}")
        try:
            with path.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
        except OSError as error:
            raise BucketError(f"{place}: on the server's disk: {error.strerror}") from error
        yield path


def open_buckets(setting: str | None) -> Buckets:
    """Open what `[serve] buckets` names: nothing, "s3", or a folder. Raises ConfigError."""
    if setting is None:
        return NoBuckets()
    if setting == "s3":
        return S3()
    return Folder(Path(setting))


class NoBuckets(Buckets):
    """Buckets of a server that has none configured."""

    def size(self, bucket: str, name: str, version: str | None) -> int:
        raise self._none()

    def _chunks(
        self, bucket: str, name: str, version: str | None, max_bytes: int, seconds: float
    ) -> Iterator[bytes]:
        raise self._none()

    @staticmethod
    def _none() -> BucketError:
        return BucketError(
            'This server reads no buckets; send Bytes, or set [serve] buckets to "s3" or to a '
            "folder that holds a folder for each bucket"
        )


LAYOUT = "Buckets are the folders in the one that the server's [serve] buckets names"


class Folder(Buckets):
    """A folder for each bucket, with a file for each object."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ConfigError(f"[serve] buckets: {root} is no folder; make it, or name another")
        self._root = root.resolve()

    def size(self, bucket: str, name: str, version: str | None) -> int:
        return self._path(bucket, name, version).stat().st_size

    def downloaded(
        self,
        bucket: str,
        name: str,
        version: str | None,
        folder: Path,
        max_bytes: int,
        seconds: float,
    ) -> AbstractContextManager[Path]:
        path = self._path(bucket, name, version)
        _check_size(path.stat().st_size, f"{bucket}/{name}", max_bytes)
        return nullcontext(path)  # it is a file already

    def _chunks(
        self, bucket: str, name: str, version: str | None, max_bytes: int, seconds: float
    ) -> Iterator[bytes]:
        place, path = f"{bucket}/{name}", self._path(bucket, name, version)
        try:
            # A file of a moment ago may be a pipe now, and opening that would wait for a writer.
            with open(path, "rb", opener=_opener) as file:
                data = file.read(max_bytes + 1)
        except OSError as error:
            raise _no_object(place, error) from error
        _check_size(len(data), place, max_bytes)
        yield data

    def _path(self, bucket: str, name: str, version: str | None) -> Path:
        """Return the path of an object's file. Raises BucketError."""
        if version is not None:
            raise BucketError(f"Files have no versions; ask for {bucket}/{name} without one")
        place = f"{bucket}/{name}"
        try:
            # `Path.resolve` raises RuntimeError for a loop of links, up to Python 3.12.
            home = Path(os.path.realpath(self._root / bucket))
            path = Path(os.path.realpath(home / name))
            inside = home.parent == self._root and path.is_relative_to(home)
            if not inside or not stat.S_ISREG(path.stat().st_mode):
                raise BucketError(f"There is no object {place}. {LAYOUT}")
        except (OSError, ValueError) as error:
            raise _no_object(place, error) from error
        return path


def _no_object(place: str, error: OSError | ValueError) -> BucketError:
    cause = error.strerror if isinstance(error, OSError) else error
    return BucketError(f"There is no object {place} that can be read ({cause}). {LAYOUT}")


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


class S3(Buckets):
    """S3 through boto3, with boto3's own credentials, region and `AWS_ENDPOINT_URL_S3`."""

    def __init__(self) -> None:
        try:
            boto3: Any = importlib.import_module("boto3")
        except ImportError as error:
            raise ConfigError(
                '[serve] buckets: "s3" needs boto3; run `pip install "onlooker[s3]"`'
            ) from error
        config: Any = importlib.import_module("botocore.config")
        errors: Any = importlib.import_module("botocore.exceptions")
        urllib3: Any = importlib.import_module("urllib3.exceptions")
        self._errors = errors.BotoCoreError, errors.ClientError, urllib3.HTTPError
        limits = config.Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        try:
            self._client = boto3.client("s3", config=limits)
        except (errors.BotoCoreError, ValueError) as error:
            raise ConfigError(f"[serve] buckets: {error}") from error

    def size(self, bucket: str, name: str, version: str | None) -> int:
        try:
            found = self._client.head_object(**_asked(bucket, name, version))
        except self._errors as error:
            raise BucketError(f"{bucket}/{name}: {error}") from error
        return int(found["ContentLength"])

    def _chunks(
        self, bucket: str, name: str, version: str | None, max_bytes: int, seconds: float
    ) -> Iterator[bytes]:
        place, end = f"{bucket}/{name}", time.monotonic() + seconds
        try:
            response = self._client.get_object(**_asked(bucket, name, version))
            # The body is its own context manager, too, but lets errors of urllib3 out.
            with closing(response["Body"]) as body:
                missing = response["ContentLength"]
                _check_size(missing, place, max_bytes)
                while missing:
                    body.set_socket_timeout(min(max(0.001, end - time.monotonic()), READ_SECONDS))
                    chunk = _received(body, min(missing, CHUNK_BYTES))
                    missing -= len(chunk)
                    if missing and (not chunk or time.monotonic() >= end):
                        break
                    yield chunk
        except self._errors as error:
            if time.monotonic() < end:
                raise BucketError(f"{place}: {error}") from error
            raise BucketError(f"{place}: not complete within {seconds:g} s") from error
        if missing:
            cause = f"not complete within {seconds:g} s" if chunk else "the connection ended"
            raise BucketError(f"{place}: {cause}; {missing} bytes are missing")


def _asked(bucket: str, name: str, version: str | None) -> dict[str, str]:
    return {"Bucket": bucket, "Key": name, **({"VersionId": version} if version else {})}


def _received(body: Any, size: int) -> bytes:
    """Return the bytes of a boto3 body that are there, at most `size`; wait only for the first.

    `read` waits until all have come, however slowly.
    """
    read1 = getattr(body._raw_stream, "read1", None)  # urllib3 has it since 2.0
    if read1 is None:
        return bytes(body.read(min(size, 1024)))
    return bytes(read1(size))


def _check_size(size: int, place: str, max_bytes: int) -> None:
    if size > max_bytes:
        raise ObjectTooLarge(
            f"{place} has {size} bytes or more, and {max_bytes} are allowed: make it smaller"
        )
