"""A console for tests: its pages over a log and people, in this process, and a plain client."""

import asyncio
import html
import http.client
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import uvicorn

from onlooker.api.access_keys import Key
from onlooker.api.listener import listening
from onlooker.config.schema import Config
from onlooker.console.console_process import http_config
from onlooker.console.settings import ConsoleSettings
from onlooker.console.site import Site

START_SECONDS = 30.0
KEYS = {
    "ADMIN": Key(id="ADMIN", secret="a-secret-of-admins", user="ada"),
    "VIEWER": Key(
        id="VIEWER", secret="a-secret-of-viewers", user="vera", operations=("console:View",)
    ),
    "ROBOT": Key(id="ROBOT", secret="a-secret-of-robots", user="rob", operations=("Detect*",)),
}

NONE: Mapping[str, str] = {}
LEAVE: list[Callable[[], None]] = []
"""Called before a console goes: open pages leave it, or they would report that it is gone."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str


class Visitor:
    """A browser without a screen: it keeps cookies and brings the page's token with changes."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self.cookies: dict[str, str] = {}
        self.token = ""

    def get(self, path: str, headers: Mapping[str, str] = NONE) -> Answer:
        answer = self.send("GET", path, headers=headers)
        if found := re.search(r'X-CSRF-Token": "(\w+)"', html.unescape(answer.text)):
            self.token = found[1]
        return answer

    def post(
        self, path: str, fields: Mapping[str, str] = NONE, headers: Mapping[str, str] = NONE
    ) -> Answer:
        own = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-CSRF-Token": self.token,
            "Origin": f"http://{self.host}",
        }
        return self.send("POST", path, urlencode(fields).encode(), {**own, **headers})

    def sign_in(self, id: str) -> Answer:
        answer = self.post("/sign-in", {"id": id, "secret": KEYS[id].secret})
        self.get("/appearances")
        return answer

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = NONE
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**({"Cookie": cookies} if cookies else {}), **headers}
        connection.request(method, path, body or None, sent)
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        found = {name.lower(): value for name, value in response.getheaders()}
        connection.close()
        if cookie := found.get("set-cookie"):
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0].strip('"')
        return Answer(response.status, found, text)


def settings(folder: Path, config: Config | None = None) -> ConsoleSettings:
    """Return the settings of a console whose log and collections are in `folder`."""
    return ConsoleSettings(
        config=config or Config(),
        store=folder / "faces.db",
        log=folder / "records.db",
        address=("127.0.0.1", 0),
    )


@contextmanager
def serving(
    folder: Path, keys: Mapping[str, Key] | None = None, config: Config | None = None
) -> Iterator[str]:
    """Yield the URL of a console over the log and the collections in `folder`."""
    given = settings(folder, config)
    site = Site(given, keys, os.getpid(), secret=b"s" * 32)
    http = uvicorn.Server(http_config(given, site))
    with listening(given.address) as listener:
        port = listener.getsockname()[1]

        async def serve() -> None:
            async with site.running():
                await http.serve([listener])

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            for leave in LEAVE:
                leave()
            http.should_exit = True
            thread.join(START_SECONDS)
            assert not thread.is_alive()
