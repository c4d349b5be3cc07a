"""The steps: what is done with a frame in each stage.

This is the only module of the package that knows what is done with frames; the others know how
they travel. Makers import what their steps need when they are called: each process of the pipeline
loads its own part only, and the hub none.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Setup, StageError, Step, StopRequested, each, once
from onlooker.types import Face, Frame, Point

if TYPE_CHECKING:
    from onlooker.media.picture import Picture
    from onlooker.record.recorder import Recorder
    from onlooker.record.sinks.json_lines import JsonLines

logger = logging.getLogger(__name__)

FULL_DISK_RETRY_SECONDS = 1.0
"""Between attempts to write records while the disk is full."""


def detect(setup: Setup) -> Step:
    """Where faces and text are."""
    from onlooker.models import session
    from onlooker.vision.faces import FaceFinder
    from onlooker.vision.text import TextFinder

    config = setup.config
    provider = config.runtime.provider
    # Made when the first stream wants them: it may come while this process runs.
    find_faces: Callable[[], FaceFinder] = once(lambda: FaceFinder(config.faces, provider))
    find_text: Callable[[], TextFinder] = once(lambda: TextFinder(config.text, provider))
    setup.model_seconds = session.seconds
    if config.faces.enabled:
        find_faces()
    if config.text.enabled:
        find_text()

    def step(frame: Frame, picture: "Picture") -> Frame:
        asked = setup.of(frame)
        return replace(
            frame,
            faces=find_faces()(picture) if asked.faces.enabled else (),
            quads=find_text()(picture) if asked.text.enabled else (),
        )

    return each(step)


def recognise(setup: Setup) -> Step:
    """Whose faces they are, and what the text says."""
    from onlooker.identity.errors import StoreError
    from onlooker.identity.search.engines import open_searcher
    from onlooker.identity.search.searcher import Searcher
    from onlooker.identity.store import default_path
    from onlooker.models import session as session
    from onlooker.rekognition.face_detail import fields
    from onlooker.vision.attributes import FaceDescriber
    from onlooker.vision.embed import FaceEmbedder
    from onlooker.vision.mesh import Mesher, Seen, unlaid
    from onlooker.vision.quality import reasons
    from onlooker.vision.text import TextReader

    config = setup.config
    provider, quality = config.runtime.provider, config.faces.quality
    limits = config.match.threshold, config.match.max_faces
    read: Callable[[], TextReader] = once(lambda: TextReader(config.text, provider))
    lay: Callable[[], Callable[[Picture, tuple[Face, ...]], list[Seen]]]
    lay = once(lambda: Mesher(provider)) if config.faces.mesh else lambda: unlaid
    describe: Callable[[], FaceDescriber] = once(lambda: FaceDescriber(provider))
    embed: Callable[[], FaceEmbedder] = once(lambda: FaceEmbedder(config.faces, provider))

    @once
    def searcher() -> Searcher:
        path = setup.store or default_path()
        return setup.closing.enter_context(open_searcher(path, embed().space))

    try:
        # What most streams want is loaded before the first frame.
        if config.text.enabled:
            read()
        if config.faces.enabled:
            lay()
        if config.faces.enabled and config.match.collection is not None:
            searcher().prepare(config.match.collection)
    except StoreError as error:
        raise StageError(str(error)) from error

    def name(collection: str, picture: "Picture", faces: list[Seen]) -> tuple[Face, ...]:
        smallest = embed().space.smallest
        clear = [each for each in faces if not reasons(each.face, quality, smallest)]
        vectors = embed()(picture, clear) if clear else None
        found = [] if vectors is None else searcher().search_faces(collection, vectors, *limits)
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

    return each(step)


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
    from onlooker.record.log.reader import LogError
    from onlooker.record.log.writer import Writer
    from onlooker.record.recorder import Recorder
    from onlooker.record.sinks.json_lines import JsonLines

    recorders: dict[Path, tuple[Outputs, Recorder, JsonLines | None]] = {}
    """By log, each opened with the first frame whose record goes there."""

    def opened(outputs: Outputs) -> tuple[Outputs, Recorder, JsonLines | None]:
        closing = setup.closing
        try:
            log = closing.enter_context(Writer(outputs.log_path, outputs.limits))
            lines = None
            if outputs.records:
                lines = closing.enter_context(JsonLines(outputs.records, log, outputs.limits))
            return outputs, Recorder(log), lines
        except LogError as error:
            raise StageError(str(error)) from error

    def step(frame: Frame, picture: "Picture") -> Frame:
        outputs = setup.outputs(frame)
        if outputs.log_path not in recorders:
            recorders[outputs.log_path] = opened(outputs)
        _, recorder, _ = recorders[outputs.log_path]
        recorder.add(frame, setup.of(frame), setup.analysis(frame))
        return frame

    def commit() -> None:
        for outputs, recorder, lines in recorders.values():
            _commit(setup, outputs, recorder, lines)

    setup.commit = commit
    return each(step)


def _commit(
    setup: Setup, outputs: Outputs, recorder: "Recorder", lines: "JsonLines | None"
) -> None:
    from onlooker.record.log.reader import LogError, LogFull

    full = False
    while True:
        try:
            recorder.commit()
            if lines is not None:
                lines.catch_up()
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
        logger.error("there is room again: the records that waited were written")
