"""Buckets: S3 or what speaks like it, or a folder whose folders are buckets."""

import importlib
import os
import stat
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from onlooker.api.errors import Refusal, large_picture, no_object
from onlooker.config.schema import ConfigError


class Objects(Protocol):
    """Where S3Objects are read from."""

    def read(self, bucket: str, name: str, version: str | None, most: int) -> bytes:
        """The object's bytes. Refusal where it is not there or has more than `most`."""


def objects(buckets: str | None) -> Objects:
    """What `[serve] buckets` says: nothing, "s3", or a folder. ConfigError."""
    if buckets is None:
        return NoBuckets()
    if buckets == "s3":
        return S3()
    return Folder(Path(buckets))


class NoBuckets:
    """Where no buckets are configured."""

    def read(self, bucket: str, name: str, version: str | None, most: int) -> bytes:
        raise no_object(
            'This server reads no buckets; send Bytes, or set [serve] buckets to "s3" or to a '
            "folder that holds a folder for each bucket."
        )


WHERE = "Buckets are the folders in the one that the server's [serve] buckets names."


class Folder:
    """A folder for each bucket, and in it a file for each object."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ConfigError(f"[serve] buckets: {root} is no folder; make it, or name another")
        self._root = root.resolve()

    def read(self, bucket: str, name: str, version: str | None, most: int) -> bytes:
        if version is not None:
            raise no_object(f"Files have no versions; ask for {bucket}/{name} without one.")
        place = f"{bucket}/{name}"
        try:
            home = (self._root / bucket).resolve()
            path = (home / name).resolve()
            inside = home.parent == self._root and path.is_relative_to(home)
            if not inside or not stat.S_ISREG(path.stat().st_mode):
                raise no_object(f"There is no object {place}. {WHERE}")
            # What was a file a moment ago may be a pipe now, which would be waited for.
            with open(path, "rb", opener=_opener) as file:
                data = file.read(most + 1)
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else error
            raise no_object(
                f"There is no object {place} that can be read ({cause}). {WHERE}"
            ) from error
        return _checked(data, place, most)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


class S3:
    """Through boto3, with its own credentials, region and `AWS_ENDPOINT_URL_S3`."""

    def __init__(self) -> None:
        try:
            boto3: Any = importlib.import_module("boto3")
        except ImportError as error:
            raise ConfigError(
                '[serve] buckets: "s3" needs boto3; run `pip install "onlooker[s3]"`'
            ) from error
        config: Any = importlib.import_module("botocore.config")
        self._errors: Any = importlib.import_module("botocore.exceptions")
        patience = config.Config(
            connect_timeout=5,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": 2},
        )
        try:
            self._client = boto3.client("s3", config=patience)
        except (self._errors.BotoCoreError, ValueError) as error:
            raise ConfigError(f"[serve] buckets: {error}") from error

    def read(self, bucket: str, name: str, version: str | None, most: int) -> bytes:
        place = f"{bucket}/{name}"
        wanted = {"Bucket": bucket, "Key": name, **({"VersionId": version} if version else {})}
        try:
            answer = self._client.get_object(**wanted)
            # As the body itself is its context, errors of urllib3 would come out of that.
            with closing(answer["Body"]) as body:
                if answer["ContentLength"] > most:
                    raise _too_large(place, answer["ContentLength"], most)
                data: bytes = body.read()
        except (self._errors.BotoCoreError, self._errors.ClientError) as error:
            raise no_object(f"{place}: {error}") from error
        return _checked(data, place, most)


def _checked(data: bytes, place: str, most: int) -> bytes:
    if len(data) > most:
        raise _too_large(place, len(data), most)
    return data


def _too_large(place: str, size: int, most: int) -> Refusal:
    return large_picture(f"{place} has {size} bytes or more; {most} are the most.")
