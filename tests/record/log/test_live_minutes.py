"""Minutes of live streams, counted by the index of times."""

import sqlite3
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from onlooker.record.log import live_minutes, schema

START = 1_790_000_000.0
RECORD = (
    "INSERT INTO records (stream, sequence, identity, written, time, body, crc) "
    "VALUES (?, ?, ?, 0, ?, x'', 0)"
)


def naive(times: list[float], start: float, end: float) -> int:
    return len({time // 60 for time in times if start <= time < end})


@given(
    seconds=st.lists(st.floats(0, 1500), max_size=40),
    first=st.integers(0, 600),
    length=st.integers(0, 900),
)
def test_minutes(seconds: list[float], first: int, length: int) -> None:
    times = [START + each for each in seconds]
    with closing(sqlite3.connect(":memory:")) as database:
        schema.create(database)
        database.execute("INSERT INTO streams VALUES (1, 'door', 0), (2, 'film', 0)")
        rows = [(1, n, f"d{n}", time) for n, time in enumerate(times)]
        rows += [(2, n, f"f{n}", 60.0 * n) for n in range(3)]
        database.executemany(RECORD, rows)
        span = START + first, START + first + length
        found = live_minutes.count(database, span)
        assert found == {"door": naive(times, *span), "film": 0}
        steps = database.execute(
            f"EXPLAIN QUERY PLAN {live_minutes.MINUTES}", {"stream": 1, "start": 0, "end": 1}
        ).fetchall()
    assert not any("SCAN records" in step[3] for step in steps)
