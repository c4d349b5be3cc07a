"""Enrolled people: those in collections, and photographs that are put there."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from onlooker.console import console_context, wording
from onlooker.console.console_context import ConsoleContext
from onlooker.console.people_changes import CHANGED, MAX_NAME_LENGTH
from onlooker.console.sessions import Session
from onlooker.identity.enrol import Enroller, external_image_id
from onlooker.identity.errors import CollectionNotFound, InvalidName
from onlooker.identity.faces import NewFace
from onlooker.identity.people.people import COLLECTION
from onlooker.identity.search.searcher import all_collections, all_faces
from onlooker.record.log.visit_table import folded
from onlooker.types import StoredFace

MAX_FACES = 50_000
"""Faces of a collection that are read for its list."""
ROWS = 100
"""People who are loaded at once."""
MAX_FILE_NAME_LENGTH = 200


class Enrolled(NamedTuple):
    """A person of a collection."""

    person: str
    faces: int


def show(request: Request) -> Response:
    """Show the page."""
    context, session = _allowed(request)
    values = _rows(request, context, session)
    return context.render(request, "enrolled.html", may_change=_may(session), **values)


def rows(request: Request) -> Response:
    """Show a part of the list: its beginning, or what follows the person in `after`."""
    context, session = _allowed(request)
    return context.render(request, "enrolled_rows.html", **_rows(request, context, session))


def _allowed(request: Request) -> tuple[ConsoleContext, Session]:
    return console_context.of(request), console_context.allowed(request, "console:View")


def _may(session: Session) -> bool:
    return session.allows("console:ChangePeople")


def collections(context: ConsoleContext, session: Session) -> list[str]:
    """Return the collections that a user may use, by name; the one that streams search first."""
    found = [each.name for each in all_collections(context.api.searcher)]
    own = context.config.match.collection
    reached = [
        each
        for each in found
        if not each.startswith("_")
        and (session.key is None or session.key.reaches("collection", each))
    ]
    return sorted(reached, key=lambda name: (name != own, name))


def _rows(request: Request, context: ConsoleContext, session: Session) -> Mapping[str, Any]:
    known = collections(context, session)
    asked = request.query_params.get("collection", "")
    collection = asked if asked in known else next(iter(known), None)
    find = request.query_params.get("find", "").strip()
    after = request.query_params.get("after", "")
    everybody: list[Enrolled] = []
    faces: list[StoredFace] = []
    if collection is not None:
        faces = list(islice(all_faces(context.api.searcher, collection), MAX_FACES))
        everybody = _people(faces)
    wanted = folded(find)
    found = [each for each in everybody if wanted in folded(wording.person(each.person))]
    later = [each for each in found if each.person > after]
    page = later[:ROWS]
    return {
        "collections": known,
        "collection": collection,
        "suggested": collection or context.config.match.collection or "people",
        "find": find,
        "people": page,
        "number": len(found),
        "first": not after,
        "complete": len(faces) < MAX_FACES,
        "last": page[-1].person if len(later) > len(page) else None,
    }


def _people(faces: Iterable[StoredFace]) -> list[Enrolled]:
    """Return the people of faces by name: their user, ExternalImageId or FaceId."""
    counts = Counter(face.user_id or face.external_image_id or face.face_id for face in faces)
    return [Enrolled(*each) for each in sorted(counts.items())]


async def add(request: Request) -> Response:
    """Put the largest face of a photograph into a collection, and say what became of it."""
    context, session = _allowed(request)
    console_context.allowed(request, "console:ChangePeople")
    async with request.form(max_files=1) as form:
        image, collection = form.get("image"), str(form.get("collection", "")).strip()
        name = str(form.get("name", "")).strip()
        if not isinstance(image, UploadFile):
            raise HTTPException(400, "There is no photograph.")
        data, file = await image.read(), image.filename or ""
    if session.key is not None and not session.key.reaches("collection", collection):
        raise HTTPException(403, f"This key may not use the collection {collection[:255]!r}.")
    if collection.startswith("_"):
        raise HTTPException(400, f"{COLLECTION} is kept by Onlooker; name another collection.")
    shown = file[:MAX_FILE_NAME_LENGTH]
    name = name or file.rpartition("/")[2].rpartition("\\")[2].rpartition(".")[0]
    if not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise HTTPException(400, f"{shown}: a name has up to {MAX_NAME_LENGTH} visible characters.")
    added, said = await run_in_threadpool(_add, context, collection, name, data, shown)
    return PlainTextResponse(
        f"{shown}: {said}", headers={"X-Outcome": "good" if added else "wrong"}
    )


def _add(
    context: ConsoleContext, collection: str, name: str, data: bytes, file: str
) -> tuple[bool, str]:
    """Return whether the photograph was added, and what became of it in words."""
    searcher = context.api.searcher
    try:
        person = external_image_id(name)
    except InvalidName as error:
        return False, str(error)
    with context.api.analyser.lend() as analyser:
        portrait = Enroller(context.config, analyser)(data, file)
    if portrait.vector is None:
        return False, f"not added: {portrait.reason}"
    face = NewFace(
        picture=data,
        external_image_id=person,
        box=portrait.box,
        confidence=portrait.confidence,
        vector=portrait.vector,
    )
    try:
        searcher.collection(collection)
    except CollectionNotFound:
        searcher.create_collection(collection)
    searcher.add(collection, [face])
    more = portrait.passed_over
    others = f"; {more} smaller face{'s' if more > 1 else ''} in it left out" if more else ""
    return True, f"added to {collection} as {wording.person(person)}{others}"


async def remove(request: Request) -> Response:
    """Remove a person, with all faces, from a collection."""
    context, session = _allowed(request)
    console_context.allowed(request, "console:ChangePeople")
    async with request.form() as form:
        collection, person = str(form.get("collection", "")), str(form.get("person", ""))
    if collection not in await run_in_threadpool(collections, context, session):
        raise HTTPException(404, f"There is no collection {collection[:255]!r}.")
    number = await run_in_threadpool(_remove, context, collection, person)
    said = f"{wording.person(person)}: {number} face{'s' if number != 1 else ''} removed."
    answer = context.render(request, "people_done.html", said=said, undo=None)
    answer.headers.update(CHANGED)
    return answer


def _remove(context: ConsoleContext, collection: str, person: str) -> int:
    """Delete a person's user and faces; return the number of the faces."""
    searcher = context.api.searcher
    own = [
        face
        for face in all_faces(searcher, collection)
        if person == (face.user_id or face.external_image_id or face.face_id)
    ]
    if any(face.user_id == person for face in own):
        searcher.delete_user(collection, person)
    return len(searcher.delete_faces(collection, [face.face_id for face in own]).deleted)


ROUTES = (
    Route("/people/enrolled", show),
    Route("/people/enrolled/rows", rows),
    Route("/people/enrolled/add", add, methods=["POST"]),
    Route("/people/enrolled/remove", remove, methods=["POST"]),
)
