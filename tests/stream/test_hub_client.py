"""A process's connection to the hub, against a socket that plays the hub."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from onlooker.config.schema import Config, Pipeline
from onlooker.stream import messages
from onlooker.stream.hub_client import HubClient
from onlooker.stream.run_directory import Plan, endpoint

SETTINGS = Config(pipeline=Pipeline(heartbeat=0.1, liveness=3))


class FakeHub:
    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", address: str) -> None:
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(address)

    def next(self) -> tuple[str, messages.ToHub]:
        assert self.socket.poll(60_000)
        sender, *parts = self.socket.recv_multipart()
        message, _ = messages.unpack_to_hub(parts)
        return sender.decode(), message

    def next_but_heartbeats(self) -> messages.ToHub:
        while isinstance(message := self.next()[1], messages.Heartbeat):
            pass
        return message

    def say(self, name: str, message: messages.FromHub) -> None:
        self.socket.send_multipart([name.encode(), *messages.pack(message)])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with zmq.Context() as context:
        hub = FakeHub(context, endpoint(tmp_path))
        yield hub
        hub.socket.close()


@pytest.fixture
def client(hub: FakeHub, tmp_path: Path) -> Iterator[HubClient]:
    plan = Plan(parent=os.getppid(), hub=endpoint(tmp_path), config=SETTINGS, stages=())
    with HubClient(plan, "detect-0.1", lambda number: messages.Ready(f"for {number}")) as client:
        yield client


def test_it_is_silent_until_it_registers_and_then_its_heart_beats(
    client: HubClient, hub: FakeHub
) -> None:
    assert not hub.socket.poll(400), "it may be loading models for long"
    client.register()
    assert hub.next() == ("detect-0.1", messages.Ready("for None"))
    assert hub.next() == ("detect-0.1/beat", messages.Heartbeat("detect-0.1"))


def test_it_registers_with_a_hub_that_does_not_know_it(client: HubClient, hub: FakeHub) -> None:
    client.register()
    assert hub.next_but_heartbeats() == messages.Ready("for None")
    client._registered -= 1.0
    hub.say("detect-0.1", messages.RegisterAgain(7))
    while client.receive() is not None:
        pass
    assert hub.next_but_heartbeats() == messages.Ready("for 7")
    # One answer is enough for all questions that came while it was busy.
    hub.say("detect-0.1", messages.RegisterAgain(7))
    assert client.receive() is None
    assert client.receive(0) is None
    client.send(messages.Broken("nothing before this"))
    assert hub.next_but_heartbeats() == messages.Broken("nothing before this")


def test_it_registers_again_after_a_silence(client: HubClient, hub: FakeHub) -> None:
    client.register()
    assert hub.next_but_heartbeats() == messages.Ready("for None")
    for _ in range(6):  # 0.1 s each
        client.receive()
    assert hub.next_but_heartbeats() == messages.Ready("for None")


def test_a_last_message_arrives_though_the_client_closes_at_once(
    client: HubClient, hub: FakeHub
) -> None:
    client.send_last(messages.Broken("the disk went away"))
    client.close()
    assert hub.next_but_heartbeats() == messages.Broken("the disk went away")
