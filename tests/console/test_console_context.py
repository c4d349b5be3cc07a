"""What keys that are limited to collections or streams see of streams, whether they run or not."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.support.appearances import event, record
from tests.support.console import KEYS, Visitor, serving

from onlooker.config.schema import KEEP_ALL, Config, Match, SourceConfig
from onlooker.record.log.writer import Writer
from onlooker.stream.stream_table import StreamTable

COLLECTIONS = {"door": "staff", "vip": "vip", "added": "vip", "gone": None}
LIMITED = {
    "STAFF": replace(KEYS["ADMIN"], id="STAFF", collections=("staff",)),
    "DOOR": replace(KEYS["ADMIN"], id="DOOR", streams=("door",)),
}
SEEN = {"STAFF": {"door"}, "DOOR": {"door"}, "ADMIN": set(COLLECTIONS)}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A console over a log with one visit of each stream; none of them runs."""
    folder = tmp_path_factory.mktemp("limited")
    config = Config(
        match=Match(collection="staff"),
        streams={
            "door": SourceConfig(url="test://moving"),
            "vip": SourceConfig(url="test://moving", collection="vip"),
        },
    )
    with Writer(folder / "records.db", KEEP_ALL) as log:
        for place, stream in enumerate(COLLECTIONS):
            visit = event(place, "end", 10.0, 20.0, f"who-{stream}")
            log.append([record(place, replace(visit, stream=stream), stream=stream)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLOOKER_DATA", str(folder))
        with StreamTable(folder / "streams.db") as table:
            table.add("added", SourceConfig(url="test://moving", collection="vip"))
        with serving(folder, {**KEYS, **LIMITED}, config) as url:
            yield url


def signed_in(url: str, key: str) -> Visitor:
    visitor = Visitor(url)
    secret = {**KEYS, **LIMITED}[key].secret
    assert visitor.post("/sign-in", {"id": key, "secret": secret}).status == 303
    visitor.get("/appearances")
    return visitor


@pytest.mark.parametrize("key", SEEN)
def test_a_key_sees_the_past_of_its_own_streams_alone(url: str, key: str) -> None:
    page = signed_in(url, key).get("/appearances").text
    assert {stream for stream in COLLECTIONS if f"who-{stream}" in page} == SEEN[key]
    similar = signed_in(url, key).get("/appearances/rows?person=WHO-").text
    assert ("who-vip" in similar) == ("vip" in SEEN[key])


@pytest.mark.parametrize("key", LIMITED)
def test_a_stream_that_a_key_does_not_see_is_not_changed(url: str, key: str) -> None:
    visitor = signed_in(url, key)
    assert visitor.get("/streams/form?name=added").status == 404
    taken = {"old": "added", "collection": "staff", "unchecked": "1"}
    assert visitor.post("/streams/save", taken).status == 404
    assert signed_in(url, "ADMIN").get("/streams/form?name=added").status == 200


def test_a_key_adds_only_streams_that_it_sees(url: str) -> None:
    fields = {"name": "yard", "url": "test://moving", "unchecked": "1"}
    refused = signed_in(url, "DOOR").post("/streams/save", fields)
    assert (refused.status, "stream of that name" in refused.text) == (403, True)
    other = {**fields, "collection": "vip"}
    assert signed_in(url, "STAFF").post("/streams/save", other).status == 403
