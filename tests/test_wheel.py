"""The sdist and the wheel: built from a clean tree, whole, and at work away from the source."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
BUILD = "import setuptools.build_meta as b, sys; print(getattr(b, sys.argv[1])(sys.argv[2]))"
DATA = {".py", ".pyi", ".toml", ".npz", ".html", ".css", ".js", ".svg", ".typed", ".LICENSE"}
PARTS = {"ext", "setup.py", "pyproject.toml"}
"""What compiled modules are made from."""
MAX_COMPILED_BYTES = 400_000
"""Of one compiled module: with debug symbols the smallest has more than this."""


def run(command: list[str | Path], folder: Path, **environment: str) -> str:
    keep = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTEST_CURRENT_TEST"}}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**keep, **environment},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def tracked() -> list[Path]:
    """Return the files of the project, as a clean tree has them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("no git checkout: which files belong to the project is not known")
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def compiled() -> set[str]:
    """Return the paths of the compiled modules below `pipeline` and in the wheel."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return {
        f"onlooker/{name.relative_to('ext').with_suffix('')}{suffix}"
        for name in tracked()
        if name.suffix == ".pyx"
    }


def are_current(modules: list[Path]) -> bool:
    """Return whether these were compiled after the last change of all they are made from."""
    sources = [ROOT / name for name in tracked() if name.parts[0] in PARTS]
    newest = max(source.stat().st_mtime for source in sources)
    return all(module.exists() and module.stat().st_mtime > newest for module in modules)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean tree."""
    tree = tmp_path_factory.mktemp("tree")
    for name in tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            (tree / name).symlink_to((ROOT / name).readlink())
        elif name.parts[0] not in {"tests", "bench", "docs"}:
            (tree / name).write_bytes((ROOT / name).read_bytes())
    return tree


@pytest.fixture(scope="module")
def sdist(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, built from the clean tree."""
    out = tmp_path_factory.mktemp("sdist")
    return out / run([sys.executable, "-c", BUILD, "build_sdist", out], clean).split()[-1]


@pytest.fixture(scope="module")
def wheel(clean: Path, sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the unpacked sdist.

    What the checkout and the sdist have compiled from the same sources is not compiled again.
    """
    tree, out = tmp_path_factory.mktemp("unpacked"), tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(tree, filter="data")
    [top] = tree.iterdir()
    shutil.copytree(clean / "build", top / "build")
    modules = {name: ROOT / "pipeline" / name for name in compiled()}
    if are_current([*modules.values()]):
        library = f"lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
        for name, module in modules.items():  # the copies are newer than their sources
            (top / "build" / library / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(module, top / "build" / library / name)
    # A packager's flags have the last word; these ones spare most of the compiler's time.
    built = run([sys.executable, "-c", BUILD, "build_wheel", out], top, CFLAGS="-O0")
    return out / built.split()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel, beside the packages of this one."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, symlinks=True)
    [packages] = place.glob("lib/python*/site-packages")
    # Files named *.pth in a folder that is added like this are not read: no editable Onlooker.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # All libraries are there, and pip finds them: it fetches nothing but the wheel.
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", place / "bin" / "python"]
    local = ("--no-index", "--find-links", wheel.parent)
    run([*pip, "install", "--quiet", *local, f"{wheel}[{runtime()}]"], place)
    return place / "bin"


def runtime() -> str:
    """Return the extra with the ONNX Runtime that is installed here."""
    installed = {each.name.lower() for each in metadata.distributions()}
    packages = {"onnxruntime-openvino": "openvino", "onnxruntime-gpu": "gpu", "onnxruntime": "cpu"}
    return next(extra for package, extra in packages.items() if package in installed)


def test_the_sdist_has_all_that_modules_are_compiled_from(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        content = {Path(*Path(name).parts[1:]) for name in archive.getnames()}
    sources = {name for name in tracked() if name.parts[0] == "ext"}
    assert {".pyx", ".pxd", ".h"} <= {name.suffix for name in sources}
    assert sources <= content
    assert not [name for name in content if name.suffix in {".c", ".so"}]


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {each.filename: each.file_size for each in archive.infolist()}
    package = {
        name.relative_to("pipeline").as_posix()
        for name in tracked()
        if name.parts[:2] == ("pipeline", "onlooker") and name.name != "cards"
    }
    cards = {f"onlooker/cards/{name.name}" for name in tracked() if name.parts[:-1] == ("models",)}
    content = {name for name in sizes if ".dist-info/" not in name}
    assert len(package) > 150
    assert len(cards) > 10
    assert content == package | cards | compiled()
    assert {Path(name).suffix for name in package | cards} <= DATA | {".md"}
    assert max(sizes[name] for name in compiled()) < MAX_COMPILED_BYTES


def test_pip_takes_the_wheel_and_an_extra_from_a_folder(installed: Path, wheel: Path) -> None:
    """The command of docs/install.md; a library that no folder has is an error with its name."""
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", installed / "python"]
    local: list[str | Path] = ["--no-index", "--find-links", wheel.parent]
    asked = f"onlooker[{runtime()}]"
    again = [*pip, "install", "--dry-run", "--report", "-", "--quiet", *local]
    report = json.loads(run([*again, "--force-reinstall", "--no-deps", asked], installed))
    [found] = report["install"]
    assert found["metadata"]["name"] == "onlooker"
    assert set(found["requested_extras"]) == {runtime()}
    assert Path(found["download_info"]["url"].removeprefix("file://")) == wheel
    missing = subprocess.run(
        [*again, "--force-reinstall", asked], capture_output=True, text=True, timeout=120
    )
    assert missing.returncode == 1
    assert "No matching distribution found for" in missing.stderr


def test_the_installed_package_works_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = run([installed / "onlooker", "--version"], tmp_path)
    assert version == f"onlooker {table['project']['version']}\n"
    where = "import onlooker, onlooker.vision.geometry as g; print(onlooker.__file__, g.__file__)"
    for place in run([installed / "python", "-c", where], tmp_path).split():
        assert Path(place).is_relative_to(installed.parent)
    data = str(tmp_path / "data")
    listed = run([installed / "onlooker", "models", "list"], tmp_path, ONLOOKER_DATA=data)
    assert "yunet" in listed
    shown = run([installed / "onlooker", "config", "show"], tmp_path, ONLOOKER_DATA=data)
    assert "[text]" in shown


def test_the_version_is_the_same_everywhere() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    version = table["project"]["version"]
    assert citation["version"] == version
    assert f"\n## {version} - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
