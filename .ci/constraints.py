"""Print the versions of pip's installation report as a constraints file."""

import json
import sys
from pathlib import Path

HEAD = """\
# The versions that `make` installs, so that everybody builds, checks and tests with the same ones.
# Renew them with `make constraints`, then run `make check test`."""


def main(report: Path) -> None:
    print(HEAD)
    packages = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    lines = [f"{package['name'].lower()}=={package['version']}" for package in packages]
    print(*sorted(line for line in lines if not line.startswith("onlooker==")), sep="\n")


main(Path(sys.argv[1]))
