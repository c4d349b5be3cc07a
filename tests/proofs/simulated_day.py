"""Show strangers to a camera for a day, and count the ids that they get.

    python -m tests.proofs.simulated_day [--visits 150] [--seed 1]

The day is a video with exact truth, made from photographs of the samples: one stranger after the
other crosses a street scene in one of their photographs, larger or smaller, brighter or darker,
sharp or blurred, with minutes in between in which there are no frames. The whole pipeline follows
it with unknown people on and no collection. Then one person is split by photograph, and the same
day comes again. Exits with 1 if there are more than 1.1 ids a stranger or 1.01 strangers an id, if
appearances a visit are not 1.00 within .03, if more than 3 % of the visits are not one appearance,
if a visit is missed, or if the second day joins again what was split. Visits that are not one
appearance are listed.
"""

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import skimage.data
from bench.support.scenes import HEIGHT, WIDTH, Portrait, paste, portraits
from tests.support import steps

from onlooker.config.schema import Config, Text
from onlooker.config.tracking import People
from onlooker.identity.people.people import open_people
from onlooker.media import image
from onlooker.media.picture import Pixels
from onlooker.models.card import space
from onlooker.record.log.reader import Log
from onlooker.rekognition.shapes import Appearance
from onlooker.stream.inline import inline
from onlooker.stream.outputs import Outputs
from onlooker.vision.analyser import Analyser

FPS, FRAMES = 8, 14
DAY_SECONDS = 86_400.0
CONFIG = Config(text=Text(enabled=False), people=People(enabled=True))


class Visit(NamedTuple):
    """One stranger in front of the camera."""

    start: float
    person: str
    photo: int


def planned(
    people: dict[str, list[Portrait]], visits: int, chance: np.random.Generator
) -> list[Visit]:
    """Return the visits of the day, each stranger's about as often, in any order."""
    names = sorted(people)
    order = chance.permutation([names[number % len(names)] for number in range(visits)])
    return [
        Visit(
            (number + float(chance.uniform(0.1, 0.8))) * DAY_SECONDS / visits,
            str(name),
            int(chance.integers(len(people[name]))),
        )
        for number, name in enumerate(order)
    ]


def shown(
    visit: Visit, portrait: Portrait, street: Pixels, chance: np.random.Generator
) -> Iterator[tuple[float, Pixels]]:
    """Yield time and image of the frames of a visit, and some of the street after it."""
    width, y = float(chance.uniform(55, 110)), float(chance.uniform(140, 220))
    x, speed = float(chance.uniform(200, 300)), float(chance.uniform(-60, 60))
    light, blur = float(chance.uniform(0.7, 1.2)), float(chance.choice([0, 0, 0.6, 1.0]))
    for index in range(FRAMES + 2):
        frame = np.array(street, np.uint8)
        if index < FRAMES:
            paste(frame, portrait, (x + speed * index / FPS, y, width * (1 + 0.01 * index)))
        if blur:
            frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), blur), np.uint8)
        grain = chance.normal(0, 3, frame.shape)
        yield visit.start + index / FPS, np.clip(frame * light + grain, 0, 255).astype(np.uint8)


def make_video(
    path: Path, day: list[Visit], people: dict[str, list[Portrait]], street: Pixels, seed: int
) -> None:
    """Write the day as a video."""
    chance = np.random.default_rng([seed, 1])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "17", "g": "8"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for visit in day:
            portrait = people[visit.person][visit.photo]
            for time, pixels in shown(visit, portrait, street, chance):
                made = av.VideoFrame.from_ndarray(pixels, format="bgr24")
                made.pts, made.time_base = round(time * 1000), Fraction(1, 1000)
                container.mux(stream.encode(made))
        container.mux(stream.encode())


def followed(video: Path, store: Path) -> list[Appearance]:
    """Return the appearances of a day."""
    outputs = Outputs(records=video.with_suffix(".jsonl"))
    inline([video], CONFIG, outputs, steps.quiet, store=store)
    with Log(outputs.log_path) as log:
        return [visit.event for visit in log.visits(Appearance)]


def by_visit(day: list[Visit], found: list[Appearance]) -> list[list[Appearance]]:
    """Return the appearances of each visit."""
    first = day[0].start
    starts = np.array([visit.start for visit in day])
    origin = min(event.Start for event in found) - first if found else 0.0
    origin = 0.0 if abs(origin) < 2 else origin  # a container may begin at 0
    told: list[list[Appearance]] = [[] for _ in day]
    for event in found:
        told[max(0, int(np.searchsorted(starts, event.Start - origin + 0.01)) - 1)].append(event)
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visits", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", default=os.environ.get("ONLOOKER_SAMPLES", "../shared/data"))
    asked = parser.parse_args()
    chance = np.random.default_rng(asked.seed)
    people = portraits(Path(asked.samples), Analyser(CONFIG))
    picture = image.read(Path(skimage.data.__file__).parent / "motorcycle_left.png")
    pixels, _ = picture.region(0, 0, picture.width, picture.height)
    street = np.asarray(cv2.resize(pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    day = planned(people, asked.visits, chance)
    with tempfile.TemporaryDirectory() as name:
        videos, store = (
            [Path(name) / f"{each}.mp4" for each in ("first", "again")],
            Path(name) / "f.db",
        )
        for video in videos:
            make_video(video, day, people, street, asked.seed)
        told = by_visit(day, followed(videos[0], store))
        fine = report(day, told)
        with open_people(space(CONFIG.faces.embedder), store) as opened:
            each = [event.AppearanceId for own in told for event in own]
            ids = {appearance: opened.journal.person_of(appearance) for appearance in each}
            photos = divided(day, told, ids)
            made = opened.split(*photos) if photos is not None else None
        again = by_visit(day, followed(videos[1], store))
        joined = 0
        if photos is not None:
            before, split = photos
            for own, later in zip(told, again, strict=True):
                if own and own[0].AppearanceId in split:
                    joined += any(event.Person == before for event in later)
            print(f"{before} was split: {len(split)} appearances are {made}; joined again {joined}")
    return 0 if fine and not joined else 1


def divided(
    day: list[Visit], told: list[list[Appearance]], ids: dict[str, str | None]
) -> tuple[str, list[str]] | None:
    """Return a person and the appearances in one of two or more photographs; None if none is so."""
    photos: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for visit, own in zip(day, told, strict=True):
        for event in own:
            person = ids[event.AppearanceId]
            if person is not None:
                photos[person][visit.photo].append(event.AppearanceId)
    person = max(photos, key=lambda each: (len(photos[each]), each), default=None)
    if person is None or len(photos[person]) < 2:
        return None
    return person, min(photos[person].values(), key=len)


def report(day: list[Visit], told: list[list[Appearance]]) -> bool:
    """Print the counts; return whether they are good enough."""
    ids: dict[str, set[str]] = defaultdict(set)
    strangers: dict[str, set[str]] = defaultdict(set)
    nobody = 0
    for visit, own in zip(day, told, strict=True):
        for event in own:
            if event.Person is None:
                nobody += 1
            else:
                ids[visit.person].add(event.Person)
                strangers[event.Person].add(visit.person)
    number = sum(map(len, told))
    each = sum(map(len, ids.values())) / max(len(ids), 1)
    shared = sum(map(len, strangers.values())) / max(len(strangers), 1)
    print(f"{len(day)} visits of {len({visit.person for visit in day})} strangers")
    print(
        f"{number} appearances, {nobody} without an id, "
        f"{sum(not own for own in told)} visits missed"
    )
    print(f"appearances a visit {number / len(day):.3f}")
    print(f"ids a stranger {each:.3f}, strangers an id {shared:.3f}")
    for name, given in (*sorted(ids.items()), *sorted(strangers.items())):
        if len(given) > 1:
            print(f"  {name}: {', '.join(sorted(given))}")
    others = [(visit, own) for visit, own in zip(day, told, strict=True) if len(own) != 1]
    print(f"visits that are not one appearance {len(others) / len(day):.3f}")
    for visit, own in others:
        spans = [(event.Start, event.End, event.Person) for event in own]
        print(f"  {visit.person} at {visit.start:.3f}: {spans}")
    right = all(told) and max(abs(number - len(day)), len(others)) <= 0.03 * len(day)
    return each <= 1.1 and shared <= 1.01 and right


if __name__ == "__main__":
    sys.exit(main())
