"""`onlooker replay`: records, subscribers, deaths, signals, broken input, and the summary."""

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
import cv2
import numpy as np
import pytest
from tests.support.commands import ONLOOKER, environment, onlooker
from tests.support.processes import directories, offspring

from onlooker.cli.demo_video import photographs
from onlooker.cli.replay import replay_videos
from onlooker.config.schema import Config, Faces, Text
from onlooker.media.video_writer import VideoWriter
from onlooker.record.sinks import json_lines
from onlooker.record.subscribe import subscribe
from onlooker.rekognition.shapes import StreamRecord, encode
from onlooker.stream.outputs import Outputs
from onlooker.stream.run_directory import MEMORY, PREFIX

FRAMES = 36
Refused: TypeAlias = Callable[..., tuple[int | str | None, str]]
"""A command that ends with an error: its status and stderr."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short video, and a collection `crew` in which its person is indexed.

    Its settings ask for one worker of each kind: each loads its models.
    """
    folder = tmp_path_factory.mktemp("replay")
    (folder / "onlooker.toml").write_text("[pipeline]\nworkers = 1\n")
    portrait = photographs().astronaut
    with VideoWriter(folder / "video.mp4", 640, 360, 25, key_every=12) as video:
        for number in range(FRAMES):
            frame = np.full((360, 640, 3), 90, np.uint8)
            frame[20:320, 20:320] = portrait[0:300, 60 + number : 360 + number]
            text = f"EXIT {21 + number // 12}"
            cv2.putText(frame, text, (350, 200), cv2.FONT_HERSHEY_DUPLEX, 1.6, (255,) * 3, 3)
            video.write(frame)
    people = folder / "people" / "Eileen Collins"
    people.mkdir(parents=True)
    cv2.imwrite(str(people / "a.png"), portrait[10:290, 90:350])
    done = run(folder, "collection", "index", "crew", "people")
    assert done.returncode == 0, done.stderr
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return onlooker(*words, cwd=folder)


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*ONLOOKER, *words],
        cwd=folder,
        env=environment(folder / "data"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def clean_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The commands of the test leave no run directory behind; other tests may run beside it."""
    started: list[subprocess.Popen[Any]] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        """A process that is noted."""

        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    yield
    assert started
    for process in started:
        with process:  # its pipes are closed
            if process.poll() is None:  # the test has failed before it ended
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(60)
            process.kill()
        assert list(MEMORY.glob(f"{PREFIX}{process.pid}-*")) == []


@pytest.fixture(scope="module")
def summary(place: Path) -> str:
    """What one process prints that analyses the video and draws the results."""
    words = ("--collection", "crew", "--inline", "--annotate", "seen.mp4")
    done = run(place, "replay", "video.mp4", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def truth(place: Path, summary: str) -> bytes:
    """The records that one process writes for the video."""
    return (place / "video.jsonl").read_bytes()


def check_summary(printed: str) -> None:
    assert "Eileen Collins" in printed
    assert [f"EXIT {number}" in printed for number in (21, 22, 23)] == [True] * 3
    assert f"{FRAMES} frames" in printed
    assert "visits          onlooker log appearances --log " in printed.splitlines()[-1]


def test_the_summary_names_the_person_and_the_text(place: Path, summary: str) -> None:
    check_summary(summary)
    with av.open(str(place / "seen.mp4")) as seen:
        assert sum(1 for _ in seen.decode(video=0)) == FRAMES
    assert len(list(json_lines.read(place / "video.jsonl"))) == FRAMES


@pytest.mark.usefixtures("clean_afterwards")
def test_subscribers_get_what_the_file_holds(
    place: Path, truth: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = f"ipc://{place}/records.ipc"
    received: list[StreamRecord] = []

    def listen() -> None:
        for record in subscribe(endpoint, timeout=60):
            received.append(record)
            if len(received) == FRAMES:
                return

    listener = threading.Thread(target=listen)
    listener.start()
    words = ("replay", "video.mp4", "--collection", "crew", "--out", "2.jsonl")
    (place / "many.toml").write_text("[pipeline]\nworkers = 2\n")
    monkeypatch.setenv("ONLOOKER_CONFIG", "many.toml")
    done = run(place, *words, "--publish", endpoint)
    listener.join(60)
    assert done.returncode == 0, done.stderr
    check_summary(done.stdout)
    lines = (place / "2.jsonl").read_bytes()
    assert b"".join(encode(record) + b"\n" for record in received) == lines
    # And many processes write byte for byte what one writes.
    assert lines == truth


@pytest.mark.usefixtures("clean_afterwards")
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_every_process_may_be_killed_once(place: Path, truth: bytes) -> None:
    out = place / "killed.jsonl"
    words = ["replay", "video.mp4", "--collection", "crew", "--out", str(out)]
    replay = start(place, *words, "--speed", "0.25x")  # so that there is time to kill them all
    killed: list[list[bytes]] = []
    while replay.poll() is None and len(killed) < 8:
        time.sleep(0.4)
        for pid, command in offspring(replay.pid).items():
            stage = any(word.startswith(b"onlooker.stream") for word in command)
            if stage and command not in killed and out.exists() and out.stat().st_size:
                os.kill(pid, signal.SIGKILL)
                killed.append(command)
                break
    _, complaints = replay.communicate(timeout=200)
    assert replay.returncode == 0, complaints.decode()
    assert len(killed) >= 4, killed
    assert out.read_bytes() == truth


@pytest.mark.usefixtures("clean_afterwards")
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_sigterm_stops_everything_within_five_seconds(place: Path) -> None:
    words = ["replay", "video.mp4", "--collection", "crew", "--out", "stopped.jsonl"]
    # The video's clock runs from its first frame on, also while a busy machine loads the models.
    replay = start(place, *words, "--speed", "0.01x")
    written = place / "stopped.jsonl"
    deadline = time.monotonic() + 200
    while not (written.exists() and written.stat().st_size):
        assert replay.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = offspring(replay.pid)
    assert len(children) >= 6
    replay.terminate()
    began = time.monotonic()
    _, complaints = replay.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert replay.returncode == 128 + signal.SIGTERM, complaints.decode()
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    # What was written is whole, and the same command resumes from there.
    list(json_lines.read(place / "stopped.jsonl"))
    done = run(place, *words)
    assert done.returncode == 0, done.stderr
    assert len(list(json_lines.read(place / "stopped.jsonl"))) == FRAMES


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "sound", "folder"])
def test_what_is_no_video_is_one_clear_error(tmp_path: Path, kind: str, refused: Refused) -> None:
    video = tmp_path / f"{kind}.mp4"
    match kind:
        case "empty":
            video.touch()
        case "text":
            video.write_text("this is no video\n" * 100)
        case "sound":
            with av.open(str(video), "w") as container:
                track = container.add_stream("aac", rate=8000, layout="mono")
                sound = av.AudioFrame.from_ndarray(
                    np.zeros((1, 8000), np.float32), format="fltp", layout="mono"
                )
                sound.rate, sound.time_base, sound.pts = 8000, Fraction(1, 8000), 0
                container.mux(track.encode(sound))
                container.mux(track.encode(None))
        case "folder":
            video.mkdir()
    status, err = refused("replay", str(video))
    assert status == 1
    [line] = [line for line in err.splitlines() if line.strip()]
    assert line.startswith("error:")
    assert video.name in line
    assert directories(os.getpid()) == []
    assert sorted(path.name for path in tmp_path.iterdir() if path != video) == []


@pytest.mark.usefixtures("clean_afterwards")
def test_a_truncated_video_is_analysed_up_to_its_end(place: Path, tmp_path: Path) -> None:
    # Matroska has no index at its end that a cut would take away.
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    with av.open(str(place / "video.mp4")) as source, av.open(str(whole), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    done = run(tmp_path, "replay", "cut.mkv")
    assert done.returncode == 0, done.stderr
    records = list(json_lines.read(tmp_path / "cut.jsonl"))
    assert 5 < len(records) < FRAMES
    assert [record.FrameInformation.Index for record in records] == list(range(len(records)))


def test_an_unknown_collection_is_named(place: Path) -> None:
    done = run(place, "replay", "video.mp4", "--collection", "nobody", "--out", "n.jsonl")
    assert done.returncode == 1
    assert "nobody" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_collection_is_made_searched_and_deleted(
    place: Path,
    tmp_path: Path,
    call: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    for name, text in environment(place / "data").items():
        monkeypatch.setenv(name, text)

    def said(*words: str, status: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            call("collection", *words)
        out, err = capsys.readouterr()
        assert ended.value.code == status, err
        return err if status else out

    grey, deep = tmp_path / "grey.png", tmp_path / "deep.png"
    portrait = photographs().astronaut
    cv2.imwrite(str(grey), cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY))
    cv2.imwrite(str(deep), portrait.astype(np.uint16) * 257)
    said("create", "staff")
    assert "staff" in said("create", "staff", status=1)
    assert "2 images for staff: 2 indexed" in said("index", "staff", str(grey), str(deep))
    listed = said("list", "staff")
    assert "grey" in listed
    assert "deep" in listed
    assert "Eileen Collins" in said("search", "crew", str(grey))
    said("delete", "staff")
    assert "staff" not in said("list")


def test_each_line_of_the_file_is_one_json_object(truth: bytes) -> None:
    names = {
        "InputInformation",
        "StreamProcessorInformation",
        "FaceSearchResponse",
        "TextDetections",
        "RecordId",
        "Sequence",
        "FrameInformation",
        "FaceModelVersion",
        "TextModelVersion",
    }
    followed = {"Tracks", "Appearances", "LineTracks", "Readings"}
    for line in truth.splitlines():
        assert names <= set(json.loads(line)) <= names | followed


def test_a_log_of_other_settings_is_refused(place: Path, truth: bytes, tmp_path: Path) -> None:
    again = onlooker("replay", "video.mp4", cwd=place)
    assert again.returncode == 1
    assert "were made with other settings or from other videos; delete it" in again.stderr
    assert (place / "video.jsonl").read_bytes() == truth


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--annotate", "there.mp4"), "there.mp4: is there already; delete it"),
        (("--annotate", "nodir/x.mp4"), "there is no folder nodir"),
        (("--annotate", "x.txt"), "'.txt' is no suffix of a video that can be written"),
        (("--collection", "nope"), "The collection id: nope does not exist"),
    ],
)
def test_options_that_cannot_work_are_refused_before_the_video_is_opened(
    options: tuple[str, ...], message: str, tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "there.mp4").write_text("mine")
    status, err = refused("replay", "video.mp4", *options)
    assert status == 1
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.jsonl"))
    assert (tmp_path / "there.mp4").read_text() == "mine"


@pytest.mark.parametrize("option", [("--speed", "fast"), ("--annotate", "x.mp4", "second.mp4")])
def test_options_that_are_wrong_are_a_usage_error(
    option: tuple[str, ...], refused: Refused
) -> None:
    status, err = refused("replay", "video.mp4", *option)
    assert status == 2
    assert option[0] in err


def test_a_url_is_sent_to_the_command_for_streams(tmp_path: Path, refused: Refused) -> None:
    status, err = refused("replay", "test://moving")
    assert status == 2
    assert "onlooker stream" in err
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_to_is_left_as_it_was(tmp_path: Path, refused: Refused) -> None:
    with VideoWriter(tmp_path / "video.mp4", 64, 48, 25) as video:
        video.write(np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "link.db-wal").write_text("another's")
    nowhere, folder = "is a link that leads nowhere", "is a folder"
    for option, path, why in (
        ("--out", "link", nowhere),
        ("--out", "", folder),
        ("--log", "", folder),
    ):
        status, err = refused("replay", "video.mp4", "--inline", option, path)
        assert status == 1
        assert err.count("\n") == 1
        assert why in err
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "link.db-wal").read_text() == "another's"
    assert not (tmp_path / "link.db").exists()


def test_a_video_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with VideoWriter(tmp_path / "grey.mp4", 64, 48, 25) as video:
        video.write(np.full((48, 64, 3), 90, np.uint8))
    hashed: list[str] = []
    real = hashlib.file_digest

    def file_digest(file: Any, kind: str) -> Any:
        hashed.append(str(file.name))
        return real(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    settings = Config(faces=Faces(enabled=False), text=Text(enabled=False))
    outputs = Outputs(records=tmp_path / "r.jsonl")
    replay_videos([tmp_path / "grey.mp4"], settings, outputs, None, one_process=True)
    assert len(list(json_lines.read(tmp_path / "r.jsonl"))) == 1
    assert [name for name in hashed if name.endswith("grey.mp4")] == [str(tmp_path / "grey.mp4")]
