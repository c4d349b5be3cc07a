"""URLs of cameras and of other sources, and URLs without secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.media.url import is_camera, may_be_unescaped, redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://a:geheim@host:554/x?user=1", "rtsp://host:554/..."),
        ("https://host/", "https://host"),
        ("https://host/live/geheim/x.m3u8", "https://host/..."),
        ("rtsp://[fe80::1%eth0]:554/x", "rtsp://[fe80::1%eth0]:554/..."),
        ("rtsp://10.0.0.7/user=admin&password=geheim&channel=1.sdp?real_stream", "rtsp://10.0.0.7/..."),
        ("http://10.0.0.7/cgi-bin/snapshot.cgi;user=admin;pwd=geheim", "http://10.0.0.7/..."),
        ("http://10.0.0.7:80?user=admin&pwd=geheim", "http://10.0.0.7:80/..."),
        ("rtsp://admin:gehe@im@10.0.0.7/1", "rtsp://10.0.0.7/..."),
        ("rtsp://admin:12345/geheim@10.0.0.7/1", "rtsp://..."),
        ("rtsp://admin:12345?geheim@10.0.0.7/1", "rtsp://..."),
        ("rtsp://admin:12345#geheim@10.0.0.7/1", "rtsp://..."),
        ("rtsp://admin:geheim", "rtsp://..."),
        ("rtsp://admin:geh%40im@10.0.0.7/1", "rtsp://10.0.0.7/..."),
        ("rtmp://a:b@host/x?key=1#2", "rtmp://host/..."),
        ("admin:geheim@10.0.0.7/1", "..."),
        ("http:/admin:geheim@10.0.0.7/1", "..."),
        ("rtsp//admin:geheim@10.0.0.7/1", "..."),
        ("rtsp/admin:geheim@10.0.0.7/1", "..."),
        ("RTSP;//admin:geheim@10.0.0.7/1", "..."),
        ("rtsp/10.0.0.7.mp4", "rtsp/10.0.0.7.mp4"),
        ("test://moving?fps=5", "test://moving?fps=5"),
        ("file:///videos/a.mp4", "file:///videos/a.mp4"),
        ("/videos/a@b.mp4", "/videos/a@b.mp4"),
        ("http-cams/door@home.264", "http-cams/door@home.264"),
        ("https/recordings/a@b.mp4", "https/recordings/a@b.mp4"),
    ],
)  # fmt: skip
def test_secrets_are_redacted(url: str, shown: str) -> None:
    assert redacted(url) == shown


@given(
    st.sampled_from(["rtsp", "http", "https", "rtsps", "RTSP"]),
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.sampled_from(
        [
            "{scheme}://admin:{before}geheim{behind}@10.0.0.7:554/live",
            "{scheme}://geheim{before}:{behind}@10.0.0.7/live",
            "{scheme}://10.0.0.7/{before}geheim{behind}/live",
            "{scheme}://10.0.0.7/live?{before}geheim{behind}",
            "{scheme}://10.0.0.7/live#{before}geheim{behind}",
        ]
    ),
    st.booleans(),
)
def test_no_password_is_shown_whatever_surrounds_it(
    scheme: str, other: str, form: str, first: bool
) -> None:
    before, behind = (other, "") if first else ("", other)
    url = form.format(scheme=scheme, before=before, behind=behind)
    assert "geheim" not in redacted(url)


def test_passwords_that_may_be_unescaped() -> None:
    assert may_be_unescaped("rtsp://admin:12345/geheim@10.0.0.7/1")
    assert not may_be_unescaped("rtsp://admin:geheim@10.0.0.7/1")
    assert not may_be_unescaped("/videos/a@b.mp4")


def test_cameras_and_other_sources() -> None:
    assert all(map(is_camera, ("rtsp://a", "RTSP://a", "http://a/b", "https://a", "/dev/video0")))
    assert is_camera("/dev/front_door")
    assert not is_camera("/dev/shm/video.mp4")
    assert not any(map(is_camera, ("video.mp4", "shots/*.jpg", "test://moving", "file:///a.mp4")))
    assert not is_camera("//[videos/a.mp4")
