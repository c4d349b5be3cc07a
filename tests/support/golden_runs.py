"""Runs of the command whose results are compared with `tests/golden`, and are written there.

`python -m tests.support.golden_runs` writes the results for everybody's pictures again.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import skimage.data
from tests.support import golden, pictures
from tests.support.street_scenes import photograph

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
SHIPPED = Path(skimage.data.__file__).parent

PLAIN = '[runtime]\nprovider = "cpu"\n'
"""Full precision on every processor."""

VIDEOS = {
    "man": ("video/man.mp4", '[faces]\nattributes = ["ALL"]\n'),
    "man_then_title": ("video/man_then_title.mov", ""),
}
"""File and more settings of the videos of everybody's pictures."""
IMAGES = (
    *("faces groups/armchair.jpg", "faces groups/shore.jpg", "faces groups/sofa.jpg"),
    *("faces groups/two_people.jpg", "faces people/film_woman/2.png", "faces cut/left_half.jpg"),
    *("text scenes/0.jpg", "text scenes/1.jpg", "text scenes/2.jpg"),
)
"""Commands and files of the images of everybody's pictures; the scenes are drawn."""

EACH = """
import sys
from onlooker.cli.main import main
for line in sys.stdin:
    sys.argv[1:] = line.split()
    try:
        main()
    except SystemExit as end:
        assert not end.code, line
    print("\\0", end="", flush=True)
"""
"""Runs the commands on stdin in one process, which loads its models once."""


def onlooker(folder: Path, *commands: str) -> list[str]:
    """Run commands in `folder`, which gets their configuration and data; return their output."""
    environment = {"ONLOOKER_CONFIG": f"{folder}/onlooker.toml", "ONLOOKER_DATA": f"{folder}/data"}
    done = subprocess.run(
        [sys.executable, "-c", EACH],
        cwd=folder,
        env={**golden.inherited(), **environment},
        input="\n".join(commands),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\0")[:-1]


def index(folder: Path, people: Path) -> None:
    """Make the collection `known` of `people` in `folder`."""
    (folder / "onlooker.toml").write_text(PLAIN, encoding="utf-8")
    onlooker(folder, "collection create known", f"collection index known {people}")


def replayed(folder: Path, video: Path, settings: str, out: Path, mode: str) -> golden.Json:
    """Return what is kept of a video's records, replayed with the collection in `folder`."""
    (folder / "onlooker.toml").write_text(PLAIN + settings, encoding="utf-8")
    words = " --inline" if mode == "inline" else ""
    onlooker(folder, f"replay {video} --collection known --out {out}{words}")
    lines = out.read_text(encoding="utf-8").splitlines()
    return golden.video([json.loads(line) for line in lines])


def answers(folder: Path, place: Path, names: Iterable[str]) -> dict[str, golden.Json]:
    """Return what is kept of the answers to commands like "faces group.jpg", by command.

    A file without a folder is one of scikit-image's, another one is in `place`.
    """
    (folder / "onlooker.toml").write_text(PLAIN, encoding="utf-8")
    wanted = list(names)
    commands = []
    for name in wanted:
        command, _, path = name.partition(" ")
        commands.append(f"{command} {place / path if '/' in path else SHIPPED / path}")
    found = [golden.image(json.loads(each)) for each in onlooker(folder, *commands)]
    return dict(zip(wanted, found, strict=True))


def everybodys(folder: Path) -> Path:
    """Return a folder with everybody's pictures and the scenes that are drawn on them."""
    place = folder / "pictures"
    place.mkdir()
    for each in pictures.folder().iterdir():
        (place / each.name).symlink_to(each)
    (place / "scenes").mkdir()
    for number in range(3):
        data, _ = photograph(pictures.folder(), number)
        (place / "scenes" / f"{number}.jpg").write_bytes(data)
    return place


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = everybodys(folder)
        found = answers(folder, place, IMAGES)
        (GOLDEN / "pictures.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        index(folder, place / "people")
        for video, (path, settings) in VIDEOS.items():
            kept = replayed(folder, place / path, settings, folder / f"{video}.jsonl", "inline")
            (GOLDEN / f"{video}.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
