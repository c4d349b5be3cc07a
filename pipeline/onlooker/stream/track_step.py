"""The step that follows people: the state of each stream, and the search for names."""

import logging
from collections.abc import Sequence
from functools import cached_property

from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.escape import STREAMS
from onlooker.identity.errors import StoreError
from onlooker.identity.people.people import People, open_people
from onlooker.identity.people.person_changes import Visitor
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.searcher import Searcher
from onlooker.identity.search.similarity import likeness
from onlooker.identity.store import default_path
from onlooker.media.picture import Picture
from onlooker.models.card import space
from onlooker.record.frame_record import record_id
from onlooker.rekognition.ratios import percent
from onlooker.stream.stage import Setup, StageError, Work
from onlooker.stream.states_by_stream import StatesByStream
from onlooker.track import stream_tracks
from onlooker.track.carried import Carried, placed
from onlooker.track.gallery import Vector
from onlooker.track.stream_tracks import StreamTracks
from onlooker.types import Appearance, Frame, Identity

logger = logging.getLogger(__name__)


class TrackStep(StatesByStream[StreamTracks]):
    """A StatefulStep. Raises StageError if the collection cannot be searched."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(StreamTracks)
        self._setup = setup
        self._space = space(setup.config.faces.embedder)
        self._likeness = likeness(self._space)
        match, faces = setup.config.match, setup.config.faces
        try:
            if faces.enabled and match.collection is not None:
                self._searcher.prepare(match.collection)
            if faces.enabled and setup.config.people.enabled:
                self._people.prepare()
        except StoreError as error:
            raise StageError(str(error)) from error

    def __call__(self, works: Sequence[Work], /) -> list[Frame]:
        return [self._take(frame, picture) for frame, picture in works]

    def _take(self, frame: Frame, picture: Picture) -> Frame:
        config = self._setup.of(frame)

        def search(vectors: Vector) -> list[tuple[Identity, ...]]:
            return self._search(vectors, config)

        if frame.stream not in self.states:
            self.states[frame.stream] = stream_tracks.begin(config.tracks)
        if frame.still or not config.tracks.enabled:
            found, _ = Carried().fill(frame, 0.0)
            filled = placed(found)
            return replace(filled, faces=stream_tracks.single(filled.faces, search))
        name = record_id(frame.stream, frame.epoch, frame.index, self._setup.analysis(frame))
        return self.states[frame.stream].take(
            frame,
            picture,
            name,
            search,
            self._likeness,
            chips=self._setup.outputs(frame).limits.best_faces,
            who=lambda event: self._who(event, name, config),
        )

    def _who(self, event: Appearance, record: str, config: Config) -> str | None:
        """Return the id of the unknown person of an event, in the record of this id, or None.

        If the store of people fails, the event has none: the sink of the log assigns it later.
        """
        if not config.people.enabled or event.vector is None:
            return None
        try:
            if event.state == "end":
                return self._people.join(visitor(event, event.vector))
            return self._people.recognise(visitor(event, event.vector), record)
        except StoreError as error:
            logger.warning("appearance without id appearance=%s error=%s", event.id, error)
            return None

    @cached_property
    def _people(self) -> People:
        people = open_people(self._space, self._setup.store, self._setup.url)
        return self._setup.closing.enter_context(people)

    def _search(self, vectors: Vector, config: Config) -> list[tuple[Identity, ...]]:
        match = config.match
        if match.collection is None:
            return [()] * len(vectors)
        return self._searcher.search_faces(
            match.collection, vectors, match.threshold, match.max_faces
        )

    @cached_property
    def _searcher(self) -> Searcher:
        path = self._setup.store or default_path()
        searcher = open_searcher(path, self._space, self._setup.url)
        return self._setup.closing.enter_context(searcher)


def visitor(event: Appearance, vector: bytes) -> Visitor:
    """Return the appearance that an event is about, with the mean vector of its face."""
    return Visitor(
        appearance=event.id,
        stream=STREAMS.meant(event.stream),
        start=event.start,
        end=event.end,
        frames=event.frames,
        clarity=percent(event.best.weight),
        together=event.together,
        vector=vector,
    )
