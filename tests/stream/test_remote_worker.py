"""Workers on other machines: records are those of one machine, whatever happens to them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support import machines, steps
from tests.support.machines import Network
from tests.support.ports import free_port
from tests.support.processes import children, directories

from onlooker.config.schema import Config, Pipeline
from onlooker.stream.inline import inline
from onlooker.stream.messages import Counts, Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.supervisor import replay

FRAMES = 1500
CONFIG = Config(pipeline=Pipeline(workers=1, window=8, heartbeat=0.3, liveness=3))
WAIT_SECONDS = 60.0

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return steps.video(tmp_path_factory.mktemp("video") / "small.mp4", FRAMES)


@pytest.fixture(scope="module")
def expected(video: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The records that one process writes."""
    records = tmp_path_factory.mktemp("expected") / "records.jsonl"
    inline([video], CONFIG, Outputs(records=records), steps.quiet, steps.LIGHT)
    return records.read_bytes()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(free_port())
    yield made
    made.close()
    assert children() == {}
    assert directories(os.getpid()) == []


@pytest.fixture
def config(tmp_path: Path, network: Network) -> Config:
    """A run that machine 0 may join through the network."""
    return replace(CONFIG, workers=machines.settings(tmp_path, network.target))


@pytest.fixture
def pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACE", str(tmp_path / "pace"))
    return tmp_path / "pace"


def test_accidents_of_a_machine_change_no_record(
    video: Path,
    expected: bytes,
    config: Config,
    network: Network,
    pace: Path,
    tmp_path: Path,
) -> None:
    outputs, kinds = Outputs(records=tmp_path / "records.jsonl"), list(machines.KINDS)
    accidents = machines.Accidents(kinds, [1.5] * len(kinds), tmp_path, network, pace)
    try:
        status = replay([video], config, outputs, accidents, steps.PACED)
    finally:
        said = accidents.close()
    assert accidents.survived == kinds, said
    assert (tmp_path / "records.jsonl").read_bytes() == expected
    [stream] = status.streams
    assert stream.counts == Counts(received=FRAMES, done=FRAMES)
    assert all(name.startswith("machine-0/") for name in accidents.frames)


def test_a_machine_without_an_admitted_key_waits_and_analyses_nothing(
    video: Path, config: Config, network: Network, pace: Path, tmp_path: Path
) -> None:
    none = replace(config, workers=replace(config.workers, clients=()))
    others: set[str] = set()

    def look(status: Status) -> None:
        others.update(worker.name for worker in status.workers if worker.machine)

    with machines.machine(tmp_path, network.endpoint) as process:
        replay([video], none, Outputs(records=tmp_path / "records.jsonl"), look, steps.PACED)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS) != 0
    assert network.carried > 0
    assert others == set()


def test_a_machine_whose_models_differ_says_so_and_ends(
    video: Path, config: Config, network: Network, pace: Path, tmp_path: Path
) -> None:
    pace.touch()
    with machines.machine(tmp_path, network.endpoint, other_models=True) as process:

        def look(status: Status) -> None:
            if process.poll() is not None:
                pace.unlink(missing_ok=True)

        replay([video], config, Outputs(records=tmp_path / "records.jsonl"), look, steps.PACED)
        _, said = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 1
    assert "model yunet: another here" in said
    assert "install the same release of onlooker" in said
