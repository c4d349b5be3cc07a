"""The console's process as a part of the program."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.console import Visitor, settings
from tests.support.processes import alive, descendants, wait_until

from onlooker.api.listener import ServeError
from onlooker.config.schema import Config
from onlooker.config.section import ConfigError
from onlooker.config.serving import Console, Serve
from onlooker.console import supervised
from onlooker.console.settings import ConsoleSettings
from onlooker.piped_process import pack, unpack

CONFIG = Config(console=Console(listen="127.0.0.1:0"))


def test_its_settings_arrive_as_they_were_sent(tmp_path: Path) -> None:
    sent = settings(tmp_path, CONFIG)
    assert unpack(pack(sent), ConsoleSettings) == sent


def test_a_process_that_dies_is_replaced_at_the_same_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    ready: list[str] = []
    with supervised.running(CONFIG, tmp_path / "f.db", tmp_path / "r.db", ready.append) as group:

        def works() -> bool:
            group.wait(0.02)
            group.watch()
            return group.processes()[0].state == "running"

        assert wait_until(works, 60)
        assert ready == [group.url]
        assert Visitor(group.url).get("/streams").status == 200
        first = descendants(os.getpid())["console.1"]
        os.kill(first, signal.SIGKILL)
        assert wait_until(lambda: not works(), 60)
        assert wait_until(works, 60)
        assert Visitor(group.url).get("/streams").status == 200
        assert ready == [group.url], "told once"
        second = descendants(os.getpid())["console.2"]
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert not alive(first)
    assert not alive(second)


def test_a_port_that_is_used_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        console = Console(listen=f"127.0.0.1:{other.getsockname()[1]}")
        with (
            pytest.raises(ServeError, match=r"cannot listen on 127\.0\.0\.1 .* \[console\] listen"),
            supervised.running(Config(console=console), tmp_path, tmp_path, print),
        ):
            pass


def test_without_keys_it_is_for_this_machine_alone(tmp_path: Path) -> None:
    far = Config(console=Console(listen="0.0.0.0:8700"))
    with pytest.raises(ConfigError, match=r"set \[serve\] keys, or listen on 127\.0\.0\.1"):
        supervised.check(far)
    keys = tmp_path / "keys.toml"
    keys.write_text('[[key]]\nid = "ADMIN"\nsecret = "0123456789abcdef"\nuser = "ada"\n')
    keys.chmod(0o600)
    supervised.check(replace(far, serve=Serve(keys=str(keys))))
    keys.write_text(keys.read_text() + 'operations = ["console:View"]\n')
    supervised.check(replace(far, serve=Serve(keys=str(keys))))


@pytest.mark.parametrize("listen", ["8700", "127.0.0.1", "127.0.0.1:99999"])
def test_a_wrong_address_is_an_error(tmp_path: Path, listen: str) -> None:
    from onlooker.config.load import load

    path = tmp_path / "onlooker.toml"
    path.write_text(f'[console]\nlisten = "{listen}"\n')
    with pytest.raises(ConfigError, match="listen"):
        load(path)
