"""The cursor of a sink: kept, placed, fitted to its log, and locked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from onlooker.record.destinations import saved_cursor
from onlooker.record.destinations.saved_cursor import SavedCursor
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]


def test_a_new_one_is_placed_at_the_end_or_at_the_beginning(
    log: Writer, records: Records, tmp_path: Path
) -> None:
    log.append(records(5))
    for beginning, position in ((False, 5), (True, 0)):
        with SavedCursor(tmp_path / f"{beginning}") as cursor:
            cursor.place(log, beginning)
            assert (cursor.state.position, cursor.state.since) == (position, 5)
    with SavedCursor(tmp_path / "early") as cursor:
        cursor.place(None, False)
    with SavedCursor(tmp_path / "early") as cursor:
        cursor.place(log, False)
        assert cursor.state.position == 0, "it was there before the log"


def test_it_is_kept_and_locked(log: Writer, records: Records, tmp_path: Path) -> None:
    log.append(records(5))
    with SavedCursor(tmp_path / "c") as cursor:
        cursor.place(log, True)
        cursor.state.position, cursor.state.sent = 3, 7
        cursor.save()
        with pytest.raises(BlockingIOError):
            SavedCursor(tmp_path / "c")
    with SavedCursor(tmp_path / "c") as cursor:
        cursor.place(log, True)
        assert (cursor.state.position, cursor.state.sent) == (3, 7)


@pytest.mark.parametrize("data", [b"", b"\0" * 40, b"[3,0", b"[3,0,0,7,0,0]\n00000000\n"])
def test_with_a_torn_one_the_log_is_sent_again(
    log: Writer, records: Records, tmp_path: Path, data: bytes
) -> None:
    log.append(records(5))
    (tmp_path / "c").write_bytes(data)
    with SavedCursor(tmp_path / "c") as cursor:
        cursor.place(log, False)
        assert cursor.state.position == 0


def test_it_is_on_the_disk_when_it_is_placed(
    log: Writer, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(records(5))
    forced: list[tuple[Path, bytes]] = []
    monkeypatch.setattr(
        saved_cursor, "to_disk", lambda path: forced.append((path, (tmp_path / "c").read_bytes()))
    )
    with SavedCursor(tmp_path / "c") as cursor:
        cursor.place(log, False)
    written = (tmp_path / "c").read_bytes()
    assert forced == [(tmp_path / "c", written), (tmp_path, written)]


def test_a_log_that_was_begun_anew_is_sent_from_its_beginning(
    records: Records, tmp_path: Path
) -> None:
    with Writer(tmp_path / "a.db") as log, SavedCursor(tmp_path / "c") as cursor:
        log.append(records(5))
        cursor.place(log, False)
        assert cursor.state.crc == log.after(4)[0].crc
    with Writer(tmp_path / "b.db") as short, SavedCursor(tmp_path / "c") as cursor:
        short.append(records(4, "other"))
        cursor.place(short, False)
        assert cursor.state.position == 0, "it is shorter"
    with Writer(tmp_path / "a.db") as log, SavedCursor(tmp_path / "c") as cursor:
        cursor.state.position, cursor.state.crc = 5, log.after(4)[0].crc
        cursor.save()
        cursor.place(log, False)
        assert cursor.state.position == 5, "it is the same"
    with Writer(tmp_path / "d.db") as other, SavedCursor(tmp_path / "c") as cursor:
        other.append(records(9, "other"))
        cursor.place(other, False)
        assert cursor.state.position == 0, "another record is there"
