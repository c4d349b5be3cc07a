"""NATS JetStream: a message for each record and event, with its id as Nats-Msg-Id.

The server drops a message whose id it has had within the stream's `duplicate_window`; the header
tells consumers of later doubles. https://docs.nats.io/nats-concepts/jetstream
"""

import asyncio
import re
import ssl
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from onlooker.config.sinks import SinkConfig
from onlooker.media.url import redacted
from onlooker.record.destinations.destination import NotTaken, TooLarge, secret
from onlooker.record.destinations.message import Message

T = TypeVar("T")
SPECIAL = re.compile(r"[^A-Za-z0-9_\-+]")
"""Characters of a name that are not of one part of a subject, dots above all."""


class NatsStream:
    """A destination. Messages are published one by one, each after the server has stored the one
    before: with several on their way, a full stream could refuse one and take the next. A thread
    serves the connection while nothing is sent: a server ends one that answers no ping.

    If no stream of the server takes the subjects, one is made that keeps all of them on the disk.
    """

    def __init__(self, config: SinkConfig) -> None:
        self._config = config
        self._url = config.url or ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None

    def send(self, messages: Sequence[Message], taken: Callable[[int], None]) -> None:
        try:
            self._do(self._send(messages, taken))
        except nats.errors.MaxPayloadError as error:
            raise TooLarge(f"{self._name}: {error}") from error
        except nats.js.errors.NoStreamResponseError as error:
            raise NotTaken(f"{self._name}: the stream is gone; it is made again") from error
        except ValueError as error:  # what answers does not speak NATS, say
            raise NotTaken(f"{self._name}: {type(error).__name__}: {error}") from error
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise NotTaken(f"{self._name}: {_cause(error)}") from error

    def close(self) -> None:
        try:
            if self._client is not None:
                self._do(self._client.close())
        except (nats.errors.Error, OSError, TimeoutError, ValueError):  # it is gone already
            pass
        except AssertionError:  # the library's, of a client whose address it could not read
            pass
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @property
    def _name(self) -> str:
        return ",".join(redacted(url) for url in self._url.split(","))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _send(self, messages: Sequence[Message], taken: Callable[[int], None]) -> None:
        stream = self._stream
        if self._client is None or stream is None or self._client.is_closed:
            # The server may have been restarted while there was nothing to send.
            stream = await self._connect()
        for number, message in enumerate(messages, 1):
            subject = f"{self._config.prefix}.{part(message.stream)}.{part(message.kind)}"
            headers = {"Nats-Msg-Id": message.id}
            await stream.publish(subject, message.body, self._config.timeout, headers=headers)
            taken(number)

    async def _connect(self) -> JetStreamContext:
        config, word = self._config, secret(self._config.secret)
        options: dict[str, Any] = {}
        if word is not None:
            named = {"user": config.user, "password": word}
            options = named if config.user is not None else {"token": word}
        if config.ca is not None:
            options["tls"] = ssl.create_default_context(cafile=config.ca)
        client = self._client = Client()
        await asyncio.wait_for(
            client.connect(
                self._url.split(","),
                name="onlooker",
                # Its own reconnects would send what it has queued, behind what got lost.
                allow_reconnect=False,
                connect_timeout=max(1, round(config.timeout)),
                error_cb=_ignore,
                **options,
            ),
            config.timeout + 1.0,
        )
        stream = client.jetstream(timeout=config.timeout)
        subjects = f"{config.prefix}.>"
        try:
            await stream.find_stream_name_by_subject(subjects)
        except nats.js.errors.NotFoundError:
            name = SPECIAL.sub("_", config.prefix).upper()
            await stream.add_stream(name=name, subjects=[subjects])
        self._stream = stream
        return stream


def part(name: str) -> str:
    """Return a name as one part of a subject: `front.door` becomes `front%2Edoor`."""
    return SPECIAL.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)


async def _ignore(_: Exception) -> None:
    """Errors of the connection are those of the message that waits for it, too."""


def _cause(error: BaseException) -> str:
    if isinstance(error, TimeoutError | nats.errors.TimeoutError):
        return "no answer in time"
    if isinstance(error, nats.errors.NoServersError):
        return "no server is there, or it refuses the connection"
    return str(error) or type(error).__name__
