"""The step that follows people, on frames with made-up faces and a real collection."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from tests.support import postgres
from tests.support.frame_records import FACE
from tests.support.frames import frame

from onlooker.config.schema import Config, Match, Retention, SourceConfig
from onlooker.config.shared_store import Store
from onlooker.config.tracking import People, Tracks
from onlooker.identity.errors import StoreError
from onlooker.identity.faces import NewFace
from onlooker.identity.search.engines import open_searcher
from onlooker.media.picture import Still
from onlooker.models.card import space
from onlooker.stream.feeds import Feed
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import NoPicture, Setup, StageError, StatefulStep, Work
from onlooker.stream.track_step import TrackStep
from onlooker.types import Frame

VECTOR = np.eye(1, space("mobilefacenet").dim, dtype=np.float32)[0]


def step(tmp_path: Path, closing: ExitStack, config: Config) -> TrackStep:
    feed = Feed(stream="door", source=SourceConfig(url="door"), digest="e", analysis="d")
    store = tmp_path / "faces.db" if config.store.url is None else None
    return TrackStep(Setup(config, closing, lambda _: feed, store=store))


def shown(index: int, **more: Any) -> Frame:
    face = replace(FACE, vector=VECTOR.tobytes())
    return frame("door", index, **{"width": 640, "height": 360, "faces": (face,), **more})


def take(made: TrackStep, each: Frame) -> Frame:
    [result] = made([Work(each, NoPicture())])
    return result


def test_it_names_whom_the_collection_has(tmp_path: Path) -> None:
    with open_searcher(tmp_path / "faces.db", space("mobilefacenet")) as searcher:
        searcher.create_collection("staff")
        new = NewFace(
            picture=b"image",
            external_image_id="anna",
            box=(0.1, 0.1, 0.2, 0.2),
            confidence=99.0,
            vector=VECTOR,
        )
        searcher.add("staff", [new])
    with ExitStack() as closing:
        made = step(tmp_path, closing, Config(match=Match(collection="staff")))
        assert isinstance(made, StatefulStep)
        frames = [take(made, shown(index)) for index in range(20)]
    [event] = [event for each in frames for event in each.appearances]
    assert (event.state, event.person) == ("new", "anna")
    assert frames[0].faces[0].identities[0].similarity == 100


def test_a_missing_collection_ends_the_stage(tmp_path: Path) -> None:
    with ExitStack() as closing, pytest.raises(StageError, match="staff"):
        step(tmp_path, closing, Config(match=Match(collection="staff")))


def test_restored_and_forgotten_states(tmp_path: Path) -> None:
    with ExitStack() as closing:
        made = step(tmp_path, closing, Config())
        first = take(made, shown(0)).faces[0].track
        state = made.snapshot("door")
        made.forget("door")
        other = take(made, shown(1)).faces[0].track
        made.restore("door", state)
        again = take(made, shown(1)).faces[0].track
    assert first == again != other


@pytest.mark.parametrize("still", [True, False])
def test_images_of_their_own_and_untracked_streams_have_no_tracks(
    tmp_path: Path, still: bool
) -> None:
    with ExitStack() as closing:
        made = step(tmp_path, closing, Config(tracks=Tracks(enabled=still)))
        found = take(made, shown(0, still=still))
    assert found.faces[0].track is None
    assert found.faces[0].vector is None


@pytest.mark.parametrize("keep", [True, False])
def test_images_of_faces_are_kept_if_the_feed_says_so(tmp_path: Path, keep: bool) -> None:
    outputs = Outputs(limits=Retention(best_faces=keep))
    feed = Feed(
        stream="door", source=SourceConfig(url="door"), digest="e", analysis="d", outputs=outputs
    )
    picture = Still(np.zeros((360, 640, 3), np.uint8))
    with ExitStack() as closing:
        made = TrackStep(Setup(Config(), closing, lambda _: feed, store=tmp_path / "faces.db"))
        [found] = made([Work(shown(0), picture)])
    assert bool(found.chips) == keep


def told(frames: list[Frame]) -> list[tuple[str, str | None]]:
    return [(event.state, event.person) for each in frames for event in each.appearances]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_unknown_people_have_their_ids_in_events(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    url = None if kind == "sqlite" else postgres.database()
    config = Config(people=People(enabled=True), store=Store(url=url))
    clear = replace(FACE, vector=VECTOR.tobytes(), box=(100, 100, 180, 180))
    there = [shown(index, faces=(clear,)) for index in range(30)]
    back = [shown(index, faces=(clear,)) for index in range(600, 660)]
    frames = [*there, shown(500, faces=()), *back, shown(660, faces=(clear,), last=True)]
    expected = [("new", None), ("end", "unknown-000001")]
    expected += [("new", "unknown-000001"), ("end", "unknown-000001")]
    with ExitStack() as closing:
        made = step(tmp_path, closing, config)
        first = [take(made, each) for each in frames]
        assert told(first) == expected
    with ExitStack() as closing:  # as after a kill: the store knows the end already
        again = [take(step(tmp_path, closing, config), frames[0])]
        made = step(tmp_path, closing, config)
        assert [take(made, each) for each in frames] == first
        assert again == first[:1]


def test_events_do_without_ids_while_the_store_of_people_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("no room")

    with ExitStack() as closing:
        made = step(tmp_path, closing, Config(people=People(enabled=True)))
        monkeypatch.setattr(made._people, "recognise", fail)
        frames = [take(made, shown(index)) for index in range(20)]
    assert told(frames) == [("new", None)]
    assert "no room" in caplog.text
