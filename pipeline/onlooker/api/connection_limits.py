"""Limits of connections: slow, endless and too many ones are aborted, so that others get in."""

import asyncio
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onlooker.api.http_parser import DecliningParser

HEADER_SECONDS = 10.0
"""Seconds for a request's headers; for the rest of a body, and to take the response, after the
request was answered."""
DISCARD_PAUSE_SECONDS = 0.02
"""Seconds between pieces, of up to 256 kB, of a body that is discarded."""
CLOSE_SECONDS = 1.0
"""Seconds from the end of a connection until it is aborted."""
MAX_HEADER_BYTES = 64 * 1024
"""Bytes that may arrive before the headers end. They arrive in pieces of up to 256 kB."""
MAX_CONNECTIONS = 1000
"""Connections of one process. With one more, the address that has most of them loses one, of those
that wait for headers if any does."""


class LimitedConnection(HttpToolsProtocol):
    """Uvicorn's connection with limits."""

    awaiting_headers: ClassVar[dict["LimitedConnection", None]] = {}
    """The process's connections that wait for a request's headers, the oldest first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser: DecliningParser | None = DecliningParser(self)  # type: ignore[assignment]
        self._timer: asyncio.TimerHandle | None = None
        self._unread = 0
        """Bytes that have arrived of the headers."""
        self._ended = True
        """Whether the request's body has arrived."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()
        self._start_timer()
        if len(self.connections) > MAX_CONNECTIONS:
            # A connection that was aborted is still among them until the loop's next pass.
            all_of_them = cast("set[LimitedConnection]", self.connections)
            held = {each for each in all_of_them if not each.transport.is_closing()}
            if len(held) > MAX_CONNECTIONS:
                self._one_to_close(held).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.awaiting_headers.pop(self, None)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self in self.awaiting_headers:
            self._unread += len(data)
            if self._unread > MAX_HEADER_BYTES:
                self.transport.abort()
        elif not self._ended and self.cycle.response_complete:
            # The rest of this body is discarded. Many such, read as fast as they arrive, would
            # keep the others waiting.
            self.flow.pause_reading()
            self.loop.call_later(DISCARD_PAUSE_SECONDS, self._resume_reading)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._ended = False
        self._start_timer()

    def on_headers_complete(self) -> None:
        if self._will_be_parsed_again():
            return
        self.awaiting_headers.pop(self, None)
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._will_be_parsed_again():
            return
        super().on_message_complete()
        self._ended = True
        if self._becomes_socket():
            return
        if self.cycle.response_complete:  # it was answered before its body had arrived
            self._stop_timer()
            self._await_headers()
            self._start_keep_alive()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()
            return
        if self._ended:
            self._await_headers()
        else:
            self._unset_keepalive_if_required()
            self._start_timer()

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self._abort_later()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_timer()

    def _will_be_parsed_again(self) -> bool:
        """Return whether this is the first pass over a head that offers another protocol."""
        offers = self.parser is not None and self.parser.should_upgrade()
        return offers and not self._should_upgrade()

    def _becomes_socket(self) -> bool:
        """Return whether the connection is a WebSocket from here on: without limits of time."""
        return self.parser is not None and self.parser.should_upgrade() and self._should_upgrade()

    def _resume_reading(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _await_headers(self) -> None:
        """Note that the connection waits for the next request's headers."""
        self._unread = 0
        self.awaiting_headers[self] = None

    def _one_to_close(self, held: "set[LimitedConnection]") -> "LimitedConnection":
        """Return one of these connections, of the address that has most; it may be a WebSocket.

        It is the one that has waited longest for headers, if any waits, otherwise any.
        """
        by_address: dict[str, set[LimitedConnection]] = {}
        for each in held:
            by_address.setdefault(each.client[0] if each.client else "", set()).add(each)
        most = max(by_address.values(), key=len)
        return next((each for each in self.awaiting_headers if each in most), next(iter(most)))

    def _abort_later(self) -> None:
        """Abort a closing connection soon: a TLS client might never confirm the end."""
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _start_keep_alive(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
