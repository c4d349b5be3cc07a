"""Runs whose results are compared with `tests/golden`, and are written there.

`python -m tests.support.golden_runs` writes the results for everybody's pictures again.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import skimage.data
from msgspec.structs import replace
from tests.support import golden, pictures
from tests.support.street_scenes import photograph

from onlooker.config.load import load
from onlooker.config.schema import Match, SourceConfig
from onlooker.stream.feeds import feeds_of
from onlooker.stream.inline import inline_feeds
from onlooker.stream.outputs import Outputs
from onlooker.stream.supervisor import replay_feeds

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
SHIPPED = Path(skimage.data.__file__).parent

PLAIN = '[runtime]\nprovider = "cpu"\n'
"""Full precision on every processor."""


class Film(NamedTuple):
    """A video, the mode and the settings in which it is analysed, and for how many seconds."""

    path: str
    mode: Literal["staged", "inline"] = "inline"
    settings: str = ""
    end: float | None = None


ALL = '[faces]\nattributes = ["ALL"]\n'
VIDEOS = {
    "man": Film("video/man.mp4", settings=ALL),
    "man_then_title": Film("video/man_then_title.mov", "staged", end=3.7),
}
"""The videos of everybody's pictures. In the second the title has been read whole."""
SAMPLE_VIDEOS = {
    "tiny": Film("video/googlework_tiny.mp4"),
    "hamilton": Film("video/short_hamilton_clip.mp4", end=3.15),
    "female": Film("video/intel_head-pose-face-detection-female.mp4", settings=ALL),
}
"""The videos of the samples. In the second, somebody is named in the scene after a cut."""
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


def replayed(folder: Path, place: Path, film: Film) -> golden.Json:
    """Return what is kept of a film in `place`, analysed with the collection in `folder`."""
    (folder / "onlooker.toml").write_text(PLAIN + film.settings, encoding="utf-8")
    config = replace(load(folder / "onlooker.toml"), match=Match(collection="known"))
    path = place / film.path
    records = folder / f"{path.stem}.jsonl"
    assert not records.exists()  # a run would resume, and analyse nothing
    source = SourceConfig(url=str(path), end=film.end)
    feeds = feeds_of({path.stem: source}, config, Outputs(records=records))
    run = inline_feeds if film.mode == "inline" else replay_feeds
    run(feeds, config, lambda status: None, store=folder / "data" / "faces.db")
    lines = records.read_text(encoding="utf-8").splitlines()
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
        for video, film in VIDEOS.items():
            kept = replayed(folder, place, film)
            (GOLDEN / f"{video}.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
