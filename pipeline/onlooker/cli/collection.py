"""`onlooker collection`: who is known."""

import contextlib
import enum
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table
from rich.text import Text

from onlooker.cli.pull_models import pull_models
from onlooker.config.load import load
from onlooker.identity import backup as copies
from onlooker.identity import transfer
from onlooker.identity.enrol import enrol, image_files, wanted
from onlooker.identity.errors import CollectionExists
from onlooker.identity.faces import CollectionInfo
from onlooker.identity.search.matcher import Matcher
from onlooker.identity.store import Store, default_path
from onlooker.media import image
from onlooker.models.card import space
from onlooker.types import StoredFace
from onlooker.vision import analyser
from onlooker.vision.analyser import Analyser, Wanted
from onlooker.vision.quality import everyone

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Keep people in collections: create, index, list, search, delete.",
)
Name = Annotated[str, typer.Argument(help="Name of the collection.", metavar="NAME")]
NAMES_SHOWN = 50


class Way(enum.Enum):
    """`onlooker.identity.faces.Method` as typer knows it."""

    auto = "auto"
    exact = "exact"
    annoy = "annoy"


console = Console(markup=False, emoji=False, highlight=False)


def _identity() -> tuple[Column, Column]:
    """Columns for a name, which may be long, and for the FaceId, which `delete` wants whole."""
    return Column("ExternalImageId", overflow="fold"), Column("FaceId", no_wrap=True)


@contextmanager
def opened() -> Iterator[Store]:
    """The user's store."""
    with Store(default_path()) as store:
        yield store


def all_collections(store: Store) -> Iterator[CollectionInfo]:
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
        made = store.make_collection(name, load().faces.embedder)
    console.print(f"created {made.name} (model {made.model})")


@app.command()
def index(
    name: Name,
    paths: Annotated[list[Path], typer.Argument(help="Pictures, folders, or a folder of folders.")],
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes that look at pictures.", show_default="one a core")
    ] = os.cpu_count() or 1,
    report: Annotated[
        Path | None,
        typer.Option(help="Write what was not indexed, and why, here: one JSON object a line."),
    ] = None,
) -> None:
    """Add the largest face of each picture.

    In a folder of folders every picture gets its folder's name as ExternalImageId; in a flat folder
    it gets the file's stem. The collection is made if it is not there. A run that was broken off is
    taken up by the same command: pictures that are indexed already are not looked at again.

    Example: `onlooker collection index staff people/`
    """
    found = list(image_files(paths))
    if not found:
        raise typer.BadParameter(f"no JPEG or PNG under {', '.join(map(str, paths))}")
    settings = load()
    pull_models(analyser.cards(settings, wanted(settings)))
    outcome: Counter[str] = Counter()
    given: Counter[str] = Counter()
    with opened() as store, _opened_report(report) as lines:
        with contextlib.suppress(CollectionExists):
            store.make_collection(name, settings.faces.embedder)
        looks = enrol(store, name, found, settings, jobs)
        for look in track(looks, "indexing", len(found), console=console):
            if look.new is not None:
                outcome["indexed"] += 1
                given[look.external_image_id] += 1
                if look.passed_over:
                    console.print(f"{look.path}: took the largest of {look.passed_over + 1} faces")
                continue
            outcome["indexed already" if look.known else "not indexed"] += 1
            if not look.known:
                console.print(
                    Text.assemble(("not indexed", "yellow"), f" {look.path}: {look.reason}")
                )
                if lines is not None:
                    told = {"Path": str(look.path), "Reason": look.reason}
                    lines.write(msgspec.json.encode(told) + b"\n")
    counts = ", ".join(f"{count} {what}" for what, count in outcome.items())
    console.print(f"{len(found)} pictures for {name}: {counts}")
    for external, times in given.most_common(NAMES_SHOWN):
        console.print(f"  {external}  {times}")
    if len(given) > NAMES_SHOWN:
        console.print(f"  and {len(given) - NAMES_SHOWN} more names")
    if not outcome["indexed"] + outcome["indexed already"]:
        raise typer.Exit(1)


def _opened_report(file: Path | None) -> contextlib.AbstractContextManager[BinaryIO | None]:
    try:
        return contextlib.nullcontext() if file is None else file.open("wb")
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from error


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
    settings = load()
    shown = image.read(picture)
    largest = Wanted(text=False, max_faces=1, select=everyone)
    [analysis] = Analyser(settings)([shown], [largest])
    if not analysis.faces:
        console.print(f"{picture}: there are no faces in the picture")
        raise typer.Exit(1)
    with opened() as store:
        [identities] = Matcher(store, space(settings.faces.embedder)).faces(
            name,
            analysis.faces[0].row,
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


@app.command()
def method(
    name: Name,
    way: Annotated[Way, typer.Argument(help="How searches choose whom to compare.")],
) -> None:
    """Have a collection searched in another way.

    `auto` takes what is fastest: from 1000 faces on, short codes choose some hundreds, which are
    compared exactly. `exact` compares all. `annoy` has Annoy's trees choose.

    Example: `onlooker collection method staff exact`
    """
    with opened() as store:
        store.set_method(name, way.value)
    console.print(f"{name} is searched by {way.value}")


@app.command()
def verify() -> None:
    """Read all there is and say whether it is whole.

    Example: `onlooker collection verify`
    """
    with opened() as store:
        wrong = list(copies.verify(store))
        faces = sum(collection.faces for collection in all_collections(store))
    for problem in wrong:
        console.print(Text.assemble(("wrong", "red"), f" {problem}"))
    if wrong:
        raise typer.Exit(1)
    console.print(f"{default_path()}: whole, {faces} faces")


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="The copy to write.")]) -> None:
    """Copy all collections, as they are now, into one file. Others may go on meanwhile.

    Example: `onlooker collection backup faces-2026-11.db`
    """
    with opened() as store:
        copies.backup(store, file)
    console.print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")]) -> None:
    """Put a backup in the place of all collections. What was there is kept under another name.

    Example: `onlooker collection restore faces-2026-11.db`
    """
    old = copies.restore(default_path(), file)
    console.print(f"{default_path()} is {file} now")
    if old is not None:
        console.print(f"what was there is {old}")


@app.command()
def export(
    name: Name, file: Annotated[Path, typer.Argument(help="NAME.jsonl; NAME.npy comes beside it.")]
) -> None:
    """Write a collection as JSON lines, and its vectors as a NumPy array beside them.

    Example: `onlooker collection export staff staff.jsonl`
    """
    with opened() as store:
        count = transfer.export(store, name, file)
    console.print(f"{count} faces in {file} and {file.with_suffix('.npy')}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="NAME.jsonl, with NAME.npy beside it.")],
    name: Annotated[
        str | None, typer.Option("--as", help="Another name for the collection.", metavar="NAME")
    ] = None,
) -> None:
    """Make a collection of what `export` wrote. Faces keep their ids.

    Example: `onlooker collection import staff.jsonl --as staff2`
    """
    with opened() as store:
        count = transfer.import_(store, file, name)
    console.print(f"{count} faces imported")
