"""A card against the same machine's cores, on the video of bench_pipeline as several streams.

ONNX Runtime comes in one package for each, so this runs twice, in two environments: first for the
cores with the product's defaults, then for the card, with each number of workers and each batch
that is given. The figures of a pass are frames per second between the first third of all frames
and the end of the last video, while as many come in as go out; the seconds until the first frame;
and how busy each kind of process was, in cores. Each pass's records are compared with those of the
first: names, lines of text, and the places of faces. With --each every frame is searched and
recognised; else what has not changed is followed, which the cores do.

    python -m bench.bench_gpu --provider auto --save cores.msgpack
    python -m bench.bench_gpu --provider cuda --against cores.msgpack --workers 1 2 3 --batch 16 32
"""

import argparse
import re
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise, product
from pathlib import Path
from threading import Event, Thread

import cv2
import msgspec
from bench.support.machine import measured_with

from onlooker.cli.demo_video import photographs
from onlooker.config.schema import Config, Match, Pipeline, Runtime
from onlooker.config.tracking import Tracks
from onlooker.identity.enrol import enrol, image_files
from onlooker.identity.search.engines import open_searcher
from onlooker.models import weights
from onlooker.models.card import space
from onlooker.record.sinks.json_lines import read
from onlooker.rekognition.shapes import StreamRecord
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.supervisor import replay
from onlooker.vision import analyser

Records = dict[str, StreamRecord]
"""By stream and index."""


class Pass(msgspec.Struct):
    """The figures of one pass over all streams."""

    fps: float
    start: float
    """Seconds until the first frame was finished."""
    busy: dict[str, float]
    """Cores that the processes of each stage used, and decoding."""
    card: str
    """Greatest memory of the card in use, and mean use of its time."""
    records: Records


@contextmanager
def watched_card(found: list[tuple[float, float]]) -> Iterator[None]:
    """Append memory (MB) and use (%) of the first card, twice a second, if there is one."""
    stop = Event()
    question = ["nvidia-smi", "--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader"]

    def watch() -> None:
        while not stop.wait(0.5):
            try:
                answer = subprocess.run(question, capture_output=True, text=True, check=True).stdout
            except (OSError, subprocess.CalledProcessError):
                return
            memory, use = re.findall(r"\d+", answer)[:2]
            found.append((float(memory), float(use)))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def timed(videos: Sequence[Path], config: Config, store: Path, folder: Path) -> Pass:
    """Play all videos through the pipeline."""
    outputs = Outputs(records=folder / "records.jsonl")
    for each in folder.glob("records.*"):
        each.unlink()
    marks: list[tuple[float, Status]] = []
    seen: list[tuple[float, float]] = []
    began = time.perf_counter()

    def mark(status: Status) -> None:
        if status.done:
            marks.append((time.perf_counter(), status))

    with watched_card(seen):
        replay(list(videos), config, outputs, mark, store=store)
    total = marks[-1][1].done
    begin = next(n for n, (_, status) in enumerate(marks) if status.done >= total / 3)
    end = next(n for n, (_, status) in enumerate(marks) if _received(status) >= total)
    (first, before), (last, after) = marks[begin], marks[max(end, begin + 1)]
    wall = last - first
    busy: defaultdict[str, float] = defaultdict(float)
    for (_, earlier), (_, later) in pairwise(marks[begin : max(end, begin + 1) + 1]):
        known = {worker.name: worker for worker in earlier.workers}
        for worker in later.workers:
            none = msgspec.structs.replace(worker, cpu=0.0, busy=0.0, model=0.0, frames=0)
            since = known.get(worker.name, none)
            since = none if since.frames > worker.frames else since  # it has registered again
            busy[worker.stage] += (worker.cpu - since.cpu) / wall if since.cpu else 0
            busy[f"{worker.stage} in steps"] += (worker.busy - since.busy) / wall
            busy[f"{worker.stage} in models"] += (worker.model - since.model) / wall
    decoding = sum(stream.seconds for stream in after.streams)
    busy["decoding"] = (decoding - sum(stream.seconds for stream in before.streams)) / wall
    records = {
        f"{each.InputInformation.KinesisVideo.StreamArn.split('/')[1]} {each.Sequence}": each
        for each in read(outputs.records or folder)
    }
    loaded = [use for _, use in seen if use]
    card = (
        f"{max(memory for memory, _ in seen):.0f} MB, {sum(loaded) / max(1, len(loaded)):.0f} %"
        if seen
        else "-"
    )
    return Pass((after.done - before.done) / wall, marks[0][0] - began, dict(busy), card, records)


def _received(status: Status) -> int:
    return sum(stream.counts.received for stream in status.streams)


def compared(found: Records, true: Records) -> str:
    """Return in words how the records differ from those of the cores."""
    names = texts = failed = 0
    place = likeness = 0.0
    shared = found.keys() & true.keys()
    for key in shared:
        record, other = found[key], true[key]
        failed += record.FrameInformation.Error is not None
        names += _names(record) != _names(other)
        texts += _lines(record) != _lines(other)
        pairs = zip(record.FaceSearchResponse, other.FaceSearchResponse, strict=False)
        for one, two in pairs:
            a, b = one.DetectedFace.BoundingBox, two.DetectedFace.BoundingBox
            place = max(place, abs(a.Left - b.Left), abs(a.Top - b.Top), abs(a.Width - b.Width))
            for match, same in zip(one.MatchedFaces, two.MatchedFaces, strict=False):
                likeness = max(likeness, abs(match.Similarity - same.Similarity))
    return (
        f"{len(found)} frames, {failed} failed; of {len(shared)} compared, other names in {names}, "
        f"other lines in {texts}; boxes within {place:.5f} of the image, similarities within "
        f"{likeness:.3f}"
    )


def _names(record: StreamRecord) -> list[list[str | None]]:
    return [
        [match.Face.ExternalImageId for match in face.MatchedFaces]
        for face in record.FaceSearchResponse
    ]


def _lines(record: StreamRecord) -> list[str]:
    return [text.DetectedText for text in record.TextDetections if text.Type == "LINE"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--video", type=Path)
    arguments.add_argument("--frames", type=int, default=240)
    arguments.add_argument("--copies", type=int, default=8)
    arguments.add_argument("--workers", type=int, nargs="+", default=[0])
    arguments.add_argument("--batch", type=int, nargs="+", default=[0])
    arguments.add_argument("--provider", default="cuda")
    arguments.add_argument("--each", action="store_true", help="nothing is followed")
    arguments.add_argument("--save", type=Path, help="file for the first pass")
    arguments.add_argument("--against", type=Path, help="file of an earlier pass to compare with")
    chosen = arguments.parse_args()

    settings = Config(match=Match(collection="bench"), tracks=Tracks(enabled=not chosen.each))
    weights.pull(analyser.cards(settings))
    # In memory if possible: the disk is not to be measured.
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=shared) as name:
        folder = Path(name)
        video = chosen.video or folder / "bench.mp4"
        if chosen.video is None:
            from bench.bench_pipeline import make_video

            make_video(video, chosen.frames)
        videos = [folder / f"stream-{number}.mp4" for number in range(chosen.copies)]
        for each in videos:
            each.write_bytes(video.read_bytes())
        store = folder / "faces.db"
        with open_searcher(store, space(settings.faces.embedder)) as searcher:
            searcher.create_collection("bench")
            portrait = folder / "Eileen_Collins.png"
            cv2.imwrite(str(portrait), photographs().astronaut[:300, 60:400])
            list(enrol(searcher, "bench", list(image_files([portrait])), settings))

        print(measured_with("onnxruntime-openvino", "onnxruntime-gpu", "av"), flush=True)
        first: Pass | None = None
        if chosen.against is not None:
            first = msgspec.msgpack.decode(chosen.against.read_bytes(), type=Pass)
        for workers, batch in product(chosen.workers, chosen.batch):
            config = msgspec.structs.replace(
                settings,
                runtime=Runtime(provider=chosen.provider),
                pipeline=Pipeline(workers=workers, batch=batch),
            )
            result = timed(videos, config, store, folder)
            if first is None and chosen.save is not None:
                chosen.save.write_bytes(msgspec.msgpack.encode(result))
            first = first or result
            busy = ", ".join(f"{what} {share:.2f}" for what, share in result.busy.items())
            print(
                f"{chosen.provider}, {workers or 'default'} workers, batch {batch or 'default'}: "
                f"{result.fps:.1f} frames/s, x{result.fps / first.fps:.2f}; first frame after "
                f"{result.start:.1f} s; card {result.card}\n    cores busy: {busy}\n    "
                f"{compared(result.records, first.records)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
