"""What the command line adds to the parts: whose records it counts, and how it prints them."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

import onlooker
from onlooker.cli import replay
from onlooker.config.schema import Config, SourceConfig
from onlooker.record.frame_record import build
from onlooker.record.log.writer import Writer
from onlooker.record.summary import Summary
from onlooker.stream.feeds import Feed
from onlooker.types import Frame, TextLine

ONLOOKER = [sys.executable, "-m", "onlooker"]


def frame(index: int, stream: str, epoch: str) -> Frame:
    return Frame(
        stream=stream,
        epoch=epoch,
        index=index,
        pts=index,
        time_base=(1, 25),
        fragment=0,
        fragment_pts=0,
        started=0.0,
        width=64,
        height=36,
    )


def test_records_of_other_videos_and_settings_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with Writer(path) as log:
        for stream, epoch, analysis in (
            ("door", "a", "plain"),
            ("door", "a", "named"),
            ("door", "b", "named"),
            ("yard", "a", "named"),
        ):
            for index in range(3):
                log.append([build(frame(index, stream, epoch), Config(), analysis)])
    feed = Feed(stream="door", source=SourceConfig(url="door.mp4"), digest="a", analysis="named")
    assert [record.RecordId for record in replay.own_records(path, [feed])] == [
        build(frame(index, "door", "a"), Config(), "named").RecordId for index in range(3)
    ]


def test_what_was_read_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    read = "[exit] PAGE [/b] :fire:"
    quad = ((0.0, 0.0), (40.0, 0.0), (40.0, 10.0), (0.0, 10.0))
    line = TextLine(text=read, score=0.99, quad=quad, words=())
    summary = Summary()
    summary.add(build(replace(frame(0, "a", "e"), lines=(line,)), Config(), "d"))
    replay.print_summary(summary)
    assert read in capsys.readouterr().out


def run(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [*ONLOOKER, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_advice_in_brackets_is_whole(tmp_path: Path) -> None:
    (tmp_path / "onlooker.toml").write_text('[faces]\nembedder = "yunet"\n')
    done = run("config", "check", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: [faces] embedder: yunet is no face embedder")
    assert done.stderr.count("\n") == 1


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "onlooker.toml").write_text('[streams.door]\nurl = "rtsp://me:geheim@10.0.0.7/1"\n')
    done = run("config", "show", cwd=tmp_path)
    assert 'url = "rtsp://10.0.0.7/1"' in done.stdout
    assert "passwords and what follows a question mark are left out" in done.stdout
    assert "geheim" not in done.stdout


def test_a_url_that_is_none_is_told(tmp_path: Path) -> None:
    done = run("stream", "door=rtsp://me:geheim@[10.0.0.7/1", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: door: url: no host and port can be seen in it")
    assert "geheim" not in done.stderr


def test_an_unknown_kind_is_told(tmp_path: Path) -> None:
    done = run("watch", f"ipc://{tmp_path}/records", "--kind", "faces", cwd=tmp_path)
    assert done.returncode == 2
    assert "kind 'faces' is none of" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_string_is_no_list_of_streams() -> None:
    with pytest.raises(ValueError, match=r"streams are names, as \['door'\], not one string"):
        onlooker.subscribe("tcp://127.0.0.1:9", streams="door")


def test_a_key_without_the_publishers_is_told(tmp_path: Path) -> None:
    run("keys", "generate", str(tmp_path / "mine"), cwd=tmp_path)
    done = run("watch", f"ipc://{tmp_path}/records", "--key", str(tmp_path / "mine"), cwd=tmp_path)
    assert done.returncode == 2
    assert "without the publisher's public key" in " ".join(done.stderr.split())


def test_the_demo_keeps_off_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "faces.db").write_text("mine")
    done = run("demo", "--folder", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert "has files that are not the demo's" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["faces.db"]
    assert (tmp_path / "faces.db").read_text() == "mine"


def catches(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Whether a process has a handler for this signal by now."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at a process in /proc")
def test_sigterm_ends_a_command_as_its_end_would(tmp_path: Path) -> None:
    command = [*ONLOOKER, "watch", f"ipc://{tmp_path}/records"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        while not catches(process, signal.SIGTERM):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_a_file_with_the_same_frames_otherwise_looked_at_is_refused(tmp_path: Path) -> None:
    path, source = tmp_path / "r.db", SourceConfig(url="door.mp4")
    feed = Feed(stream="door", source=source, digest="a", analysis="named", start=1)
    with Writer(path) as log:
        log.append([build(frame(0, "door", "a"), Config(), "named")])
        log.append([build(frame(0, "yard", "a"), Config(), "plain")])
        assert replay.other_records(path, [feed]) == 0
        log.append([build(frame(0, "door", "a"), Config(), "plain")])
        log.append([build(frame(0, "door", "b"), Config(), "named")])
    assert replay.other_records(path, [feed]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--annotate", "there.mp4"), "there.mp4: is there already; delete it"),
        (("--annotate", "nodir/x.mp4"), "there is no folder nodir"),
        (("--collection", "nope"), "The collection id: nope does not exist"),
    ],
)
def test_what_cannot_work_is_told_before_the_video_is_looked_at(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    (tmp_path / "there.mp4").write_text("mine")
    environment = {**os.environ, "ONLOOKER_DATA": str(tmp_path)}
    command = [*ONLOOKER, "replay", "video.mp4", *options]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*.jsonl"))
    assert (tmp_path / "there.mp4").read_text() == "mine"


def test_the_version_is_told(tmp_path: Path) -> None:
    done = run("--version", cwd=tmp_path)
    assert done.returncode == 0
    assert re.fullmatch(r"onlooker \d+\.\d+\.\d+\n", done.stdout)
