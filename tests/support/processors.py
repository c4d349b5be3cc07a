"""Stream processors for tests."""

from typing import Any

from onlooker.stream.processors import Processor

ACCOUNT = "us-east-1:000000000000"


def video_arn(stream: str) -> str:
    return f"arn:aws:kinesisvideo:{ACCOUNT}:stream/{stream}/1604277868692"


def data_arn(topic: str) -> str:
    return f"arn:aws:kinesis:{ACCOUNT}:stream/{topic}"


def processor(
    name: str = "door-staff",
    stream: str = "door",
    topic: str = "results",
    threshold: float | None = None,
    **tags: Any,
) -> Processor:
    """Return a new processor; `tags` are those of Onlooker's own, without their prefix."""
    return Processor(
        name=name,
        input=video_arn(stream),
        output=data_arn(topic),
        collection="staff",
        threshold=threshold,
        role="arn:aws:iam::000000000000:role/reader",
        tags={f"onlooker:{key}": value for key, value in tags.items()},
    )
