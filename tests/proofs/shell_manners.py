"""Commands in bad surroundings, and interrupted at every instant.

    python -m tests.proofs.shell_manners [--step 0.25] [--until 3] [--only interrupts]

Each command is run with outputs that are full, closed or without a reader, with names that are not
UTF-8, in locales, folders and limits of all kinds, and with a Ctrl-C at every `--step` seconds up
to `--until`. It must work, or fail with one line: no trace, no death by a signal, no process, run
directory or unfinished file left. `--step 0.02` is the whole sweep, and takes two hours.
"""

import argparse
import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.commands import ONLOOKER, environment

from onlooker.cli.demo_video import make_images, photographs
from onlooker.media import image
from onlooker.media.video_writer import VideoWriter
from onlooker.stream.run_directory import MEMORY, PREFIX

FRAMES = 5
"""Of the video that is replayed."""
SECONDS = 60.0
"""Time that any command may take."""
STOP_SECONDS = 8.0
"""Time that a command may take to end after a Ctrl-C."""
TRACES = re.compile(r"Traceback|Exception ignored|Fatal Python|Segmentation|core dumped|Aborted")
PYTHON_SECONDS = 0.5
"""Time in which Python itself, before it has come to the program, may answer a Ctrl-C."""

COMMANDS: dict[str, Sequence[str]] = {
    "version": ("--version",),
    "help": ("--help",),
    "usage": ("replay",),
    "replay": ("replay", "short.mp4", "--publish", "ipc://s", "--annotate", "a.mp4"),
    "inline": ("replay", "short.mp4", "--inline"),
    "stream": ("stream", "door=test://moving"),
    "run": ("run", "--config", "run.toml"),
    "serve": ("serve", "--port", "0"),
    "status": ("status",),
    "watch": ("watch", "ipc://s"),
    "faces": ("faces", "visitor.png", "--annotate"),
    "text": ("text", "visitor.png"),
    "create": ("collection", "create", "crew"),
    "index": ("collection", "index", "crew", "people", "--report", "report"),
    "list": ("collection", "list"),
    "search": ("collection", "search", "staff", "visitor.png"),
    "backup": ("collection", "backup", "copy.db"),
    "export": ("collection", "export", "staff", "staff.jsonl"),
    "tail": ("log", "tail", "--log", "r.db", "--follow"),
    "log-export": ("log", "export", "--log", "r.db"),
    "query": ("log", "query", "--log", "r.db"),
    "models": ("models", "list"),
    "keys": ("keys", "generate", "my.key"),
    "show": ("config", "show"),
    "check": ("config", "check", "run.toml"),
}
ENDLESS = {"stream", "run", "serve", "watch", "tail"}
SILENT = {"watch", "create", "keys"}


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: bytes
    err: str


class Place:
    """A folder with all that commands need; each command gets a copy of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        self.model = folder / "model"
        self.model.mkdir()
        make_images(self.model, photographs())
        frame = image.read(self.model / "visitor.png").bgr
        with VideoWriter(self.model / "short.mp4", frame.shape[1], frame.shape[0], 5) as writer:
            for _ in range(FRAMES):
                writer.write(frame)
        (self.model / "run.toml").write_text(
            '[streams.door]\nurl = "test://moving"\n[serve]\nport = 0\n[pipeline]\nworkers = 1\n'
        )
        self.run("collection", "create", "staff", cwd=self.model)
        done = self.run("replay", "short.mp4", "--out", "r.jsonl", "--inline", cwd=self.model)
        assert done.status == 0, done.err

    def fresh(self) -> Path:
        """Return a new copy."""
        self._number += 1
        made = self.folder / f"{self._number}"
        shutil.copytree(self.model, made)
        return made

    def run(self, *words: str, cwd: Path, prefix: Sequence[str] = (), **settings: Any) -> Ended:
        """Run `onlooker WORDS` and return how it ended; after SECONDS it is interrupted."""
        shown = settings.pop("env", environment(cwd / "data"))
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings}
        process = subprocess.Popen(
            [*prefix, *ONLOOKER, *words], cwd=cwd, env=shown, start_new_session=True, **options
        )
        try:
            out, err = process.communicate(timeout=settings.get("seconds", SECONDS))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err = (err or b"") + b"Traceback: it did not end"
        return Ended(process.returncode, out or b"", (err or b"").decode(errors="replace"))


class Verdict:
    """The faults found so far, and how often commands ended in each way."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.ends: Counter[str] = Counter()

    def check(self, what: str, ended: Ended, statuses: Sequence[int] = (0, 1)) -> None:
        """Count a command that has ended, and note what is wrong with it."""
        self.ends[f"{what.split(':')[0]}: status {ended.status}"] += 1
        lines = [line for line in ended.err.splitlines() if line.startswith("error:")]
        if TRACES.search(ended.err):
            self.fault(what, f"a trace: {ended.err[-700:]}")
        elif ended.status not in statuses:
            self.fault(what, f"status {ended.status}: {ended.err[-400:]}")
        elif ended.status == 1 and len(lines) != 1:
            self.fault(what, f"{len(lines)} lines of error: {ended.err[-400:]}")

    def fault(self, what: str, text: str) -> None:
        self.faults.append(f"{what}: {text}")
        print(f"FAULT {what}: {text}", flush=True)


def interrupts(place: Place, verdict: Verdict, step: float, until: float, names: list[str]) -> None:
    """Interrupt each command at each instant."""
    for name in names:
        count = round(until / step)
        for number in range(count):
            # Not the same instants for all of them.
            seconds = (number + len(name) * 0.618 % 1) * step
            _interrupt(place, verdict, name, seconds)


def _interrupt(place: Place, verdict: Verdict, name: str, seconds: float) -> None:
    cwd = place.fresh()
    process = subprocess.Popen(
        [*ONLOOKER, *COMMANDS[name]],
        cwd=cwd,
        env={**environment(cwd / "data"), "TMPDIR": str(cwd)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    time.sleep(seconds)
    told = process.poll() is None
    members = _session(process.pid)
    _signal(process.pid)
    began = time.monotonic()
    try:
        _, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        _signal(process.pid, signal.SIGKILL)
        _, err = process.communicate()
        err += b"Traceback: it did not end"
    took = time.monotonic() - began
    ended = Ended(process.returncode, b"", err.decode(errors="replace"))
    what = f"interrupt {name}: after {seconds:.3f} s"
    pythons = ended.status == -signal.SIGINT or "KeyboardInterrupt" in ended.err
    if told and pythons and seconds < PYTHON_SECONDS and "onlooker/cli" not in ended.err:
        verdict.ends["interrupted before the program had begun"] += 1
        shutil.rmtree(cwd)
        return
    natural = {"usage": 2, "status": 1}.get(name, 0)
    verdict.check(what, ended, (130,) if told and name in ENDLESS else (natural, 130))
    if took > STOP_SECONDS:
        verdict.fault(what, f"took {took:.1f} s to end")
    end = time.monotonic() + 2
    while (left := [pid for pid in members | _session(process.pid) if _alive(pid)]) and (
        time.monotonic() < end
    ):
        time.sleep(0.05)
    if left:
        verdict.fault(what, f"processes are left: {left}")
    rest = [*MEMORY.glob(f"{PREFIX}{process.pid}-*"), *MEMORY.glob(f".{PREFIX}{process.pid}-*")]
    rest += [*cwd.rglob("*.part*"), *cwd.glob("onlooker-*"), *cwd.glob(f"*{PREFIX}*")]
    if rest:
        verdict.fault(what, f"files are left: {rest}")
    shutil.rmtree(cwd)


def outputs(place: Place, verdict: Verdict, names: list[str]) -> None:
    """Run commands whose outputs are full, closed, or without a reader."""
    for name in names:
        if name in ENDLESS or name == "status":
            continue
        words = COMMANDS[name]
        with open("/dev/full", "wb") as full:
            for what, settings in (
                ("full", {"stdout": full}),
                ("closed", {"preexec_fn": lambda: os.close(1)}),
                ("messages full", {"stderr": full}),
                ("messages closed", {"preexec_fn": lambda: os.close(2)}),
                ("all closed", {"preexec_fn": lambda: os.closerange(0, 3)}),
            ):
                ended = place.run(*words, cwd=place.fresh(), **settings)
                told = "messages" in what or what == "all closed"
                if told and ended.status == 1:
                    ended = ended._replace(err="error: nowhere to be seen")
                if name == "usage":
                    ended = ended._replace(status=0) if ended.status == 2 else ended
                wanted = (1,) if what in ("full", "closed") and name not in ("usage",) else (0, 1)
                verdict.check(f"output {what}: {name}", ended, wanted)
        read, write = os.pipe()
        os.close(read)
        ended = place.run(*words, cwd=place.fresh(), stdout=write)
        os.close(write)
        verdict.check(
            f"output without a reader: {name}", ended, (2,) if name == "usage" else (141,)
        )
        if name != "usage" and ended.err.strip() and name not in ("faces", "replay", "query"):
            verdict.fault(f"output without a reader: {name}", ended.err[-300:])


def names(place: Place, verdict: Verdict, few: bool = False) -> None:
    """Use names that are not UTF-8 for everything that can be named."""
    odd = os.fsdecode(b"caf\xe9")
    cwd = place.fresh()
    data = {**environment(cwd / "data"), "ONLOOKER_DATA": str(cwd / odd)}
    (cwd / odd).mkdir()
    (cwd / "folder" / odd).mkdir(parents=True)
    portrait = cwd / "people" / "Eileen Collins" / "portrait.png"
    for copy in (f"{odd}.png", f"{odd}/{odd}.png", f"folder/{odd}/{odd}.png"):
        shutil.copy(portrait, cwd / copy)
    (cwd / "folder" / odd / f"{odd}2.png").write_bytes(b"no picture")
    (cwd / f"{odd}.toml").write_text('[streams.a]\nurl = "x.mp4"\n')
    table: list[tuple[tuple[str, ...], int]] = [
        (("faces", f"{odd}.png", "--annotate"), 0),
        (("text", f"{odd}.png", "--annotate"), 0),
        (("collection", "create", "crew"), 0),
        (("collection", "create", odd), 1),
        (("collection", "index", "crew", "folder", "--report", odd + ".report"), 0),
        (("collection", "list", odd), 1),
        (("collection", "list", "crew"), 0),
        (("collection", "search", "crew", f"{odd}.png"), 0),
        (("collection", "backup", odd + ".backup"), 0),
        (("collection", "export", "crew", odd + ".jsonl"), 0),
        (("collection", "import", odd + ".jsonl", "--as", "again"), 0),
        (("collection", "restore", odd + ".backup"), 0),
        (("replay", f"folder/{odd}", "--out", odd + ".out", "--log", odd + ".log"), 0),
        (("replay", f"folder/{odd}", "--publish", f"ipc://{odd}"), 1),
        (("replay", f"{odd}/none.mp4"), 1),
        (("log", "check", "--log", odd + ".log"), 0),
        (("log", "query", "--log", odd + ".log", "--person", odd, "--text", odd), 0),
        (("log", "tail", "--log", odd + ".log", "--stream", odd), 0),
        (("keys", "generate", odd + ".key"), 0),
        (("watch", "tcp://127.0.0.1:9", "--key", odd, "--server", odd), 1),
        (("watch", f"tcp://{odd}:9"), 1),
        (("config", "check", f"{odd}.toml"), 1),
        (("models", "info", odd), 1),
        (("stream", f"{odd}=x"), 2),
        (("stream", f"a={odd}.mp4"), 1),
        (("serve", "--host", odd), 1),
    ]
    for words, status in table[:2] + table[12:13] if few else table:
        shown = " ".join(words).encode(errors="surrogateescape").decode(errors="replace")
        ended = place.run(*words, cwd=cwd, env=data)
        verdict.check(f"names: {shown}", ended, (status,))
    if few:
        return
    settings: list[tuple[str, tuple[str, ...]]] = [
        ("ONLOOKER_CONFIG", ("config", "show")),
        ("ONLOOKER_MODELS", ("models", "list")),
        ("ONLOOKER_LOG", ("stream", "a=none.mp4")),
        ("HOME", ("--version",)),
        ("TMPDIR", ("replay", f"folder/{odd}", "--out", "t.jsonl")),
    ]
    for variable, words in settings:
        place_of = str(cwd / odd) if variable != "ONLOOKER_LOG" else odd
        ended = place.run(*words, cwd=cwd, env={**data, variable: place_of})
        verdict.check(f"names in {variable}: {' '.join(words[:2])}", ended)


def _limited(number: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))


def surroundings(place: Place, verdict: Verdict, names: list[str]) -> None:
    """Run commands in locales, folders and limits of all kinds."""
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    changes: dict[str, dict[str, Any]] = {
        "dumb terminal": {"env": {"TERM": "dumb"}},
        "narrow": {"env": {"COLUMNS": "20"}},
        "no width": {"env": {"COLUMNS": "0", "LINES": "x"}},
        "C": {"env": {"LC_ALL": "C"}},
        "POSIX without UTF-8": {"env": plain},
        "unknown locale": {"env": {"LC_ALL": "xx_YY.UTF-8"}},
        "no HOME": {"env": {"HOME": None}},
        "HOME that is no folder": {"env": {"HOME": "/dev/null"}},
        "no stdin": {"preexec_fn": lambda: os.close(0)},
        "umask": {"preexec_fn": lambda: os.umask(0o077) and None},
        "unknown level": {"env": {"ONLOOKER_LOG": "chatty"}},
        "no temporary folder": {"env": {"TMPDIR": "/none"}},
        **{f"{n} files": {"preexec_fn": _limited(n)} for n in (16, 32, 64, 100, 128, 256)},
    }
    for what, change in changes.items():
        for name in names:
            if name in ENDLESS:
                continue
            cwd = place.fresh()
            shown = {**environment(cwd / "data"), **change.get("env", {})}
            settings = {**change, "env": {k: v for k, v in shown.items() if v is not None}}
            statuses = (2,) if name == "usage" else (0, 1)
            ended = place.run(*COMMANDS[name], cwd=cwd, **settings)
            verdict.check(f"{what}: {name}", ended, statuses if ended.status != 1 else (1,))
            if "UTF-8" in what or what == "C":
                ended.out.decode()
    if os.geteuid() == 0 and shutil.which("unshare"):
        _mounts(place, verdict, names)


def _mounts(place: Place, verdict: Verdict, names: list[str]) -> None:
    """Run commands with a read-only /dev/shm, and on full disks."""
    for what, mount in (
        ("read-only memory", "mount -t tmpfs -o ro,size=64m tmpfs /dev/shm"),
        ("full memory", "mount -t tmpfs -o size=16k tmpfs /dev/shm"),
        ("full folder", "mount -t tmpfs -o size=8k tmpfs data"),
        ("read-only folder", "mount --bind . . && mount -o remount,bind,ro . && cd ."),
        ("full temporary folder", "mount -t tmpfs -o size=4k tmpfs /tmp && mkdir -p $TMPDIR"),
    ):
        for name in names:
            if name in ENDLESS:
                continue
            cwd = place.fresh()
            script = f'{mount} || exit 99; cd "$PWD"; exec "$@"'
            settings: dict[str, Any] = {"prefix": ("unshare", "-m", "bash", "-c", script, "x")}
            if "temporary" in what:
                settings["env"] = {**environment(cwd / "data"), "TMPDIR": "/tmp/full"}
            ended = place.run(*COMMANDS[name], cwd=cwd, **settings)
            statuses = (0, 1, 2) if name == "usage" else (0, 1)
            verdict.check(f"{what}: {name}", ended, statuses)


def _signal(session: int, number: signal.Signals = signal.SIGINT) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, number)


def _session(session: int) -> set[int]:
    """Return the processes of a session."""
    return {pid for pid, its in _processes() if its == session}


def _processes() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                yield int(entry.name), int(fields[3])


def _alive(pid: int) -> bool:
    return any(pid == found for found, _ in _processes())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=float, default=0.25)
    parser.add_argument("--until", type=float, default=3.0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS))
    parser.add_argument("--short", action="store_true", help="a few of each, for CI")
    settings = parser.parse_args()
    verdict = Verdict()
    with tempfile.TemporaryDirectory(prefix="onlooker-manners-") as name:
        place = Place(Path(name))
        chosen = settings.commands
        if settings.short:
            _interrupt(place, verdict, "replay", 2.0)
            _interrupt(place, verdict, "serve", 1.5)
            _interrupt(place, verdict, "text", 0.3)
            outputs(place, verdict, ["show"])
            names(place, verdict, few=True)
            return _report(verdict)
        tests: dict[str, Callable[[], None]] = {
            "outputs": lambda: outputs(place, verdict, chosen),
            "names": lambda: names(place, verdict),
            "surroundings": lambda: surroundings(place, verdict, chosen),
            "interrupts": lambda: interrupts(place, verdict, settings.step, settings.until, chosen),
        }
        for what, test in tests.items():
            if not settings.only or what in settings.only:
                test()
    return _report(verdict)


def _report(verdict: Verdict) -> int:
    for end, times in sorted(verdict.ends.items()):
        print(f"{times:6} {end}")
    print(f"{sum(verdict.ends.values())} commands, {len(verdict.faults)} faults")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
