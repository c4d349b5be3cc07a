"""The examples of the server, in the README and docs/boto3.md, run; all operations are listed."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from tests.support.server import Running

from onlooker.api import access_keys
from onlooker.api.rekognition.operations import OPERATIONS
from onlooker.api.services import actions
from onlooker.config.schema import Config

ROOT = Path(__file__).resolve().parent.parent.parent
HOW_TO = (ROOT / "docs" / "boto3.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
HERE = "http://127.0.0.1:8600"


@pytest.fixture
def folder(demo: Path, tmp_path: Path) -> Path:
    """Return a folder with the output of `make demo`."""
    (tmp_path / "demo").symlink_to(demo)
    return tmp_path


def example(language: str) -> str:
    """Return the page's block in a language that names the server's address."""
    blocks = re.findall(rf"```{language}\n(.*?)```", HOW_TO, re.DOTALL)
    [found] = [block for block in blocks if HERE in block]
    return str(found)


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page in a language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(command: list[str], folder: Path) -> str:
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": tools, "AWS_PAGER": ""},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_with_boto3_works(server: Running, folder: Path) -> None:
    output = run([sys.executable, "-c", example("python").replace(HERE, server.url)], folder)
    name, similarity = output.splitlines()[0].split()
    assert name == "eileen"
    assert float(similarity) > 95
    assert output.splitlines()[1] == "1 indexed"


def test_the_examples_with_the_aws_cli_and_curl_work(server: Running, folder: Path) -> None:
    output = run(["bash", "-e", "-c", example("sh").replace(HERE, server.url)], folder)
    assert '"Smile"' in output
    assert output.count('"CollectionIds"') == 2


def test_the_readme_finds_by_boto3_who_was_indexed_by_the_command(
    server: Running, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    [readme] = [block for block in blocks("README.md", "python") if HERE in block]
    portrait = (folder / "demo" / "people" / "Eileen Collins" / "portrait.png").read_bytes()
    client = server.client()
    client.create_collection(CollectionId="staff")
    client.index_faces(
        CollectionId="staff", Image={"Bytes": portrait}, ExternalImageId="Eileen::Collins"
    )
    output = run([sys.executable, "-c", readme.replace(HERE, server.url)], folder)
    assert re.fullmatch(r"Eileen::Collins (9[5-9]|100)\n", output)
    tutorial = blocks("docs/tutorial.md", "sh")[0].replace(HERE, server.url)
    assert "Eileen::Collins" in run(["bash", "-e", "-c", tutorial], folder)
    client.delete_collection(CollectionId="staff")


def test_the_server_prints_what_the_page_shows(server: Running) -> None:
    output = (server.log.parent / "out.txt").read_text().splitlines()
    assert output[1] in HOW_TO
    assert output[0].replace(server.url, HERE) in HOW_TO


def test_every_operation_has_its_row() -> None:
    rows = re.findall(r"^\| (\w+) \| .+ \|$", PAGE.split("## What each does")[1], re.MULTILINE)
    assert [row for row in rows if row in OPERATIONS] == list(OPERATIONS)


def test_the_toml_of_the_page_can_be_used(tmp_path: Path) -> None:
    first, second, third = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "keys.toml"
    path.write_text(first)
    path.chmod(0o600)
    assert {key.user for key in access_keys.load(path, actions()).values()} == {
        "admin",
        "kiosk",
    }
    assert msgspec.convert(tomllib.loads(second), Config).serve.keys == "keys.toml"
    assert msgspec.convert(tomllib.loads(third), Config).serve.cors_origins
