"""The file of keys."""

from pathlib import Path

import pytest

from onlooker.api.access_keys import load
from onlooker.api.rekognition.operations import OPERATIONS
from onlooker.config.schema import ConfigError

ONE = """
[[key]]
id = "KIOSK"
secret = "sixteen letters!"
user = "kiosk"
operations = ["Detect*", "SearchFacesByImage"]
collections = ["staff", "guests-*"]
"""


def written(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_may_do_what_its_patterns_fit(tmp_path: Path) -> None:
    key = load(written(tmp_path, ONE), list(OPERATIONS))["KIOSK"]
    assert key.may("DetectFaces", None)
    assert key.may("SearchFacesByImage", "staff")
    assert key.may("SearchFacesByImage", "guests-2026")
    assert not key.may("SearchFacesByImage", "Staff")
    assert not key.may("SearchFaces", "staff")


def test_a_key_without_patterns_may_do_everything(tmp_path: Path) -> None:
    text = "\n".join(ONE.splitlines()[:5])
    key = load(written(tmp_path, text), list(OPERATIONS))["KIOSK"]
    assert key.may("DeleteCollection", "anything")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "key"),
        ("[[key]]\nid = 'AKID'\n", "secret"),
        (ONE.replace("sixteen letters!", "short"), "secret"),
        (ONE.replace("Detect*", "Detekt*"), "fits no operation"),
        (ONE + ONE, "twice"),
        (ONE + "colections = []", "colections"),
        ("[[key", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(written(tmp_path, text), list(OPERATIONS))


def test_secrets_that_others_can_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        load(written(tmp_path, ONE, 0o644), list(OPERATIONS))
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml", list(OPERATIONS))
