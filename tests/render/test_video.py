"""The annotated video: boxes where the faces are, words where the text is, times as they were."""

from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest

from onlooker.config.schema import Config
from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels
from onlooker.media.video_file import VideoFile
from onlooker.media.video_writer import VideoWriter
from onlooker.record.frame_record import build
from onlooker.rekognition.shapes import StreamRecord
from onlooker.render.video import INK, NAMED, UNNAMED, WRITTEN, annotate, draw
from onlooker.types import Face, Frame, Identity, Pose, Quality, StoredFace, TextLine

WIDTH, HEIGHT = 640, 360
EILEEN = Identity(
    similarity=99.25,
    face=StoredFace(
        face_id="00000000-0000-0000-0000-000000000001",
        image_id="00000000-0000-0000-0000-000000000002",
        external_image_id="Eileen Collins",
        box=(0.1, 0.1, 0.2, 0.2),
        confidence=99.0,
    ),
)


def face(*identities: Identity) -> Face:
    return Face(
        box=(100.0, 120.0, 200.0, 250.0),
        score=0.99,
        points=((130, 160), (170, 160), (150, 190), (135, 220), (165, 220)),
        pose=Pose(roll=0, yaw=0, pitch=0),
        quality=Quality(brightness=50, sharpness=50),
        identities=identities,
    )


def line(text: str) -> TextLine:
    quad = (300.0, 200.0), (500.0, 200.0), (500.0, 240.0), (300.0, 240.0)
    return TextLine(text=text, score=0.9, quad=quad, words=())


def record(
    index: int = 0, faces: tuple[Face, ...] = (), lines: tuple[TextLine, ...] = (), pts: int = 0
) -> StreamRecord:
    frame = Frame(
        stream="video", epoch="e", index=index, pts=pts, time_base=(1, 16000), fragment=0,
        fragment_pts=0, started=0.0, width=WIDTH, height=HEIGHT, faces=faces, lines=lines,
    )  # fmt: skip
    return build(frame, Config(), "d")


def drawn(*, faces: tuple[Face, ...] = (), lines: tuple[TextLine, ...] = ()) -> Pixels:
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    draw(picture, record(faces=faces, lines=lines))
    return picture


def where(picture: Pixels, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The upright box x1, y1, x2, y2 round all pixels of about that colour."""
    rows, columns = np.nonzero(np.abs(picture.astype(int) - colour).max(axis=2) < 16)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_a_named_face_has_its_box_and_its_name_above() -> None:
    x1, y1, x2, y2 = where(drawn(faces=(face(EILEEN),)), NAMED)
    assert abs(x1 - 100) <= 2
    assert y1 < 120  # the name stands on the box
    assert x2 >= 199
    assert abs(y2 - 250) <= 2
    label = where(drawn(faces=(face(EILEEN),)), INK)
    assert label[3] < 120
    assert label[2] - label[0] > 60


def test_an_unknown_face_has_a_box_only() -> None:
    assert (
        np.abs(np.subtract(where(drawn(faces=(face(),)), UNNAMED), (100, 120, 200, 250))).max() < 3
    )


def test_a_line_has_its_outline_and_its_words() -> None:
    x1, y1, x2, y2 = where(drawn(lines=(line("YAMAHA"),)), WRITTEN)
    assert abs(x1 - 300) <= 2
    assert 170 < y1 < 198
    assert abs(x2 - 500) <= 2
    assert abs(y2 - 240) <= 2


def test_what_the_font_has_not_becomes_question_marks() -> None:
    assert np.array_equal(drawn(lines=(line("Grüße 東"),)), drawn(lines=(line("Gr??e ?"),)))


@pytest.mark.parametrize("box", [(-40, -40, 60, 50), (560, 300, 800, 500), (0, 0, 640, 360)])
def test_labels_stay_in_the_picture(box: tuple[float, float, float, float]) -> None:
    named = msgspec.structs.replace(face(EILEEN), box=box)
    label = where(drawn(faces=(named,)), INK)
    assert label[0] > 0
    assert label[1] > 0
    assert label[2] < WIDTH - 1
    assert label[2] - label[0] > 60


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, 10, Fraction(1, 16000)) as writer:
        for index in range(6):
            writer.write(np.full((HEIGHT, WIDTH, 3), 128, np.uint8), 8000 + 1600 * index)
    return path


def test_a_video_is_annotated_frame_by_frame(video: Path, tmp_path: Path) -> None:
    # Frame 2 has no record, frame 3 an empty one.
    seen = [record(i, (face(EILEEN),), (), 8000 + 1600 * i) for i in (0, 1, 4, 5)]
    records = [*seen[:2], record(3, pts=8000 + 4800), *seen[2:]]
    annotate(video, records, tmp_path / "out.mp4")
    with VideoFile(video) as before, VideoFile(tmp_path / "out.mp4") as after:
        assert (after.width, after.height, after.rate) == (WIDTH, HEIGHT, 10)
        times = [frame.time for frame, _ in before.frames("video")]
        for time, (frame, planes) in zip(times, after.frames("video"), strict=True):
            assert frame.time == pytest.approx(time)
            assert planes is not None
            bgr, _ = planes.region(96, 180, 104, 190)
            green = int(bgr[:, :, 1].max()) - int(bgr[:, :, 2].max())
            assert (green > 30) == (frame.index not in (2, 3))


def test_records_of_another_video(video: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"not of .*: frame 0 is at 8000 there, and at 77"):
        annotate(video, [record(0, pts=77)], tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_the_video_itself_is_never_written_over(video: Path) -> None:
    before = video.read_bytes()
    with pytest.raises(MediaError, match="is the video itself"):
        annotate(video, [], video.parent / "." / video.name)
    assert video.read_bytes() == before
