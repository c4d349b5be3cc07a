"""Cookies that only this program can have made."""

import stat
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.console import KEYS

from onlooker.console.sessions import NOBODY, Sessions, secret

SECRET = b"0" * 32


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(KEYS, SECRET, 60)


def test_a_key_gets_a_session_that_another_process_reads(sessions: Sessions) -> None:
    made = sessions.sign_in("ADMIN", KEYS["ADMIN"].secret)
    assert made is not None
    assert made.user == "ada"
    assert Sessions(KEYS, SECRET, 60).read(made.cookie) == made


@pytest.mark.parametrize(
    ("id", "given"),
    [("ADMIN", "wrong"), ("ADMIN", ""), ("NOBODY", ""), ("", ""), ("ADMIN", KEYS["ROBOT"].secret)],
)
def test_a_wrong_secret_gets_none(sessions: Sessions, id: str, given: str) -> None:
    assert sessions.sign_in(id, given) is None


def test_a_session_ends_with_its_time() -> None:
    sessions = Sessions(KEYS, SECRET, -1)
    assert sessions.read(sessions.new(KEYS["ADMIN"]).cookie) is None


def test_a_session_ends_with_its_key_and_with_its_secret(sessions: Sessions) -> None:
    cookie = sessions.new(KEYS["ADMIN"]).cookie
    changed = {"ADMIN": replace(KEYS["ADMIN"], secret="another-secret-now")}
    assert Sessions(changed, SECRET, 60).read(cookie) is None
    assert Sessions({}, SECRET, 60).read(cookie) is None
    assert Sessions(KEYS, b"1" * 32, 60).read(cookie) is None


def test_a_session_that_was_signed_out_stays_so_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "signed-out"
    sessions = Sessions(KEYS, SECRET, 60, path)
    one, other = sessions.new(KEYS["ADMIN"]), sessions.new(KEYS["ADMIN"])
    sessions.sign_out(one)
    for each in (sessions, Sessions(KEYS, SECRET, 60, path)):
        assert each.read(one.cookie) is None
        assert each.read(other.cookie) is not None
    assert one.cookie.rpartition(".")[2] not in path.read_text(), "no signature is on the disk"


def test_what_is_over_anyway_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "signed-out"
    old = Sessions(KEYS, SECRET, -1, path)
    old.sign_out(old.new(KEYS["ADMIN"]))
    assert path.read_text() == ""


def test_a_full_disk_keeps_nobody_signed_in(tmp_path: Path) -> None:
    sessions = Sessions(KEYS, SECRET, 60, tmp_path / "no folder" / "signed-out")
    made = sessions.new(KEYS["ADMIN"])
    sessions.sign_out(made)
    assert sessions.read(made.cookie) is None


def test_no_change_of_a_cookie_is_taken(sessions: Sessions) -> None:
    cookie = sessions.new(KEYS["VIEWER"]).cookie
    for place in range(len(cookie)):
        forged = cookie[:place] + ("x" if cookie[place] != "x" else "y") + cookie[place + 1 :]
        assert sessions.read(forged) is None
    for forged in ("", ".", "....", "ADMIN", f"{NOBODY}.9999999999.a.b", "\0" * 500, "é.1.2.3"):
        assert sessions.read(forged) is None
    _, _, rest = cookie.partition(".")
    assert sessions.read(f"ADMIN.{rest}") is None


def test_without_keys_everybody_is_let_in_and_nobody_else_with_them(sessions: Sessions) -> None:
    free = Sessions(None, SECRET, 60)
    made = free.new(None)
    assert free.read(made.cookie) == made
    assert made.allows("console:ChangePeople")
    assert sessions.read(made.cookie) is None
    assert free.read(sessions.new(KEYS["ADMIN"]).cookie) is None


def test_each_session_has_a_token_of_its_own(sessions: Sessions) -> None:
    tokens = {sessions.new(KEYS["ADMIN"]).csrf for _ in range(20)}
    assert len(tokens) == 20


def test_the_secret_is_made_once_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    made = secret(tmp_path / "data")
    assert secret(tmp_path / "data") == made
    assert len(made) == 32
    mode = (tmp_path / "data" / "console.secret").stat().st_mode
    assert not mode & (stat.S_IRWXG | stat.S_IRWXO)
