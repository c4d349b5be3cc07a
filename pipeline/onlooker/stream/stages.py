"""The stages of the line, and the whole line in one process.

A step is a plain function that takes a frame and returns it with more known about it. A stage is
a step with a socket on each side; `STAGES`, at the end, lists them. This is the only module that
knows both how frames travel and what is done with them.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec.structs import replace

from onlooker.card import Characters, ProbabilityMap, WeightsError
from onlooker.config import Config
from onlooker.stream.wire import Counts, Status, StreamStatus
from onlooker.types import Face, Frame

if TYPE_CHECKING:
    from onlooker.media.image import Picture, Pixels
    from onlooker.record.log import JsonLines

# Makers import what their steps need when they are called: each process of the line loads
# its own part only, and the hub none.

Step: TypeAlias = "Callable[[Frame, Picture], Frame]"
"""Returns the frame with more known about it. What it raises is recorded as the frame's error."""

log = logging.getLogger(__name__)


class Unusable(Exception):
    """No frame will get through this step, however often it is tried. The text is for the user."""


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a run reads and writes besides its films."""

    records: Path | None = None
    """JSON-lines file, which is gone on with where it ends."""
    publish: str | None = None
    """ZeroMQ endpoint to publish records on."""
    store: Path | None = None
    """File of the collections; None for the user's own."""


@dataclass(slots=True)
class Setup:
    """What a maker builds its step from, and tells about it."""

    config: Config
    outputs: Outputs
    closing: ExitStack
    """For what has to be closed when the step is no longer needed."""
    model_seconds: Callable[[], float] = float
    """To be set by the maker of a step with models: the time they have taken so far."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step, and how many processes run it."""

    name: str
    make: Callable[[Setup], Step]
    """A function of a module, as another process finds it by its name."""
    workers: int = 0
    """0: as many as `[stream] workers` says."""
    ordered: bool = False
    """Gets every frame of a stream by its index, failed ones too; other stages get frames in any
    order, and no failed ones."""

    def processes(self, config: Config) -> int:
        """How many workers it has."""
        return self.workers or config.stream.workers or _cores()


def _cores() -> int:
    """Those that this process may use, where the system says."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """A film, and the stream that it becomes."""

    stream: str
    path: Path
    digest: str
    """Of the film's bytes: `Film.digest`."""
    start: int = 0
    """Frames before this one were recorded by an earlier run."""
    frames: int | None = None
    """How many there should be."""
    width: int
    height: int

    @property
    def counts(self) -> Counts:
        """What has become of the stream before this run."""
        return Counts(received=self.start, done=self.start)


class Unseen:
    """The picture of a frame that has none, which only an ordered stage may be given."""

    width = height = 0

    def small(self, long_side: int, multiple: int = 1) -> "Pixels":
        raise LookupError("the frame has no picture")

    def region(self, x1: int, y1: int, x2: int, y2: int) -> "tuple[Pixels, tuple[int, int]]":
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
        log.warning("step failed stream=%s index=%d cause=%s", frame.stream, frame.index, cause)
        log.debug("step failed", exc_info=True)
        return replace(frame, error=cause)


def feeds(films: Sequence[Path], config: Config, outputs: Outputs) -> list[Feed]:
    """A stream for each film, named after it, that begins where `outputs.records` ends.

    Raises MediaError for what is no film, LogError for a file that records cannot be added to.
    """
    from onlooker.media.source import Film
    from onlooker.record.log import JsonLines

    names: Counter[str] = Counter()
    found: list[Feed] = []
    with ExitStack() as closing:
        # All films before the file of records: for what is no film none is made.
        opened = [closing.enter_context(Film(path)) for path in films]
        known = closing.enter_context(JsonLines(outputs.records)) if outputs.records else None
        for film in opened:
            stem = film.path.stem
            names[stem] += 1
            stream = stem if names[stem] == 1 else f"{stem}-{names[stem]}"
            found.append(
                Feed(
                    stream=stream,
                    path=film.path.absolute(),
                    digest=film.digest,
                    start=_first_missing(known, stream, film.digest, config) if known else 0,
                    frames=film.frames_expected,
                    width=film.width,
                    height=film.height,
                )
            )
    return found


def _first_missing(known: "JsonLines", stream: str, digest: str, config: Config) -> int:
    from onlooker.record.build import record_id

    return next(i for i in count() if record_id(stream, digest, i, config) not in known)


def inline(
    films: Sequence[Path],
    config: Config,
    outputs: Outputs,
    on_status: Callable[[Status], None],
    stages: Sequence[Stage] | None = None,
) -> Status:
    """The whole line in this process, one frame after the other: for a debugger, and for tests.

    Writes byte for byte what `onlooker.stream.supervise.replay` writes for each stream. `stages`
    are STAGES unless given. Raises as `feeds` does, and Unusable.
    """
    from onlooker.media.source import Film

    finished: list[StreamStatus] = []
    streams = feeds(films, config, outputs)
    with ExitStack() as closing:
        setup = Setup(config, outputs, closing)
        line = [(stage, stage.make(setup)) for stage in stages or STAGES]
        for feed in streams:
            counts = feed.counts
            with Film(feed.path, feed.digest) as film:
                for frame, picture in film.frames(feed.stream, feed.start):
                    frame = _through(line, frame, picture or Unseen())
                    counts = Counts(
                        received=counts.received + 1,
                        done=counts.done + (frame.error is None),
                        failed=counts.failed + (frame.error is not None),
                    )
                    on_status(Status(streams=(*finished, _status(feed, counts, finished=False))))
            finished.append(_status(feed, counts, finished=True))
    return Status(streams=tuple(finished))


def _through(line: list[tuple[Stage, Step]], frame: Frame, picture: "Picture") -> Frame:
    for stage, step in line:
        if frame.error is None:
            frame = perform(stage.name, step, frame, picture)
        elif not stage.ordered:
            continue
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


# The steps

REUNION = 0.5
"""Seconds that a recorder which goes on with a file gives subscribers to find it."""


def detect(setup: Setup) -> Step:
    """Where faces and text are."""
    from onlooker.vision import runtime
    from onlooker.vision.faces import FaceFinder
    from onlooker.vision.text import TextFinder

    config = setup.config
    provider = config.runtime.provider
    find_faces = FaceFinder(config.faces, provider) if config.faces.look else None
    find_text = TextFinder(config.text, provider) if config.text.look else None
    setup.model_seconds = runtime.seconds

    def step(frame: Frame, picture: "Picture") -> Frame:
        return replace(
            frame,
            faces=find_faces(picture) if find_faces else (),
            quads=find_text(picture) if find_text else (),
        )

    return step


def recognise(setup: Setup) -> Step:
    """Whose faces they are, and what the text says."""
    from onlooker.identity.match import Matcher
    from onlooker.identity.store import Store, StoreError, default_path
    from onlooker.vision import runtime
    from onlooker.vision.embed import FaceEmbedder
    from onlooker.vision.mesh import Mesher, Seen, unlaid
    from onlooker.vision.quality import reasons
    from onlooker.vision.text import TextReader

    config = setup.config
    provider = config.runtime.provider
    read = TextReader(config.text, provider) if config.text.look else None
    lay = Mesher(provider) if config.faces.look and config.faces.mesh else unlaid
    name: Callable[[Picture, list[Seen]], tuple[Face, ...]] | None = None
    if config.match.collection is not None and config.faces.look:
        embed, quality = FaceEmbedder(config.faces, provider), config.faces.quality
        known, limits = config.match.collection, (config.match.threshold, config.match.max_faces)
        try:
            store = setup.closing.enter_context(Store(setup.outputs.store or default_path()))
            matcher = Matcher(store, embed.space)
            matcher.open(known)
        except StoreError as error:
            raise Unusable(str(error)) from error

        def name(picture: "Picture", faces: list[Seen]) -> tuple[Face, ...]:
            clear = [
                each for each in faces if not reasons(each.face, quality, embed.space.smallest)
            ]
            vectors = embed(picture, clear) if clear else None
            found = [] if vectors is None else matcher.faces(known, vectors, *limits)
            named = {id(each): who for each, who in zip(clear, found, strict=True)}
            return tuple(replace(each.face, identities=named.get(id(each), ())) for each in faces)

    setup.model_seconds = runtime.seconds

    def step(frame: Frame, picture: "Picture") -> Frame:
        seen = lay(picture, frame.faces)
        return replace(
            frame,
            faces=name(picture, seen) if name else tuple(each.face for each in seen),
            lines=read(picture, frame.quads) if read else (),
            quads=(),
        )

    return step


def record(setup: Setup) -> Step:
    """Append the frame's record to the file, then publish it."""
    from onlooker.record.build import build
    from onlooker.record.log import JsonLines, LogError
    from onlooker.record.publish import Publisher, PublishError

    config, outputs, closing = setup.config, setup.outputs, setup.closing
    try:
        lines = closing.enter_context(JsonLines(outputs.records)) if outputs.records else None
        public = closing.enter_context(Publisher(outputs.publish)) if outputs.publish else None
        if public is not None and lines:
            # Perhaps the recorder before this one was killed: who subscribed to it comes back.
            public.wait_for_subscriber(REUNION)
    except (LogError, PublishError) as error:
        raise Unusable(str(error)) from error

    def step(frame: Frame, picture: "Picture") -> Frame:
        built = build(frame, config)
        if lines is not None:
            try:
                lines.append(built)
            except LogError as error:
                raise Unusable(str(error)) from error
        if public is not None:
            # Also where the record was in the file before: a recorder that was killed between
            # the two may not have sent it. Subscribers know records by their RecordId.
            public.publish(built)
        return frame

    return step


STAGES = (
    Stage("detect", detect),
    Stage("recognise", recognise),
    Stage("record", record, workers=1, ordered=True),
)


def needed_models(config: Config) -> list[str]:
    """The cards of the models that the steps will load.

    Raises WeightsError for a model that is not there, or cannot do what the configuration has it
    do.
    """
    from onlooker.card import card, space

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
    if config.faces.look and config.match.collection is not None:
        names += embedders
    if config.text.look:
        names += [config.text.detector, config.text.reader]
    return names
