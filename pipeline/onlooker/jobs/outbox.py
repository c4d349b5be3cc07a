"""Sending of notices: to SNS, or to a URL in SNS's own form.

A notice stays in the outbox until its target has taken it. It is sent at least once, and always
with the same MessageId. One process of all sends at a time.
"""

import importlib
import logging
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from onlooker.config.section import ConfigError
from onlooker.durable_file import FileLock
from onlooker.errors import OnlookerError
from onlooker.jobs.job_store import JobStore
from onlooker.jobs.notices import envelope
from onlooker.record.destinations.webhook import signature

POLL_SECONDS = 0.25
TIMEOUT_SECONDS = 10
MAX_WAIT_SECONDS = 300.0
"""Longest time between two attempts: 1, 2, 4 … seconds, then this."""
LOCK = "outbox.lock"

logger = logging.getLogger(__name__)


class NotSent(OnlookerError):
    """A target has not taken a notice; the text says why."""


class Outbox:
    """Sends the notices of a store."""

    def __init__(self, store: JobStore) -> None:
        """Raises ConfigError if a target cannot be used at all."""
        self._store = store
        self._key = read_key(store.settings.webhook_key)
        self._sns: dict[str, Any] = {}
        """Clients by region."""

    def run(self, stop: threading.Event) -> None:
        """Send notices until `stop` is set, while no other process does."""
        while not stop.is_set():
            try:
                lock = FileLock(self._store.folder / LOCK, wait=False)
            except BlockingIOError:
                stop.wait(1.0)
                continue
            with lock:
                while not stop.wait(POLL_SECONDS):
                    try:
                        self.send_due()
                    except OnlookerError as error:
                        logger.error("notices wait error=%s", error)
                        stop.wait(5.0)

    def send_due(self) -> int:
        """Send the notices that are due; return how many were taken. Raises JobError."""
        taken = 0
        for number, id, topic, body, made, attempts in self._store.database.rows(
            "SELECT number, id, topic, body, made, attempts FROM notices WHERE due <= ?"
            " ORDER BY due LIMIT 100",
            time.time(),
        ):
            try:
                self._send(str(id), str(topic), str(body), float(str(made)))
            except NotSent as error:
                logger.warning("notice not taken topic=%s cause=%s", topic, error)
                wait = min(2.0 ** min(int(str(attempts)), 20), MAX_WAIT_SECONDS)
                with self._store.database.changing() as database:
                    database.execute(
                        "UPDATE notices SET attempts = attempts + 1, due = ?, error = ?"
                        " WHERE number = ?",
                        (time.time() + wait, str(error), number),
                    )
                continue
            with self._store.database.changing() as database:
                database.execute("DELETE FROM notices WHERE number = ?", (number,))
            taken += 1
        return taken

    def _send(self, id: str, topic: str, body: str, made: float) -> None:
        target = self._store.topics.get(topic)
        if target is None:
            raise NotSent(f"[topics] no longer has {topic}")
        if target == "sns":
            self._publish(topic, body)
        elif target.startswith("queue"):
            raise NotSent(f"[topics] {topic} is a queue now; its messages begin with new jobs")
        else:
            self._post(target, id, topic, envelope(id, topic, body, made, self._key or b""))

    def _publish(self, topic: str, body: str) -> None:
        boto3: Any = importlib.import_module("boto3")
        errors: Any = importlib.import_module("botocore.exceptions")
        config: Any = importlib.import_module("botocore.config")
        region = topic.split(":")[3]
        try:
            if region not in self._sns:
                limits = config.Config(
                    connect_timeout=TIMEOUT_SECONDS,
                    read_timeout=TIMEOUT_SECONDS,
                    retries={"total_max_attempts": 1},
                )
                self._sns[region] = boto3.client("sns", region_name=region, config=limits)
            self._sns[region].publish(TopicArn=topic, Message=body)
        except (errors.BotoCoreError, errors.ClientError, ValueError) as error:
            raise NotSent(str(error)) from error

    def _post(self, url: str, id: str, topic: str, body: str) -> None:
        data = body.encode()
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-message-id": id,
            "x-amz-sns-topic-arn": topic,
        }
        if self._key is not None:
            headers["x-onlooker-signature"] = signature(self._key, data)
        request = urllib.request.Request(url, data, headers, method="POST")
        try:
            with _opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                response.read(65536)
        except (OSError, urllib.error.URLError, ValueError) as error:
            raise NotSent(f"{url}: {error}") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A notice goes to the URL that was configured, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def read_key(path: str | None) -> bytes | None:
    """Return the secret of `[jobs] webhook_key`. Raises ConfigError."""
    if path is None:
        return None
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"[jobs] webhook_key: {path}: {error.strerror}") from error
    if len(key) < 16:
        raise ConfigError(f"[jobs] webhook_key: {path}: the secret needs 16 bytes or more")
    return key


def check(topics: dict[str, str]) -> None:
    """Raise ConfigError if a target needs what is not installed."""
    if "sns" in topics.values():
        try:
            importlib.import_module("boto3")
        except ImportError as error:
            raise ConfigError(
                '[topics] "sns" needs boto3; run `pip install "onlooker[s3]"`'
            ) from error
