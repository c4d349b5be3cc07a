"""Settings of jobs over stored videos, and of the notices of their ends."""

import re
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from onlooker.config.section import ConfigError, Count, Section

TOPIC = re.compile(r"arn:aws:sns:[^:]*:\w{12}:([A-Za-z0-9_-]{1,256}(?:\.fifo)?)")
"""ARN of a topic, whose last part is its name."""
QUEUE = re.compile(r"queue(?::([A-Za-z0-9_-]{1,80}))?")
TARGETS = 'a target is "queue", "queue:NAME", "sns", or a URL such as "https://example.com/done"'

Topics = dict[str, str]
"""`[topics]`: the target of notices, by the topic's ARN."""


class Jobs(Section, frozen=True, kw_only=True):
    """`[jobs]`: jobs over stored videos. If the file has this section, the API takes them."""

    folder: str | None = None
    """Folder of jobs and their results; None means `jobs` in the user's data directory."""
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    """Jobs that are worked on at a time."""
    threads: Count = 0
    """Frames that one job analyses at a time; 0 means that the workers share the cores evenly."""
    max_open: Annotated[int, Meta(ge=1)] = 20
    """Jobs that may be open at a time; more are refused with LimitExceededException."""
    keep_days: Annotated[float, Meta(gt=0)] = 7
    """Days for which results are kept after a job's end."""
    max_gigabytes: Annotated[float, Meta(gt=0)] = 10
    """Size that a video may have."""
    max_hours: Annotated[float, Meta(gt=0)] = 6
    """Duration that a video may have."""
    webhook_key: str | None = None
    """File with the secret by which notices to URLs are signed; None means that they are not."""


class Queue(Section, frozen=True, kw_only=True):
    """`[queue]`: the queues of `[topics]`, which are read as those of Amazon SQS are."""

    url: str | None = None
    """Beginning of the queues' URLs, if clients reach the API by another one than its own."""
    visibility: Annotated[int, Meta(ge=0, le=43200)] = 30
    """Seconds for which a message that was received is not received again."""
    keep_days: Annotated[float, Meta(gt=0, le=14)] = 4
    """Days after which a message is deleted that nobody has."""


def check(topics: Topics) -> None:
    """Raise ConfigError if a topic's ARN or its target is malformed."""
    for arn, target in topics.items():
        named = TOPIC.fullmatch(arn)
        if named is None:
            raise ConfigError(
                f"topics: {arn!r} is no ARN of a topic; write one such as "
                '"arn:aws:sns:us-east-1:000000000000:AmazonRekognitionDone"'
            )
        if target != "sns" and not QUEUE.fullmatch(target):
            if not re.fullmatch(r"https?://[^\s/]+\S*", target):
                raise ConfigError(f"topics: {arn}: {target!r} is no target; {TARGETS}")
        elif target == "queue" and not QUEUE.fullmatch(f"queue:{named[1]}"):
            raise ConfigError(
                f"topics: {arn}: a queue's name has up to 80 letters, digits, hyphens and "
                'underscores; write "queue:NAME"'
            )


def queue_of(arn: str, topics: Mapping[str, str]) -> str | None:
    """Return the name of the queue that a topic's notices go to; None for another target."""
    found = QUEUE.fullmatch(topics[arn])
    if found is None:
        return None
    return found[1] or arn.rpartition(":")[2]


def queues(topics: Mapping[str, str]) -> list[str]:
    """Return the names of all queues, in order."""
    return sorted({name for arn in topics if (name := queue_of(arn, topics)) is not None})
