"""The AWS CLI, unchanged, as one process for many commands: a start takes half a second of CPU."""

import io
import json
import os
import select
import subprocess
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

SECONDS = 60
"""Time for one command."""
ENVIRONMENT = {
    **os.environ,
    "AWS_ACCESS_KEY_ID": "AKIDNOBODY",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_PAGER": "",
}


class AwsCli:
    """The process. It runs a command at a time, and ends with its input."""

    def __init__(self) -> None:
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
            text=True,
        )

    def __call__(self, url: str, *words: str) -> Any:
        """Run `aws WORDS` with the service at `url`; return what it prints, decoded."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(arguments(url, words)), file=self._process.stdin, flush=True)
        ready, _, _ = select.select([self._process.stdout], [], [], SECONDS)
        answer = self._process.stdout.readline() if ready else ""
        if not answer:
            self._process.kill()
            self._process.communicate()
            self._process = self._start()
        assert answer, f"the AWS CLI ended, or ran for {SECONDS} seconds: {words}"
        status, output, errors = json.loads(answer)
        assert status == 0, errors
        return json.loads(output or "{}")

    def close(self) -> None:
        self._process.communicate(timeout=60)


def arguments(url: str, words: tuple[str, ...]) -> list[str]:
    return [*words, "--endpoint-url", url, "--output", "json"]


def main() -> None:
    """Run a command for each line of the input; print its status, its output and its errors."""
    from awscli.clidriver import create_clidriver  # type: ignore[import-untyped]

    driver = create_clidriver()
    for line in sys.stdin:
        with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()) as errors:
            try:
                status = driver.main(json.loads(line))
            except BaseException:
                status = 1
                traceback.print_exc()
        print(json.dumps([status, output.getvalue(), errors.getvalue()]), flush=True)


if __name__ == "__main__":
    main()
