"""The stages of the line, and the whole line in one process.

A step is a plain function that takes a frame and returns it with more known about it. A stage is
a step with a socket on each side; `STAGES`, at the end, lists them. This is the only module that
knows both how frames travel and what is done with them.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.models.card import Characters, ProbabilityMap, WeightsError
from onlooker.stream.feeds import Feed, Outputs, feeds
from onlooker.stream.messages import Counts, Failure, Status, StreamStatus
from onlooker.types import Face, Frame, Point

if TYPE_CHECKING:
    from onlooker.media.image import Picture, Pixels
    from onlooker.record.shapes import StreamRecord
    from onlooker.record.sinks.publish import Publisher

# Makers import what their steps need when they are called: each process of the line loads
# its own part only, and the hub none.

Step: TypeAlias = "Callable[[Frame, Picture], Frame]"
"""Returns the frame with more known about it. What it raises is recorded as the frame's error."""

MOST_SETTINGS = 1000
"""Streams whose settings are remembered."""

logger = logging.getLogger(__name__)


class Unusable(Exception):
    """No frame will get through this step, however often it is tried. The text is for the user."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step, and how many processes run it."""

    name: str
    make: "Callable[[Setup], Step]"
    """A function of a module, as another process finds it by its name."""
    workers: int = 0
    """0: as many as `[stream] workers` says."""
    ordered: bool = False
    """Gets every frame of a stream by its index, failed ones too; other stages get frames in any
    order, and no failed ones."""
    batch: int = 1
    """Frames that one worker may hold at once."""

    def processes(self, config: Config) -> int:
        """How many workers it has."""
        return self.workers or workers(config)


def workers(config: Config) -> int:
    """Processes for a stage that does not say: as many as cores that this one may use."""
    if config.stream.workers:
        return config.stream.workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True)
class Setup:
    """What a maker builds its step from, and tells about it."""

    config: Config
    outputs: Outputs
    closing: ExitStack
    """For what has to be closed when the step is no longer needed."""
    feed: Callable[[int], Feed]
    """The run's feed with this number."""
    _settings: dict[int, Config] = field(default_factory=dict)

    def of(self, frame: Frame) -> Config:
        """What the frame is to be looked at with."""
        found = self._settings.get(frame.feed)
        if found is None:
            if len(self._settings) > MOST_SETTINGS:
                self._settings.clear()
            found = self._settings[frame.feed] = self.config.of(self.feed(frame.feed).source)
        return found

    model_seconds: Callable[[], float] = float
    """To be set by the maker of a step with models: the time they have taken so far."""
    commit: Callable[[], None] = lambda: None
    """To be set by the maker of a step that gathers: called after some frames, before any of them
    counts as taken."""


class Unseen:
    """The picture of a frame that has none, which only an ordered stage may be given."""

    width = height = 0

    def small(self, long_side: int, multiple: int = 1) -> "Pixels":
        raise LookupError("the frame has no picture")

    def region(
        self, x1: int, y1: int, x2: int, y2: int, halvings: int = 0
    ) -> "tuple[Pixels, tuple[int, int]]":
        raise LookupError("the frame has no picture")

    def luma(self, x1: int, y1: int, x2: int, y2: int) -> "Pixels":
        raise LookupError("the frame has no picture")


def perform(stage: str, step: Step, frame: Frame, picture: "Picture") -> Frame:
    """`step(frame, picture)`; or the frame with an error that says what `step` raised.

    Unusable is raised: it is not the frame's fault.
    """
    try:
        return step(frame, picture)
    except Unusable:
        raise
    except Exception as error:
        cause = f"{stage}: {type(error).__name__}: {error}"
        logger.warning("step failed stream=%s index=%d cause=%s", frame.stream, frame.index, cause)
        logger.debug("step failed", exc_info=True)
        return replace(frame, error=cause)


def inline(
    films: Sequence[Path],
    config: Config,
    outputs: Outputs,
    on_status: Callable[[Status], None],
    stages: Sequence[Stage] | None = None,
    speed: str = "max",
) -> Status:
    """The whole line in this process, one frame after the other: for a debugger, and for tests.

    Writes byte for byte what `onlooker.stream.supervisor.replay` writes for each stream. `stages`
    are STAGES unless given. Raises as `feeds` does, and Unusable.
    """
    from onlooker.media.open import frames

    finished: list[StreamStatus] = []
    streams = feeds(films, config, outputs, speed)
    with ExitStack() as closing:
        publisher = closing.enter_context(publishing(outputs)) if outputs.publish else None
        setups: list[Setup] = []
        line: list[tuple[Stage, Step]] = []
        for stage in stages or STAGES:
            setups.append(Setup(config, outputs, closing, streams.__getitem__))
            line.append((stage, stage.make(setups[-1])))
        for feed in streams:
            counts = feed.counts
            for frame, picture in frames(feed.stream, feed.source, feed.digest, feed.start):
                frame = replace(frame, feed=feed.number)
                frame = _through(line, frame, picture or Unseen())
                for setup in setups:
                    setup.commit()
                if publisher is not None:
                    publisher.pump()
                failure: Failure = "undecodable" if picture is None else "error"
                counts = replace(counts, received=counts.received + 1)
                counts = counts.plus(failure if frame.error is not None else None)
                on_status(Status(streams=(*finished, _status(feed, counts, finished=False))))
            finished.append(_status(feed, counts, finished=True))
    return Status(streams=tuple(finished))


def _through(line: list[tuple[Stage, Step]], frame: Frame, picture: "Picture") -> Frame:
    for stage, step in line:
        if not stage.ordered and (frame.error is not None or frame.same):
            continue
        if frame.error is None:
            frame = perform(stage.name, step, frame, picture)
        if frame.error is not None and stage.ordered:
            frame = step(frame, Unseen())
    return frame


def _status(feed: Feed, counts: Counts, finished: bool) -> StreamStatus:
    return StreamStatus(
        name=feed.stream,
        counts=counts,
        source="inline",
        in_flight=0,
        frames=counts.received if finished else feed.frames,
        finished=finished,
        error=None,
        seconds=0.0,
    )


@contextmanager
def publishing(outputs: Outputs, position: int | None = None) -> "Iterator[Publisher]":
    """A publisher of what comes into the log behind `position`, its end if that is None."""
    from onlooker.record import curve_keys
    from onlooker.record.log.reader import Log
    from onlooker.record.sinks.publish import Publisher

    assert outputs.publish is not None
    key = curve_keys.read(outputs.key) if outputs.key else None
    clients = frozenset(map(curve_keys.check, outputs.clients))
    with (
        Log(outputs.log_path) as log,
        Publisher(log, outputs.publish, position, key, clients) as publisher,
    ):
        yield publisher


# The steps

ROOM_LOOK = 1.0
"""Seconds between attempts to write records, while a disk is full."""


def detect(setup: Setup) -> Step:
    """Where faces and text are."""
    from onlooker.models import session
    from onlooker.vision.faces import FaceFinder
    from onlooker.vision.text import TextFinder

    config = setup.config
    provider = config.runtime.provider
    # Made when the first stream wants them: it may come while this process runs.
    find_faces: Callable[[], FaceFinder] = cache(lambda: FaceFinder(config.faces, provider))
    find_text: Callable[[], TextFinder] = cache(lambda: TextFinder(config.text, provider))
    setup.model_seconds = session.seconds
    if config.faces.look:
        find_faces()
    if config.text.look:
        find_text()

    def step(frame: Frame, picture: "Picture") -> Frame:
        asked = setup.of(frame)
        return replace(
            frame,
            faces=find_faces()(picture) if asked.faces.look else (),
            quads=find_text()(picture) if asked.text.look else (),
        )

    return step


def recognise(setup: Setup) -> Step:
    """Whose faces they are, and what the text says."""
    from onlooker.identity.faces import StoreError
    from onlooker.identity.search.matcher import Matcher
    from onlooker.identity.store import Store, default_path
    from onlooker.models import session as session
    from onlooker.record.face_detail import fields
    from onlooker.vision.attributes import FaceDescriber
    from onlooker.vision.embed import FaceEmbedder
    from onlooker.vision.mesh import Mesher, Seen, unlaid
    from onlooker.vision.quality import reasons
    from onlooker.vision.text import TextReader

    config = setup.config
    provider, quality = config.runtime.provider, config.faces.quality
    limits = config.match.threshold, config.match.max_faces
    read: Callable[[], TextReader] = cache(lambda: TextReader(config.text, provider))
    lay: Callable[[], Callable[[Picture, tuple[Face, ...]], list[Seen]]]
    lay = cache(lambda: Mesher(provider)) if config.faces.mesh else lambda: unlaid
    describe: Callable[[], FaceDescriber] = cache(lambda: FaceDescriber(provider))
    embed: Callable[[], FaceEmbedder] = cache(lambda: FaceEmbedder(config.faces, provider))

    @cache
    def matcher() -> Matcher:
        store = setup.closing.enter_context(Store(setup.outputs.store or default_path()))
        return Matcher(store, embed().space)

    try:
        # What most streams want is loaded before the first frame.
        if config.text.look:
            read()
        if config.faces.look:
            lay()
        if config.faces.look and config.match.collection is not None:
            matcher().open(config.match.collection)
    except StoreError as error:
        raise Unusable(str(error)) from error

    def name(collection: str, picture: "Picture", faces: list[Seen]) -> tuple[Face, ...]:
        smallest = embed().space.smallest
        clear = [each for each in faces if not reasons(each.face, quality, smallest)]
        vectors = embed()(picture, clear) if clear else None
        found = [] if vectors is None else matcher().faces(collection, vectors, *limits)
        named = {id(each): who for each, who in zip(clear, found, strict=True)}
        return tuple(replace(each.face, identities=named.get(id(each), ())) for each in faces)

    setup.model_seconds = session.seconds

    def step(frame: Frame, picture: "Picture") -> Frame:
        asked = setup.of(frame)
        seen = lay()(picture, frame.faces) if frame.faces else []
        if seen and asked.faces.attributes:
            seen = describe().described(picture, seen, fields(asked.faces.attributes))
        collection = asked.match.collection
        return moved(
            replace(
                frame,
                faces=(
                    name(collection, picture, seen)
                    if seen and collection is not None
                    else tuple(each.face for each in seen)
                ),
                lines=read()(picture, frame.quads) if frame.quads else (),
                quads=(),
            )
        )

    return step


def moved(frame: Frame) -> Frame:
    """The frame with everything where it is in the whole picture, and not in the part."""
    if frame.origin == (0, 0):
        return frame
    left, top = frame.origin

    def there(points: tuple[Point, ...]) -> tuple[Point, ...]:
        return tuple((x + left, y + top) for x, y in points)

    faces = tuple(
        replace(
            face,
            box=(face.box[0] + left, face.box[1] + top, face.box[2] + left, face.box[3] + top),
            points=there(face.points),
            landmarks=there(face.landmarks),
        )
        for face in frame.faces
    )
    lines = tuple(
        replace(
            line,
            quad=there(line.quad),
            words=tuple(replace(word, quad=there(word.quad)) for word in line.words),
        )
        for line in frame.lines
    )
    return replace(frame, faces=faces, lines=lines, origin=(0, 0))


def record(setup: Setup) -> Step:
    """Append the frame's record to the log, and have the lines follow."""
    from onlooker.record.frame_record import again, build
    from onlooker.record.log.reader import LogError, LogFull
    from onlooker.record.log.writer import Writer
    from onlooker.record.sinks.json_lines import JsonLines

    outputs, closing = setup.outputs, setup.closing
    gathered: list[StreamRecord] = []
    last: dict[str, StreamRecord] = {}
    try:
        log = closing.enter_context(Writer(outputs.log_path, outputs.limits))
        lines = None
        if outputs.records:
            lines = closing.enter_context(JsonLines(outputs.records, log, outputs.limits))
    except LogError as error:
        raise Unusable(str(error)) from error

    def step(frame: Frame, picture: "Picture") -> Frame:
        built = build(frame, setup.of(frame))
        if frame.same and frame.error is None:
            built = again(built, last.get(built.stream) or log.newest(built.stream))
        last[built.stream] = built
        gathered.append(built)
        return frame

    def commit() -> None:
        full = False
        while True:
            try:
                log.append(gathered)
                if lines is not None:
                    lines.catch_up()
            except LogFull as error:
                if not outputs.patient:
                    raise Unusable(str(error)) from error
                if not full:
                    logger.error("waiting: %s", error)
                full = True
                time.sleep(ROOM_LOOK)
            except LogError as error:
                raise Unusable(str(error)) from error
            else:
                break
        if full:
            logger.error("there is room again: %d records were written", len(gathered))
        gathered.clear()

    setup.commit = commit
    return step


STAGES = (
    Stage("detect", detect),
    Stage("recognise", recognise),
    Stage("record", record, workers=1, ordered=True, batch=64),
)


def needed_models(config: Config) -> list[str]:
    """The cards of the models that the steps will load.

    Raises WeightsError for a model that is not there, or cannot do what the configuration has it
    do.
    """
    from onlooker.models.card import card, space

    detector, reader = card(config.text.detector), card(config.text.reader)
    for model, place, can, what in (
        (detector, "detector", isinstance(detector.decode, ProbabilityMap), "text"),
        (reader, "reader", isinstance(reader.decode, Characters), "lines"),
    ):
        if not can:
            raise WeightsError(
                f"[text] {place}: {model.name} cannot be used for {what}; it {model.task}"
            )
    try:
        embedders = space(config.faces.embedder).name.split("+")
    except WeightsError as error:
        raise WeightsError(f"[faces] embedder: {error}") from error
    names = ["yunet"] if config.faces.look else []
    if config.faces.look and config.faces.detection == "thorough":
        names.append("centerface")
    if config.faces.look and config.faces.mesh:
        names.append("face_mesh_attention")
    if config.faces.look and config.faces.attributes:
        names += ["face_expression", "faceres", "age", "gender"]
    if config.faces.look and config.match.collection is not None:
        names += embedders
    if config.text.look:
        names += [config.text.detector, config.text.reader]
    return names
