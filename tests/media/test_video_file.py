"""Video files: frames, time stamps, resuming, and damage."""

import hashlib
import os
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels, Planes
from onlooker.media.video_file import VideoFile
from onlooker.media.video_writer import VideoWriter
from onlooker.types import Frame

FRAMES = 20


def grey(index: int) -> int:
    """Return the brightness that identifies an image."""
    return 40 + 8 * index


def picture(index: int, width: int = 64, height: int = 48) -> Pixels:
    """Return noise around the brightness, so that no packet has only a few bytes."""
    noise = np.random.default_rng(index).integers(-30, 31, (height, width, 3))
    return (noise + grey(index)).clip(0, 255).astype(np.uint8)


def video_at(path: Path, frames: int = FRAMES, first_pts: int = 0) -> Path:
    with VideoWriter(path, 64, 48, 10, Fraction(1, 1000), key_every=5) as writer:
        for index in range(frames):
            writer.write(picture(index), first_pts + 100 * index)
    return path


def copied(source: Path, path: Path, **options: str) -> Path:
    """Copy the packets into another container."""
    with av.open(str(source)) as old, av.open(str(path), "w", options=options) as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.dts is not None:  # not the last one, which is empty
                packet.stream = copy
                new.mux(packet)
    return path


def streamable(tmp_path: Path) -> bytes:
    """Return a video whose index is before its frames, as for downloads."""
    video = video_at(tmp_path / "whole.mp4")
    return copied(video, tmp_path / "streamable.mp4", movflags="faststart").read_bytes()


def frames_of(video: VideoFile, start: int = 0) -> list[tuple[Frame, Planes | None]]:
    return list(video.frames("door", start))


def brightness(planes: Planes | None) -> float:
    assert planes is not None
    return float(planes.small(64).mean())


def test_frames_are_in_order_with_their_times(tmp_path: Path) -> None:
    path = video_at(tmp_path / "video.mp4")
    with VideoFile(path) as video:
        assert (video.width, video.height, video.rate, video.frames_expected) == (
            64,
            48,
            10,
            FRAMES,
        )
        frames = frames_of(video)
    assert [frame.index for frame, _ in frames] == list(range(FRAMES))
    assert [round(frame.time, 6) for frame, _ in frames] == [i / 10 for i in range(FRAMES)]
    with av.open(str(path)) as container:
        keys = [packet.pts or 0 for packet in container.demux(video=0) if packet.is_keyframe]
    assert len(keys) >= FRAMES / 5
    for frame, _ in frames:
        assert frame.fragment_pts == max(key for key in keys if key <= frame.pts)
        assert frames[frame.fragment][0].pts == frame.fragment_pts
    for index, (frame, planes) in enumerate(frames):
        assert brightness(planes) == pytest.approx(grey(index), abs=3)
        assert (frame.width, frame.height, frame.error) == (64, 48, None)
        assert (frame.stream, frame.started) == ("door", 0.0)
        assert frame.epoch == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_video_may_begin_late(tmp_path: Path) -> None:
    with VideoFile(video_at(tmp_path / "video.mp4", first_pts=834)) as video:
        frame, _ = next(video.frames("door"))
        assert frame.time == pytest.approx(0.834)


@pytest.mark.parametrize("start", [0, 1, 7, FRAMES - 1, FRAMES, FRAMES + 5])
def test_resuming_gives_the_same_frames(tmp_path: Path, start: int) -> None:
    with VideoFile(video_at(tmp_path / "video.mp4")) as video:
        whole, rest = frames_of(video), frames_of(video, start)
    assert [frame for frame, _ in rest] == [frame for frame, _ in whole][start:]
    for (_, planes), (_, same) in zip(rest, whole[start:], strict=True):
        assert brightness(planes) == brightness(same)


def test_a_negative_start_is_refused(tmp_path: Path) -> None:
    with (
        VideoFile(video_at(tmp_path / "video.mp4")) as video,
        pytest.raises(ValueError, match="frame -1"),
    ):
        video.frames("door", -1)


@pytest.mark.parametrize("name", ["video.mkv", "video.ts", "video.avi", "video.h264", "video.mov"])
def test_containers(tmp_path: Path, name: str) -> None:
    """Some containers have no time stamps, some no number of frames."""
    path = tmp_path / name
    with VideoWriter(path, 64, 48, 25, key_every=5) as writer:
        for index in range(FRAMES):
            writer.write(picture(index))
    with VideoFile(path) as video:
        frames = frames_of(video)
    times = [frame.time for frame, _ in frames]
    assert len(frames) == FRAMES
    assert times == sorted(set(times))
    assert times[-1] - times[0] == pytest.approx(19 / 25, abs=0.01)
    assert [round((brightness(planes) - 40) / 8) for _, planes in frames] == list(range(FRAMES))


def test_a_name_with_a_colon_is_no_protocol(tmp_path: Path) -> None:
    with VideoFile(video_at(tmp_path / "video.mp4").rename(tmp_path / "pipe:1.mp4")) as video:
        assert len(frames_of(video)) == FRAMES


def test_errors_are_one_line_with_path_and_cause(tmp_path: Path) -> None:
    empty, text, sound = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "sound.wav"
    empty.touch()
    text.write_text("I am no video\n" * 100)
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    picture = tmp_path / "face.PNG"
    picture.write_bytes(cv2.imencode(".png", np.zeros((20, 20, 3), np.uint8))[1].tobytes())
    for path, cause in (
        (tmp_path / "missing.mp4", "No such file or directory"),
        (tmp_path, "not a file"),
        (Path("/dev/null"), "not a file"),
        (empty, "the file is empty"),
        (text, "not a video that can be read (Invalid data found when processing input)"),
        (sound, "no video in it"),
        (
            picture,
            "an image, not a video; use `onlooker faces` or `onlooker text`, or name a "
            "folder of images",
        ),
    ):
        with pytest.raises(MediaError) as error:
            VideoFile(path)
        assert str(error.value) == f"{path}: {cause}"


def test_a_cover_image_is_no_video(tmp_path: Path) -> None:
    song = tmp_path / "song.m4a"
    with av.open(str(song), "w", format="mp4") as container:
        sound = container.add_stream("aac", 8000)
        cover = container.add_stream("mjpeg", 1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        silence.rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
        container.mux(cover.encode(av.VideoFrame.from_ndarray(picture(0), "bgr24")))
    with pytest.raises(MediaError, match="no video in it"):
        VideoFile(song)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_video(tmp_path: Path) -> None:
    path = video_at(tmp_path / "video.mp4")
    path.chmod(0)
    with pytest.raises(MediaError, match="Permission denied"):
        VideoFile(path)


def test_a_playlist_cannot_name_other_files(tmp_path: Path) -> None:
    video_at(tmp_path / "video.ts")
    playlist = tmp_path / "innocent.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nvideo.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError, match="not a video"):
        VideoFile(playlist)


def test_a_video_without_its_index(tmp_path: Path) -> None:
    path = video_at(tmp_path / "video.mp4")  # the index is at the end
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match="not a video that can be read"):
        VideoFile(path)


@pytest.mark.parametrize("part", [0.5, 0.7, 0.9, 0.99])
def test_a_truncated_video_gives_its_beginning(tmp_path: Path, part: float) -> None:
    data = streamable(tmp_path)
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: round(part * len(data))])
    with VideoFile(path) as video:
        frames = frames_of(video)
        assert video.frames_expected == FRAMES
        assert [frame for frame, _ in frames] == [frame for frame, _ in frames_of(video)]
    good = [frame.index for frame, planes in frames if planes is not None]
    assert 0 < len(good) < FRAMES
    assert len(good) >= round(part * FRAMES) - 4
    for frame, planes in frames:
        assert (planes is None) == (frame.error is not None)
        if planes is not None:
            assert brightness(planes) == pytest.approx(grey(frame.index), abs=3)


def test_a_damaged_packet_is_a_frame_with_a_cause(tmp_path: Path) -> None:
    path = video_at(tmp_path / "video.mp4")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        broken = packets[12]
        assert broken.pos is not None
        place, size = broken.pos, broken.size
    data = bytearray(path.read_bytes())
    data[place : place + size] = b"\xff" * size
    path.write_bytes(data)
    with VideoFile(path) as video:
        frames = frames_of(video)
        assert [frame for frame, _ in frames_of(video, 8)] == [frame for frame, _ in frames][8:]
    failed = [frame for frame, planes in frames if planes is None]
    assert len(frames) == FRAMES
    assert 1 <= len(failed) <= 5  # frames up to the next key frame depend on it
    assert all(frame.error is not None and "damaged" in frame.error for frame in failed)
    assert [frame.index for frame, _ in frames] == list(range(FRAMES))
    times = [frame.time for frame, _ in frames]
    assert times == sorted(times)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["video.mp4", "video.ts", "video.mkv", "video.avi"])
def test_bits_flipped_anywhere_neither_crash_nor_hang(tmp_path: Path, name: str, seed: int) -> None:
    path = video_at(tmp_path / name)
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for place in rng.integers(0, len(data), 30):
        data[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    try:
        video = VideoFile(path)
    except MediaError:
        return  # its header is damaged
    frames = [frame for frame, _ in frames_of(video)]
    assert frames == [frame for frame, _ in frames_of(video)]
    assert len(frames) <= 3 * FRAMES


def test_the_size_may_change(tmp_path: Path) -> None:
    path = tmp_path / "video.ts"
    video_at(path, 6)
    with VideoWriter(tmp_path / "more.ts", 96, 80, 10, Fraction(1, 1000)) as writer:
        for index in range(6):
            writer.write(picture(index, 96, 80), 600 + 100 * index)
    path.write_bytes(path.read_bytes() + (tmp_path / "more.ts").read_bytes())
    with VideoFile(path) as video:
        frames = frames_of(video)
        assert (video.width, video.height) == (64, 48)
        assert [frame for frame, _ in frames_of(video, 9)] == [frame for frame, _ in frames][9:]
    sizes = [(frame.width, frame.height) for frame, _ in frames]
    assert sizes == [(64, 48)] * 6 + [(96, 80)] * 6
    assert all(p is None or (p.width, p.height) == (f.width, f.height) for f, p in frames)


def test_closing_ends_running_iterations(tmp_path: Path) -> None:
    path = video_at(tmp_path / "video.mp4")
    before = open_files()
    with VideoFile(path):
        pass
    assert open_files() == before
    with VideoFile(path) as video:
        frames = video.frames("door")
        next(frames)
    assert next(frames, None) is None
    assert open_files() == before


def open_files() -> int:
    """Return the number of open files; 0 if the system does not tell."""
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


def test_a_video_is_opened_once_to_be_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = video_at(tmp_path / "video.mp4"), []
    real = av.open

    def counting(*arguments: Any, **options: Any) -> Any:
        opened.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(av, "open", counting)
    with VideoFile(path) as video:
        first = [frame for frame, _ in frames_of(video)]
        assert len(opened) == 1
        again = [frame for frame, _ in frames_of(video)]
    assert len(opened) == 2
    assert first == again
    assert len(first) == FRAMES


def test_a_video_that_vanishes_has_no_digest(tmp_path: Path) -> None:
    path = video_at(tmp_path / "video.mp4")
    with VideoFile(path) as video:
        path.unlink()
        with pytest.raises(MediaError, match=r"video\.mp4: No such file or directory"):
            _ = video.digest


@pytest.mark.parametrize(
    ("name", "frames", "first", "last"),
    [
        ("woman.mp4", 472, 0.0, 19.6446),
        ("man.mp4", 72, 0.0, 2.3667),
        ("man_then_title.mov", 169, 0.0, 6.3604),  # HEVC
    ],
)
def test_real_videos(pictures: Path, name: str, frames: int, first: float, last: float) -> None:
    check_video(pictures / "video" / name, frames, first, last)


@pytest.mark.parametrize(
    ("name", "frames", "first", "last"),
    [
        ("googlework_short.mp4", 1026, 0.834, 35.0682),
        ("short_hamilton_clip.mp4", 275, 0.852, 9.9945),
        ("person_night.mp4", 97, 0.0, 9.6),
    ],
)
def test_real_videos_of_the_samples(
    samples: Path, name: str, frames: int, first: float, last: float
) -> None:
    check_video(samples / "video" / name, frames, first, last)


def check_video(path: Path, frames: int, first: float, last: float) -> None:
    """Check the number of frames, and the times of the first and the last in seconds."""
    with VideoFile(path) as video:
        seen_frames = [frame for frame, _ in video.frames("real")]
    assert video.frames_expected == len(seen_frames) == frames
    assert seen_frames[0].time == pytest.approx(first, abs=1e-3)
    assert seen_frames[-1].time == pytest.approx(last, abs=1e-3)
    assert not [frame.error for frame in seen_frames if frame.error]
