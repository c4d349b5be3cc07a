"""Settings that a destination cannot be used with, and secrets, which are never shown."""

import sys
from pathlib import Path

import pytest

from onlooker.config.section import ConfigError
from onlooker.config.sinks import SinkConfig
from onlooker.record.destinations.destination import KINDS, check, kind_of, secret


def test_secrets_are_read_from_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "word").write_text("opensesame\n")
    monkeypatch.setenv("WORD", "opensesame")
    assert secret(f"file:{tmp_path}/word") == secret("env:WORD") == "opensesame"
    assert secret(None) is None
    for place in (f"file:{tmp_path}/none", "env:NOWORD"):
        with pytest.raises(ConfigError, match="the secret cannot be read"):
            secret(place)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"secret": "env:NOWORD"}, r"\[sinks\.a\] the secret cannot be read: env:NOWORD"),
        ({"signing_key": "env:SHORT"}, "16 bytes"),
        ({"ca": "nowhere.pem"}, "there is no such file"),
    ],
)
def test_what_cannot_be_used_is_told_before_the_start(
    settings: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHORT", "short")
    with pytest.raises(ConfigError, match=says):
        check("a", SinkConfig(kind="webhook", url="http://127.0.0.1/", **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "webhook"])
def test_a_library_that_is_missing_is_named_with_its_extra(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, library, extra = KINDS[kind]  # type: ignore[index]
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        ConfigError, match=rf'needs {library}; run `pip install "onlooker\[{extra}\]'
    ):
        kind_of(SinkConfig(kind=kind, url=None if kind == "kinesis" else f"{kind}://h"))  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["open\nsesame", "open\rsesame", "open\x7fsesame"])
def test_a_secret_that_cannot_be_sent_is_refused_and_not_shown(tmp_path: Path, word: str) -> None:
    (tmp_path / "word").write_bytes(word.encode())
    with pytest.raises(ConfigError, match="control character") as error:
        secret(f"file:{tmp_path}/word")
    assert "sesame" not in str(error.value)


def test_a_token_of_a_webhook_is_of_the_characters_of_headers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORD", "сезам-open")
    with pytest.raises(ConfigError, match="env:WORD has a character") as error:
        check("a", SinkConfig(kind="webhook", url="http://127.0.0.1/", secret="env:WORD"))
    assert "open" not in str(error.value)
    check("a", SinkConfig(kind="webhook", url="http://h/", user="ada", secret="env:WORD"))
    assert secret("env:WORD") == "сезам-open"
