"""The public names, and what importing them costs."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import onlooker
from onlooker.cli.demo_video import VISITOR, photographs, render


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the images of the example and no collections."""
    photos = photographs()
    cv2.imwrite(str(tmp_path / "portrait.png"), photos.astronaut)
    cv2.imwrite(str(tmp_path / "page.png"), photos.page)
    cv2.imwrite(str(tmp_path / "visitor.png"), render(photos.astronaut, VISITOR))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ONLOOKER_CONFIG", "onlooker.toml")
    (tmp_path / "onlooker.toml").touch()
    return tmp_path


@pytest.mark.usefixtures("images")
def test_the_example_of_the_package_works() -> None:
    result = doctest.testmod(onlooker)
    assert result.failed == 0
    assert result.attempted >= 8


def test_the_package_lists_its_packages() -> None:
    root = Path(onlooker.__file__).parent
    packages = {path.parent.name for path in root.glob("*/__init__.py")}
    listed = re.findall(r"^(\w+)  +\w", onlooker.__doc__ or "", re.MULTILINE)
    assert {*listed} == packages | {"types"}


def test_the_pages_example_works(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parent.parent / "docs" / "images.md").read_text(encoding="utf-8")
    [example] = [
        block
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        if "onlooker.Collection" in block
    ]
    (images / "demo" / "people" / "Eileen Collins").mkdir(parents=True)
    (images / "visitor.png").rename(images / "demo" / "visitor.png")
    portrait = images / "demo" / "people" / "Eileen Collins" / "portrait.png"
    (images / "portrait.png").rename(portrait)
    exec(example, {})
    found, match = capsys.readouterr().out.splitlines()
    assert found == "1 []"
    name, similarity = match.split()
    assert name == "eileen"
    assert float(similarity) > 95


@pytest.mark.parametrize("name", onlooker.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    public = getattr(onlooker, name)
    assert len(public.__doc__.splitlines()) > 5
    assert name in dir(onlooker)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'onlooker' has no attribute 'nobody'"):
        _ = onlooker.nobody


def test_importing_onlooker_loads_nothing_else() -> None:
    script = """
import sys
before = set(sys.modules)
import onlooker
new = set(sys.modules) - before
print(*sorted(n for n in new if n.partition(".")[0] not in sys.stdlib_module_names))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["onlooker"]


def test_python_m_onlooker_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "onlooker", "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith("onlooker ")


def test_one_string_is_no_list_of_streams() -> None:
    with pytest.raises(ValueError, match=r"streams are names, as \['door'\], not one string"):
        onlooker.subscribe("tcp://127.0.0.1:9", streams="door")
