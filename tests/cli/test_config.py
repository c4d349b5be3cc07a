"""`onlooker config`: what it shows, what it keeps secret, what it refuses."""

import tomllib
from pathlib import Path

from tests.support.commands import onlooker


def test_advice_in_brackets_is_whole(tmp_path: Path) -> None:
    (tmp_path / "onlooker.toml").write_text('[faces]\nembedder = "yunet"\n')
    done = onlooker("config", "check", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: [faces] embedder: yunet is no face embedder")
    assert done.stderr.count("\n") == 1


PASSWORDS = """
[streams.path]
url = "rtsp://127.0.0.1:1/user=admin&password=geheim&channel=1&stream=0.sdp?real_stream"
[streams.slash]
url = "rtsp://admin:12345/geheim@127.0.0.1:1/1"
[streams.hash]
url = "rtsp://admin:1#geheim@127.0.0.1:1/1"
[streams.cgi]
url = "http://127.0.0.1:1/cgi-bin/snapshot.cgi;user=admin;pwd=geheim"
[streams.query]
url = "http://geheim:1@127.0.0.1:1/live/geheim/m.m3u8?token=geheim"
[streams.plain]
url = "rtsp://admin:geheim@127.0.0.1:1"
"""


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    store = '[store]\nurl = "postgresql://ann:geheim@db/faces"\n'
    (tmp_path / "onlooker.toml").write_text(store + PASSWORDS)
    done = onlooker("config", "show", cwd=tmp_path)
    assert tomllib.loads(done.stdout)["store"]["url"] == "postgresql://db/..."
    urls = [stream["url"] for stream in tomllib.loads(done.stdout)["streams"].values()]
    assert urls == [
        "rtsp://127.0.0.1:1/...",
        "rtsp://...",
        "rtsp://...",
        "http://127.0.0.1:1/...",
        "http://127.0.0.1:1/...",
        "rtsp://127.0.0.1:1",
    ]
    assert "users put passwords into all the rest" in done.stdout
    checked = onlooker("config", "check", cwd=tmp_path)
    assert checked.stderr.count("\n") == 6
    assert "a password has %2F for /" in checked.stderr
    for output in (done, checked):
        assert "geheim" not in output.stdout + output.stderr


def test_the_configuration_shown_can_be_kept(tmp_path: Path) -> None:
    kept = tmp_path / "onlooker.toml"
    kept.write_text(onlooker("config", "show", cwd=tmp_path).stdout)
    done = onlooker("config", "check", str(kept), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == f"{kept}: fine\n"
    again = onlooker("config", "show", cwd=tmp_path)
    assert tomllib.loads(again.stdout) == tomllib.loads(kept.read_text())
    kept.write_text("[faces]\nsise = 640\n")
    done = onlooker("config", "check", str(kept), cwd=tmp_path)
    assert done.returncode == 1
    assert "did you mean `size`" in done.stderr


def test_a_stream_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "onlooker.toml").write_text('[streams.yard]\nurl = "nowhere.mp4"\n')
    done = onlooker("config", "check", cwd=tmp_path)
    assert done.returncode == 1
    assert "[streams.yard]" in done.stderr
    assert "nowhere.mp4" in done.stderr
    assert onlooker("config", "check", "--no-sources", cwd=tmp_path).returncode == 0
