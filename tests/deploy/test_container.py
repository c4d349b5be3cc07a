"""The Containerfile and compose.yaml agree with the program, and their parts run together.

The image itself is not built: that needs a container engine and its registry.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import msgspec
import pytest
from tests.support.commands import ONLOOKER, environment
from tests.support.deployment import DEPLOY, ROOT, check_command, instructions, read_yaml
from tests.support.ports import free_port
from tests.support.processes import wait_until
from typer.testing import CliRunner

from onlooker.cli.commands import app
from onlooker.config.load import load
from onlooker.config.paths import data_folder, models_folder
from onlooker.config.schema import Config
from onlooker.stream import capacity, run_directory
from onlooker.stream.errors import RunError
from onlooker.stream.ring import Ring

CONTAINERFILE = instructions(ROOT / "Containerfile")
SERVICES = read_yaml(ROOT / "compose.yaml")["services"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SETTINGS = load(DEPLOY / "compose" / "onlooker.toml")
CAMERA = [sys.executable, str(DEPLOY / "camera.py")]


def arguments(word: str) -> list[str]:
    return [rest for each, rest in CONTAINERFILE if each == word]


def stage(name: str) -> list[tuple[str, str]]:
    """Return the instructions of a stage, behind those of the stages that it begins with."""
    found: list[tuple[str, str]] = []
    inside = False
    for word, rest in CONTAINERFILE:
        if word == "FROM":
            base, _, named = rest.partition(" AS ")
            if inside := named == name:
                found = stage(base)
        elif inside:
            found.append((word, rest))
    return found


def variables(name: str) -> dict[str, str]:
    lines = [rest for word, rest in stage(name) if word == "ENV"]
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(lines)))


def test_images_are_named_plainly_and_stages_exist() -> None:
    stages = set()
    for rest in arguments("FROM"):
        base, _, name = rest.partition(" AS ")
        python = re.fullmatch(r"python:\$\{PYTHON\}-slim-bookworm", base)
        assert python or base in stages or base == "models-${MODELS}", base
        stages.add(name)
    assert {"models-baked", "models-mounted"} <= stages
    assert set(re.findall(r"--from=(\S+)", " ".join(arguments("COPY")))) <= stages
    assert {service["build"]["target"] for service in SERVICES.values() if "build" in service} <= (
        stages
    )
    for service in SERVICES.values():
        assert re.fullmatch(r"[a-z-]+(/[a-z-]+:v[\d.]+)?", service["image"])


@pytest.mark.parametrize("name", ["onlooker", "camera"])
def test_nothing_runs_as_root_and_no_shell_is_needed(name: str) -> None:
    found = dict(stage(name))
    user, _, group = found["USER"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    for word in ("ENTRYPOINT", "CMD"):
        assert all(isinstance(part, str) for part in json.loads(found[word])), word


def test_every_command_line_is_one_of_the_program() -> None:
    final = dict(stage("onlooker"))
    check_command([*json.loads(final["ENTRYPOINT"]), *json.loads(final["CMD"])])
    health = final["HEALTHCHECK"].partition(" CMD ")[2]
    check_command(json.loads(health))
    built = re.findall(r"/onlooker/bin/(onlooker [^&|\n]*)", "\n".join(arguments("RUN")))
    assert built == ["onlooker models pull"]
    for line in built:
        check_command(line.split())
    with pytest.raises(Exception, match="No such option: --twice"):
        check_command(["onlooker", "status", "--twice"])


def test_the_build_has_what_it_needs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    flags = variables("build")["ANNOY_COMPILER_ARGS"]
    assert f"ANNOY_COMPILER_ARGS ?= {flags}\n" in makefile
    defaults = dict(line.split("=") for line in arguments("ARG") if "=" in line)
    assert set(defaults["EXTRAS"].split(",")) <= PROJECT["optional-dependencies"].keys()
    version = tuple(map(int, defaults["PYTHON"].split(".")))
    assert version >= (3, 11)
    assert f"models-{defaults['MODELS']}" in " ".join(arguments("FROM"))


def test_what_is_copied_is_not_ignored() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"]
    assert all((ROOT / name).exists() for name in kept)
    manifest = {"pyproject.toml", "setup.py", "ext", "pipeline", "README.md", "LICENSE"}
    assert manifest <= set(kept)
    for rest in arguments("COPY"):
        *sources, _ = [word for word in rest.split() if not word.startswith("--")]
        if "--from" not in rest and sources != ["."]:
            assert all(any(fnmatch(source, name) for name in kept) for source in sources)


def test_folders_are_those_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    given = variables("onlooker")
    for name, value in given.items():
        if name.startswith("ONLOOKER_"):
            monkeypatch.setenv(name, value)
    final = dict(stage("onlooker"))
    assert str(data_folder()) == final["VOLUME"] == final["WORKDIR"]
    assert f"--from=models {models_folder()} {models_folder()}" in arguments("COPY")
    mounted = dict(line.split(":")[:2] for line in SERVICES["onlooker"]["volumes"])
    assert mounted["data"] == str(data_folder())
    assert mounted["./deploy/compose/onlooker.toml"] == given["ONLOOKER_CONFIG"]


def test_files_that_are_mounted_exist() -> None:
    volumes = read_yaml(ROOT / "compose.yaml")["volumes"]
    for service in SERVICES.values():
        for line in service.get("volumes", ()):
            source = line.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in volumes


def test_addresses_agree_and_are_of_this_machine() -> None:
    assert all(service["network_mode"] == "host" for service in SERVICES.values())
    words = SERVICES["camera"]["command"]
    host, port = words[words.index("--host") + 1], words[words.index("--port") + 1]
    assert SETTINGS.streams["demo"].url == f"http://{host}:{port}/video.mjpg"
    scrape = read_yaml(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]
    assert scrape[0]["static_configs"][0]["targets"] == [SETTINGS.metrics.listen]
    listen = [word for word in SERVICES["prometheus"]["command"] if "listen" in word]
    serve, console = SETTINGS.serve, SETTINGS.console
    addresses = [f"{serve.host}:{serve.port}", console.listen, f"{host}:{port}"]
    addresses += [str(SETTINGS.metrics.listen), *(word.partition("=")[2] for word in listen)]
    assert all(address.startswith("127.0.0.1:") for address in addresses)
    assert len(set(addresses)) == len(addresses) == 5


def test_shared_memory_holds_the_frames_of_some_cameras() -> None:
    size = re.fullmatch(r"(\d+)gb", SERVICES["onlooker"]["shm_size"])
    assert size
    one = capacity.window(SETTINGS) * Ring.slot_bytes_for(1920, 1080)
    assert int(size[1]) * 2**30 > 8 * one


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Run the camera, and Onlooker with compose.yaml's configuration on free ports.

    Yields the folder, and the address of the metrics.
    """
    folder = tmp_path_factory.mktemp("together")
    subprocess.run([*CAMERA, "make", str(folder)], check=True, timeout=120)
    serve = [*CAMERA, "serve", str(folder / "video.mp4"), "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as camera:
        assert camera.stdout
        url = camera.stdout.readline().strip()
        text = (DEPLOY / "compose" / "onlooker.toml").read_text(encoding="utf-8")
        metrics = f"127.0.0.1:{free_port()}"
        for old, new in (
            (SETTINGS.streams["demo"].url, url),
            ("port = 8600", "port = 0"),
            (SETTINGS.console.listen, "127.0.0.1:0"),
            (str(SETTINGS.metrics.listen), metrics),
        ):
            assert old in text
            text = text.replace(old, new)
        msgspec.convert(tomllib.loads(text), Config)
        (folder / "onlooker.toml").write_text(text)
        values = {
            **environment(folder / "data"),
            "ONLOOKER_CONFIG": str(folder / "onlooker.toml"),
        }
        out = folder / "out.txt"
        with (
            out.open("w") as said,
            subprocess.Popen([*ONLOOKER, "run"], env=values, stdout=said, stderr=said) as program,
        ):
            try:
                yield folder, metrics
            finally:
                program.send_signal(signal.SIGTERM)
                program.wait(60)
                camera.terminate()
    assert program.returncode == 0, out.read_text()


@pytest.mark.timeout(240)
def test_the_camera_is_recognised_and_counted(together: tuple[Path, str]) -> None:
    folder, metrics = together

    def seen() -> bool:
        try:
            with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return False
        visits = re.search(r'onlooker_appearances_total{stream="demo"} (\S+)', text)
        return visits is not None and float(visits[1]) >= 1

    assert wait_until(seen, 200), (folder / "out.txt").read_text()


@pytest.mark.timeout(120)
def test_the_health_check_tells_a_run_from_none(
    together: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = dict(stage("onlooker"))["HEALTHCHECK"].partition(" CMD ")[2]
    words = json.loads(health)[1:]
    assert together
    running = CliRunner().invoke(app, words)
    assert running.exit_code == 0, running.output
    assert "demo" in running.output
    # As in a container in which nothing runs.
    monkeypatch.setattr(run_directory, "MEMORY", tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert isinstance(CliRunner().invoke(app, words).exception, RunError)
