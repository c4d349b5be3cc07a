"""People whom no collection knows, for tests: made-up vectors, and visits with faces in a log."""

from pathlib import Path

import cv2
import numpy as np
from msgspec.structs import replace
from tests.support.appearances import VISIT, event, record

from onlooker.config.schema import KEEP_ALL
from onlooker.identity.people.journal import Journal
from onlooker.identity.people.people import open_people
from onlooker.identity.people.person_changes import Visitor
from onlooker.models.card import space
from onlooker.record.log.writer import Writer
from onlooker.types import Chip

SPACE = space("mobilefacenet")
DAY = 1_790_000_000.0


def vector(person: int, photo: int, noise: float = 0.45) -> bytes:
    """Return the vector of an image of a made-up person; two of one are alike at about .83."""
    own = np.random.default_rng(person).normal(size=SPACE.dim)
    other = np.random.default_rng([person, photo + 1]).normal(size=SPACE.dim)
    mixed = own / np.linalg.norm(own) + noise * other / np.linalg.norm(other)
    return np.asarray(mixed / np.linalg.norm(mixed), np.float32).tobytes()


def visitor(person: int, photo: int, **more: object) -> Visitor:
    """Return a visit of a made-up person."""
    start = DAY + 1000.0 * person + 100.0 * photo
    made = Visitor(
        appearance=visit(person, photo),
        stream="door",
        start=start,
        end=start + 10,
        frames=20,
        clarity=60.0,
        vector=vector(person, photo),
    )
    return replace(made, **more)


def visit(person: int, photo: int) -> str:
    """Return the id of that visit."""
    return VISIT.format(1000 * person + photo)


def chip(person: int) -> bytes:
    """Return a JPEG of one colour for each person."""
    colour = np.random.default_rng(person).integers(60, 220, 3)
    image = np.full((96, 96, 3), colour, np.uint8)
    cv2.ellipse(image, (48, 48), (26, 34), 0, 0, 360, (200, 215, 235), -1)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


def join(folder: Path, *visitors: Visitor) -> list[str | None]:
    """Assign visits to people; return whose each is."""
    with open_people(SPACE, folder / "faces.db") as people:
        return [people.join(each) for each in visitors]


def many(folder: Path, number: int) -> None:
    """Make a journal of that many people with a visit each, without vectors."""
    with open_people(SPACE, folder / "faces.db"):
        pass  # makes the collection
    with Journal(folder / "people.db") as journal, journal.transaction():
        for each in range(number):
            journal.add(
                visitor(0, 0, appearance=VISIT.format(each), end=DAY + each, vector=b""), None
            )
            journal.give(VISIT.format(each), f"unknown-{each:06d}")


def log_of(folder: Path, *visitors: Visitor) -> None:
    """Make a log of these visits, with an image of each."""
    records, chips = [], {}
    for index, each in enumerate(visitors):
        number = int(each.appearance.rpartition("-")[2])
        made = record(index, event(number, "end", each.start, each.end), stream=each.stream)
        records.append(made)
        person = number // 1000
        chips[made.RecordId] = [Chip(track=each.appearance, jpeg=chip(person))]
    with Writer(folder / "records.db", KEEP_ALL) as log:
        log.append(records, chips=chips)
