"""Odd films, whole and broken, each replayed by the command: no crash, no traceback, right times.

    python -m tests.proofs.odd_films --films 200 --seed 1

Every film is made here, in any codec, container and form; half of them are then damaged. A whole
film must be replayed in full: its frames bear numbers, and a copy that `--annotate` draws must show
them in order. Of a damaged one the times must increase, and an error must be one line.
"""

import argparse
import copy
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tests.support import films
from tests.support.commands import ONLOOKER, environment

from onlooker.media.video_file import VideoFile

FRAMES = 12
MAX_SECONDS = 120
"""Seconds that a replay may take, on a busy machine."""
SETTINGS = "[faces]\nenabled = false\n[text]\nenabled = false\n"
"""The models are the same whatever the container; without them a replay takes a second."""

FORMS: dict[str, dict[str, Any]] = {
    "a.mp4": {},
    "fine.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "deep.mkv": {"pix_fmt": "yuv420p10le"},
    "full.mkv": {"pix_fmt": "yuv444p"},
    "exact.mkv": {"codec": "ffv1"},
    "rgb.mkv": {"codec": "libx264rgb", "pix_fmt": "rgb24"},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "hevc.265": {
        "codec": "libx265", "container": "hevc", "options": {"x265-params": "log-level=none"}
    },
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "vp9.ivf": {"codec": "libvpx-vp9"},
    "avc.avi": {"options": {"bf": "3"}},
    "divx.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "ms.avi": {"codec": "msmpeg4v2"},
    "huff.avi": {"codec": "huffyuv", "pix_fmt": "yuv422p"},
    "camera.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "a.ts": {"options": {"bf": "2"}},
    "a.mts": {"container": "mpegts"},
    "mpeg2.ts": {"codec": "mpeg2video", "rate": 25, "options": {"bf": "2"}},
    "a.mpg": {"codec": "mpeg2video", "rate": 25, "options": {"bf": "2"}},
    "a.vob": {"codec": "mpeg2video", "rate": 25},
    "a.m1v": {"codec": "mpeg1video", "rate": 25, "options": {"bf": "2"}},
    "a.m2v": {"codec": "mpeg2video", "rate": 25},
    "a.m4v": {"codec": "mpeg4", "container": "m4v"},
    "a.264": {"container": "h264", "options": {"bf": "3"}},
    "a.flv": {"codec": "flv"},
    "avc.flv": {},
    "a.wmv": {"codec": "wmv2"},
    "a.asf": {"codec": "msmpeg4"},
    "a.3gp": {"codec": "mpeg4"},
    "a.ogv": {"codec": "libvpx"},
    "a.rm": {"codec": "rv20", "size": (128, 96)},
    "a.mxf": {"codec": "mpeg2video", "rate": 25},
    "a.nut": {"codec": "mpeg4", "options": {"bf": "2"}},
    "a.swf": {"codec": "flv"},
    "a.wtv": {"codec": "mpeg2video", "rate": 25},
    "a.dv": {"codec": "dvvideo", "rate": 25, "size": (720, 576)},
    "a.y4m": {"codec": "wrapped_avframe"},
    "a.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "a.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "a.apng": {"codec": "apng", "pix_fmt": "rgb24"},
    "old.mov": {"codec": "svq1", "pix_fmt": "yuv410p"},
}  # fmt: skip

JOINABLE = (".ts", ".mts", ".vob", ".mpg", ".264", ".m2v")
FRAGMENTED = ("frag_keyframe+empty_moov", "faststart", "empty_moov+frag_every_frame")


class Film(NamedTuple):
    """A film, in words, and the numbers its frames bear; None if it is damaged."""

    name: str
    path: Path
    numbers: list[int] | None


class Outcome(NamedTuple):
    """What became of a film: "played", "refused" or "failed", and why it failed."""

    film: Film
    kind: str
    why: str = ""


def made(folder: Path, number: int, seed: int) -> Film:
    """Make film `number`, always the same for a seed."""
    chance = random.Random(seed * 1_000_003 + number)
    name = list(FORMS)[(number * 5 + seed) % len(FORMS)]
    form, words = copy.deepcopy(FORMS[name]), [name]
    path = folder / f"{number:04}-{name}"
    change = chance.choice(list(CHANGES))
    plain = number % 4 == 0
    if not plain:
        words.append(change)
        CHANGES[change](form, path, chance)
    films.write(path, count=FRAMES, **form)
    numbers: list[int] | None = list(range(FRAMES))
    if not plain and path.suffix in JOINABLE and chance.random() < 0.5:
        words.append("joined")
        more = films.write(folder / f"more{path.suffix}", count=FRAMES, first=FRAMES, **form)
        path.write_bytes(path.read_bytes() + more.read_bytes())
        more.unlink()
        numbers = list(range(2 * FRAMES))
    if path.suffix == ".264" and chance.random() < 0.5:
        words.append("in a recorder's container")
        raw = path.rename(path.with_suffix(".raw.264"))
        path = films.dhav(path.with_suffix(".dav"), raw, 100)
        raw.unlink()
    if number % 2:
        damage = chance.choice(list(DAMAGES))
        words.append(damage)
        data = bytearray(path.read_bytes())
        path.write_bytes(DAMAGES[damage](data, chance))
        numbers = None
    return Film(", ".join(words), path, numbers)


Change = Callable[[dict[str, Any], Path, random.Random], None]


def _turned(form: dict[str, Any], path: Path, chance: random.Random) -> None:
    # Of all turns only this one keeps the number where it is read.
    form["turn"] = {"degrees": 0}
    if path.suffix in (".mp4", ".mov"):
        form["aspect"] = chance.choice([Fraction(1, 2), Fraction(4, 3), Fraction(2, 1)])


def _large(form: dict[str, Any], path: Path, chance: random.Random) -> None:
    if form.get("codec") not in ("dvvideo", "rv20", "svq1"):
        form["size"] = chance.choice([(256, 96), (640, 360), (136, 50)])


def _gaps(form: dict[str, Any], path: Path, chance: random.Random) -> None:
    if path.suffix in (".mkv", ".webm", ".mp4", ".mov"):
        stamps, now = [], 0
        for _ in range(FRAMES):
            stamps.append(now)
            now += chance.choice([17, 33, 40, 100, 1000, 3_600_000])
        form |= {"pts": stamps, "time_base": Fraction(1, 1000)}


def _interlaced(form: dict[str, Any], path: Path, chance: random.Random) -> None:
    options = form.setdefault("options", {})
    if form.get("codec", "libx264") == "libx264":
        options |= {"x264-params": f"{chance.choice(('tff', 'bff'))}=1:interlaced=1"}
    elif form.get("codec") == "mpeg2video":
        options |= {"flags": "+ildct+ilme"}


def _shifted(form: dict[str, Any], path: Path, chance: random.Random) -> None:
    if path.suffix in (".ts", ".mts", ".mkv", ".mp4"):
        form["container_options"] = {
            "output_ts_offset": str(chance.choice([5, 36_000, 95_440, 95_442.6]))
        }


def _fragmented(form: dict[str, Any], path: Path, chance: random.Random) -> None:
    if path.suffix in (".mp4", ".mov"):
        flags = chance.choice(
            ["frag_keyframe+empty_moov", "faststart", "empty_moov+frag_every_frame"]
        )
        form["container_options"] = {"movflags": flags}


CHANGES: dict[str, Change] = {
    "with other pixels": _turned,
    "of another size": _large,
    "with gaps": _gaps,
    "interlaced": _interlaced,
    "with another clock": _shifted,
    "fragmented": _fragmented,
}


def _cut(data: bytearray, chance: random.Random) -> bytes:
    return bytes(data[: chance.randrange(1, len(data))])


def _flipped(data: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 10, 100))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def _header(data: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 3, 10))):
        data[chance.randrange(min(len(data), 300))] = chance.choice((0, 1, 0x7F, 0xFF))
    return bytes(data)


def _emptied(data: bytearray, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.randrange(1, 5000))
    data[start:end] = bytes(end - start)
    return bytes(data)


def _shortened(data: bytearray, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return bytes(data[:start] + data[start + chance.randrange(1, 2000) :])


def _lengthened(data: bytearray, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return bytes(data[:start]) + chance.randbytes(chance.randrange(1, 3000)) + bytes(data[start:])


def _repeated(data: bytearray, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return bytes(data[:start] + data[start : start + 3000] * chance.randrange(2, 20) + data[start:])


DAMAGES: dict[str, Callable[[bytearray, random.Random], bytes]] = {
    "cut": _cut,
    "with flipped bits": _flipped,
    "with lies in its header": _header,
    "with zeros": _emptied,
    "with bytes missing": _shortened,
    "with other bytes": _lengthened,
    "with a part repeated": _repeated,
}


def replayed(film: Film) -> Outcome:
    """Replay a film by the command, and say what is wrong with the result."""
    folder = film.path.parent / f"{film.path.name}.out"
    folder.mkdir()
    (folder / "onlooker.toml").write_text(SETTINGS)
    command = [
        *ONLOOKER, "replay", str(film.path), "--inline", "--out", "r.jsonl", "--annotate", "c.mp4"
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(folder / "data"),
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(film, "failed", f"no end within {MAX_SECONDS} s")
    output = done.stdout + done.stderr
    if done.returncode not in (0, 1) or "Traceback" in output:
        return Outcome(film, "failed", f"status {done.returncode}: {output[-2000:]}")
    complaint = re.search(r"^error: (.*)", done.stderr, re.MULTILINE)
    if done.returncode and not complaint:
        return Outcome(film, "failed", f"status 1 without an error: {output[-2000:]}")
    return Outcome(film, *_judged(film, folder, complaint[1] if complaint else ""))


def _judged(film: Film, folder: Path, complaint: str) -> tuple[str, str]:
    records = folder / "r.jsonl"
    lines = records.read_bytes().splitlines() if records.exists() else []
    times = [msgspec.json.decode(line)["FrameInformation"]["Time"] for line in lines]
    if times != sorted(set(times)):
        return "failed", f"times {times}"
    if film.numbers is None:
        return ("refused", complaint) if complaint else ("played", "")
    if complaint:
        return "failed", complaint
    with VideoFile(folder / "c.mp4") as drawn:
        shown = [
            (frame.time, films.number_of(p)) for frame, p in drawn.frames("c") if p is not None
        ]
    if [number for _, number in shown] != film.numbers:
        return "failed", f"the copy shows {[number for _, number in shown]}"
    if (
        len(times) != len(shown)
        or max(abs(time - other) for time, (other, _) in zip(times, shown, strict=True)) > 0.002
    ):
        return "failed", f"times {times}, in the copy {[time for time, _ in shown]}"
    return "played", ""


def prove(number: int, seed: int, jobs: int = os.cpu_count() or 1) -> Iterator[Outcome]:
    """Make and replay `number` films; yield each outcome."""
    with (
        tempfile.TemporaryDirectory(prefix="odd-films-") as place,
        ThreadPoolExecutor(jobs) as pool,
    ):
        folder = Path(place)
        for start in range(0, number, 10):
            batch = [made(folder, each, seed) for each in range(start, min(number, start + 10))]
            yield from pool.map(replayed, batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    print(f"seed {given.seed}: {given.films} films")
    for outcome in prove(given.films, given.seed):
        whole = "whole" if outcome.film.numbers is not None else "damaged"
        counts[f"{whole}, {outcome.kind}"] += 1
        if outcome.kind == "failed":
            print(f"  FAILED {outcome.film.path.name} ({outcome.film.name}): {outcome.why}")
    for kind, count in counts.most_common():
        print(f"  {kind}: {count}")
    if any("failed" in kind for kind in counts):
        sys.exit("FAILED")


if __name__ == "__main__":
    main()
