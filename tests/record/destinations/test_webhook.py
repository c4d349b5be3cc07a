"""The webhook, against a receiver."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.webhooks import Receiver, receiver

from onlooker.config.sinks import SinkConfig
from onlooker.record.destinations.destination import NotTaken, TooLarge
from onlooker.record.destinations.message import Message, messages
from onlooker.record.destinations.webhook import Webhook
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def sent(log: Writer, records: Records) -> list[Message]:
    log.append(records(8))
    config = SinkConfig(kind="webhook", url="http://127.0.0.1/")
    return [message for entry in log.after(0) for message in messages(entry, config)]


def test_lines_come_signed_and_with_an_id(
    there: Receiver, sent: list[Message], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("sixteen characters\n")
    monkeypatch.setenv("WORD", "opensesame")
    config = SinkConfig(
        kind="webhook", url=there.url, signing_key=f"file:{tmp_path}/key", secret="env:WORD"
    )
    taken: list[int] = []
    Webhook(config).send(sent, taken.append)
    assert taken == [8]
    assert there.ids == [message.id for message in sent]
    [headers], [body] = there.headers, there.bodies
    assert headers["x-onlooker-batch"] == f"{sent[0].id}-{sent[-1].id}"
    assert headers["authorization"] == "Bearer opensesame"
    assert headers["content-type"] == "application/x-ndjson"
    right = hmac.new(b"sixteen characters", body, hashlib.sha256).hexdigest()
    assert headers["x-onlooker-signature"] == f"sha256={right}"


def test_an_answer_that_is_no_success_is_shown(there: Receiver, sent: list[Message]) -> None:
    there.answer = 503
    webhook = Webhook(SinkConfig(kind="webhook", url=f"{there.url}?token=abc"))
    with pytest.raises(NotTaken, match=r"answered 503 .*: the receiver is not well") as error:
        webhook.send(sent, lambda _: pytest.fail("nothing was taken"))
    assert "abc" not in str(error.value)


def test_redirects_are_not_followed(there: Receiver, sent: list[Message]) -> None:
    there.answer = 302
    with pytest.raises(NotTaken, match="302"):
        Webhook(SinkConfig(kind="webhook", url=there.url)).send(sent, lambda _: None)


def test_one_that_answers_too_late_or_not_at_all(there: Receiver, sent: list[Message]) -> None:
    there.delay = 0.6
    config = SinkConfig(kind="webhook", url=there.url, timeout=0.2)
    with pytest.raises(NotTaken, match="timed out"):
        Webhook(config).send(sent, lambda _: None)
    with receiver() as gone:
        url = gone.url
    with pytest.raises(NotTaken, match="refused"):
        Webhook(SinkConfig(kind="webhook", url=url)).send(sent, lambda _: None)


def test_a_body_that_is_too_large_is_halved(there: Receiver, sent: list[Message]) -> None:
    size = len(sent[0].line())
    there.max_bytes = 3 * size
    taken: list[int] = []
    Webhook(SinkConfig(kind="webhook", url=there.url)).send(sent, taken.append)
    assert there.ids == [message.id for message in sent]
    assert taken == [2, 4, 6, 8]
    there.max_bytes = size // 2
    with pytest.raises(TooLarge):
        Webhook(SinkConfig(kind="webhook", url=there.url)).send(sent, taken.append)
