import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support import indexes
from tests.support.indexes import files, people
from tests.support.stores import new

from onlooker.identity import index_paths
from onlooker.identity.errors import CollectionNotFound
from onlooker.identity.search import index_builder, index_file, replica
from onlooker.identity.search.index_builder import Builder, BuildError
from onlooker.identity.store import Store

KEY = ("staff", "m", "cosine", "faces")


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Store]:
    """A store with enough faces for a file."""
    with Store(tmp_path / "faces.db") as opened:
        opened.make_collection("staff", "m")
        for start in range(0, replica.MIN_FILE_CHANGES, 2500):
            opened.add("staff", [new(seed) for seed in range(start, start + 2500)])
        yield opened


def base(store: Store) -> Path:
    return index_paths.base_path(store.index_folder, "staff", "m", "faces")


def test_the_process_writes_the_file(full: Store) -> None:
    Builder(full.path, *KEY).run()  # type: ignore[arg-type]
    found = index_file.load(base(full), full.key, "cosine")
    assert found is not None
    assert found.manifest.count == replica.MIN_FILE_CHANGES
    assert np.count_nonzero(found.view.live) == replica.MIN_FILE_CHANGES


def test_a_small_collection_gets_no_file(tmp_path: Path) -> None:
    with Store(tmp_path / "faces.db") as store:
        store.make_collection("staff", "m")
        store.add("staff", [new(1)])
        index_builder.build(store, "staff", "m", "cosine", "faces")
        assert index_file.read_manifest(base(store)) is None


def test_an_emptied_collection_keeps_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "MIN_FILE_CHANGES", 4)
    with Store(tmp_path / "faces.db") as store:
        store.make_collection("staff", "m")
        faces = store.add("staff", [new(seed) for seed in range(5)])
        index_builder.build(store, "staff", "m", "cosine", "faces")
        assert index_file.read_manifest(base(store)) is not None
        store.delete_faces("staff", [face.face_id for face in faces])
        index_builder.build(store, "staff", "m", "cosine", "faces")
        assert list(base(store).parent.glob("*.vectors")) == []


def test_a_collection_that_is_deleted_while_its_file_is_written(
    filed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = index_file.write

    def slowly(*arguments: Any) -> None:
        write(*arguments)
        filed.delete_collection("staff")
        write(*arguments)  # as if it had been deleted a moment before

    monkeypatch.setattr(index_file, "write", slowly)
    filed.add("staff", [indexes.new(vector) for vector in people(12, 200)])
    with pytest.raises(CollectionNotFound):
        index_builder.build(filed, "staff", "m", "cosine", "faces")
    assert [*files(filed, ".vectors"), *files(filed, ".ann"), *files(filed, "manifest")] == []


def test_the_message_of_the_process_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "faces.db").write_text("no database" * 100)
    with pytest.raises(BuildError, match="it is not a face store"):
        Builder(tmp_path / "faces.db", *KEY).run()  # type: ignore[arg-type]


def test_an_unknown_collection(tmp_path: Path) -> None:
    with Store(tmp_path / "faces.db") as store, pytest.raises(CollectionNotFound):
        index_builder.build(store, "nobody", "m", "cosine", "faces")
    with pytest.raises(BuildError, match="nobody does not exist"):
        Builder(tmp_path / "faces.db", "nobody", "m", "cosine", "faces").run()


def test_modules_in_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("queue", "msgspec", "annoy"):
        (folder / f"{name}.py").write_text("open('imported', 'w')\nraise SystemExit(7)\n")
    monkeypatch.chdir(folder)
    with Store(tmp_path / "faces.db") as store:
        store.make_collection("staff", "m")
    Builder(tmp_path / "faces.db", *KEY).run()  # type: ignore[arg-type]
    assert not (folder / "imported").exists()


def test_it_can_be_stopped(full: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits for another process, that never ends."""
    with index_file.locked(base(full)):
        builder = Builder(full.path, *KEY)  # type: ignore[arg-type]
        running = threading.Thread(target=builder.run)
        running.start()
        assert running.is_alive()
        builder.stop()
        running.join(30)
        assert not running.is_alive()
    builder.run()  # does nothing any more
    assert index_file.read_manifest(base(full)) is None


def test_it_ends_with_the_process_that_started_it(full: Store, tmp_path: Path) -> None:
    """Also if that one is killed: a search from the command line leaves no process behind."""
    said = tmp_path / "pid"
    script = (
        "import subprocess, sys, threading\n"
        "from pathlib import Path\n"
        "from onlooker.identity.search import index_builder as module\n"
        "popen = subprocess.Popen\n"
        "def told(*args, **options):\n"
        "    process = popen(*args, **options)\n"
        f"    Path({str(said)!r}).write_text(str(process.pid))\n"
        "    return process\n"
        "module.subprocess.Popen = told\n"
        f"module.Builder(Path({str(full.path)!r}), 'staff', 'm', 'cosine', 'faces').run()\n"
    )
    with index_file.locked(base(full)):  # so that it takes for ever
        parent = subprocess.Popen([sys.executable, "-c", script])
        builder = _number(said)
        assert _is_running(builder)
        parent.send_signal(signal.SIGKILL)
        parent.wait(30)
        end = time.monotonic() + 30
        while _is_running(builder):
            assert time.monotonic() < end, "the builder outlives its parent"
            time.sleep(0.01)


def test_few_run_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = [0], [0]
    lock, go_on = threading.Lock(), threading.Event()

    class Process:
        def __init__(self, *_: object, **__: object) -> None:
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])

        def __enter__(self) -> "Process":
            return self

        def __exit__(self, *_: object) -> None:
            with lock:
                running[0] -= 1

        @property
        def stderr(self) -> "Process":
            return self

        @property
        def stdin(self) -> "Process":
            return self

        def write(self, line: bytes) -> None:
            assert line == b"\n"  # there is no URL

        def flush(self) -> None: ...

        def read(self) -> bytes:
            assert go_on.wait(30)
            return b""

        returncode = 0

    monkeypatch.setattr(subprocess, "Popen", Process)
    builders = [Builder(tmp_path, f"c{n}", "m", "cosine", "faces") for n in range(6)]
    threads = [threading.Thread(target=builder.run) for builder in builders]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert running == [0]
    assert 1 <= most[0] <= index_builder.MAX_BUILDERS


def _number(file: Path) -> int:
    end = time.monotonic() + 30
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return int(file.read_text())


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"
