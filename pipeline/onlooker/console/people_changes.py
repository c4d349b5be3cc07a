"""Changes to people that the pages offer, each with what undoes it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onlooker.console import wording
from onlooker.console.people_cards import MAX_SELECTED, allowed, chosen, opened
from onlooker.escape import PEOPLE
from onlooker.identity.people.people import People
from onlooker.identity.people.person_changes import Kind

MAX_NAME_LENGTH = 100
MAX_DIGITS = 18
"""Of the number of a change, which is one of SQLite's."""
CHANGED = {"HX-Trigger": "people"}
"""Tells the page that it has to fetch its lists again."""
OURS: tuple[Kind, ...] = ("merge", "split", "name", "not", "hide", "show")
"""Kinds of changes that people make; the others are those of the program."""


class Form(NamedTuple):
    """The fields that a browser has sent."""

    fields: FormData

    @property
    def people(self) -> list[str]:
        return chosen(self._all("person"), "people")

    @property
    def visits(self) -> list[str]:
        return chosen(self._all("visit"), "visits")

    def text(self, name: str) -> str:
        return next(iter(self._all(name)), "").strip()

    def _all(self, name: str) -> list[str]:
        return [each for each in self.fields.getlist(name) if isinstance(each, str)]


async def change(request: Request) -> Response:
    """Make a change, and say what it was, with the button that undoes it."""
    make = CHANGES.get(request.path_params["what"])
    if make is None:
        raise HTTPException(404, "There is no such change.")
    async with request.form() as fields:
        return await run_in_threadpool(_change, request, make, Form(fields))


def _change(request: Request, make: Callable[[Form, People], str], form: Form) -> Response:
    context, _ = allowed(request, "console:ChangePeople")
    with opened(context) as people:
        before = people.journal.last_change()
        said = make(form, people)
        since = people.journal.changes(people.journal.last_change() - before)
        made = [each.number for each in since if each.change.kind in OURS]
    undo = ",".join(map(str, made)) if make is not _undo else ""
    answer = context.render(request, "people_done.html", said=said, undo=undo)
    answer.headers.update(CHANGED)
    return answer


def _name(form: Form, people: People) -> str:
    """Give a person a name that nobody has."""
    person, text = form.people[0], form.text("name")
    if not 1 <= len(text) <= MAX_NAME_LENGTH or not text.isprintable():
        raise HTTPException(400, f"A name has 1 to {MAX_NAME_LENGTH} characters, all visible.")
    written = PEOPLE.encode(text)
    same = people.journal.resolve(written)
    if people.journal.visitors(same) and same != people.known(person):
        raise HTTPException(
            409, f"There is a person {text} already. If they are one, select both and merge them."
        )
    people.name(person, written)
    return f"{wording.person(person)} is {text} now."


def _merge(form: Form, people: People) -> str:
    """Make the people one: the person in `into`."""
    into = people.known(form.text("into"))
    others = [each for each in form.people if people.known(each) != into]
    for each in others:
        people.merge(each, into)
    return f"{_names(others)} {_are(others)} {wording.person(into)} now."


def _hide(form: Form, people: People) -> str:
    """Leave the people out of lists, or no longer."""
    hidden = not form.text("show")
    for each in form.people:
        people.hide(each, hidden)
    return f"{_names(form.people)} {_are(form.people)} {'hidden' if hidden else 'shown'} now."


def _forget(form: Form, people: People) -> str:
    """Erase the people."""
    receipts = [people.forget(each) for each in form.people]
    visits = sum(each.appearances for each in receipts)
    who = [each.person for each in receipts]
    return f"{_names(who)} {_are(who)} erased, with {_visits(visits)}."


def _apart(form: Form, people: People) -> str:
    """Note that two people are two, so that nobody suggests otherwise."""
    if len(form.people) != 2:
        raise HTTPException(400, "Select two people.")
    first, second = form.people
    for a, b in ((first, second), (second, first)):
        for each in people.journal.last_appearances(people.known(b), 1):
            people.refuse(a, each)
    return f"{_names(form.people)} are two people."


def _split(form: Form, people: People) -> str:
    """Make visits of a person another person."""
    visits = form.visits
    made = people.split(form.people[0], visits)
    of = wording.person(form.people[0])
    return f"{_visits(len(visits))} of {of} {_are(visits)} {made} now."


def _not(form: Form, people: People) -> str:
    """Note that visits are not the person's."""
    for each in form.visits:
        people.refuse(form.people[0], each)
    return f"{_visits(len(form.visits))}: not {wording.person(form.people[0])}."


def _undo(form: Form, people: People) -> str:
    """Undo changes by their numbers, the newest first."""
    numbers = [
        int(each)
        for each in form.text("changes").split(",")
        if each.isascii() and each.isdigit() and len(each) <= MAX_DIGITS
    ]
    for number in sorted(numbers, reverse=True)[:MAX_SELECTED]:
        people.undo(number)
    return "Undone." if numbers else "There is nothing to undo."


CHANGES = {
    "name": _name,
    "merge": _merge,
    "hide": _hide,
    "forget": _forget,
    "apart": _apart,
    "split": _split,
    "not": _not,
    "undo": _undo,
}


def _names(people: Sequence[str]) -> str:
    return ", ".join(map(wording.person, people))


def _are(people: Sequence[str]) -> str:
    return "is" if len(people) == 1 else "are"


def _visits(number: int) -> str:
    return f"{number} visit{'s' if number != 1 else ''}"


ROUTES = (Route("/people/{what:str}", change, methods=["POST"]),)
