"""Frames that are decoded sparsely are those of a whole decode, to the bit."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import films

from onlooker.media.picture import Planes
from onlooker.media.video_file import VideoFile
from onlooker.types import Frame

Found = list[tuple[Frame, Planes | None]]


def noise(count: int) -> list[np.ndarray]:
    """Return images that move, so that frames refer to each other."""
    random = np.random.default_rng(7)
    ground = random.integers(0, 255, (96, 160, 3), np.uint8)
    return [np.roll(ground, 3 * number, axis=1) for number in range(count)]


def both(path: Path, choose: Callable[[int], bool], threads: int = 1) -> tuple[Found, Found]:
    """Return the chosen frames by a whole decode, and sparsely."""
    with VideoFile(path) as video:
        whole = [pair for pair in video.frames("s") if choose(pair[0].index)]
        sparse = list(video.chosen_frames("s", choose, threads))
    return whole, sparse


def assert_same(whole: Found, sparse: Found) -> None:
    assert [(one.index, one.pts, one.error is None) for one, _ in sparse] == [
        (one.index, one.pts, one.error is None) for one, _ in whole
    ]
    for (_, one), (_, other) in zip(whole, sparse, strict=True):
        if one is not None and other is not None:
            for plane in ("y", "u", "v"):
                assert np.array_equal(getattr(one, plane), getattr(other, plane))


ENCODINGS = {
    "usual": {"g": "30", "bf": "3"},
    "pyramid": {"g": "48", "bf": "8", "x264-params": "b-pyramid=normal:b-adapt=0"},
    "short groups": {"g": "5", "bf": "2"},
    "open groups": {"g": "12", "bf": "3", "x264-params": "open-gop=1:b-adapt=0:scenecut=0"},
    "without b": {"g": "250", "bf": "0"},
    "intra": {"g": "1"},
    "refresh": {"g": "40", "bf": "2", "x264-params": "intra-refresh=1"},
}


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sparse")
    images = noise(150)
    made = {
        name: films.write(folder / f"{name}.mp4", images=images, rate=30, options=options)
        for name, options in ENCODINGS.items()
    }
    made["matroska"] = films.write(
        folder / "m.mkv", images=images, rate=30, options=ENCODINGS["usual"]
    )
    made["hevc"] = films.write(
        folder / "h.mp4",
        "libx265",
        images=images[:60],
        rate=30,
        options={"x265-params": "keyint=10:bframes=3:log-level=none:pools=1:open-gop=1"},
    )
    made["transport"] = films.write(
        folder / "t.ts", images=images[:60], rate=30, options=ENCODINGS["usual"]
    )
    return made


@pytest.mark.parametrize("name", [*ENCODINGS, "matroska", "hevc", "transport"])
@pytest.mark.parametrize("step", [1, 2, 7, 15, 30, 61])
def test_every_nth_frame(encoded: dict[str, Path], name: str, step: int) -> None:
    whole, sparse = both(encoded[name], lambda index: index % step == 0, threads=1 + step % 2)
    assert len(sparse) >= 1
    assert_same(whole, sparse)


@settings(max_examples=30)
@given(
    name=st.sampled_from([*ENCODINGS, "hevc"]),
    chosen=st.sets(st.integers(0, 149)),
    threads=st.sampled_from([1, 3]),
)
def test_any_frames(encoded: dict[str, Path], name: str, chosen: set[int], threads: int) -> None:
    assert_same(*both(encoded[name], chosen.__contains__, threads))


def test_an_edit_list_changes_nothing(tmp_path: Path) -> None:
    path = films.write(
        tmp_path / "e.mp4", images=noise(40), rate=30, pts=range(7, 47), options={"bf": "3"}
    )
    assert_same(*both(path, lambda index: index % 3 == 0))


def test_interlaced_video_is_deinterlaced(tmp_path: Path) -> None:
    options = {"x264-params": "tff=1:interlaced=1"}
    path = films.write(
        tmp_path / "i.mp4", images=films.interlaced(noise(60)), rate=25, options=options
    )
    assert_same(*both(path, lambda index: index % 4 == 0))


def test_damage_is_in_its_place(tmp_path: Path) -> None:
    path = films.write(tmp_path / "d.mp4", images=noise(120), rate=30, options={"g": "15"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    whole, sparse = both(path, lambda index: index % 5 == 0)
    assert [one.index for one, _ in sparse] == [one.index for one, _ in whole]
    assert [one.pts for one, _ in sparse] == [one.pts for one, _ in whole]
    good = [planes is not None for _, planes in sparse]
    assert good[0]
    assert good[-1]


def test_hardly_anything_is_decoded_of_what_is_not_wanted(encoded: dict[str, Path]) -> None:
    """Key frames alone need no other frame: their decoder returns nothing else."""
    import av

    from onlooker.media.container import video_stream
    from onlooker.media.sparse_decode import sparsely_decoded

    with av.open(str(encoded["short groups"])) as container:
        stream = video_stream(container, "s")
        items = list(sparsely_decoded(container, stream, lambda index: index % 5 == 0))
        assert sum(isinstance(item, av.VideoFrame) for item in items) == 30
    with VideoFile(encoded["short groups"]) as video:
        first = next(itertools.islice(video.chosen_frames("s", lambda index: index == 149), 1))
    assert first[0].index == 149
