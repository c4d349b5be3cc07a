"""`onlooker people`: those whom no collection knows, and what they should be called."""

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from onlooker.cli.log import clock
from onlooker.cli.terminal import complaints, counted, plain
from onlooker.config.load import load
from onlooker.config.schema import Config
from onlooker.escape import PEOPLE
from onlooker.identity.people.people import People, open_people
from onlooker.models.card import space

app = typer.Typer(
    no_args_is_help=True,
    help="List, name, merge, split and forget people whom no collection knows.",
)

Person = Annotated[str, typer.Argument(help="Id or name.", parser=PEOPLE.meant, metavar="PERSON")]
Appearances = Annotated[list[str], typer.Argument(help="AppearanceIds.", metavar="APPEARANCE...")]


def _people(config: Config | None = None) -> People:
    config = config or load()
    return open_people(space(config.faces.embedder), url=config.store.url)


@app.command("list")
def list_people(
    hidden: Annotated[bool, typer.Option("--hidden", help="Those that are hidden, too.")] = False,
) -> None:
    """Print all people, the most recent first.

    Example: `onlooker people list`
    """
    table = Table()
    for heading in ("person", "appearances", "last seen", ""):
        table.add_column(heading)
    config = load()
    with _people(config) as people:
        for person, number, end, is_hidden in people.journal.people():
            if hidden or not is_hidden:
                row = (PEOPLE.shown(person), str(number), clock(end))
                table.add_row(*row, "hidden" if is_hidden else "")
    plain.print(table)
    if not table.row_count and not config.people.enabled:
        complaints.print("people whom no collection knows are kept with `[people] enabled = true`")


@app.command()
def show(person: Person) -> None:
    """Print the appearances of a person, one JSON line each.

    Example: `onlooker people show unknown-000007`
    """
    with _people() as people:
        for visitor in people.journal.visitors(people.known(person)):
            fields = msgspec.to_builtins(visitor)
            del fields["vector"]
            typer.echo(msgspec.json.encode(fields).decode())


@app.command()
def name(person: Person, name: Annotated[str, typer.Argument(help="The name.")]) -> None:
    """Give a person a name; who has that name already becomes the same person.

    Example: `onlooker people name unknown-000007 "Ada Lovelace"`
    """
    with _people() as people:
        people.name(person, PEOPLE.encode(name))
    plain.print(f"{PEOPLE.shown(person)} is {name} now")


@app.command()
def merge(person: Person, into: Person) -> None:
    """Make two people one. The first id stands for the second from now on.

    Example: `onlooker people merge unknown-000009 unknown-000007`
    """
    with _people() as people:
        people.merge(person, into)
    plain.print(f"{PEOPLE.shown(person)} is {PEOPLE.shown(into)} now")


@app.command()
def split(person: Person, appearances: Appearances) -> None:
    """Make these appearances of a person another person.

    Example: `onlooker people split unknown-000007 5b1c0a1e-...`
    """
    with _people() as people:
        made = people.split(person, appearances)
    plain.print(f"{len(appearances)} appearances of {PEOPLE.shown(person)} are {made} now")


@app.command("not")
def refuse(
    person: Person, appearance: Annotated[str, typer.Argument(help="AppearanceId.")]
) -> None:
    """Note that an appearance is not this person's, and nothing that is more like it either.

    Example: `onlooker people not unknown-000007 5b1c0a1e-...`
    """
    with _people() as people:
        people.refuse(person, appearance)
    plain.print(f"{appearance} is not {PEOPLE.shown(person)}")


@app.command()
def changes(
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many.")] = 20,
) -> None:
    """Print the last changes, newest first, with the numbers by which they can be undone.

    Example: `onlooker people changes`
    """
    table = Table()
    for heading in ("number", "time", "change", "person", "of", "appearances", ""):
        table.add_column(heading)
    with _people() as people:
        for logged in people.journal.changes(number):
            change = logged.change
            table.add_row(
                str(logged.number),
                clock(logged.time),
                change.kind,
                PEOPLE.shown(change.person) if change.person else "",
                PEOPLE.shown(change.other) if change.other else "",
                str(len(change.moves)),
                "undone" if logged.undone else "",
            )
    plain.print(table)


@app.command()
def undo(number: Annotated[int, typer.Argument(help="Number of the change.")]) -> None:
    """Undo a change: a join, merge, split, name, not, hide or show.

    Example: `onlooker people undo 12`
    """
    with _people() as people:
        logged = people.undo(number)
    change = logged.change
    moved = f" of {len(change.moves)} appearances" if change.moves else ""
    plain.print(f"undone: {change.kind}{moved}")


@app.command()
def hide(
    person: Person,
    show: Annotated[bool, typer.Option("--show", help="No longer hide.")] = False,
) -> None:
    """Leave a person out of lists and suggestions.

    Example: `onlooker people hide unknown-000007`
    """
    with _people() as people:
        people.hide(person, not show)
    plain.print(f"{PEOPLE.shown(person)} is {'shown' if show else 'hidden'} now")


@app.command()
def forget(person: Person) -> None:
    """Erase a person, and print a receipt.

    Example: `onlooker people forget unknown-000007 > receipt.json`
    """
    with _people() as people:
        receipt = people.forget(person)
    typer.echo(msgspec.json.encode(receipt).decode())


@app.command()
def suggest() -> None:
    """Print pairs of people who are alike; nothing is joined.

    Example: `onlooker people suggest`
    """
    with _people() as people:
        found = people.suggest()
    for pair in found:
        plain.print(
            f"{PEOPLE.shown(pair.person)}  {PEOPLE.shown(pair.other)}  {pair.similarity:.1f}"
        )
    complaints.print(counted(len(found), "pair"))
