"""What a test may be skipped for.

In CI, where the variable `CI` is set, a skip for any other reason is a failure: there nothing is
left out because a download did not work or a package is missing. `tests/conftest.py` loads this.
"""

import os
import re
from collections import Counter
from collections.abc import Generator

import pytest

EXCUSES = {
    "root's absence": r"^root may |^a small disk needs the right to mount",
    "hardware": r"^quantisation is for processors with AVX2$|^there is one core$",
    "another system": r"^(reads|(finds|looks at) [a-z ]+ in) /proc$|^/dev/full is Linux's$"
    r"|^RLIMIT_FSIZE as Linux has it$|^the limit on [a-z' ]+ is Unix's$|^there is no /dev/"
    r"|^no lock there$|^the heap of glibc$|^no IPv6 here: "
    r"|^the stand-in for npm is a shell script$",
    "ONNX Runtime for OpenVINO": "^onnxruntime-openvino is not installed$",
    "PaddleOCR": "^PaddleOCR is not installed|^Programs of Paddle 2|^Paddle's files need the extra",
    "promtool": "^no promtool ",
    "systemd-analyze": "^no systemd-analyze ",
    "Node.js": "^no node |^node and npm are not installed$",
    "Java": "^java is not installed$",
    "Mosquitto": "^mosquitto is not installed",
    "Chromium": "^there is no chromium here",
    "DejaVu Sans": "^lines are drawn with DejaVu Sans",
}
"""Hardware, systems and optional programs, and the reasons of the skips that each explains."""

PREFIX = "Skipped: "


def excuse(reason: str) -> str | None:
    """Return what explains a skip; None if nothing does."""
    return next((what for what, pattern in EXCUSES.items() if re.search(pattern, reason)), None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _judge(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped, and for want of what."""
    skipped = terminalreporter.getreports("skipped")
    lacks = Counter(excuse(_reason(report)) or "other reasons" for report in skipped)
    if lacks:
        listed = ", ".join(f"{count} for {what}" for what, count in lacks.most_common())
        terminalreporter.write_line(f"{len(skipped)} skipped: {listed}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the reason of a skip, which pytest gives with file and line."""
    assert isinstance(report.longrepr, tuple)
    return report.longrepr[2].removeprefix(PREFIX)


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI, make a failure of a skip that nothing explains."""
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return
    if excuse(reason := _reason(report)) is None:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, for no reason of tests/support/skips.py: {reason}"
