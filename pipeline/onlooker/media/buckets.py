"""Buckets of images: S3 or a store with its API, or a folder whose folders are buckets."""

import importlib
import os
import stat
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from onlooker.config.schema import ConfigError
from onlooker.errors import OnlookerError

CONNECT_SECONDS, READ_SECONDS = 5, 10
"""Seconds that S3 may take to accept a connection, and to send the next bytes."""
ATTEMPTS = 2


class BucketError(OnlookerError):
    """An object cannot be read; the text says why."""


class ObjectTooLarge(BucketError):
    """An object has more bytes than the caller takes."""


class Buckets(Protocol):
    """A place from which objects are read."""

    def read(self, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
        """Return an object's bytes.

        Raises ObjectTooLarge if it has more than `max_bytes`, and BucketError if it cannot be read.
        """


def open_buckets(setting: str | None) -> Buckets:
    """Open what `[serve] buckets` names: nothing, "s3", or a folder. Raises ConfigError."""
    if setting is None:
        return NoBuckets()
    if setting == "s3":
        return S3()
    return Folder(Path(setting))


class NoBuckets:
    """Buckets of a server that has none configured."""

    def read(self, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
        raise BucketError(
            'This server reads no buckets; send Bytes, or set [serve] buckets to "s3" or to a '
            "folder that holds a folder for each bucket"
        )


LAYOUT = "Buckets are the folders in the one that the server's [serve] buckets names"


class Folder:
    """A folder for each bucket, with a file for each object."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ConfigError(f"[serve] buckets: {root} is no folder; make it, or name another")
        self._root = root.resolve()

    def read(self, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
        if version is not None:
            raise BucketError(f"Files have no versions; ask for {bucket}/{name} without one")
        place = f"{bucket}/{name}"
        try:
            home = (self._root / bucket).resolve()
            path = (home / name).resolve()
            inside = home.parent == self._root and path.is_relative_to(home)
            if not inside or not stat.S_ISREG(path.stat().st_mode):
                raise BucketError(f"There is no object {place}. {LAYOUT}")
            # A file of a moment ago may be a pipe now, and opening that would wait for a writer.
            with open(path, "rb", opener=_opener) as file:
                data = file.read(max_bytes + 1)
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else error
            raise BucketError(
                f"There is no object {place} that can be read ({cause}). {LAYOUT}"
            ) from error
        return _checked(data, place, max_bytes)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


class S3:
    """S3 through boto3, with boto3's own credentials, region and `AWS_ENDPOINT_URL_S3`."""

    def __init__(self) -> None:
        try:
            boto3: Any = importlib.import_module("boto3")
        except ImportError as error:
            raise ConfigError(
                '[serve] buckets: "s3" needs boto3; run `pip install "onlooker[s3]"`'
            ) from error
        config: Any = importlib.import_module("botocore.config")
        self._errors: Any = importlib.import_module("botocore.exceptions")
        limits = config.Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        try:
            self._client = boto3.client("s3", config=limits)
        except (self._errors.BotoCoreError, ValueError) as error:
            raise ConfigError(f"[serve] buckets: {error}") from error

    def read(self, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
        place = f"{bucket}/{name}"
        wanted = {"Bucket": bucket, "Key": name, **({"VersionId": version} if version else {})}
        try:
            response = self._client.get_object(**wanted)
            # The body is its own context manager, too, but lets errors of urllib3 out.
            with closing(response["Body"]) as body:
                if response["ContentLength"] > max_bytes:
                    raise _too_large(place, response["ContentLength"], max_bytes)
                data: bytes = body.read()
        except (self._errors.BotoCoreError, self._errors.ClientError) as error:
            raise BucketError(f"{place}: {error}") from error
        return _checked(data, place, max_bytes)


def _checked(data: bytes, place: str, max_bytes: int) -> bytes:
    if len(data) > max_bytes:
        raise _too_large(place, len(data), max_bytes)
    return data


def _too_large(place: str, size: int, max_bytes: int) -> ObjectTooLarge:
    return ObjectTooLarge(
        f"{place} has {size} bytes or more, and {max_bytes} are allowed: make it smaller"
    )
