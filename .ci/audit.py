"""Ask for known vulnerabilities of all locked versions. Needs the advisories of PyPI.

Exits with 1 for a vulnerability, and with 2 if not all packages could be asked about.
"""

import json
import subprocess
import sys
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"


def main() -> None:
    done = subprocess.run(
        [
            *("pip-audit", "--requirement", str(CONSTRAINTS), "--no-deps", "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print("nothing was audited: the advisory service cannot be reached", file=sys.stderr)
        sys.exit(2)
    skipped = [package for package in packages if "skip_reason" in package]
    found = [(package, each) for package in packages for each in package.get("vulns", ())]
    for package, each in found:
        fixed = ", ".join(each["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed}")
    print(f"{len(packages) - len(skipped)} packages audited, {len(found)} known vulnerabilities")
    if skipped:
        print(
            f"{len(skipped)} could not be audited, such as {skipped[0]['name']}: "
            f"{skipped[0]['skip_reason']}; is the advisory service within reach?",
            file=sys.stderr,
        )
    sys.exit(1 if found else 2 if skipped else 0)


main()
