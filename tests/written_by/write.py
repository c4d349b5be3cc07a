"""Write the files of this release, for its tests and those of all later releases.

`python -m tests.written_by.write` makes `tests/written_by/VERSION/`: each file as this version
leaves it, compressed. All vectors, images and names are made up. A folder that is there is kept.
"""

import gzip
import tempfile
import tomllib
from pathlib import Path

from tests.support import people, readings, stores
from tests.support.stored_videos import TOPIC, request, store

from onlooker.api.usage import Usage
from onlooker.config.load import dump
from onlooker.config.schema import Config, SourceConfig
from onlooker.record.log.writer import Writer
from onlooker.stream.stream_table import StreamTable

HERE = Path(__file__).parent
SETTINGS = Config(
    streams={
        "door": SourceConfig(url="rtsp://127.0.0.1:8554/door", fps=5),
        "yard": SourceConfig(url="test://moving", policy="live"),
    }
)
VISITORS = [people.visitor(person, photo) for person in (1, 2) for photo in (0, 1)]


def write(folder: Path) -> None:
    """Write one file of each kind into an empty folder, as a user's folder of data has them."""
    (folder / "onlooker.toml").write_text(dump(SETTINGS), encoding="utf-8")
    for _ in stores.filled(folder / "faces.db"):
        pass
    people.join(folder, *VISITORS)
    people.log_of(folder, *VISITORS)
    with Writer(folder / "records.db") as log:
        log.append([readings.reading(7, "Gate 12", people.DAY, people.DAY + 5, stream="yard")])
    with StreamTable(folder / "streams.db") as table:
        table.add("cellar", SourceConfig(url="test://moving", fps=2))
        table.pause("cellar")
    with store(folder) as jobs:
        done = jobs.find(jobs.start(request(topic=TOPIC), "token"))
        jobs.finish(done, "SUCCEEDED")
        jobs.start(request("TextDetection"), None)
    with Usage(folder / "faces.db") as usage:
        for _ in range(3):
            usage.count("DetectFaces")


def main() -> None:
    to = HERE / version_of_source()
    to.mkdir()
    with tempfile.TemporaryDirectory() as made:
        write(Path(made))
        for path in [*Path(made).glob("*.db"), *Path(made).glob("jobs/*.db")]:
            assert not path.with_name(path.name + "-wal").exists(), path
            (to / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        (to / "onlooker.toml").write_bytes((Path(made) / "onlooker.toml").read_bytes())


def version_of_source() -> str:
    """Return the version in pyproject.toml."""
    with (HERE.parent.parent / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


if __name__ == "__main__":
    main()
