"""People as the pages list them: the people of the journal, each with a face to show."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple
from uuid import UUID

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request

from onlooker.console import console_context, wording
from onlooker.console.console_context import ConsoleContext
from onlooker.console.sessions import Session
from onlooker.identity.people.people import COLLECTION, People
from onlooker.record.log import visit_table
from onlooker.record.log.reader import Log

CARDS = 60
"""People who are loaded at once; further ones follow as the page is scrolled."""
FACES_TRIED = 5
"""Last appearances of a person of which one with an image is shown."""
MAX_SELECTED = 50
"""People, or appearances, of one change."""

Show = Literal["all", "unknown", "named", "hidden"]
SHOWS: tuple[Show, ...] = ("all", "unknown", "named", "hidden")


class Card(NamedTuple):
    """A person as the pages show one."""

    person: str
    visits: int
    end: float
    """The end of the last visit."""
    hidden: bool
    face: str | None = None
    """An appearance that has an image."""

    @property
    def name(self) -> str:
        return wording.person(self.person)

    @property
    def unknown(self) -> bool:
        """Whether nobody has named the person."""
        return is_unknown(self.person)

    @property
    def place(self) -> tuple[float, str]:
        """The place in the list: the most recent first."""
        return -self.end, self.person


class Wanted(NamedTuple):
    """The conditions of the page's form, as they were typed."""

    find: str
    show: Show

    @classmethod
    def of(cls, values: QueryParams) -> "Wanted":
        show = next((each for each in SHOWS if each == values.get("show")), SHOWS[0])
        return cls(values.get("find", "").strip(), show)

    def fits(self, card: Card) -> bool:
        shown = {
            "all": not card.hidden,
            "unknown": card.unknown and not card.hidden,
            "named": not card.unknown and not card.hidden,
            "hidden": card.hidden,
        }
        return shown[self.show] and visit_table.folded(self.find) in visit_table.folded(card.name)


def is_unknown(person: str) -> bool:
    """Return whether an id is that of somebody without a name."""
    return person.removeprefix("unknown-").isdigit()


def allowed(request: Request, action: str = "console:View") -> tuple[ConsoleContext, Session]:
    """Return the context and the session of a user who may see people, and do `action`.

    Raises HTTPException.
    """
    session = console_context.allowed(request, action)
    if session.key is not None and not session.key.reaches("collection", COLLECTION):
        raise HTTPException(
            403, f"This key may not see people: it lacks the collection {COLLECTION}."
        )
    return console_context.of(request), session


@contextmanager
def opened(context: ConsoleContext) -> Iterator[People]:
    """Lend the people. Raises HTTPException if there are none yet."""
    with context.people() as people:
        if people is None:
            raise HTTPException(404, "Nobody is known yet.")
        yield people


def cards(people: People) -> list[Card]:
    """Return all people, the most recent first."""
    return sorted((Card(*each) for each in people.journal.people()), key=lambda card: card.place)


def with_face(card: Card, people: People, log: Log | None) -> Card:
    """Return the card with a face, if the log has one."""
    last = people.journal.last_appearances(card.person, FACES_TRIED)
    return card._replace(face=next((each for each in last if has_face(log, each)), None))


def has_face(log: Log | None, appearance: str) -> bool:
    """Return whether the log has an image of an appearance."""
    return log is not None and is_visit(appearance) and log.best_face(appearance) is not None


def is_visit(text: str) -> bool:
    """Return whether a text is the id of a visit."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def chosen(values: Sequence[str], what: str) -> list[str]:
    """Return what was selected, each once. Raises HTTPException if it is nothing, or too much."""
    found = list(dict.fromkeys(values))
    if not found:
        raise HTTPException(400, f"Select {what} first.")
    if len(found) > MAX_SELECTED:
        raise HTTPException(400, f"Select {MAX_SELECTED} at most; {len(found)} are selected.")
    return found
