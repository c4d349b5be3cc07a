"""A process of the server whose card fails."""

import asyncio
import base64
import signal

import pytest
from tests.support.api import FakeAnalyser, ask, context
from tests.support.requests import PNG

from onlooker.api.app import Server
from onlooker.models.batches import CardFailed


def test_a_process_whose_card_fails_ends_to_be_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise CardFailed("the card has failed: CUDA failure 719; `nvidia-smi` must show it")

    signals: list[int] = []
    monkeypatch.setattr(FakeAnalyser, "__call__", fail)
    monkeypatch.setattr(signal, "raise_signal", signals.append)
    server = Server(context(), None)
    body = {"Image": {"Bytes": base64.b64encode(PNG).decode()}}
    answer = asyncio.run(ask(server, "RekognitionService.DetectText", body))
    server.close()
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (500, "InternalServerError")
    assert b"nvidia" not in bytes(answer.body)
    assert "CUDA failure 719" in caplog.text
    assert signals == [signal.SIGTERM]
