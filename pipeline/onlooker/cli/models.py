"""`onlooker models`: list, build, verify and import models."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from onlooker.cli.pull_models import pull_models, say_left_out
from onlooker.cli.terminal import complaints
from onlooker.config.load import load
from onlooker.config.schema import PROVIDERS
from onlooker.models import archive, readers, weights
from onlooker.models.card import CARDS, Card, Characters, WeightsError, cards, own_folder
from onlooker.models.card import card as find_card

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", help="The models: list, build, verify."
)
console = Console(markup=False, emoji=False)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)]
MEGABYTE = 1e6


@app.command("list")
def list_models() -> None:
    """List all models with their licences, and the sizes of those that are built.

    Example: `onlooker models list`
    """
    say_left_out()
    table = Table(title=f"models in {weights.folder()}", title_justify="left")
    for heading in ("name", "licence", "built", "task"):
        table.add_column(heading, no_wrap=heading != "task")
    for card in cards().values():
        task = f"{card.task} (optional)" if card.optional else card.task
        if isinstance(card.decode, Characters):
            task += f"; scripts: {', '.join(card.decode.scripts)}"
        table.add_row(card.name, card.licence, _built(card), task)
    console.print(table)
    scripts = ", ".join(readers.scripts(load().text))
    console.print(f"text is read in these scripts: {scripts} ([text] readers)", soft_wrap=True)


@app.command()
def info(name: Annotated[str, typer.Argument(help="A model's name.")]) -> None:
    """Show a model's card: its task, licence, authors, input and output.

    Example: `onlooker models info yunet`
    """
    card = find_card(name)
    table = Table(show_header=False, title=card.name, title_justify="left")
    source = f"{archive.describe(card.archive)} from {card.archive.client}"
    size = " x ".join(str(side or f"any {card.multiple}n") for side in card.shape)
    rows = [
        ("task", card.task),
        ("licence", card.licence),
        ("attribution", card.attribution),
        ("trained on", card.trained_on),
        ("archive", f"{source}, {_size(card.archive.size)}, sha256 {card.archive.sha256}"),
        ("members", ", ".join(member.path for member in card.members)),
        ("build", ", ".join([card.build.format, *card.build.edits])),
        ("input", f"{size} pixels, BGR bytes"),
        (
            "network",
            f"{card.colour}, {card.layout}, (pixel - {_numbers(card.mean)})"
            f" * {_numbers(card.scale)}",
        ),
        ("decode", _facts(card.decode)),
        ("built", f"{_built(card)}  {weights.built(card) or weights.folder() / card.file}"),
    ]
    if card.embedder is not None:
        embedder = card.embedder
        rows.insert(-1, ("vector", f"{embedder.dim} numbers, {_facts(embedder.calibration)}"))
        rows.insert(-1, ("chip", f"{embedder.chip} px, of faces {embedder.smallest:g} px or wider"))
    for row in rows:
        table.add_row(*row)
    console.print(table, highlight=False)


@app.command()
def pull(
    names: Names = None,
    force: Annotated[bool, typer.Option("--force", help="Build existing models again.")] = False,
) -> None:
    """Build models from their archives; without names, all that are not optional.

    Each is then run on its card's probe: a damaged file is built again, and a model that does not
    fit its card is an error. Needs a network, pip, and for some models npm.
    Example: `onlooker models pull dlib_resnet`
    """
    paths = pull_models(names, force=force)
    runs = find_spec("onnxruntime") is not None
    if not runs:
        complaints.print("not compared with their cards: ONNX Runtime is not installed")
    wrong = False
    for name, path in zip(names or [each.name for each in weights.defaults()], paths, strict=True):
        try:
            path = _sound(name, path, force) if runs else path
        except WeightsError as error:
            wrong = True
            complaints.print(f"error: {error}")
        else:
            console.print(f"{path}  {_size(path.stat().st_size)}", highlight=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


@app.command()
def wheel(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder to write it to.")
    ] = Path(),
) -> None:
    """Write the models and the demo's photographs as a wheel, for machines without a network.

    Models that are not optional are in it, with their licences.
    Example: `onlooker models wheel dist`
    """
    # Imported here: few need it.
    from onlooker.models import data_wheel

    pull_models()
    path = data_wheel.write(folder)
    console.print(f"{path}  {_size(path.stat().st_size)}", highlight=False, soft_wrap=True)


@app.command()
def verify(
    names: Names = None,
    provider: Annotated[str, typer.Option(help=f"One of {', '.join(PROVIDERS)}.")] = "auto",
) -> None:
    """Run each model on its card's probe and compare the output with the card.

    Exits with status 1 if any model differs. Example: `onlooker models verify yunet`
    """
    # Imported here: ONNX Runtime loads slowly.
    from onlooker.models import verify as comparison

    pull_models(names)
    wrong: list[Card] = []
    for verdict in comparison.verify(names, provider):
        if verdict.problems:
            wrong.append(find_card(verdict.name))
        result = "; ".join(verdict.problems) or "as on its card"
        mark = ("wrong", "red") if verdict.problems else ("sound", "green")
        where = f"{verdict.provider} {verdict.precision}".strip()
        line = Text.assemble(mark, f"  {verdict.name} on {where}: {result}")
        console.print(line, soft_wrap=True)
    if bare := [card.name for card in wrong if not card.probe.expect]:
        said = "`, `".join(f"onlooker models probe {name} >> {_card_path(name)}" for name in bare)
        complaints.print(f"write the figures of a new model once, and compare then: `{said}`")
    if others := " ".join(card.name for card in wrong if card.probe.expect):
        complaints.print(
            f"what may be damaged is built again by `onlooker models pull --force {others}`; if it "
            "stays so, the card is another model's, or this machine computes otherwise: report it"
        )
    if wrong:
        raise typer.Exit(1)


@app.command("probe")
def print_probe(name: Annotated[str, typer.Argument(help="A model's name.")]) -> None:
    """Print the figures for a new model's card, measured on the CPU in fp32.

    A card that has figures is refused: they are appended once. Example: `onlooker models probe mine
    >> models/mine.toml`
    """
    from onlooker.models.verify import measure

    pull_models([name])
    if find_card(name).probe.expect:
        raise WeightsError(
            f"{_card_path(name)}: has the figures of its probe, which `onlooker models verify "
            f"{name}` compares; to write them again, remove its [[probe.expect]] first"
        )
    for figures in measure(name):
        print("\n[[probe.expect]]")
        for key, value in msgspec.to_builtins(figures).items():
            print(f"{key} = {msgspec.json.encode(value).decode().replace(',', ', ')}")
    complaints.print(
        f"these lines go to the end of {_card_path(name)}; from then on `onlooker models verify "
        f"{name}` compares them"
    )


@app.command("import-paddle")
def import_paddle(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="PaddleOCR inference model.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the model. [default: the folder's name]")
    ] = None,
    characters: Annotated[
        Path | None,
        typer.Option(
            help="Dictionary of a recogniser, one character a line. [default: inference.yml's]",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option(help="SPDX expression, for the card.")
    ] = "LicenseRef-not-stated",
) -> None:
    """Import your own text detector or recogniser from PaddleOCR.

    Needs the extra `[paddle]`. `[text] detector` or `readers` may name it then.
    Example: `onlooker models import-paddle inference/rec --name mine`
    """
    # Imported here: onnx loads slowly.
    from onlooker.models import import_paddle as importing

    card = importing.import_paddle(folder, name or folder.resolve().name, characters, licence)
    use = f'detector = "{card.name}"'
    if isinstance(card.decode, Characters):
        use = f'readers = ["latin", "{card.name}"]'
    said = f"{card.name} {card.task}; to use it, set {use} under [text]"
    console.print(weights.path(card.name), said, sep="\n", highlight=False, soft_wrap=True)


@app.command("add-language")
def add_language(
    language: Annotated[str, typer.Argument(help="ISO 639-1 code: ru, ar, uk, …")],
    file: Annotated[
        Path | None,
        typer.Option("--from", help="Tesseract's .traineddata file.", show_default=False),
    ] = None,
    python: Annotated[
        str, typer.Option(help="A Python that has PaddleOCR. [default: this one]")
    ] = sys.executable,
) -> None:
    """Add a text recogniser for a language.

    It is PaddleOCR's official one if that is in PaddleOCR's folder or can be downloaded (needs the
    extra `[paddle]`), or else Tesseract's. Example: `onlooker models add-language ru`
    """
    # Imported here: onnx loads slowly.
    from onlooker.models import languages

    card, remarks = languages.add(language, file, python)
    console.print(weights.path(card.name), highlight=False, soft_wrap=True)
    for remark in filter(None, remarks):
        console.print(f"{card.name}: {remark}", highlight=False, soft_wrap=True)
    use = f'to use it, set readers = ["latin", "{readers.usual_name(card)}"] under [text]'
    console.print(
        f"{card.name} ({card.licence}) {card.task}; {use}", highlight=False, soft_wrap=True
    )


def _sound(name: str, path: Path, force: bool) -> Path:
    """Return the path of a built model that fits its card. Raises WeightsError.

    A file that cannot be loaded is built again.
    """
    # Imported here: ONNX Runtime loads slowly.
    from onlooker.models import self_test
    from onlooker.models.session import LoadError
    from onlooker.models.verify import measure

    probe = find_card(name).probe
    try:
        figures = measure(name)
    except LoadError as error:
        if force:
            raise
        complaints.print(f"built again: {error}")
        [path] = pull_models([name], force=True)
        force = True
        figures = measure(name)
    problems = self_test.differences(probe, figures, self_test.TOLERANCE)
    if problems and probe.expect:
        found = "; ".join(problems)
        if force:
            said = f"it was built again, and its outputs are still not its card's: {found}"
        else:
            said = (
                f"its outputs are not its card's: {found}; if {path} is damaged, "
                f"`onlooker models pull --force {name}` builds it again"
            )
        raise WeightsError(
            f"{name}: {said}; if you changed the card, remove its [[probe.expect]] and write them "
            "again"
        )
    return path


def _built(card: Card) -> str:
    path = weights.built(card)
    return _size(path.stat().st_size) if path else "no"


def _size(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB"


def _facts(struct: msgspec.Struct) -> str:
    return ", ".join(f"{key} {value}" for key, value in msgspec.to_builtins(struct).items())


def _numbers(channels: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in channels) + ")"


def _card_path(name: str) -> Path:
    """Return the path of the card called `name`: Onlooker's, or else the user's own."""
    ours = CARDS / f"{name}.toml"
    return ours.resolve() if ours.is_file() else own_folder() / f"{name}.toml"
