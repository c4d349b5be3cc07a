"""Containers of every kind, the stream that is chosen, and files that name other files."""

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from av.video.stream import VideoStream
from PIL import Image
from tests.support import films

from onlooker.media.container import FORMATS
from onlooker.media.errors import MediaError, TooLarge
from onlooker.media.video_file import VideoFile

QUIET = {"x265-params": "log-level=none"}
MADE: dict[str, dict[str, Any]] = {
    "video.mp4": {},
    "video.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "video.mkv": {"codec": "ffv1"},
    "video.webm": {"codec": "libvpx"},
    "video.avi": {},
    "divx.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "camera.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "video.ts": {},
    "video.mts": {"container": "mpegts"},
    "video.mpg": {"codec": "mpeg2video", "rate": 25, "options": {"bf": "2"}},
    "video.vob": {"codec": "mpeg2video", "rate": 25, "options": {"bf": "2"}},
    "video.m1v": {"codec": "mpeg1video", "rate": 25, "options": {"bf": "2"}},
    "video.m2v": {"codec": "mpeg2video", "rate": 25, "options": {"bf": "2"}},
    "video.m4v": {"codec": "mpeg4", "container": "m4v"},
    "video.264": {"container": "h264", "options": {"bf": "3"}},
    "video.265": {
        "codec": "libx265",
        "container": "hevc",
        "options": {"x265-params": "log-level=0"},
    },
    "video.flv": {"codec": "flv"},
    "avc.flv": {},
    "video.wmv": {"codec": "wmv2"},
    "video.asf": {"codec": "msmpeg4"},
    "video.3gp": {"codec": "mpeg4"},
    "video.ogv": {"codec": "libvpx"},
    "video.rm": {"codec": "rv20", "size": (128, 96)},
    "video.mxf": {"codec": "mpeg2video", "rate": 25},
    "video.nut": {"codec": "mpeg4", "options": {"bf": "2"}},
    "video.swf": {"codec": "flv"},
    "video.wtv": {"codec": "mpeg2video", "rate": 25},
    "video.dv": {"codec": "dvvideo", "rate": 25, "size": (720, 576)},
    "video.ivf": {"codec": "libvpx"},
    "video.y4m": {"codec": "wrapped_avframe"},
    "video.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "video.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "video.apng": {"codec": "apng", "pix_fmt": "rgb24"},
}


def numbers_and_times(path: Path) -> tuple[list[int], list[float]]:
    with VideoFile(path) as video:
        frames = list(video.frames("door"))
    assert all(frame.error is None for frame, _ in frames)
    numbers = [films.number_of(planes) for _, planes in frames if planes is not None]
    return numbers, [frame.time for frame, _ in frames]


@pytest.mark.parametrize("name", MADE)
def test_frames_are_in_order_in_every_container(tmp_path: Path, name: str) -> None:
    path = films.write(tmp_path / name, **MADE[name])
    numbers, times = numbers_and_times(path)
    assert numbers == list(range(12))
    steps = np.diff(times)
    assert steps.min() > 0
    # Motion JPEG without a container has no rate.
    rate = 25 if name.endswith(".mjpeg") else MADE[name].get("rate", 10)
    assert steps == pytest.approx(1 / rate, abs=0.002)


def test_frames_of_a_recorder_are_in_order(tmp_path: Path) -> None:
    """Its time stamps are a clock's, in the order of decoding."""
    stream = films.write(tmp_path / "a.264", container="h264", options={"bf": "2"})
    numbers, times = numbers_and_times(films.dhav(tmp_path / "a.dav", stream, 100))
    assert numbers == list(range(12))
    assert times == pytest.approx([number / 10 for number in range(12)])


def test_joined_files_go_on(tmp_path: Path) -> None:
    for count in (12, 3, 2):
        parts = [
            films.write(tmp_path / f"{part}.ts", first=part * count, count=count).read_bytes()
            for part in range(3)
        ]
        joined = tmp_path / "joined.ts"
        joined.write_bytes(b"".join(parts))
        numbers, times = numbers_and_times(joined)
        assert numbers == list(range(3 * count))
        assert np.diff(times) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "offsets", [(0, 36_000, 18_000), (95_442, 0, 0), (95_443.5,) * 3, (50_000, 10, 90_000)]
)
def test_clocks_that_jump_and_wrap_go_on(tmp_path: Path, offsets: tuple[float, ...]) -> None:
    """The clock of a transport stream has 33 bits: 95 443.7 seconds."""
    joined = tmp_path / "joined.ts"
    with joined.open("wb") as file:
        for part, offset in enumerate(offsets):
            path = films.write(tmp_path / "part.ts", first=part * 10, count=10)
            file.write(shifted(path, round(offset * 90_000)).read_bytes())
    numbers, times = numbers_and_times(joined)
    assert numbers == list(range(30))
    steps = np.diff(times)
    assert steps.min() > 0
    assert sum(steps) < 8  # three seconds, and at most the beginning of a recording twice
    assert np.sum(np.abs(steps - 0.1) < 0.001) >= 27


def shifted(path: Path, by: int) -> Path:
    """Copy a transport stream with a clock that is `by` later."""
    new = path.with_name("shifted.ts")
    with av.open(str(path)) as old, av.open(str(new), "w") as file:
        stream = old.streams.video[0]
        copy = file.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.pts is not None and packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts + by, packet.dts + by, copy
                file.mux(packet)
    return new


def with_streams(path: Path, *sizes: tuple[int, int], default: int = 0) -> Path:
    """Write a video with a stream of each size, which bears the stream's place as its number."""
    with av.open(str(path), "w") as container:
        streams = []
        for width, height in sizes:
            stream = container.add_stream("mpeg4", 10)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        for place, stream in enumerate(streams):
            stream.disposition = Disposition.default if place == default else Disposition.dub
        for pts in range(5):
            for place, stream in enumerate(streams):
                image = films.numbered(place, sizes[place])
                frame = av.VideoFrame.from_ndarray(image, "bgr24")
                frame.pts = pts
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["video.mkv", "video.mp4", "video.ts"])
@pytest.mark.parametrize("largest", [0, 1, 2])
def test_the_largest_stream_is_taken(tmp_path: Path, name: str, largest: int) -> None:
    sizes = [(128, 48), (160, 64), (144, 64)]
    sizes[largest] = (320, 128)
    numbers, _ = numbers_and_times(with_streams(tmp_path / name, *sizes))
    assert numbers == [largest] * 5


def test_of_equal_streams_the_default_one_is_taken(tmp_path: Path) -> None:
    sizes = (128, 48), (128, 48)
    numbers, _ = numbers_and_times(with_streams(tmp_path / "a.mkv", *sizes, default=1))
    assert numbers == [1] * 5


def test_an_animated_image_is_played_whole(tmp_path: Path) -> None:
    """AVIF has its first image as a stream of its own, too."""
    images = [Image.fromarray(films.numbered(number)) for number in range(5)]
    path = tmp_path / "animated.avif"
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    numbers, times = numbers_and_times(path)
    assert numbers == list(range(5))
    assert times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_stream_without_a_container_has_the_rate_of_its_codec(
    tmp_path: Path, interlaced: bool
) -> None:
    """libav takes 25 frames a second for it, and makes up the time stamps of its packets."""
    options = {"x264-params": "tff=1:interlaced=1"} if interlaced else {"bf": "2"}
    for rate in (10, 50):
        path = films.write(tmp_path / "a.264", container="h264", rate=rate, options=options)
        numbers, times = numbers_and_times(path)
        assert numbers == list(range(12))
        assert times == pytest.approx([number / rate for number in range(12)])
        with VideoFile(path) as video:
            assert video.rate == rate


LARGE_JPEG = cv2.imencode(".jpg", np.zeros((8_000, 10_000), np.uint8))[1].tobytes()


@pytest.mark.parametrize("name", ["a.mjpeg", "A.MJPG"])
def test_jpegs_in_a_row_are_a_video(tmp_path: Path, name: str) -> None:
    """Cameras write JFIF, by which libav knows an image; its own encoder does not."""
    images = [cv2.imencode(".jpg", films.numbered(number))[1].tobytes() for number in range(12)]
    (tmp_path / name).write_bytes(b"".join(images))
    numbers, times = numbers_and_times(tmp_path / name)
    assert numbers == list(range(12))
    assert times == pytest.approx([number / 25 for number in range(12)])


def test_images_of_too_many_pixels_are_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.avi"
    with av.open(str(large), "w") as container:
        stream = container.add_stream("mjpeg", 10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 10_000, 8_000, "yuvj420p"
        packet = av.Packet(LARGE_JPEG)
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        container.mux(packet)
    with pytest.raises(TooLarge, match=r"images of 10000 x 8000 pixels exceed 65 million$"):
        VideoFile(large)


def test_later_images_of_too_many_pixels_are_damage(tmp_path: Path) -> None:
    small = films.write(tmp_path / "a.mjpeg", "mjpeg", count=2, pix_fmt="yuvj420p")
    small.write_bytes(small.read_bytes() + LARGE_JPEG)
    with VideoFile(small) as video:
        errors = [frame.error for frame, _ in video.frames("door")]
    assert errors[:2] == [None, None]
    assert errors[2]


def test_a_large_cover_is_not_the_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", 1)
        video = container.add_stream("mpeg4", 10)
        assert isinstance(cover, VideoStream)
        assert isinstance(video, VideoStream)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        video.width, video.height, video.pix_fmt = *films.SIZE, "yuv420p"
        cover.disposition = Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(films.numbered(99, (640, 480)), "bgr24")
        container.mux(cover.encode(picture))
        for pts in range(5):
            frame = av.VideoFrame.from_ndarray(films.numbered(pts), "bgr24")
            frame.pts = pts
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    assert numbers_and_times(path)[0] == list(range(5))


def test_every_format_is_one_of_libav() -> None:
    known = {part for name in av.formats_available for part in name.split(",")}
    known |= {"mpegvideo"}
    assert set(FORMATS.split(",")) <= known
    opening_others = {"concat", "hls", "dash", "imf", "sdp", "rtsp", "image2", "mlv", "vobsub"}
    assert not opening_others & set(FORMATS.split(","))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{video}\n#EXT-X-ENDLIST\n"),
        ("a.mp4", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{video}\n"),
        ("a.txt", "ffconcat version 1.0\nfile '{video}'\n"),
        ("a.avi", "ffconcat version 1.0\nfile {video}\n"),
        ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
        ("a.mpd", '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">{video}</MPD>'),
        ("a.ans", "\x1b[31mred\x1b[0m\n" * 50),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 20),
        ("a.svg", "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>"),
    ],
)
def test_files_that_name_others_and_texts_are_refused(tmp_path: Path, name: str, text: str) -> None:
    video = films.write(tmp_path / "video.ts")
    path = tmp_path / name
    path.write_text(text.replace("{video}", video.name))
    with pytest.raises(MediaError, match=r"not a (kind of video that is read|video that can be)"):
        VideoFile(path)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp", ".jp2"])
def test_an_image_is_no_video(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    assert cv2.imwrite(str(path), films.numbered(3))
    with pytest.raises(MediaError, match=r"an image, not a video|images, texts and playlists"):
        VideoFile(path)
