"""A receiver of webhooks on a port of its own, which can be down, slow, full or of few words."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECONDS = 60.0
"""Time that a client has to send its request."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    """So that `close` waits for requests that are being answered: they count too."""

    def handle_error(self, *_: object) -> None:
        """Say nothing: the client has not waited for the answer."""


class Receiver:
    """Keeps every line that it has answered with 200."""

    def __init__(self, port: int = 0) -> None:
        self.lines: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.answer = 200
        """Status of the answers; others than 200 keep nothing."""
        self.delay = 0.0
        self.max_bytes = 10**9
        """Larger bodies are answered with 413."""
        self.closed = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            timeout = SECONDS

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(receiver.delay)
                answer = 413 if len(body) > receiver.max_bytes else receiver.answer
                if answer == 200:
                    receiver.bodies.append(body)
                    receiver.headers.append({k.lower(): v for k, v in self.headers.items()})
                    receiver.lines += map(json.loads, body.splitlines())
                self.send_response(answer)
                self.end_headers()
                if answer != 200:
                    self.wfile.write(b"the receiver is not well")

            def log_message(self, *_: object) -> None:
                """Keep the tests' output short."""

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    @property
    def ids(self) -> list[str]:
        return [line["Id"] for line in self.lines]

    def close(self) -> None:
        self.closed = True
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """Yield a receiver that listens at `port`; 0 means any."""
    made = Receiver(port)
    try:
        yield made
    finally:
        made.close()


def first_seen(ids: list[str]) -> list[str]:
    """Return the ids without those that came before: what a careful consumer keeps."""
    return list(dict.fromkeys(ids))
