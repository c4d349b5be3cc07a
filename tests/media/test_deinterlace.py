"""Interlaced video: one whole image from two fields, at its time, and nothing else changed."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support import films

from onlooker.config.schema import Deinterlace, SourceConfig
from onlooker.media.open import frames as source_frames
from onlooker.media.picture import Pixels, Planes, Still
from onlooker.media.video_file import VideoFile
from onlooker.types import Frame

FIELDS = 16
SPEED = 12
"""Pixels that the bar moves from field to field."""


def scene(number: int) -> Pixels:
    """Return field `number` of a bright bar that moves to the right over a smooth background."""
    image = np.full((96, 256, 3), 70, np.uint8)
    left = 10 + number * SPEED
    cv2.rectangle(image, (left, 16), (left + 40, 80), (220, 220, 220), cv2.FILLED)
    return image


def video(
    path: Path, *, codec: str = "libx264", top_first: bool = True, marked: bool = True
) -> Path:
    """Write an interlaced video; `marked`: it says that it is."""
    options = {
        "libx264": {"x264-params": f"{'tff' if top_first else 'bff'}=1:interlaced=1"},
        "mpeg2video": {"flags": "+ildct+ilme", "top": str(int(top_first))},
        "prores_ks": {},
    }[codec]
    return films.write(
        path,
        codec,
        images=films.interlaced([scene(number) for number in range(FIELDS)], top_first),
        rate=25,
        options=options if marked else {},
    )


def seen(path: Path, mode: Deinterlace) -> list[tuple[Frame, Planes]]:
    with VideoFile(path, deinterlace=mode) as found:
        pairs = list(found.frames("door"))
    assert all(planes is not None for _, planes in pairs)
    return [(frame, planes) for frame, planes in pairs if planes is not None]


def combing(planes: Planes) -> float:
    """Return how much neighbouring lines differ more than lines of one field, on average."""
    y = planes.y.astype(int)
    between, within = np.abs(y[1:-1] - y[:-2]), np.abs(y[2:] - y[:-2])
    return float(np.maximum(between - within, 0).mean())


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.ts", "libx264"), ("a.mpg", "mpeg2video")]
)
def test_marked_video_is_deinterlaced(
    tmp_path: Path, name: str, codec: str, top_first: bool
) -> None:
    path = video(tmp_path / name, codec=codec, top_first=top_first)
    before, after = seen(path, "off"), seen(path, "auto")
    assert len(before) == len(after) == FIELDS // 2
    assert min(combing(planes) for _, planes in before) > 4
    assert max(combing(planes) for _, planes in after) < 1.5
    # The same frames at the same times, of the same key frames.
    assert [frame for frame, _ in before] == [frame for frame, _ in after]
    # Each shows one of its two fields whole.
    for number, (_, planes) in enumerate(after):
        first, second = (
            np.abs(planes.y.astype(int) - Planes.of(Still(scene(2 * number + later))).y).mean()
            for later in (0, 1)
        )
        assert min(first, second) < 3


def test_unmarked_video_is_deinterlaced_on_demand(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", marked=False)
    assert min(combing(planes) for _, planes in seen(path, "auto")) > 4
    assert max(combing(planes) for _, planes in seen(path, "on")) < 1.5


def test_other_video_is_not_touched(tmp_path: Path) -> None:
    path = films.write(tmp_path / "a.mp4", images=[scene(number) for number in range(6)])
    for (frame, planes), (other, same) in zip(seen(path, "off"), seen(path, "auto"), strict=True):
        assert frame == other
        assert np.array_equal(planes.y, same.y)


def test_video_that_is_interlaced_in_part_keeps_its_order(tmp_path: Path) -> None:
    """The filter holds a frame back; a change of size and damage let it go."""
    parts = [
        films.write(tmp_path / "0.ts", first=0, count=5),
        video(tmp_path / "1.ts"),
        films.write(tmp_path / "2.ts", first=5, count=5, size=(160, 64)),
        films.write(tmp_path / "3.ts", count=3),
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    before, after = seen(path, "off"), seen(path, "auto")
    assert [frame for frame, _ in before] == [frame for frame, _ in after]
    numbers = [films.number_of(planes) for frame, planes in after if frame.width != 256]
    assert numbers == [*range(5), *range(5, 10), *range(3)]
    times = [frame.time for frame, _ in after]
    assert times == sorted(set(times))


def test_damage_among_interlaced_frames(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    contents = [content for content, *_ in films.packets(path)]
    place = data.index(contents[4])
    data[place : place + len(contents[4])] = b"\xff" * len(contents[4])
    path.write_bytes(data)
    with VideoFile(path) as found:
        frames = [frame for frame, _ in found.frames("door")]
        assert [frame for frame, _ in found.frames("door", 3)] == frames[3:]
    assert len(frames) == FIELDS // 2
    assert any(frame.error for frame in frames)
    assert [frame.pts for frame in frames] == sorted(frame.pts for frame in frames)


def test_the_setting_of_a_stream(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4")
    usual, off = SourceConfig(url=str(path)), SourceConfig(url=str(path), deinterlace="off")
    # Other images are another selection of the video: its records are not taken for these.
    assert usual.selection() == b""
    assert off.selection() != b""
    for source, woven in ((usual, False), (off, True)):
        for _, planes in source_frames("door", source, "", 0):
            assert planes is not None
            assert (combing(planes) > 2.5) == woven
