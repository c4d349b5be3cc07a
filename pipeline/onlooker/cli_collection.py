"""`onlooker collection`: who is known."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table
from rich.text import Text

from onlooker import config as configuration
from onlooker.enrol import Enroller, pictures
from onlooker.identity.match import Matcher
from onlooker.identity.store import Collection, CollectionNotFound, Store, default_path
from onlooker.media import image
from onlooker.types import StoredFace
from onlooker.vision.embed import FaceEmbedder
from onlooker.vision.faces import FaceFinder
from onlooker.vision.mesh import Mesher, unlaid

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Keep people in collections: create, index, list, search, delete.",
)
Name = Annotated[str, typer.Argument(help="Name of the collection.", metavar="NAME")]
console = Console(markup=False, emoji=False, highlight=False)


def _identity() -> tuple[Column, Column]:
    """Columns for a name, which may be long, and for the FaceId, which `delete` wants whole."""
    return Column("ExternalImageId", overflow="fold"), Column("FaceId", no_wrap=True)


@contextmanager
def opened() -> Iterator[Store]:
    """The user's store."""
    with Store(default_path()) as store:
        yield store


def all_collections(store: Store) -> Iterator[Collection]:
    page = store.collections()
    yield from page.collections
    while page.token:
        page = store.collections(token=page.token)
        yield from page.collections


def all_faces(store: Store, name: str) -> Iterator[StoredFace]:
    page = store.faces(name)
    yield from page.faces
    while page.token:
        page = store.faces(name, token=page.token)
        yield from page.faces


@app.command()
def create(name: Name) -> None:
    """Make an empty collection.

    Example: `onlooker collection create staff`
    """
    with opened() as store:
        made = store.create_collection(name, configuration.load().faces.embedder)
    console.print(f"created {made.name} (model {made.model})")


@app.command()
def index(
    name: Name,
    paths: Annotated[list[Path], typer.Argument(help="Pictures, folders, or a folder of folders.")],
) -> None:
    """Add the largest face of each picture.

    In a folder of folders every picture gets its folder's name as ExternalImageId; in a flat folder
    it gets the file's stem. The collection is made if it is not there.

    Example: `onlooker collection index staff people/`
    """
    found = list(pictures(paths))
    if not found:
        raise typer.BadParameter(f"no JPEG or PNG under {', '.join(map(str, paths))}")
    settings = configuration.load()
    stored = 0
    given: dict[str, int] = {}
    with opened() as store:
        try:
            store.collection(name)
        except CollectionNotFound:
            store.create_collection(name, settings.faces.embedder)
        enrol = Enroller(store, name, settings)
        for path, external in track(found, description="indexing", console=console):
            done = enrol(path, external)
            if done.stored is None:
                console.print(Text.assemble(("not indexed", "yellow"), f" {path}: {done.reason}"))
                continue
            stored += 1
            given[external] = given.get(external, 0) + 1
            if done.passed_over:
                console.print(f"{path}: took the largest of {done.passed_over + 1} faces")
    console.print(f"{stored} of {len(found)} pictures indexed in {name}")
    for external, times in given.items():
        console.print(f"  {external}  {times}")
    if not stored:
        raise typer.Exit(1)


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="Collection whose faces to list.")] = None,
) -> None:
    """List the collections, or the faces of one.

    Example: `onlooker collection list staff`
    """
    with opened() as store:
        if name is None:
            table = Table("collection", "faces", "model")
            for collection in sorted(all_collections(store), key=lambda one: one.name):
                table.add_row(collection.name, str(collection.faces), collection.model)
        else:
            table = Table(*_identity(), "Confidence")
            for face in all_faces(store, name):
                table.add_row(face.external_image_id or "", face.face_id, f"{face.confidence:.1f}")
    console.print(table)


@app.command()
def search(
    name: Name,
    picture: Annotated[Path, typer.Argument(help="A JPEG or PNG.")],
    threshold: Annotated[
        float | None, typer.Option(min=0, max=100, help="Least Similarity of a match.")
    ] = None,
) -> None:
    """Say whom the largest face of a picture is like.

    Example: `onlooker collection search staff visitor.jpg`
    """
    settings = configuration.load()
    shown = image.read(picture)
    finder = FaceFinder(settings.faces, settings.runtime.provider)
    faces = finder(shown)
    if not faces:
        console.print(f"{picture}: there are no faces in the picture")
        raise typer.Exit(1)
    lay = Mesher(settings.runtime.provider) if settings.faces.mesh else unlaid
    embed = FaceEmbedder(settings.faces, settings.runtime.provider)
    with opened() as store:
        [identities] = Matcher(store, embed.space).faces(
            name,
            embed(shown, lay(shown, faces[:1])),
            settings.match.threshold if threshold is None else threshold,
            settings.match.max_faces,
        )
    table = Table("Similarity", *_identity())
    for identity in identities:
        table.add_row(
            f"{identity.similarity:.1f}",
            identity.face.external_image_id or "",
            identity.face.face_id,
        )
    console.print(table if identities else "nobody in the collection is like this face")


@app.command()
def delete(
    name: Name,
    faces: Annotated[
        list[str] | None, typer.Option("--face", help="FaceId to delete; may be given often.")
    ] = None,
) -> None:
    """Delete faces, or without --face the whole collection.

    Example: `onlooker collection delete staff`
    """
    with opened() as store:
        if faces:
            outcome = store.delete_faces(name, faces)
            console.print(f"deleted {len(outcome.deleted)} of {len(faces)} faces from {name}")
            for failure in outcome.failed:
                console.print(f"  not {failure.face_id}: {failure.reason}")
            if outcome.failed:
                raise typer.Exit(1)
        else:
            store.delete_collection(name)
            console.print(f"deleted {name}")
