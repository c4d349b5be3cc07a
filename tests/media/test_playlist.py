"""Master playlists: which variant is the best, and that no other is fetched."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.support import films

from onlooker.config.schema import SourceConfig
from onlooker.media.camera import Camera
from onlooker.media.errors import MediaError
from onlooker.media.playlist import MAX_BYTES, parsed, variants

MASTER = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="sound",URI="sound.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=44000,RESOLUTION=160x64,CODECS="avc1.64000a"
low.m3u8

#EXT-X-STREAM-INF:RESOLUTION=320x128,BANDWIDTH=165000,AVERAGE-BANDWIDTH=900000
high.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9999999,RESOLUTION=1920x1080,URI="keys.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"
sound.m3u8
"""


def test_variants_by_size_then_by_rate() -> None:
    found = parsed(MASTER, "http://admin:geheim@host/live/master.m3u8?token=1")
    assert found == [
        "http://admin:geheim@host/live/high.m3u8",
        "http://admin:geheim@host/live/low.m3u8",
    ]
    rates = "#EXT-X-STREAM-INF:BANDWIDTH={}\nhttps://other/{}.m3u8\n"
    text = "#EXTM3U\n" + "".join(rates.format(rate, rate) for rate in (5, 70, 6))
    assert parsed(text, "http://host/m.m3u8") == [
        "https://other/70.m3u8",
        "https://other/6.m3u8",
        "https://other/5.m3u8",
    ]


@pytest.mark.parametrize(
    "text", ["", "#EXTM3U\n#EXTINF:2,\n0.ts\n", "<html>", "#EXT-X-STREAM-INF:"]
)
def test_other_texts_have_no_variants(text: str) -> None:
    assert parsed(text, "http://host/m.m3u8") == []


class Site:
    """Files on a port of loopback, and the paths that were asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                site.asked.append(path)
                data = site.files.get(path)
                self.send_response(404 if data is None else 200)
                if data and data.startswith(b"#EXTM3U"):
                    self.send_header("Content-Type", "application/vnd.apple.mpegurl")
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://admin:geheim@127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Site]:
    site = Site(files)
    thread = threading.Thread(target=site.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        site.server.server_close()


def hls(tmp_path: Path) -> dict[str, bytes]:
    """Return a master playlist and its variants, of two segments each."""
    files = {"/master.m3u8": MASTER.encode()}
    for name, size in (("low", (160, 64)), ("high", (320, 128)), ("sound", (128, 48))):
        for part in range(2):
            path = films.write(tmp_path / "part.ts", size=size, first=12 * part)
            files[f"/{name}{part}.ts"] = path.read_bytes()
        segments = "".join(f"#EXTINF:1.2,\n{name}{part}.ts\n" for part in range(2))
        head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
        files[f"/{name}.m3u8"] = f"{head}{segments}#EXT-X-ENDLIST\n".encode()
    return files


def seen(url: str) -> tuple[set[tuple[int, int]], int]:
    """Return the sizes and the number of the frames until the stream ends."""
    found: list[tuple[int, int]] = []
    shots = Camera("tv", SourceConfig(url=url, timeout=5)).connect()
    with pytest.raises(MediaError) as error:
        found.extend((shot.frame.width, shot.frame.height) for shot in shots)
    assert str(error.value).endswith("the stream has ended")
    assert "geheim" not in str(error.value)
    return set(found), len(found)


def test_only_the_best_variant_is_fetched(tmp_path: Path) -> None:
    with serving(hls(tmp_path)) as site:
        assert seen(f"{site.url}/master.m3u8?token=1") == ({(320, 128)}, 24)
    assert not [path for path in site.asked if "low" in path or "sound" in path]


def test_the_next_variant_is_taken_if_the_best_is_missing(tmp_path: Path) -> None:
    files = hls(tmp_path)
    del files["/high.m3u8"]
    with serving(files) as site:
        assert seen(f"{site.url}/master.m3u8") == ({(160, 64)}, 24)


def test_a_master_playlist_without_its_suffix(tmp_path: Path) -> None:
    """libav looks into all variants, and goes on with the largest."""
    files = hls(tmp_path)
    files["/live"] = files["/master.m3u8"]
    with serving(files) as site:
        assert seen(f"{site.url}/live") == ({(320, 128)}, 24)
    assert "/low1.ts" not in site.asked


def test_a_playlist_that_cannot_be_fetched() -> None:
    options, timeout = {"rw_timeout": "500000"}, (0.5, 0.5)
    with serving({"/large.m3u8": MASTER.encode().ljust(3 * MAX_BYTES, b"\n")}) as site:
        assert variants(f"{site.url}/gone.m3u8", options, timeout) == []
        assert len(variants(f"{site.url}/large.m3u8", options, timeout)) == 2
        assert variants(f"{site.url}/video.ts", options, timeout) == []
    assert variants("http://127.0.0.1:9/a.m3u8", options, timeout) == []
