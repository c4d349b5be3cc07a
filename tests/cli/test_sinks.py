"""Sinks of whole programs: a replay, streams that run, their status and metrics, and refusals."""

import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.commands import ONLOOKER, environment, onlooker
from tests.support.ports import free_port
from tests.support.webhooks import Receiver, first_seen, receiver

from onlooker.media.video_writer import VideoWriter
from onlooker.record.log.reader import read_log

SETTINGS = """
[faces]
enabled = false
[text]
enabled = false
[pipeline]
workers = 1
[metrics]
listen = "127.0.0.1:{metrics}"
[log]
path = "records.db"
[sinks.hook]
kind = "webhook"
url = "http://127.0.0.1:{port}/in?token=opensesame"
send = ["records"]
timeout = 1.0
"""
STREAM = """
[streams.moving]
url = "test://moving?size=160x120&fps=10"
"""


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def test_a_replay_ends_when_everything_is_sent(tmp_path: Path, there: Receiver) -> None:
    """What it cannot send it says, and the same command sends it."""
    (tmp_path / "onlooker.toml").write_text(SETTINGS.format(port=there.port, metrics=1))
    video(tmp_path / "video.mp4")
    there.answer = 507
    first = onlooker("replay", "video.mp4", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "[sinks.hook] 20 records were not sent" in first.stderr
    assert "answered 507" in first.stderr
    assert "opensesame" not in first.stdout + first.stderr
    there.answer = 200
    second = onlooker("replay", "video.mp4", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "not sent" not in second.stderr
    assert there.ids == [record.RecordId for record in read_log(tmp_path / "video.db")]
    assert len(there.ids) == 20


def test_a_live_stream_goes_on_while_its_sink_is_down(tmp_path: Path, there: Receiver) -> None:
    metrics = free_port()
    settings = SETTINGS.format(port=there.port, metrics=metrics) + STREAM
    (tmp_path / "onlooker.toml").write_text(settings)
    there.answer = 503
    program = subprocess.Popen(
        [*ONLOOKER, "stream"],
        cwd=tmp_path,
        env=environment(tmp_path / "data"),
        stdout=subprocess.DEVNULL,
    )
    try:
        assert reaches(metrics, "onlooker_sink_backlog", 5.0)
        assert value(metrics, "onlooker_sink_healthy") == 0.0
        shown = onlooker("status", "--once", cwd=tmp_path).stdout
        assert re.search(r"hook\s.*webhook\s.*\d+\s.*failing", shown), shown
        there.answer = 200
        assert reaches(metrics, "onlooker_sink_messages_total", 5.0)
    finally:
        program.send_signal(signal.SIGTERM)
        assert program.wait(60) == 0
    found = [record.RecordId for record in read_log(tmp_path / "records.db")]
    assert first_seen(there.ids) == found


def test_settings_that_cannot_work_are_told_and_secrets_are_not(tmp_path: Path) -> None:
    settings = SETTINGS.format(port=9, metrics=1)
    (tmp_path / "onlooker.toml").write_text(settings)
    shown = onlooker("config", "show", cwd=tmp_path)
    assert '[sinks."hook"]' in shown.stdout
    assert "opensesame" not in shown.stdout
    (tmp_path / "onlooker.toml").write_text(settings + 'secret = "env:NOWORD"\n' + STREAM)
    for words in (("config", "check", "--no-sources"), ("stream",)):
        done = onlooker(*words, cwd=tmp_path)
        assert done.returncode != 0
        assert "[sinks.hook] the secret cannot be read: env:NOWORD" in done.stderr


def video(path: Path) -> None:
    """Make a video of 20 frames."""
    with VideoWriter(path, 160, 120, 25, key_every=10) as writer:
        for number in range(20):
            writer.write(np.full((120, 160, 3), 10 * number, np.uint8))


def value(port: int, name: str) -> float | None:
    """Return the value of a metric of the sink; None if there is none yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return None
    found = re.search(rf'^{name}{{kind="webhook",sink="hook"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else None


def reaches(port: int, name: str, least: float) -> bool:
    """Return whether a metric of the sink becomes as large as `least` in time."""
    end = time.monotonic() + 90
    while (value(port, name) or 0.0) < least:
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
