"""Which frames are chosen, against what one would write first; and folders and patterns."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.config.schema import SourceConfig
from onlooker.media.errors import MediaError
from onlooker.media.image_folder import ImageFolder
from onlooker.media.open import frames, open_video
from onlooker.media.picture import Planes
from onlooker.media.sampling import cropped
from onlooker.media.synthetic import SyntheticVideo
from onlooker.types import Frame

URL = "test://moving?size=64x48&fps=20&frames=100"


def chosen(first: int = 0, **settings: Any) -> list[tuple[Frame, Planes | None]]:
    source = SourceConfig(url=URL, policy="every", **settings)
    return list(frames("s", source, "e", first))


class TestSelection:
    def test_without_one_all_frames(self) -> None:
        found = chosen()
        assert [frame.index for frame, _ in found] == list(range(100))
        assert {frame.epoch for frame, _ in found} == {"e"}

    @given(
        nth=st.integers(1, 7),
        fps=st.none() | st.sampled_from([0.5, 1.0, 3.0, 7.0, 19.0, 20.0, 100.0]),
        start=st.floats(0, 4),
        length=st.none() | st.floats(0.01, 6),
    )
    def test_against_the_naive_choice(
        self, nth: int, fps: float | None, start: float, length: float | None
    ) -> None:
        end = None if length is None else start + length
        found = [frame.pts for frame, _ in chosen(nth=nth, fps=fps, start=start, end=end)]
        kept: list[int] = []
        within = [n for n in range(100) if n / 20 >= start and (end is None or n / 20 < end)]
        for n in within[::nth]:
            # At most so many a second, and no frame left out that would not be too many.
            if fps is None or len(kept) < (n / 20 + 0.0005) * fps or not kept:
                kept.append(n)
        assert set(found) <= set(within[::nth])
        if fps is None:
            assert found == kept
        else:
            for second in range(5):
                assert sum(second * 20 <= n < second * 20 + 20 for n in found) <= fps + 1

    def test_numbers_do_not_depend_on_the_start(self) -> None:
        settings: dict[str, Any] = {
            "nth": 3,
            "motion_threshold": 0.05,
            "region": (0.25, 0.0, 0.5, 1.0),
        }
        whole, later = chosen(**settings), chosen(7, **settings)
        assert [frame for frame, _ in later] == [frame for frame, _ in whole[7:]]
        assert [frame.index for frame, _ in whole] == list(range(34))

    def test_every_selection_has_another_epoch(self) -> None:
        selections = [
            SourceConfig(url=URL, **settings).selection()
            for settings in (
                {},
                {"fps": 5},
                {"nth": 2},
                {"start": 1},
                {"end": 2},
                {"motion_threshold": 0.1},
            )
        ]
        assert selections[0] == b""
        assert len(set(selections)) == len(selections)
        assert SourceConfig(url=URL, speed="8x").selection() == b""  # how fast does not matter

    def test_a_region_on_even_pixels(self) -> None:
        y = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
        chroma = np.arange(24 * 32, dtype=np.uint8).reshape(24, 32)
        source = SourceConfig(url=URL, region=(0.26, 0.5, 0.5, 0.5))
        part, origin = cropped(Planes(y, chroma, chroma), source)
        assert origin == (16, 24)
        assert np.array_equal(part.y, y[24:48, 16:49])
        assert np.array_equal(part.u, chroma[12:24, 8:25])


class TestAlbum:
    def pictures(self, folder: Path) -> list[Path]:
        paths = []
        for number, (width, height) in enumerate([(64, 48), (65, 49), (40, 60)]):
            bgr = np.full((height, width, 3), (30, 90 + 40 * number, 200), np.uint8)
            paths.append(folder / f"{number}.png")
            cv2.imwrite(str(paths[-1]), bgr)
        return paths

    def test_pictures_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        self.pictures(tmp_path)
        (tmp_path / "notes.txt").write_text("no picture")
        (tmp_path / "3.jpg").write_bytes(b"\xff\xd8\xff broken")
        for url in (str(tmp_path), f"{tmp_path}/*.[pj]*g"):
            with open_video(url) as album:
                found = list(album.frames("s"))
            sizes = [(frame.width, frame.height) for frame, _ in found]
            assert sizes == [(64, 48), (65, 49), (40, 60), (40, 60)]
            assert [frame.time for frame, _ in found] == [0.0, 1.0, 2.0, 3.0]
            assert found[3][1] is None
            assert (found[3][0].error or "").startswith("3.jpg")
            for number, (_, planes) in enumerate(found[:3]):
                assert planes is not None
                colour = planes.small(1000).mean(axis=(0, 1))
                assert np.abs(colour - (30, 90 + 40 * number, 200)).max() < 4

    def test_the_digest_is_of_names_and_bytes(self, tmp_path: Path) -> None:
        paths = self.pictures(tmp_path)
        before = ImageFolder(str(tmp_path)).digest
        assert ImageFolder(str(tmp_path)).digest == before
        paths[1].rename(tmp_path / "1b.png")
        assert ImageFolder(str(tmp_path)).digest != before

    def test_no_pictures(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="no image found"):
            open_video(str(tmp_path))
        with pytest.raises(MediaError, match="no image found"):
            open_video(f"{tmp_path}/*.jpg")


class TestSyntheticVideo:
    def test_no_two_pictures_are_alike(self) -> None:
        found = [planes.y.tobytes() for _, planes in SyntheticVideo(URL).frames("s") if planes]
        assert len(set(found)) == 100

    @pytest.mark.parametrize(("kind", "different"), [("black", 1), ("frozen", 1), ("repeating", 8)])
    def test_faults(self, kind: str, different: int) -> None:
        found = SyntheticVideo(f"test://{kind}?frames=40&size=64x48").frames("s")
        assert len({planes.y.tobytes() for _, planes in found if planes}) == different

    @pytest.mark.parametrize(
        "url",
        ["test://nonsense", "test://moving?size=9", "test://moving?fps=0", "test://moving?colour=1",
         "test://moving?size=8x8"],
    )  # fmt: skip
    def test_others(self, url: str) -> None:
        with pytest.raises(MediaError, match="test://"):
            SyntheticVideo(url)


def test_what_a_url_names(tmp_path: Path) -> None:
    (tmp_path / "a[b].mp4").write_bytes(b"not a video")
    with pytest.raises(MediaError, match="not a video"):
        open_video(f"{tmp_path}/a[b].mp4")  # a file that is there is no pattern
