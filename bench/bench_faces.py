"""Faces of a 720p video and of one image, beside the loop that one would write first.

The loop uses OpenCV's VideoCapture, FaceDetectorYN with the same YuNet at the video's size, and the
same embedder on plain ONNX Runtime in fp32 with the usual five-point alignment. No package on PyPI
finds and embeds faces offline without downloading its weights.

Everything runs in this process on one core, in turns, on the same video: two faces that move and
grow, made from a photograph in scikit-image. "A stream" is Onlooker's whole line without its
processes: faces are followed and named, a record of each frame is written. The other rows analyse
each frame by itself: with the defaults, then with five points (`faces.mesh = false`) as the loop
does, then also at the loop's detector size.

DetectFaces with ALL attributes is compared with its models alone, on the inputs they were given.

With `--images FOLDER`, of upright faces, only the cost of the search for turned ones is measured:
the CPU time of DetectFaces and IndexFaces, image by image in turn with a mesher that believes its
second crop, as one would that knows all faces to be upright.

    python -m bench.bench_faces [--video VIDEO] [--frames 100] [--rounds 3] [--images FOLDER]
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before any library counts cores

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnxruntime
from bench.support.machine import measured_with
from bench.support.published import face_detector

from onlooker.cli.demo_video import photographs
from onlooker.config import schema
from onlooker.identity.enrol import enrol, image_files
from onlooker.identity.search.engines import open_searcher
from onlooker.media import image
from onlooker.media.picture import Picture, Still
from onlooker.media.video_file import VideoFile
from onlooker.media.video_writer import VideoWriter
from onlooker.models import model, weights
from onlooker.models.card import card as find_card
from onlooker.models.card import space
from onlooker.record.log.reader import Log
from onlooker.stream.inline import inline
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.types import Face
from onlooker.vision import analyser
from onlooker.vision.attributes import FaceDescriber
from onlooker.vision.embed import FaceEmbedder
from onlooker.vision.faces import FaceFinder
from onlooker.vision.mesh import MeshedFace
from onlooker.vision.mesher import Mesher, _moved

WIDTH, HEIGHT, RATE = 1280, 720, 25


class Pass(NamedTuple):
    """One pass over the video."""

    frames: int
    faces: int
    seconds: float


def make_video(path: Path, frames: int) -> None:
    """Write a video of two portraits that grow and move in front of a motorcycle."""
    photos = photographs()
    behind = cv2.resize(photos.motorcycle, (WIDTH, HEIGHT))
    with VideoWriter(path, WIDTH, HEIGHT, RATE) as video:
        for number in range(frames):
            along = number / max(1, frames - 1)
            frame = np.array(behind, np.uint8)
            for left, side, mirror in ((60 + 80 * along, 260 + 120 * along, 1), (760, 420, -1)):
                portrait = photos.astronaut[20:320, 80:380][:, ::mirror]
                x, y, size = round(left), round(60 + 40 * along), round(side)
                frame[y : y + size, x : x + size] = cv2.resize(portrait, (size, size))
            video.write(frame)


class Loop:
    """The loop that one would write first, from each library's own example."""

    def __init__(self, video: Path) -> None:
        self.video = video
        self.detect = face_detector(WIDTH, HEIGHT)
        self.detect.setScoreThreshold(0.7)
        card = find_card("mobilefacenet")
        assert card.embedder is not None
        self.template = np.array(card.embedder.template, np.float32)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.embedder = onnxruntime.InferenceSession(
            str(weights.path("mobilefacenet")), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self) -> Pass:
        video = cv2.VideoCapture(str(self.video))
        name = self.embedder.get_inputs()[0].name
        frames = found = 0
        begin = time.perf_counter()
        while True:
            more, frame = video.read()
            if not more:
                return Pass(frames, found, time.perf_counter() - begin)
            self.detect.setInputSize((frame.shape[1], frame.shape[0]))
            faces = self.detect.detect(frame)[1]
            for face in () if faces is None else faces:
                points = face[4:14].reshape(5, 2)
                matrix, _ = cv2.estimateAffinePartial2D(points, self.template, method=cv2.LMEDS)
                chip = cv2.warpAffine(frame, matrix, (112, 112))
                self.embedder.run(None, {name: chip[None]})
                found += 1
            frames += 1


class Onlooker:
    """The steps of Onlooker, without its processes."""

    def __init__(self, video: Path, settings: schema.Faces) -> None:
        self.video = video
        self.find = FaceFinder(settings, "auto")
        self.fit = Mesher("auto") if settings.mesh else None
        self.embed = FaceEmbedder(settings, "auto")

    def __call__(self) -> Pass:
        frames = found = 0
        begin = time.perf_counter()
        with VideoFile(self.video) as video:
            for _, picture in video.frames("bench"):
                assert picture is not None
                [detected] = self.find([picture])
                places = [picture] * len(detected)
                if self.fit is not None:
                    faces = self.fit(places, detected)
                else:
                    faces = [MeshedFace(face) for face in detected]
                self.embed(places, faces)
                frames += 1
                found += len(faces)
        return Pass(frames, found, time.perf_counter() - begin)


class Line:
    """The whole line in this process, which searches a collection of one person."""

    def __init__(self, video: Path, folder: Path) -> None:
        self.video = video
        self.settings = schema.Config(
            match=schema.Match(collection="bench"), text=schema.Text(enabled=False)
        )
        self.log, self.store = folder / "log.db", folder / "faces.db"
        portrait = folder / "Eileen_Collins.png"
        cv2.imwrite(str(portrait), photographs().astronaut[:300, 60:400])
        with open_searcher(self.store, space(self.settings.faces.embedder)) as searcher:
            searcher.create_collection("bench")
            list(enrol(searcher, "bench", list(image_files([portrait])), self.settings))

    def __call__(self) -> Pass:
        for old in self.log.parent.glob(f"{self.log.name}*"):
            old.unlink()
        marks: list[tuple[int, float]] = []

        def mark(status: Status) -> None:
            marks.append((status.settled, time.perf_counter()))

        inline([self.video], self.settings, Outputs(log=self.log), mark, store=self.store)
        with Log(self.log) as log:
            faces = [len(each.FaceSearchResponse) for each in log.query()]
        # From the first commit on: the models are loaded then.
        (first, begin), (last, end) = marks[0], marks[-1]
        return Pass(last - first, sum(faces[first:]), end - begin)


def stream(video: Path, folder: Path, rounds: int) -> None:
    ways: dict[str, Callable[[], Pass]] = {
        "the loop": Loop(video),
        "onlooker, a stream": Line(video, folder),
        "onlooker": Onlooker(video, schema.Faces()),
        "on five points": Onlooker(video, schema.Faces(mesh=False)),
        "the same, size 1280": Onlooker(video, schema.Faces(mesh=False, size=1280)),
    }
    passes: dict[str, list[Pass]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            done = way()
            if turn:  # the first one warms up
                passes[name].append(done)

    def milliseconds(name: str) -> float:
        return statistics.median(1000 * each.seconds / each.frames for each in passes[name])

    print(f"{'720p video':<22}{'ms per frame':>12}{'faces':>8}{'ratio':>8}")
    for name in ways:
        mean, faces = milliseconds(name), passes[name][0].faces / passes[name][0].frames
        print(f"{name:<22}{mean:>12.2f}{faces:>8.2f}{milliseconds('the loop') / mean:>8.2f}")


def detect_faces(rounds: int) -> None:
    picture = Still(np.ascontiguousarray(photographs().astronaut))
    fit, describe = Mesher("auto"), FaceDescriber("auto")
    print(f"\n{'DetectFaces ALL':<22}{'ms':>12}{'models':>8}{'ratio':>8}")
    for detection in ("balanced", "thorough"):
        find = FaceFinder(schema.Faces(detection=detection), "auto")
        whole, models = [], []
        for _ in range(rounds + 1):
            begin, before = time.perf_counter(), model.seconds()
            [detected] = find([picture])
            places = [picture] * len(detected)
            faces = fit(places, detected)
            describe(places, faces)
            whole.append(time.perf_counter() - begin)
            models.append(model.seconds() - before)
            assert len(faces) == 1
        middle, alone = statistics.median(whole[1:]), statistics.median(models[1:])
        print(f"{detection:<22}{1000 * middle:>12.2f}{1000 * alone:>8.2f}{middle / alone:>8.2f}")


class Upright(Mesher):
    """A mesher that takes all faces to be upright: two crops, and no proof."""

    def __call__(self, pictures: Sequence[Picture], faces: Sequence[Face]) -> list[MeshedFace]:
        squares = list(map(self._model.first_square, faces))
        meshes = self._model(pictures, squares)
        again = [self._model.next_square(*each) for each in zip(squares, meshes, strict=True)]
        open_ = [n for n, square in enumerate(again) if _moved(squares[n], square)]
        found = self._model([pictures[n] for n in open_], [again[n] for n in open_])
        for n, mesh in zip(open_, found, strict=True):
            meshes[n] = mesh
        return [self._meshed(*each, True) for each in zip(faces, meshes, strict=True)]


def turned_search(folder: Path, rounds: int) -> None:
    """Print the share of the CPU time that the search for turned faces takes of upright ones."""
    settings = schema.Faces(detection="thorough")
    find, embed = FaceFinder(settings, "auto"), FaceEmbedder(settings, "auto")
    meshers = (Upright("auto"), Mesher("auto"))
    images = [path.read_bytes() for path in sorted(folder.iterdir())]
    spent = {name: [0.0, 0.0] for name in ("DetectFaces", "IndexFaces")}
    for turn in range(rounds + 1):
        for data in images:
            for way, fit in enumerate(meshers):
                begin = time.process_time()
                picture = image.decode(data)
                [detected] = find([picture])
                places = [picture] * len(detected)
                fit(places, detected)
                detect = time.process_time() - begin
                # The same faces for both: what is refused would cost less.
                embed(places, [MeshedFace(face) for face in detected])
                index = time.process_time() - begin
                if turn:  # the first one warms up
                    spent["DetectFaces"][way] += detect
                    spent["IndexFaces"][way] += index
    print(f"{'CPU ms per image':<22}{'upright':>12}{'searched':>12}{'more':>8}")
    for name, (without, whole) in spent.items():
        each = 1000 / (rounds * len(images))
        more = 100 * (whole / without - 1)
        print(f"{name:<22}{each * without:>12.2f}{each * whole:>12.2f}{more:>7.1f}%")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--video", type=Path)
    arguments.add_argument("--frames", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--images", type=Path, help="folder of upright faces")
    chosen = arguments.parse_args()
    cv2.setNumThreads(1)
    weights.pull(analyser.cards(schema.Config().with_thorough_detection(), analyser.ALL))
    print(measured_with("onnxruntime-openvino", "opencv-python-headless", "av"))
    if chosen.images is not None:
        turned_search(chosen.images, chosen.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        video = chosen.video or Path(folder) / "bench.mp4"
        if chosen.video is None:
            make_video(video, chosen.frames)
        stream(video, Path(folder), chosen.rounds)
    detect_faces(20)


if __name__ == "__main__":
    main()
