"""Names of what the service keeps: ARNs of collections, versions of models."""

import re
import zlib

from onlooker.api.context import Context

SERVICE = "rekognition"

_ARN = re.compile(r"(?:arn:)?aws[a-z-]*:rekognition:[a-z\d-]*:(\d{12}):([a-z]+)/([^/]+)(/.*)?")


def collection_arn(context: Context, collection: str) -> str:
    """Return a collection's ARN."""
    return context.arn(SERVICE, f"collection/{collection}")


def processor_arn(context: Context, processor: str) -> str:
    """Return a stream processor's ARN."""
    return context.arn(SERVICE, f"streamprocessor/{processor}")


def collection_of(arn: str) -> str | None:
    """Return the name of the collection whose ARN this is; None if it is not a collection's."""
    return _named(arn, "collection")


def processor_of(arn: str) -> str | None:
    """Return the name of the stream processor whose ARN this is; None if it is not one's."""
    return _named(arn, "streamprocessor")


def _named(arn: str, kind: str) -> str | None:
    found = _ARN.fullmatch(arn)
    return found[3] if found and found[2] == kind and not found[4] else None


def account_of(arn: str) -> str | None:
    """Return the account in an ARN of Rekognition's; None if it is not one."""
    found = _ARN.fullmatch(arn)
    return found[1] if found else None


def model_version(model: str) -> str:
    """Return the FaceModelVersion of an embedder: digits and a point, as Amazon's are.

    The 7 is Amazon's of today: programs look for "3 or later" before they use what came with it.
    """
    return f"7.{zlib.crc32(model.encode())}"


def face_model_version(context: Context) -> str:
    """Return the FaceModelVersion of this server's embedder."""
    return model_version(context.searcher.space.name)
