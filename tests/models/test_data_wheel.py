"""The data wheel: the same bytes each time, notices for all, and found by an offline Onlooker."""

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from onlooker.cli import demo_video
from onlooker.durable_file import Occupied
from onlooker.models import archive, data_wheel, precision, weights
from onlooker.models.card import Archive, WeightsError, card
from onlooker.models.precision import Finding

SMALL = [card("yunet"), card("gender")]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed wheel, on a machine with no network and no models of its own."""
    wheel = data_wheel.write(tmp_path / "wheels", SMALL)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    place = tmp_path / "site"
    subprocess.run([*pip, "--target", place, wheel], check=True, timeout=120)

    def unreachable(source: Archive) -> bytes:
        raise WeightsError("no network")

    monkeypatch.setattr(archive, "fetch", unreachable)
    monkeypatch.setenv("ONLOOKER_MODELS", str(tmp_path / "models"))
    monkeypatch.syspath_prepend(place)
    return place / "onlooker_models"


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    first = data_wheel.write(tmp_path / "first", SMALL)
    second = data_wheel.write(tmp_path / "second", SMALL[::-1])
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    when = first.stat().st_mtime_ns
    assert data_wheel.write(tmp_path / "first", SMALL) == first
    assert first.stat().st_mtime_ns == when


def test_another_wheel_is_not_replaced(tmp_path: Path) -> None:
    wheel = data_wheel.write(tmp_path, SMALL)
    wheel.write_bytes(b"mine")
    with pytest.raises(Occupied):
        data_wheel.write(tmp_path, SMALL)
    assert wheel.read_bytes() == b"mine"


def test_every_model_has_a_notice_and_the_record_is_right(tmp_path: Path) -> None:
    with zipfile.ZipFile(data_wheel.write(tmp_path, SMALL)) as wheel:
        content = {name: wheel.read(name) for name in wheel.namelist()}
    for each in SMALL:
        notice = content[f"onlooker_models/notices/{each.name}.txt"].decode()
        assert each.licence in notice
        assert each.attribution in notice
        assert each.archive.sha256 in notice
    [record] = [name for name in content if name.endswith("/RECORD")]
    lines = [line.split(",") for line in content[record].decode().splitlines()]
    assert {name for name, _, _ in lines} == content.keys()
    for name, digest, size in lines:
        if name != record:
            kind, _, text = digest.partition("=")
            assert base64.urlsafe_b64decode(text + "=") == hashlib.new(kind, content[name]).digest()
            assert int(size) == len(content[name])
    assert b"Apache License" in content[record.replace("RECORD", "licenses/Apache-2.0.txt")]


def test_the_version_follows_the_models() -> None:
    assert data_wheel.version(SMALL) != data_wheel.version(SMALL[:1])


def test_an_offline_machine_finds_the_models_and_the_photographs(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights.path("yunet")
    assert path.parent == installed
    assert weights.pull(["gender", "yunet"]) == [installed / card("gender").file, path]
    with pytest.raises(WeightsError, match="no network"):
        weights.path("age")
    monkeypatch.setattr(demo_video, "find_spec", lambda name: None)
    assert demo_video.photographs().astronaut.shape == (512, 512, 3)


def test_findings_about_installed_models_are_kept_in_the_cache(installed: Path) -> None:
    path = weights.path("yunet")
    finding = Finding(True, 1.0, ())
    precision.keep(card("yunet"), path, "runtime", "bf16", finding)
    assert precision.read(card("yunet"), path, "runtime", "bf16") == finding
    assert not list(installed.glob("*.json"))
    with pytest.raises(WeightsError):
        weights.pull(["yunet", "age"])
    assert precision.read(card("yunet"), path, "runtime", "bf16") == finding


def test_a_damaged_installed_model_is_built_again_with_force(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (installed / card("yunet").file).read_bytes()
    (installed / card("yunet").file).write_bytes(b"damaged")
    monkeypatch.undo()
    monkeypatch.syspath_prepend(installed.parent)
    monkeypatch.setenv("ONLOOKER_MODELS", str(installed.parent.parent / "models"))
    [path] = weights.pull(["yunet"], force=True)
    assert weights.path("yunet") == path
    assert path.read_bytes() == whole
