"""constraints.txt pins everything that `make` installs."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent


def pinned() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [re.fullmatch(r"([\w.-]+)==([\w.!+]+)", line) for line in lines if line[0] != "#"]
    assert all(pins), "a line is neither a comment nor NAME==VERSION"
    return {canonicalize_name(pin[1]): Version(pin[2]) for pin in pins if pin}


def test_every_requirement_of_the_makefile_is_pinned_to_a_version_that_fits() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = table["project"]["optional-dependencies"]
    wanted = [
        *table["build-system"]["requires"],
        *table["project"]["dependencies"],
        *(line for extra in ("cpu", "openvino", "demo", "dev", "audit") for line in extras[extra]),
    ]
    pins = pinned()
    assert len(wanted) > 30
    for requirement in map(Requirement, wanted):
        version = pins[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, requirement
