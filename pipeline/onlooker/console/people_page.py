"""People: who came and is in no collection, who may be one, and each with the visits."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onlooker.console import people_cards
from onlooker.console.console_context import ConsoleContext
from onlooker.console.people_cards import SHOWS, Card, Wanted, allowed, chosen, opened, with_face
from onlooker.identity.people.people import People
from onlooker.identity.people.person_changes import Visitor
from onlooker.record.log.reader import Log

MAX_SUGGESTIONS = 30
MAX_CHANGES = 30
PREVIEW_FACES = 6
QUESTIONS = ("name", "merge", "forget")
"""Changes that a dialog asks about."""


class Side(NamedTuple):
    """One of those who are to be merged."""

    card: Card
    start: float
    streams: Sequence[str]
    """Those that the user may see."""
    faces: Sequence[str]
    """Appearances with images."""


class Pair(NamedTuple):
    """Two people, and how alike they are."""

    first: Card
    second: Card
    similarity: float | None
    together: bool
    """Whether they were in an image at the same time: then they are two people."""


def show(request: Request) -> Response:
    """Show the page."""
    context, _ = allowed(request)
    return context.render(request, "people.html", shows=SHOWS, **_rows(request, context))


def rows(request: Request) -> Response:
    """Show a part of the list: its beginning, or what follows the person in `after`."""
    context, _ = allowed(request)
    return context.render(request, "people_rows.html", **_rows(request, context))


def _rows(request: Request, context: ConsoleContext) -> Mapping[str, Any]:
    wanted = Wanted.of(request.query_params)
    after = _place(request.query_params.get("after", ""))
    with context.people() as people, context.log() as log:
        everybody = [] if people is None else people_cards.cards(people)
        found = [card for card in everybody if wanted.fits(card)]
        later = [card for card in found if after is None or card.place > after]
        page = later[: people_cards.CARDS]
        if people is not None:
            page = [with_face(card, people, log) for card in page]
    return {
        "wanted": wanted,
        "cards": page,
        "number": len(found),
        "first": after is None,
        "anybody": bool(everybody),
        "last": page[-1] if len(later) > len(page) else None,
        "enabled": context.config.people.enabled,
    }


def _place(text: str) -> tuple[float, str] | None:
    """Return the place in the list that `after` names; None for its beginning."""
    if not text:
        return None
    end, _, person = text.partition("_")
    try:
        return -float(end), person
    except ValueError:
        raise HTTPException(400, f"{text[:80]!r} is no place in the list.") from None


def suggestions(request: Request) -> Response:
    """Show pairs of people who may be one."""
    context, _ = allowed(request)
    with context.people() as people, context.log() as log:
        pairs: list[Pair] = []
        if people is not None:
            known = {card.person: card for card in people_cards.cards(people)}
            for each in people.suggest():
                first, second = (known.get(person) for person in (each.person, each.other))
                if first is None or second is None or _together(people, first, second):
                    continue
                faces = [with_face(card, people, log) for card in (first, second)]
                pairs.append(Pair(faces[0], faces[1], each.similarity, False))
                if len(pairs) == MAX_SUGGESTIONS:
                    break
    return context.render(request, "people_suggestions.html", pairs=pairs)


def _together(people: People, first: Card, second: Card) -> bool:
    """Return whether two people were in an image at the same time."""
    both = [people.journal.visitors(card.person) for card in (first, second)]
    for own, others in (both, both[::-1]):
        ids = {each.appearance for each in own}
        if any(ids.intersection(each.together) for each in others):
            return True
    return False


def changes(request: Request) -> Response:
    """Show the last changes, which can be undone."""
    context, _ = allowed(request)
    with context.people() as people:
        found = [] if people is None else people.journal.changes(MAX_CHANGES)
    return context.render(request, "people_changes.html", changes=found)


def ask(request: Request) -> Response:
    """Show the dialog before a change: what will be, and the button that does it."""
    context, session = allowed(request, "console:ChangePeople")
    what = request.path_params["what"]
    if what not in QUESTIONS:
        raise HTTPException(404, "There is no such change.")
    persons = chosen(request.query_params.getlist("person"), "people")
    with opened(context) as people, context.log() as log:
        sees = partial(context.sees, session)
        sides = [_side(people, log, people.known(each), sees) for each in persons]
        pairs = []
        if what == "merge":
            if len(sides) < 2:
                raise HTTPException(400, "Select two people or more to merge.")
            pairs = [_pair(people, a.card, b.card) for a, b in combinations(sides, 2)]
        names = [card.name for card in people_cards.cards(people) if not card.unknown]
    return context.render(
        request,
        f"people_ask_{what}.html",
        sides=sides,
        pairs=sorted(pairs, key=lambda pair: (not pair.together, pair.similarity or 0.0)),
        names=names,
    )


def _side(people: People, log: Log | None, person: str, sees: Callable[[str], bool]) -> Side:
    visitors: Sequence[Visitor] = people.journal.visitors(person)
    last = reversed(visitors)
    faces = [each.appearance for each in last if people_cards.has_face(log, each.appearance)]
    card = Card(person, len(visitors), visitors[-1].end, False, faces[0] if faces else None)
    streams = sorted({each.stream for each in visitors if sees(each.stream)})
    return Side(card, min(each.start for each in visitors), streams, faces[:PREVIEW_FACES])


def _pair(people: People, first: Card, second: Card) -> Pair:
    similarity = people.similarity(first.person, second.person)
    return Pair(first, second, similarity, _together(people, first, second))


def one(request: Request) -> Response:
    """Show a person: the visits, and what can be done with them."""
    context, _ = allowed(request)
    asked = request.query_params.get("person", "")
    with opened(context) as people:
        person = people.known(asked)
    if person != asked:
        return RedirectResponse(f"/people/one?{urlencode({'person': person})}", 303)
    return context.render(request, "person.html", **_visits(request, context, person))


def part(request: Request) -> Response:
    """Show the same without the page around it, for a person who may have changed or gone."""
    context, _ = allowed(request)
    with opened(context) as people:
        person = people.journal.resolve(request.query_params.get("person", ""))
    return context.render(request, "person_part.html", **_visits(request, context, person))


def visits(request: Request) -> Response:
    """Show further visits of a person."""
    context, _ = allowed(request)
    person = request.query_params.get("person", "")
    return context.render(request, "person_visits.html", **_visits(request, context, person))


def _visits(request: Request, context: ConsoleContext, person: str) -> Mapping[str, Any]:
    start = _count(request.query_params.get("after", "0"))
    _, session = allowed(request)
    with opened(context) as people, context.log() as log:
        visitors = people.journal.visitors(person)[::-1]
        page = visitors[start : start + people_cards.CARDS]
        shown = [
            (each, people_cards.has_face(log, each.appearance))
            for each in page
            if context.sees(session, each.stream)
        ]
        hidden = any(card.hidden for card in people_cards.cards(people) if card.person == person)
    end = start + len(page)
    return {
        "person": person,
        "unknown": people_cards.is_unknown(person),
        "hidden": hidden,
        "visits": shown,
        "number": len(visitors),
        "last": end if end < len(visitors) else None,
    }


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise HTTPException(400, f"{text[:80]!r} is no place in the list.")
    return int(text)


ROUTES = (
    Route("/people", show),
    Route("/people/rows", rows),
    Route("/people/suggestions", suggestions),
    Route("/people/changes", changes),
    Route("/people/one", one),
    Route("/people/part", part),
    Route("/people/visits", visits),
    Route("/people/ask/{what:str}", ask),
)
