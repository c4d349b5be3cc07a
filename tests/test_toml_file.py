"""TOML files as editors and shells of all kinds write them."""

from pathlib import Path

import pytest

from onlooker import toml_file
from onlooker.toml_file import MAX_BYTES, TomlError

TEXT = '[streams.door]\nurl = "Tür.mp4"\n'
TABLE = {"streams": {"door": {"url": "Tür.mp4"}}}


@pytest.mark.parametrize(
    "data",
    [TEXT.encode(), TEXT.encode("utf-8-sig"), TEXT.replace("\n", "\r\n").encode("utf-8-sig")],
)
def test_a_byte_order_mark_and_line_ends_of_windows_are_taken(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(data)
    assert toml_file.read(path) == TABLE


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (TEXT.encode("utf-16"), "the text is UTF-16; save it as UTF-8"),
        (TEXT.encode("utf-16-be").join([b"\xfe\xff", b""]), "UTF-16"),
        (TEXT.encode("latin-1"), "line 2 is not UTF-8"),
        (b"[streams\n", "at line 1"),
        (b"a = " + b"[" * 5000, "too many brackets within each other"),
        (b"a = " + b"9" * 5000, "digits"),
        (b"#" * (MAX_BYTES + 1), "more than 4194304 bytes"),
    ],
)
def test_another_file_is_refused_with_the_cause(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(data)
    with pytest.raises(TomlError, match=says):
        toml_file.read(path)


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(TomlError, match="name a file of settings"):
        toml_file.read(Path("/dev/zero"))


def test_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        toml_file.read(tmp_path / "none")
