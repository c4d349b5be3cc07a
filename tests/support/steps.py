"""Light steps and a small video for tests of the line: children import this module by its name."""

import os
import signal
import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from msgspec.structs import replace
from tests.support.frame_records import FACE

from onlooker.rekognition.shapes import StreamRecord
from onlooker.stream.messages import Status
from onlooker.stream.stage import ProcessFailed, Setup, Stage, StageError, Step, Work, each
from onlooker.stream.steps import associate, record, track
from onlooker.types import Face, Frame, TextLine, TextQuad, Word

if TYPE_CHECKING:
    from onlooker.media.picture import Picture

WIDTH, HEIGHT = 96, 64

FRAMES = 20
"""Length of a small video."""
PEOPLE = [
    np.asarray(np.eye(192, dtype=np.float32)[person], np.float32).tobytes() for person in range(3)
]
"""Vectors of three people who are not alike."""
STRANGERS, REGULARS = 10_000, 100
"""Unknown people, and those of them who come back in `returned`."""
BAD = 7
"""The frame that some of the steps do not bear."""


def video(path: Path, frames: int, still: int = 1) -> Path:
    """Write a video of `frames` pictures, of another colour every `still` frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in range(frames):
            index = frame // still
            pixels = np.full((HEIGHT, WIDTH, 3), (index * 7) % 256, np.uint8)
            pixels[: HEIGHT // 2, : index % WIDTH] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode())
    return path


def quiet(status: Status) -> None:
    """A progress display that shows nothing."""


def measured(frame: Frame, picture: "Picture") -> Frame:
    """Return the frame with a quad whose score is the image's mean."""
    score = float(picture.small(64).mean()) / 255
    corners = ((0.0, 0.0), (WIDTH / 2, 0.0), (WIDTH / 2, 9.0), (0.0, 9.0))
    return replace(frame, quads=(TextQuad(quad=corners, score=score),))


def spelled(frame: Frame, picture: "Picture") -> Frame:
    """Return the frame with its quads read: the text is the score."""
    found = tuple(
        TextLine(text=f"{quad.score:.4f}", score=quad.score, quad=quad.quad, words=())
        for quad in frame.quads
    )
    return replace(frame, lines=found, quads=())


def measure(setup: Setup) -> Step:
    return each(measured)


def spell(setup: Setup) -> Step:
    return each(spelled)


def late(setup: Setup) -> Step:
    """Be as long in coming as models are."""
    time.sleep(3)
    return measure(setup)


def slow(setup: Setup) -> Step:
    """`measure`, a little later."""

    def step(frame: Frame, picture: "Picture") -> Frame:
        time.sleep(0.02)
        return measured(frame, picture)

    return each(step)


def paced(setup: Setup) -> Step:
    """`measure`, a little later as long as there is the file that PACE names."""
    pace = Path(os.environ["PACE"])

    def step(frame: Frame, picture: "Picture") -> Frame:
        if pace.exists():
            time.sleep(0.02)
        return measured(frame, picture)

    return each(step)


def raising(setup: Setup) -> Step:
    def step(frame: Frame, picture: "Picture") -> Frame:
        if frame.index == BAD:
            raise ArithmeticError("seven is too much")
        return measured(frame, picture)

    return each(step)


def deadly(setup: Setup) -> Step:
    def step(frame: Frame, picture: "Picture") -> Frame:
        if frame.index == BAD:
            os.kill(os.getpid(), signal.SIGKILL)
        return measured(frame, picture)

    return each(step)


def hanging(setup: Setup) -> Step:
    """A step that ignores SIGTERM, as one deep in foreign code does."""

    def step(frame: Frame, picture: "Picture") -> Frame:
        time.sleep(3600)
        return frame

    return each(step)


def unusable(setup: Setup) -> Step:
    raise StageError("there is no collection 'staff'; see `onlooker collection list`")


def usable_once(setup: Setup) -> Step:
    """A step that kills its worker after a while; the next worker cannot make it."""
    assert setup.config.log.path is not None
    used = Path(setup.config.log.path).with_suffix(".used")
    if used.exists():
        unusable(setup)
    used.touch()

    def step(frame: Frame, picture: "Picture") -> Frame:
        if frame.index > BAD:
            os.kill(os.getpid(), signal.SIGKILL)
        return measured(frame, picture)

    return each(step)


def mistaken(setup: Setup) -> Step:
    raise KeyError("gone")


def refusing(setup: Setup) -> Step:
    """A recorder that cannot build the record of one frame."""
    write = record(setup)

    def step(works: Sequence[Work]) -> list[Frame]:
        if any(frame.index == BAD and frame.error is None for frame, _ in works):
            raise ArithmeticError("seven is too much")
        return write(works)

    return step


def untidy(setup: Setup) -> Step:
    """A recorder whose file cannot be closed."""

    def close() -> None:
        raise OSError("the disk went away")

    setup.closing.callback(close)
    return record(setup)


def come(frame: Frame, picture: "Picture") -> Frame:
    """Return the frame with the faces of people who come, cross and leave, and with a caption."""
    faces = tuple(
        moved_to(x, y, person)
        for person, (period, shift) in enumerate(((100, 0), (140, 30), (90, 50)))
        if (at := (frame.index + shift) % period) < period // 2
        for x, y in [(float(at if person % 2 else 60 - at), 10.0 * person)]
    )
    corners = ((4.0, 40.0), (90.0, 40.0), (90.0, 60.0), (4.0, 60.0))
    return replace(frame, faces=faces, quads=(TextQuad(quad=corners, score=0.9),))


def moved_to(x: float, y: float, person: int) -> Face:
    """Return the face of one of PEOPLE, 20 pixels wide; the number is hidden in its score."""
    left, top, right, bottom = FACE.box
    a, b, c, d, e = (
        (x + 20 * (px - left) / (right - left), y + 24 * (py - top) / (bottom - top))
        for px, py in FACE.points
    )
    score = 0.95 + person / 100
    return replace(FACE, box=(x, y, x + 20, y + 24), points=(a, b, c, d, e), score=score)


def visited(frame: Frame, picture: "Picture") -> Frame:
    """Return the frame with its faces embedded and its caption read, as far as they are not known
    from earlier frames."""
    faces = tuple(
        face
        if face.like is not None
        else replace(face, vector=PEOPLE[round((face.score - 0.95) * 100)])
        for face in frame.faces
    )
    line = caption(f"CAPTION {frame.index // 40}")
    quads = tuple(q if q.known else replace(q, lines=(line,)) for q in frame.quads)
    return replace(frame, faces=faces, quads=quads)


def stranger(person: int) -> bytes:
    """Return the vector of one of any number of people who are not alike."""
    vector = np.random.default_rng(person).normal(size=192)
    return np.asarray(vector / np.linalg.norm(vector), np.float32).tobytes()


def returned(frame: Frame, picture: "Picture") -> Frame:
    """Return the frame with one of the REGULARS, who stays for a second of every two."""
    visit, at = divmod(frame.index, 50)
    if at >= 25:
        return frame
    box = (8.0 + at / 4, 8.0, 88.0 + at / 4, 60.0)
    face = replace(FACE, box=box, vector=stranger(visit % REGULARS))
    return replace(frame, faces=(face,))


def come_back(setup: Setup) -> Step:
    return each(returned)


def caption(text: str) -> TextLine:
    corners = ((4.0, 40.0), (90.0, 40.0), (90.0, 60.0), (4.0, 60.0))
    return TextLine(
        text=text,
        score=0.95,
        quad=corners,
        words=(Word(text=text, score=0.95, quad=corners),),
    )


def arrive(setup: Setup) -> Step:
    return each(come)


def visit(setup: Setup) -> Step:
    return each(visited)


class Counting:
    """A stateful step: adds a line of text that tells how many frames the stream has had so far,
    and the CRC-32 of all that was known about each."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int]] = {}

    def __call__(self, works: Sequence[Work]) -> list[Frame]:
        [(frame, _)] = works
        count, checksum = self._counts.get(frame.stream, (0, 0))
        found = f"{frame.index} {frame.error is None} {[line.text for line in frame.lines]}"
        count, checksum = count + 1, zlib.crc32(found.encode(), checksum)
        self._counts[frame.stream] = count, checksum
        corners = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
        line = TextLine(text=f"{count} {checksum:08x}", score=1.0, quad=corners, words=())
        return [replace(frame, lines=(*frame.lines, line))]

    def snapshot(self, stream: str) -> bytes:
        count, checksum = self._counts[stream]
        return struct.pack("<QL", count, checksum)

    def restore(self, stream: str, state: bytes) -> None:
        self._counts[stream] = struct.unpack("<QL", state)

    def forget(self, stream: str) -> None:
        self._counts.pop(stream, None)


def count(setup: Setup) -> Step:
    return Counting()


def wrong_counts(records: Sequence[StreamRecord]) -> int:
    """Return the number of records of one stream whose line of `Counting` is wrong."""
    checksum, wrong = 0, 0
    for number, found in enumerate(records, 1):
        lines = [each.DetectedText for each in found.TextDetections if each.Type == "LINE"]
        frame = found.FrameInformation
        content = f"{frame.Index} {frame.Error is None} {lines[:-1]}"
        checksum = zlib.crc32(content.encode(), checksum)
        wrong += lines[-1:] != [f"{number} {checksum:08x}"]
    return wrong


def failing_card(setup: Setup) -> Step:
    """A step of a process whose card fails at frame BAD; the process after it has another."""

    def step(works: Sequence[Work]) -> list[Frame]:
        mark = setup.outputs(works[0].frame).log_path.with_name("card-has-failed")
        if not mark.exists() and any(frame.index >= BAD for frame, _ in works):
            mark.touch()
            raise ProcessFailed("the card has failed: CUDA failure 719; `nvidia-smi` must show it")
        return each(measured)(works)

    return step


def nothing(setup: Setup) -> Step:
    """A step that does nothing, to measure what the machinery costs by itself."""
    return each(lambda frame, picture: frame)


RECORD = Stage("record", record, workers=1, ordered=True, leases=64)
LIGHT = (Stage("detect", measure), Stage("recognise", spell), RECORD)
COUNT = Stage("count", count, workers=2, ordered=True, stateful=True, leases=4)
TRACK = Stage("track", track, workers=2, ordered=True, stateful=True, leases=4)
ASSOCIATE = Stage(
    "associate", associate, workers=2, ordered=True, stateful=True, leases=4, follows=True
)
TRACKED = (
    Stage("detect", arrive),
    ASSOCIATE,
    Stage("recognise", visit),
    TRACK,
    RECORD,
)
RETURNING = (Stage("detect", measure), Stage("recognise", come_back), TRACK, RECORD)
COUNTED = (Stage("detect", measure), Stage("recognise", spell), COUNT, RECORD)
PACED = (Stage("detect", paced), Stage("recognise", spell), RECORD)
SLOW = (Stage("detect", slow), Stage("recognise", spell), RECORD)
BATCHED = (
    Stage("detect", measure, batched=True),
    Stage("recognise", spell, batched=True),
    RECORD,
)
"""As on a card."""
