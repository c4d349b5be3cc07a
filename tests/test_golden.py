"""The same faces, names, words and numbers as before the renovation of November 2026.

`tests/golden` holds what the version before it said (commit 56677ec, in full precision on the CPU),
reduced by `tests.support.golden`. A change of these files is a change of what users get.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data
from tests.support import golden

GOLDEN = Path(__file__).resolve().parent / "golden"
SHIPPED = Path(skimage.data.__file__).parent
IMAGES = json.loads((GOLDEN / "images.json").read_text())

PLAIN = '[runtime]\nprovider = "cpu"\n'
"""Full precision on every processor."""


def onlooker(folder: Path, *words: str) -> str:
    """Run the command in `folder`, which holds its configuration and its data."""
    environment = {"ONLOOKER_CONFIG": f"{folder}/onlooker.toml", "ONLOOKER_DATA": f"{folder}/data"}
    done = subprocess.run(
        [sys.executable, "-c", "from onlooker.cli.main import main; main()", *words],
        cwd=folder,
        env={**golden.inherited(), **environment},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def known(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration and a collection of everybody in the samples."""
    folder = tmp_path_factory.mktemp("golden")
    (folder / "onlooker.toml").write_text(PLAIN)
    onlooker(folder, "collection", "create", "known")
    onlooker(folder, "collection", "index", "known", str(samples / "faces" / "identities"))
    return folder


@pytest.mark.parametrize(
    ("video", "expected", "settings"),
    [
        ("googlework_tiny", "tiny", ""),
        ("short_hamilton_clip", "hamilton", ""),
        ("intel_head-pose-face-detection-female", "female", '[faces]\nattributes = ["ALL"]\n'),
    ],
)
@pytest.mark.parametrize("mode", ["staged", "inline"])
def test_a_video(
    video: str, expected: str, settings: str, mode: str, known: Path, samples: Path, tmp_path: Path
) -> None:
    (known / "onlooker.toml").write_text(PLAIN + settings)
    out, words = tmp_path / "out.jsonl", ["--inline"] * (mode == "inline")
    path = str(samples / "video" / f"{video}.mp4")
    onlooker(known, "replay", path, "--collection", "known", "--out", str(out), *words)
    records = [json.loads(line) for line in out.read_text().splitlines()]
    before = json.loads((GOLDEN / f"{expected}.json").read_text())
    found = golden.differences(golden.video(records), before)
    assert found == [], "\n".join(found[:20])


@pytest.mark.parametrize("name", IMAGES)
def test_an_image(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    command, _, path = name.partition(" ")
    image = SHIPPED / path if "/" not in path else request.getfixturevalue("samples") / path
    (tmp_path / "onlooker.toml").write_text(PLAIN)
    answer = json.loads(onlooker(tmp_path, command, str(image)))
    found = golden.differences(golden.image(answer), IMAGES[name])
    assert found == [], "\n".join(found[:20])
