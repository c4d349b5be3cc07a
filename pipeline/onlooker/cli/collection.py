"""`onlooker collection`: people in collections."""

import contextlib
import enum
import functools
import os
from collections import Counter, defaultdict
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

from onlooker import durable_file
from onlooker.cli.ending import if_stopped
from onlooker.cli.pull_models import pull_models
from onlooker.cli.terminal import counted
from onlooker.config.load import load
from onlooker.durable_file import Occupied
from onlooker.errors import printable
from onlooker.escape import PEOPLE
from onlooker.identity import backup as backups
from onlooker.identity import transfer
from onlooker.identity.collection import LARGEST, Collection
from onlooker.identity.enrol import Outcome, image_files, other_files, wanted
from onlooker.identity.errors import NoFaceFound, StoreError
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.searcher import Searcher, all_collections
from onlooker.identity.store import Store, default_path
from onlooker.models.card import space
from onlooker.vision import analyser

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Keep people in collections: create, index, list, search, delete.",
)
Name = Annotated[str, typer.Argument(help="Name of the collection.", metavar="NAME")]
MAX_NAMES_SHOWN = 50
MAX_FOLDERS_SHOWN = 3
MAX_REPORT_LINE_BYTES = 1 << 16


class Method(enum.Enum):
    """`onlooker.identity.faces.Method` in the form that typer takes."""

    auto = "auto"
    exact = "exact"
    annoy = "annoy"


console = Console(markup=False, emoji=False, highlight=False)
_say = functools.partial(console.print, soft_wrap=True)
"""Prints single lines with paths or names in them, which stay whole, also beside a progress bar."""


def _person() -> tuple[Column, Column]:
    """Return columns for a name, which may be long, and for the FaceId, which must be complete."""
    return Column("ExternalImageId", overflow="fold"), Column("FaceId", no_wrap=True)


def _named(external_image_id: str | None) -> str:
    """Return an ExternalImageId, with the name before it if that is written otherwise."""
    written = external_image_id or ""
    name = PEOPLE.shown(written)
    return name if name == written else f"{name} ({written})"


Place = tuple[Path, str | None]
"""Path and URL of a store, of which the URL is that of a database of PostgreSQL."""


def _place() -> Place:
    """Return the place of the user's store."""
    return default_path(), load().store.url


@contextmanager
def _opened(place: Place) -> Iterator[Searcher]:
    """Open the collections there."""
    path, url = place
    with open_searcher(path, space(load().faces.embedder), url) as searcher:
        yield searcher


class NoStore(StoreError):
    """There are no collections yet."""


def _existing() -> Place:
    """Return the place of the user's store. Raises NoStore: only to write one is a file created."""
    path, url = _place()
    if url is None and not path.exists():
        raise NoStore(f"{path}: there is no collection yet; `onlooker collection create` makes one")
    return path, url


@app.command()
def create(name: Name) -> None:
    """Create an empty collection.

    Example: `onlooker collection create staff`
    """
    with _opened(_place()) as searcher:
        made = searcher.create_collection(name)
    advice = f"`onlooker collection index {made.name} FOLDER` fills it"
    console.print(f"created {made.name} (model {made.model}); {advice}")


@app.command()
def index(
    name: Name,
    paths: Annotated[list[Path], typer.Argument(help="Images, folders, or a folder of folders.")],
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes that analyse images.", show_default="one a core")
    ] = os.cpu_count() or 1,
    report: Annotated[
        Path | None,
        typer.Option(help="Write what was not indexed, and why, here: one JSON object a line."),
    ] = None,
) -> None:
    """Add the largest face of each image.

    In a folder of folders every image gets its folder's name as ExternalImageId; in a flat folder
    it gets the file's stem. Amazon allows few characters there: the others are written in hex, as
    in M:fc:ller for Müller, a space as two colons. The collection is created if it does not exist.
    An interrupted run is resumed by the same command: images that are indexed already are not
    analysed again.

    Example: `onlooker collection index staff people/`
    """
    count = sum(1 for _ in image_files(paths))
    if not count:
        raise typer.BadParameter(f"no JPEG or PNG under {', '.join(map(str, paths))}")
    settings = load()
    pull_models(analyser.cards(settings, wanted(settings)))
    counts: Counter[str] = Counter()
    names: Counter[str] = Counter()
    folders: defaultdict[str, set[Path]] = defaultdict(set)
    with (
        if_stopped(lambda: _indexed(counts, count)),
        Collection(name, config=settings) as collection,
        _opened_report(report) as lines,
    ):
        outcomes = collection.index_files(paths, jobs)
        for outcome in track(outcomes, "indexing", count, console=console):
            if outcome.new is not None:
                counts["indexed"] += 1
                names[outcome.external_image_id] += 1
                folders[outcome.external_image_id].add(outcome.path.parent)
                if outcome.passed_over:
                    _say(f"{outcome.path}: took the largest of {outcome.passed_over + 1} faces")
            elif outcome.known:
                counts["indexed already"] += 1
            else:
                counts["not indexed"] += 1
                _complain(outcome, lines)
        for path in other_files(paths):
            counts["not indexed"] += 1
            reason = "neither JPEG nor PNG by its name"
            _complain(Outcome(path=path, external_image_id="", reason=reason), lines)
    summary = ", ".join(f"{number} {result}" for result, number in counts.items())
    _say(f"{counted(count, 'image')} for {name}: {summary}")
    for external, times in names.most_common(MAX_NAMES_SHOWN):
        _say(f"  {_named(external)}  {times}")
    if len(names) > MAX_NAMES_SHOWN:
        _say(f"  and {len(names) - MAX_NAMES_SHOWN} more names")
    for external, places in folders.items():
        if len(places) > 1:
            shown = ", ".join(map(str, sorted(places)[:MAX_FOLDERS_SHOWN]))
            _say(
                Text.assemble(
                    ("one name", "yellow"),
                    f" {PEOPLE.shown(external)} for images of {len(places)} folders: {shown}",
                )
            )
    if not counts["indexed"] + counts["indexed already"]:
        raise typer.Exit(1)


def _indexed(counts: Counter[str], images: int) -> str:
    """Return what has been done when the command is stopped."""
    number = counts["indexed"] + counts["indexed already"]
    shown = counted(images, "image is", "images are")
    return f"{number} of {shown} indexed; the same command continues with the others"


def _complain(outcome: Outcome, report: BinaryIO | None) -> None:
    """Print why an image was not indexed, and write it to the report if there is one."""
    _say(Text.assemble(("not indexed", "yellow"), f" {outcome.path}: {outcome.reason}"))
    if report is not None:
        line = {"Path": printable(str(outcome.path)), "Reason": printable(outcome.reason)}
        report.write(msgspec.json.encode(line) + b"\n")


def _opened_report(file: Path | None) -> contextlib.AbstractContextManager[BinaryIO | None]:
    """Open the report, in place of one that an earlier run wrote. Raises Occupied."""
    if file is None:
        return contextlib.nullcontext()
    try:
        durable_file.claim(file, _is_report, "a report of images")
        return file.open("wb")
    except Occupied:
        raise
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from error


def _is_report(file: BinaryIO) -> bool:
    """Return whether an open file has nothing but lines of a report; the last may be unfinished."""
    while line := file.readline(MAX_REPORT_LINE_BYTES):
        if not line.endswith(b"\n"):
            beginning = b'{"Path":'
            return line.startswith(beginning) or beginning.startswith(line)
        try:
            if set(msgspec.json.decode(line)) != {"Path", "Reason"}:
                return False
        except (msgspec.DecodeError, TypeError):
            return False
    return True


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="Collection whose faces to list.")] = None,
) -> None:
    """List the collections, or the faces of one.

    Example: `onlooker collection list staff`
    """
    if name is None:
        table = Table("collection", "faces", "model")
        with contextlib.suppress(NoStore), _opened(_existing()) as searcher:
            for one in sorted(all_collections(searcher), key=lambda one: one.name):
                table.add_row(one.name, str(one.faces), one.model)
    else:
        table = Table(*_person(), "Confidence")
        _existing()
        with Collection(name) as collection:
            for face in collection.list():
                table.add_row(
                    _named(face.external_image_id), face.face_id, f"{face.confidence:.1f}"
                )
    console.print(table)


@app.command()
def search(
    name: Name,
    image: Annotated[Path, typer.Argument(help="A JPEG or PNG.")],
    threshold: Annotated[
        float | None, typer.Option(min=0, max=100, help="Least Similarity of a match.")
    ] = None,
) -> None:
    """Find the people that the largest face of an image matches.

    Example: `onlooker collection search staff visitor.jpg`
    """
    pull_models(analyser.cards(load(), LARGEST))
    _existing()
    with Collection(name) as collection:
        try:
            identities = collection.search(image, threshold)
        except NoFaceFound as error:
            console.print(str(error))
            raise typer.Exit(1) from error
        table = Table("Similarity", *_person())
        for identity in identities:
            table.add_row(
                f"{identity.similarity:.1f}",
                _named(identity.face.external_image_id),
                identity.face.face_id,
            )
        console.print(table if identities else "no face of the collection matches")


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
    _existing()
    with Collection(name) as collection:
        if not faces:
            collection.delete()
            console.print(f"deleted {name}")
            return
        outcome = collection.delete_faces(faces)
    console.print(f"deleted {len(outcome.deleted)} of {len(faces)} faces from {name}")
    for failure in outcome.failed:
        console.print(f"  not {failure.face_id}: {failure.reason}")
    if outcome.failed:
        raise typer.Exit(1)


@app.command()
def method(
    name: Name,
    method: Annotated[Method, typer.Argument(help="How searches choose the faces to compare.")],
) -> None:
    """Change how a collection is searched.

    `auto` takes the fastest way: from 1000 faces on, quantised vectors preselect some hundreds,
    which are compared exactly. `exact` compares all. `annoy` lets Annoy's trees preselect.

    Example: `onlooker collection method staff exact`
    """
    with Store(*_existing()) as store:
        store.set_method(name, method.value)
    console.print(f"{name} is searched by {method.value}")


@app.command()
def verify() -> None:
    """Read the whole store and check that it is sound.

    Example: `onlooker collection verify`
    """
    with Store(*_existing()) as store:
        wrong = list(backups.verify(store))
        faces = store.count_faces()
    for problem in wrong:
        console.print(Text.assemble(("wrong", "red"), f" {problem}"))
    if wrong:
        raise typer.Exit(1)
    console.print(f"{store.place}: sound, {counted(faces, 'face')}")


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="The copy to write.")]) -> None:
    """Copy all collections, as they are now, into one file. Others may use them meanwhile.

    Example: `onlooker collection backup faces-2026-11.db`
    """
    done = False
    with if_stopped(lambda: _written(file, done)), Store(*_existing()) as store:
        backups.backup(store, file)
        done = True
    console.print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


def _written(file: Path, done: bool) -> str:
    """Return what has been done when the command is stopped; another's `file` may be there."""
    return f"{file} is complete" if done else f"{file} was not written"


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")]) -> None:
    """Replace all collections by a backup. The old ones are kept under another name.

    Example: `onlooker collection restore faces-2026-11.db`
    """
    if _place()[1] is not None:
        raise StoreError(
            "the collections are in PostgreSQL: restore them with `pg_restore`, or copy them out "
            "of the file with `onlooker collection copy --from FILE`"
        )
    old = backups.restore(default_path(), file)
    console.print(f"{default_path()} is restored from {file}")
    if old is not None:
        console.print(f"the old collections are in {old}")


@app.command()
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(help="NAME.jsonl; NAME.npy is written beside it.")],
) -> None:
    """Write a collection as JSON lines, and its vectors as a NumPy array beside them.

    Example: `onlooker collection export staff staff.jsonl`
    """
    done = False
    with if_stopped(lambda: _written(file, done)), Store(*_existing()) as store:
        count = transfer.export(store, name, file)
        done = True
    console.print(f"{counted(count, 'face')} in {file} and {file.with_suffix('.npy')}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="NAME.jsonl, with NAME.npy beside it.")],
    name: Annotated[
        str | None, typer.Option("--as", help="Another name for the collection.", metavar="NAME")
    ] = None,
) -> None:
    """Create a collection from what `export` wrote. Faces keep their ids.

    Example: `onlooker collection import staff.jsonl --as staff2`
    """
    with Store(*_place()) as store:
        count = transfer.import_(store, file, name)
    console.print(f"{counted(count, 'face')} imported")


@app.command()
def copy(
    names: Annotated[
        list[str] | None, typer.Argument(help="Collections; all if none is named.", metavar="NAME")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="File or postgresql://...; yours if not given.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--to", help="File or postgresql://...; yours if not given.")
    ] = None,
) -> None:
    """Copy collections from one store into another, as from a file into PostgreSQL and back.

    Faces keep their ids, users and tags. A collection appears in the other store when it is
    complete; one whose name is there already is left alone. So an interrupted copy is completed by
    the same command.

    Example: `onlooker collection copy --from faces.db --to postgresql://onlooker@db/faces`
    """
    if source == target:
        raise typer.BadParameter("name another store with --from or --to")
    origin = _existing() if source is None else _named_place(source)
    if origin[1] is None and not origin[0].exists():
        raise NoStore(f"{origin[0]}: no such file")
    done = "what is listed is copied; the same command continues with the others"
    with (
        if_stopped(lambda: done),
        Store(*origin) as old,
        Store(*(_place() if target is None else _named_place(target))) as new,
    ):
        for name, count in transfer.copy(old, new, names or None):
            how = (
                "is there already, left as it is"
                if count is None
                else f"{counted(count, 'face')} copied"
            )
            console.print(f"{name}: {how}")


def _named_place(text: str) -> Place:
    """Return the place that a file or a URL names."""
    return (default_path(), text) if "://" in text else (Path(text), None)
