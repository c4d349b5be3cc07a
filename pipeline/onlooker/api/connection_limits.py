"""Connections that do not keep others out: what is slow, too long or too many is cut off."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PATIENCE = 10.0
"""Seconds for a request's headers, and for what a client still sends or does not take after it was
answered."""
SIP = 0.02
"""Seconds between pieces, of up to 256 kB, of a body that is not wanted any more."""
PARTING = 1.0
"""Seconds from the end of a connection until it is cut off."""
MOST_HEADERS = 64 * 1024
"""Bytes that may come before the headers end. They come in pieces of up to 256 kB."""
MOST_CONNECTIONS = 1000
"""Of one process. One more, and the address that has most of them loses one, of those that wait for
headers if any does."""


class Guarded(HttpToolsProtocol):
    """Uvicorn's connection with limits."""

    strangers: ClassVar[dict["Guarded", None]] = {}
    """Connections that wait for a request's headers, all of the process, the oldest first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._unread = 0
        self._ended = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._estrange()
        self._watch()
        if len(self.connections) > MOST_CONNECTIONS:
            self._greediest().transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.strangers.pop(self, None)
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self in self.strangers:
            self._unread += len(data)
            if self._unread > MOST_HEADERS:
                self.transport.abort()
        elif not self._ended and self.cycle.response_complete:
            # Nobody wants the rest of this body. Taken as fast as it comes, many such would keep
            # the others waiting.
            self.flow.pause_reading()
            self.loop.call_later(SIP, self._go_on)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._ended = False
        self._watch()

    def on_headers_complete(self) -> None:
        self.strangers.pop(self, None)
        self._rest()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._ended = True
        if self.cycle.response_complete:  # it was answered before it had come
            self._rest()
            self._estrange()
            self._idle()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._part()
            return
        if self._ended:
            self._estrange()
        else:
            self._unset_keepalive_if_required()
            self._watch()

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self._part()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._rest()

    def _go_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _estrange(self) -> None:
        """Nobody knows what will come next on this connection."""
        self._unread = 0
        self.strangers[self] = None

    def _greediest(self) -> "Guarded":
        """A connection to be closed, of the address that has most of all: the one that has waited
        longest for headers, if any does, and otherwise any."""
        by_address: dict[str, set[Guarded]] = {}
        for one in self.connections:
            if isinstance(one, Guarded):
                by_address.setdefault(one.client[0] if one.client else "", set()).add(one)
        most = max(by_address.values(), key=len)
        return next((one for one in self.strangers if one in most), next(iter(most)))

    def _part(self) -> None:
        """Do not wait for long until a TLS client says good-bye."""
        self.loop.call_later(PARTING, self.transport.abort)

    def _idle(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _watch(self) -> None:
        self._rest()
        self._timer = self.loop.call_later(PATIENCE, self.transport.abort)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
