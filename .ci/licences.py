"""Print the licence of each locked dependency, and fail if one that users install has another.

Reads what the packages say in the environment that runs it. `--runtime` leaves out development's.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("cpu", "openvino", "s3", "nats", "mqtt", "kafka", "ray", "postgres", "otel")
"""Those that users install."""
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "LGPL-3.0-only",  # psycopg, an option: a library that is imported and not changed
    "MIT",
    "MPL-2.0",  # certifi, pathspec and others: it covers their own files only
    "PSF-2.0",
    "Unlicense",
    "Zlib",
}
"""Licences, by SPDX, under which programs of any licence may use a library."""
MEANT = {
    r"(OSI Approved|UNKNOWN|Dual License)": "",
    r"Apache.*": "Apache-2.0",
    r"(New |Modified |3-Clause )?BSD(-3| 3-Clause)?( License)?": "BSD-3-Clause",
    r"(The )?MIT( License| license)?( \(MIT\))?": "MIT",
    r"(The )?ISC License.*": "ISC",
    r"(Mozilla Public License 2\.0|MPL 2\.0|MPL-2\.0).*": "MPL-2.0",
    r"GNU Lesser General Public License v3 \(LGPLv3\)": "LGPL-3.0-only",
    r"(PSF.*|Python Software Foundation License)": "PSF-2.0",
    r"The Unlicense.*": "Unlicense",
}
"""Other names of licences, of before packages had to use SPDX's."""


def licence(package: Distribution) -> str:
    """Return the SPDX expression of a package, or its own words if they are no known ones."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    text = (metadata.get("License") or "").strip().splitlines() or [""]
    kinds = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    known = [_spdx(words) for words in (*kinds, text[0]) if _spdx(words)]
    return next((each for each in known if each in ALLOWED), known[0] if known else "unknown")


def _spdx(words: str) -> str:
    for pattern, name in MEANT.items():
        if re.fullmatch(pattern, words):
            return name
    return words


def is_allowed(expression: str) -> bool:
    """Return whether one of the alternatives has allowed licences only.

    Of an expression with brackets all are looked at, which may refuse too much.
    """
    if "(" in expression:
        return all(each in ALLOWED for each in re.split(r" AND | OR |[()]+", expression) if each)
    return any(
        all(part in ALLOWED for part in each.split(" AND ")) for each in expression.split(" OR ")
    )


def runtime() -> set[str]:
    """Return the names of what users install, as far as it is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"]]
    for extra in EXTRAS:
        lines += project["optional-dependencies"][extra]
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in found or (package := _installed(wanted.name)) is None:
            continue
        found.add(key)
        inner = [Requirement(line) for line in package.requires or []]
        waiting += [
            each
            for each in inner
            if each.marker is None
            or any(each.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras))
        ]
    return {name for name, _ in found}


def locked() -> Iterator[str]:
    """Yield the names in constraints.txt."""
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            yield canonicalize_name(line.partition("==")[0])


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", action="store_true", help="only what users install")
    used = runtime()
    refused = []
    for name in sorted(used if parser.parse_args().runtime else used | set(locked())):
        if (package := _installed(name)) is None:
            continue
        found = licence(package)
        print(f"{name:32} {package.version:20} {'runtime' if name in used else 'dev':8} {found}")
        if name in used and not is_allowed(found):
            refused.append(f"{name}: {found!r} is not among the licences of .ci/licences.py")
    if refused:
        sys.exit("\n".join(refused))


main()
