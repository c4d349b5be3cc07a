"""The step of each stage.

Only this module of the package knows what is done with frames; the others know how they travel. The
factories import what their steps need when they are called, so that each process of the pipeline
loads its own part only, and the hub none.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import (
    ProcessFailed,
    Setup,
    StageError,
    Step,
    StopRequested,
    Work,
    each,
)
from onlooker.types import Face, Frame, TextSearch

if TYPE_CHECKING:
    from onlooker.media.picture import Picture
    from onlooker.record.log.writer import Writer
    from onlooker.record.recorder import Recorder
    from onlooker.record.sinks.sink import Follower
    from onlooker.vision.analyser import AnalysedFace, Analysis, Wanted

logger = logging.getLogger(__name__)

FULL_DISK_RETRY_SECONDS = 1.0
"""Between attempts to write records while the disk is full."""


def detect(setup: Setup) -> Step:
    """Find faces and text."""
    from onlooker.models import model
    from onlooker.vision.analyser import Analyser

    analyser = Analyser(setup.config)
    with _card_errors():
        analyser.prepare_detection(_wanted(setup.config))
    setup.model_seconds = model.seconds

    def step(works: Sequence[Work]) -> list[Frame]:
        searches = [_text_search(setup.of(frame), frame, picture) for frame, picture in works]
        wanted = [
            _wanted(setup.of(work.frame), search)
            for work, search in zip(works, searches, strict=True)
        ]
        with _card_errors():
            found = analyser.detect([work.picture for work in works], wanted)
        return [
            replace(work.frame, faces=one.faces, quads=one.quads, text=search)
            for work, one, search in zip(works, found, searches, strict=True)
        ]

    return step


def recognise(setup: Setup) -> Step:
    """Describe and embed faces, and read text."""
    from onlooker.models import model
    from onlooker.vision.analyser import Analyser, Detection

    analyser = Analyser(setup.config)
    with _card_errors():
        analyser.prepare_recognition(_wanted(setup.config))
    setup.model_seconds = model.seconds

    def step(works: Sequence[Work]) -> list[Frame]:
        frames = [work.frame for work in works]
        with _card_errors():
            analyses = analyser.recognise(
                [work.picture for work in works],
                [
                    Detection(
                        tuple(face for face in frame.faces if face.like is None),
                        tuple(quad for quad in frame.quads if not quad.known),
                    )
                    for frame in frames
                ],
                [_wanted(setup.of(frame)) for frame in frames],
            )
        return list(map(_recognised, frames, analyses))

    return step


def _recognised(frame: Frame, analysis: "Analysis") -> Frame:
    """Return the frame with the results for the faces and text that are not like earlier ones."""
    faces, quads = iter(analysis.faces), iter(analysis.quads)
    return replace(
        frame,
        faces=tuple(_with_vector(next(faces)) if f.like is None else f for f in frame.faces),
        quads=tuple(quad if quad.known else next(quads) for quad in frame.quads),
    )


def _with_vector(one: "AnalysedFace") -> Face:
    return one.face if one.vector is None else replace(one.face, vector=one.vector.tobytes())


def associate(setup: Setup) -> Step:
    """Tell which faces and which text are known from earlier frames."""
    from onlooker.stream.associate_step import AssociateStep

    return AssociateStep(setup)


def track(setup: Setup) -> Step:
    """Follow people from frame to frame, and name them."""
    from onlooker.stream.track_step import TrackStep

    return TrackStep(setup)


@contextmanager
def _card_errors() -> Iterator[None]:
    """Turn errors of the card, which are no frame's fault, into those of the process."""
    from onlooker.models.batches import CardFailed, CardFull

    try:
        yield
    except CardFull as error:
        raise StageError(str(error)) from error
    except CardFailed as error:
        raise ProcessFailed(str(error)) from error


def _text_search(config: Config, frame: Frame, picture: "Picture") -> TextSearch:
    """Return how the frame's text is searched."""
    if frame.text == "finer" and max(picture.width, picture.height) <= config.text.size:
        return "usual"  # no search of so small an image is finer
    return frame.text


def _wanted(config: Config, search: TextSearch = "usual") -> "Wanted":
    """Return what is recorded of a frame with this configuration."""
    from onlooker.rekognition.face_detail import fields
    from onlooker.vision.analyser import Wanted
    from onlooker.vision.unindexed_reasons import passing

    return Wanted(
        faces=config.faces.enabled,
        text=config.text.enabled,
        finer=search == "finer",
        attributes=fields(config.faces.attributes),
        select=passing(config.faces.quality) if config.embeds else None,
    )


def record(setup: Setup) -> Step:
    """Append the frame's record to the log, then write the new records to the sinks."""
    from onlooker.identity.errors import StoreError
    from onlooker.record.log.reader import LogError
    from onlooker.record.log.writer import Writer
    from onlooker.record.recorder import Recorder
    from onlooker.record.sinks.json_lines import JsonLines
    from onlooker.record.sinks.sink import Follower
    from onlooker.stream.live_pictures import open_live

    live = open_live(setup.run)
    if live is not None:
        setup.closing.enter_context(live)
    recorders: dict[Path, tuple[Outputs, Recorder, list[Follower]]] = {}
    """By log, each opened with the first frame whose record goes there."""
    logs: dict[Path, Writer] = {}
    lines: set[tuple[Path, Path]] = set()
    """The JSON-lines files that follow, each with its log."""

    def recorder_of(outputs: Outputs) -> Recorder:
        path, closing = outputs.log_path, setup.closing
        try:
            if path not in recorders:
                logs[path] = closing.enter_context(Writer(path, outputs.limits))
                recorders[path] = outputs, Recorder(logs[path]), []
                if setup.config.people.enabled:
                    recorders[path][2].append(_people_of(setup, logs[path]))
            _, recorder, followers = recorders[path]
            if outputs.records is not None and (path, outputs.records) not in lines:
                sink = JsonLines(outputs.records, logs[path], outputs.limits)
                followers.append(Follower(logs[path], closing.enter_context(sink)))
                lines.add((path, outputs.records))
        except (LogError, StoreError) as error:
            raise StageError(str(error)) from error
        return recorder

    def step(frame: Frame, picture: "Picture") -> Frame:
        recorder = recorder_of(setup.outputs(frame))
        made = recorder.add(frame, setup.of(frame), setup.analysis(frame), setup.topic(frame))
        if live is not None:
            live.show(frame, made, picture)
        return frame

    def commit() -> None:
        for outputs, recorder, followers in recorders.values():
            _commit(setup, outputs, recorder, followers)

    setup.commit = commit
    return each(step)


def _people_of(setup: Setup, log: "Writer") -> "Follower":
    """Return what assigns the unknown people of a log. Raises StoreError."""
    from onlooker.identity.people.people import open_people
    from onlooker.models.card import space
    from onlooker.record.sinks.unknown_people import PeopleFollower, UnknownPeople

    people = open_people(space(setup.config.faces.embedder), setup.store, setup.url)
    return PeopleFollower(log, setup.closing.enter_context(UnknownPeople(log, people)))


def _commit(
    setup: Setup, outputs: Outputs, recorder: "Recorder", followers: "list[Follower]"
) -> None:
    from onlooker.record.log.reader import LogError, LogFull

    full = False
    while True:
        try:
            recorder.commit()
            for follower in followers:
                follower.catch_up()
        except LogFull as error:
            if not outputs.patient:
                raise StageError(str(error)) from error
            if not full:
                logger.error("waiting: %s", error)
            full = True
            if setup.stop.wait(FULL_DISK_RETRY_SECONDS):
                raise StopRequested from error
        except LogError as error:
            raise StageError(str(error)) from error
        else:
            break
    if full:
        logger.error("there is room again: the waiting records were written")
