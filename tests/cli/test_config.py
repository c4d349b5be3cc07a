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


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "onlooker.toml").write_text('[streams.door]\nurl = "rtsp://me:geheim@10.0.0.7/1"\n')
    done = onlooker("config", "show", cwd=tmp_path)
    assert 'url = "rtsp://10.0.0.7/1"' in done.stdout
    assert "passwords and what follows a question mark are left out" in done.stdout
    assert "geheim" not in done.stdout


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
