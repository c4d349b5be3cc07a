"""The sink that assigns appearances to people: see `onlooker.identity.people`.

Only those whom the collection of `[match]` does not know. The tracker assigns them first, so that
events have the id; this sink finds those that it could not, because the store failed. The position
in the log is in the journal of people. If the store fails, the appearances wait in the log.
"""

import logging
from collections.abc import Sequence

from onlooker.identity.errors import StoreError
from onlooker.identity.people.people import People
from onlooker.identity.people.person_changes import Visitor
from onlooker.record.log.reader import Entry, Log
from onlooker.record.sinks.sink import Follower
from onlooker.rekognition.shapes import Appearance, RecordError, decode

logger = logging.getLogger(__name__)


class PeopleFollower(Follower):
    """A follower for UnknownPeople: if the store fails, only the people wait, and nobody else."""

    _failing = False

    def step(self) -> int:
        """Assign the next appearances, or log once why that is not possible. Raises LogError."""
        try:
            found = super().step()
        except StoreError as error:
            if not self._failing:
                logger.error("appearances wait for the store of people error=%s", error)
            self._failing = True
            return 0
        if self._failing:
            logger.error("appearances are assigned again")
            self._failing = False
        return found


class UnknownPeople:
    """A sink of `log`."""

    def __init__(self, log: Log, people: People) -> None:
        self._log = log
        self._people = people
        self._name = people.journal.name_of(log.path)
        self.position = people.journal.position(self._name)

    def write(self, entries: Sequence[Entry]) -> None:
        """Assign the appearances that end in these records. Raises StoreError."""
        for entry in entries:
            try:
                ended = _ended(entry)
            except RecordError as error:
                logger.error("record left out position=%d error=%s", entry.position, error)
                ended = []
            for event in ended:
                self._assign(entry.stream, event)
            self.position = entry.position
        with self._people.journal.transaction():
            self._people.journal.set_position(self._name, self.position)

    def close(self) -> None:
        self._people.close()

    def __enter__(self) -> "UnknownPeople":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _assign(self, stream: str, event: Appearance) -> None:
        vector = self._log.vector(event.AppearanceId)
        if vector is None:
            return
        self._people.join(
            Visitor(
                appearance=event.AppearanceId,
                stream=stream,
                start=event.Start,
                end=event.End,
                frames=event.Frames,
                clarity=event.Clarity,
                together=event.Together,
                vector=vector,
            )
        )


def _ended(entry: Entry) -> list[Appearance]:
    """Return the appearances of unknown people that end in a record. Raises RecordError."""
    if b'"Appearances":' not in entry.body:
        return []
    found = decode(entry.body).Appearances
    return [event for event in found if event.State == "end" and event.Match is None]
