"""A video through Onlooker and through the loop that one would write first, on the same frames.

The loop uses OpenCV's VideoCapture, RapidOCR with its defaults, FaceDetectorYN with the same YuNet
at the video's size, and the same embedder on plain ONNX Runtime with the same five-point alignment.
Both may use every core. The video is 1280x720, made from photographs in scikit-image: a portrait
that zooms, a motorcycle with its maker's name that pans, and a caption as on television. Onlooker
runs with its defaults, then on one core, then with `text.size = 960`, where it reads the same small
text as the loop. With --still a camera looks at that scene's first image all the time, with the
noise of a sensor, and Onlooker has a motion_threshold.

    python -m bench.bench_pipeline [--video VIDEO] [--frames 240] [--rounds 2] [--still]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import cv2
import msgspec
import numpy as np
from bench.support.machine import measured_with
from bench.support.published import face_detector
from rapidocr import RapidOCR

from onlooker.cli.demo_video import photographs
from onlooker.config.schema import Config, Match, SourceConfig, Text
from onlooker.identity.enrol import enrol, image_files
from onlooker.identity.search.engines import open_searcher
from onlooker.media.picture import Picture
from onlooker.media.video_writer import VideoWriter
from onlooker.models import model, weights
from onlooker.models.card import card as find_card
from onlooker.models.card import space
from onlooker.record.sinks.json_lines import read
from onlooker.stream.cameras import serve
from onlooker.stream.inline import inline
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Setup, Stage, Step, each
from onlooker.stream.stages import STAGES
from onlooker.stream.supervisor import replay
from onlooker.track.voting import similarity
from onlooker.types import Frame
from onlooker.vision import analyser

WIDTH, HEIGHT, RATE = 1280, 720, 25
NOISE = 2.0
"""Standard deviation of a still scene's brightness, of 255, from image to image."""
MOTION_THRESHOLD = 0.01
WRITTEN, MIN_SIMILARITY = ("EILEEN COLLINS", "Commander", "YAMAHA", "MAXIM"), 0.5
"""Lines of the video, and the share of its letters with which one is read: the portrait hides a
part of some at times."""


def make_video(path: Path, frames: int, still: bool = False) -> None:
    """Write the video: a zooming portrait, a panning motorcycle behind it, two lines of caption.

    still: the first image all the time, each with noise of its own.
    """
    random = np.random.default_rng(0)
    photos = photographs()
    wide = cv2.resize(photos.motorcycle, None, fx=2.2, fy=2.2, interpolation=cv2.INTER_CUBIC)
    with VideoWriter(path, WIDTH, HEIGHT, RATE) as video:
        for number in range(frames):
            along = 0.0 if still else number / max(1, frames - 1)
            left = round(along * (wide.shape[1] - WIDTH))
            top = round(along * (wide.shape[0] - HEIGHT))
            frame = np.array(wide[top : top + HEIGHT, left : left + WIDTH], np.uint8)
            side = round(300 - 60 * along)
            portrait = photos.astronaut[20 : 20 + side, 80 : 80 + side]
            frame[60:480, 820:1240] = cv2.resize(portrait, (420, 420))
            frame[560:680, 60:700] = (40, 30, 20)
            for text, scale, down in (("EILEEN COLLINS", 1.6, 612), ("Commander", 1.1, 662)):
                cv2.putText(frame, text, (84, down), cv2.FONT_HERSHEY_DUPLEX, scale, (255,) * 3, 2)
            if still:
                noise = random.normal(0, NOISE, frame.shape)
                frame = np.clip(frame + noise, 0, 255).astype(np.uint8)
            video.write(frame)


class NaiveLoop:
    """The loop that one would write first, from each library's own example."""

    def __init__(self, video: Path) -> None:
        self.video = video
        self.read = RapidOCR(params={"Global.log_level": "error"})
        self.detect = face_detector(WIDTH, HEIGHT)
        card = find_card("mobilefacenet")
        assert card.embedder is not None
        self.template = np.array(card.embedder.template, np.float32)
        import onnxruntime

        self.embedder = onnxruntime.InferenceSession(
            str(weights.path("mobilefacenet")), providers=["CPUExecutionProvider"]
        )

    def frames(self) -> Iterator[tuple[int, int, int]]:
        """Return the number of lines, of those that are there, and of faces of each frame."""
        video = cv2.VideoCapture(str(self.video))
        name = self.embedder.get_inputs()[0].name
        while True:
            more, frame = video.read()
            if not more:
                return
            lines = getattr(self.read(frame), "txts", None) or ()
            self.detect.setInputSize((frame.shape[1], frame.shape[0]))
            faces = self.detect.detect(frame)[1]
            faces = np.empty((0, 15), np.float32) if faces is None else faces
            for face in faces:
                points = face[4:14].reshape(5, 2)
                matrix, _ = cv2.estimateAffinePartial2D(points, self.template, method=cv2.LMEDS)
                chip = cv2.warpAffine(frame, matrix, (112, 112))
                self.embedder.run(None, {name: chip[None]})
            yield len(lines), right(lines), len(faces)


class Timing(msgspec.Struct):
    """The figures of one pass over the video."""

    fps: float
    lines: float
    right: float
    """Lines that are there."""
    faces: float


def right(lines: Iterable[str]) -> int:
    """Return how many of the lines say nearly what is written in the video."""
    return sum(max(similarity(line, text) for text in WRITTEN) >= MIN_SIMILARITY for line in lines)


def naive(loop: NaiveLoop) -> Timing:
    """Time one pass of the loop, without building its models."""
    begin = time.perf_counter()
    seen = list(loop.frames())
    wall = time.perf_counter() - begin
    lines, there, faces = np.mean(seen, axis=0)
    return Timing(fps=len(seen) / wall, lines=float(lines), right=float(there), faces=float(faces))


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and those that it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def alone(video: Path, settings: Config, place: Path, records: Path) -> Timing:
    """Time one replay on one core, with one worker per stage."""
    with one_core():
        return staged(video, settings, place, records)


def staged(video: Path, settings: Config, place: Path, records: Path) -> Timing:
    """Time one replay from the first finished frame to the last, without process starts."""
    for old in records.parent.glob(f"{records.stem}.*"):
        old.unlink()
    marks: list[tuple[float, int]] = []

    def mark(status: Status) -> None:
        if status.done:
            marks.append((time.perf_counter(), status.done))

    if settings.streams:
        serve(lambda: settings, Outputs(records=records), mark, store=place)
    else:
        replay([video], settings, Outputs(records=records), mark, store=place)
    (begin, first), (end, last) = marks[0], marks[-1]
    found = list(read(records))
    lines = [[t.DetectedText for t in one.TextDetections if t.Type == "LINE"] for one in found]
    faces = [len(record.FaceSearchResponse) for record in found]
    return Timing(
        fps=(last - first) / (end - begin),
        lines=statistics.mean(map(len, lines)),
        right=statistics.mean(map(right, lines)),
        faces=statistics.mean(faces),
    )


def fresh(
    video: Path, settings: Config, outputs: Outputs, store: Path
) -> tuple[float, float, float]:
    """Run `efficiency` in a process of its own, free of what the loop allocated in this one."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(efficiency, video, settings, outputs, store).result()


def efficiency(
    video: Path, settings: Config, outputs: Outputs, store: Path
) -> tuple[float, float, float]:
    """Return the seconds of models, of decoding, and of all, for one pass in one process."""
    decoded: list[float] = []
    marks: list[tuple[float, float]] = []

    def committed(_: Status) -> None:
        marks[-1] = time.perf_counter(), model.seconds()

    def clock(mark: Callable[[], None]) -> Callable[[Setup], Step]:
        def step(frame: Frame, _: Picture) -> Frame:
            mark()
            return frame

        return lambda _: each(step)

    begun = clock(lambda: decoded.append(time.perf_counter()))
    done = clock(lambda: marks.append((time.perf_counter(), model.seconds())))
    stages = (Stage("begun", begun, ordered=True), *STAGES, Stage("done", done, ordered=True))
    inline([video], settings, outputs, committed, stages, store=store)
    # From the end of the first frame to that of the last: without loading the models. A frame's
    # decoding is between the end of the frame before, with its commit, and the first step.
    decode = sum(begin - end for (end, _), begin in zip(marks, decoded[1:], strict=False))
    (begin, first), (end, last) = marks[0], marks[-1]
    return last - first, decode, end - begin


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--video", type=Path)
    arguments.add_argument("--frames", type=int, default=240)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--still", action="store_true", help="a scene without motion")
    chosen = arguments.parse_args()

    settings = Config(match=Match(collection="bench"))
    weights.pull(analyser.cards(settings))
    # In memory if possible: the disk is not to be measured.
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=shared) as name:
        folder = Path(name)
        video = chosen.video or folder / "bench.mp4"
        if chosen.video is None:
            make_video(video, chosen.frames, chosen.still)
        place = folder / "faces.db"
        with open_searcher(place, space(settings.faces.embedder)) as searcher:
            searcher.create_collection("bench")
            portrait = folder / "Eileen_Collins.png"
            cv2.imwrite(str(portrait), photographs().astronaut[:300, 60:400])
            list(enrol(searcher, "bench", list(image_files([portrait])), settings))
        records = folder / "records.jsonl"

        loop = NaiveLoop(video)
        finer = msgspec.structs.replace(settings, text=Text(size=960))
        passes: dict[str, Callable[[], Timing]] = {
            "naive loop": lambda: naive(loop),
            "onlooker replay": lambda: staged(video, settings, place, records),
            "one core": lambda: alone(video, settings, place, records),
            "text.size 960": lambda: staged(video, finer, place, records),
        }
        if chosen.still:
            source = SourceConfig(url=str(video), motion_threshold=MOTION_THRESHOLD)
            gated = msgspec.structs.replace(settings, streams={"still": source})
            passes["motion_threshold"] = lambda: staged(video, gated, place, records)
        timings: dict[str, list[Timing]] = {name: [] for name in passes}
        alone_for: list[tuple[float, float, float]] = []
        for number in range(chosen.rounds):
            for name, run in passes.items():
                timings[name].append(run())
            outputs = Outputs(log=folder / f"alone-{number}.db")
            alone_for.append(fresh(video, settings, outputs, place))

    print(measured_with("onnxruntime-openvino", "rapidocr", "opencv-python-headless", "av"))
    print(f"{'':<18}{'frames/s':>10}{'spread':>16}{'lines':>8}{'right':>8}{'faces':>8}{'ratio':>8}")
    base = statistics.median(t.fps for t in timings["naive loop"])
    for name, several in timings.items():
        speeds = sorted(t.fps for t in several)
        middle = statistics.median(speeds)
        print(
            f"{name:<18}{middle:>10.2f}{speeds[0]:>8.2f}-{speeds[-1]:<7.2f}"
            f"{several[-1].lines:>8.2f}{several[-1].right:>8.2f}{several[-1].faces:>8.2f}"
            f"{middle / base:>8.2f}"
        )
    both, one = (
        statistics.median(t.fps for t in timings[name]) for name in ("onlooker replay", "one core")
    )
    print(f"a second core and worker: x{both / one:.2f}")
    for running, decode, total in alone_for:
        print(
            f"one process: models {running:.2f} s + decoding {decode:.2f} s of {total:.2f} s,"
            f" efficiency {(running + decode) / total:.3f}"
        )


if __name__ == "__main__":
    main()
