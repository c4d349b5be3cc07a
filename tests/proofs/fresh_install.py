"""A fresh machine that has Python and nothing else: from a folder of wheels to the demo's end.

    python -m tests.proofs.fresh_install [--wheels FOLDER] [--extras openvino,demo] [--seconds 90]

The wheels of Onlooker, of its models and of all libraries are built or fetched into a folder, as
docs/install.md says; an existing FOLDER that has them is taken as it is. Then bubblewrap (Debian:
bubblewrap) starts a container: Python's own files, the system's libraries and the wheels, no
network, no compiler, no npm, no shell, an empty home. There an environment is made, `onlooker` and
`onlooker-models` are installed with `pip install --no-index`, `onlooker doctor` finds no lack, and
`onlooker demo` names the astronaut and reads the page. From the installation to the end of the demo
it may take `--seconds`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("cc", "c++", "gcc", "g++", "clang", "make", "npm", "node", "git", "sh")
"""Programs that the container must not have."""
ANNOY = "-O3,-ffast-math,-fno-associative-math"
BUILD_SECONDS = 1500.0
"""Time for building and fetching the wheels."""
STEP_SECONDS = 600.0
"""Time that each step in the container may take, on however busy a machine."""
STEP = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
open("/home/seconds", "w").write(str(used.ru_utime + used.ru_stime))
sys.exit(done.returncode)
"""
"""Runs a command in the container and notes its processor time, which is not told outside."""
EXPECTED = ("Eileen Collins", "Region-based segmentation")
"""A name and a line that `onlooker demo` prints."""


def build_wheels(folder: Path, extras: str) -> None:
    """Put the wheels of Onlooker, its models and its libraries into `folder`."""
    environment = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "ANNOY_COMPILER_ARGS": ANNOY,
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "PIP_BUILD_CONSTRAINT": str(ROOT / "constraints.txt"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }

    def run(*command: str | Path) -> None:
        subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=BUILD_SECONDS)

    pip = [sys.executable, "-m", "pip"]
    run(*pip, "wheel", "--quiet", "--wheel-dir", folder, f"{ROOT}[{extras}]")
    with tempfile.TemporaryDirectory() as name:
        venv.create(name, with_pip=True)
        programs = Path(name, "bin")
        install = ("install", "--quiet", "--no-index", "--find-links", folder)
        run(programs / "pip", *install, f"onlooker[{extras}]")
        run(programs / "onlooker", "models", "wheel", folder)


def container(wheels: Path, home: Path, application: Path) -> list[str]:
    """Return the command that runs another one in a container of these folders alone."""
    base = Path(sys.base_prefix)
    binds = [Path("/etc/ld.so.cache")]
    links = []
    for path in map(Path, ("/lib", "/lib64", "/usr/lib", "/usr/lib64")):
        if path.is_symlink():
            links += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            binds.append(path)
    real = Path(sys.executable).resolve()
    binds += [real] if base == Path("/usr") else [base]
    arguments = ["bwrap", "--unshare-all", "--die-with-parent", "--clearenv", *links]
    for path in binds:
        if path.exists():
            arguments += ["--ro-bind", str(path), str(path)]
    arguments += ["--ro-bind", str(wheels), "/wheels", "--bind", str(application), "/application"]
    arguments += ["--bind", str(home), "/home", "--setenv", "HOME", "/home", "--chdir", "/home"]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    return [*arguments, "--setenv", "PATH", f"/application/bin:{real.parent}"]


def look(inside: Sequence[str], python: str) -> None:
    """Check that the container is as bare as it is meant to be. Raises AssertionError."""
    code = (
        "import shutil, socket\n"
        f"found = [name for name in {ABSENT!r} if shutil.which(name)]\n"
        "assert not found, found\n"
        "names = [name for _, name in socket.if_nameindex()]\n"
        "assert names == ['lo'], names\n"
    )
    done = subprocess.run([*inside, python, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--extras", default="openvino,demo")
    parser.add_argument("--seconds", type=float, default=90.0)
    asked = parser.parse_args()
    if shutil.which("bwrap") is None:
        print("bubblewrap makes the container; Debian: apt install bubblewrap")
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheels = (asked.wheels or folder / "wheels").resolve()
        if not list(wheels.glob("onlooker_models-*.whl")):
            build_wheels(wheels, asked.extras)
        size = sum(path.stat().st_size for path in wheels.iterdir())
        print(f"{len(list(wheels.iterdir()))} wheels, {size / 1e6:.0f} MB", flush=True)
        for place in ("home", "application"):
            (folder / place).mkdir()
        inside = container(wheels, folder / "home", folder / "application")
        python = str(Path(sys.executable).resolve())
        look(inside, python)
        pip = ("/application/bin/python", "-m", "pip", "install", "--quiet")
        local = ("--no-index", "--find-links", "/wheels", "--disable-pip-version-check")
        steps = {
            "venv": (python, "-m", "venv", "/application"),
            "install": (*pip, *local, f"onlooker[{asked.extras}]", "onlooker-models"),
            "doctor": ("/application/bin/onlooker", "doctor"),
            "demo": ("/application/bin/onlooker", "demo"),
        }
        began, printed, wrong = time.monotonic(), "", []
        for step, words in steps.items():
            start = time.monotonic()
            done = subprocess.run(
                [*inside, python, "-c", STEP, *words],
                capture_output=True,
                text=True,
                timeout=STEP_SECONDS,
            )
            took = time.monotonic() - start
            used = float((folder / "home" / "seconds").read_text(encoding="utf-8"))
            print(f"{step:8} {took:6.1f} s, {used:6.1f} s of processor time", flush=True)
            printed = done.stdout
            if done.returncode:
                print(done.stdout[-3000:], done.stderr[-3000:])
                wrong.append(f"{step} ended with status {done.returncode}")
                break
        seconds = time.monotonic() - began
        print(f"{'all':8} {seconds:6.1f} s")
        wrong += [f"the demo does not show {each!r}" for each in EXPECTED if each not in printed]
        if seconds > asked.seconds:
            wrong.append(f"{seconds:.0f} s, but {asked.seconds:.0f} s are allowed")
    print("\n".join(wrong) or "a fresh machine with Python alone runs the demo")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
