"""URLs of cameras and of other sources, and URLs without secrets."""

from onlooker.media.url import is_camera, redacted


def test_secrets_are_redacted() -> None:
    assert redacted("rtsp://a:b@host:554/x?user=1") == "rtsp://host:554/x?..."
    assert redacted("https://host/x") == "https://host/x"
    assert redacted("rtmp://a:b@host/x?key=1#2") == "rtmp://host/x?..."
    assert redacted("test://moving?fps=5") == "test://moving?fps=5"
    assert redacted("/videos/a@b.mp4") == "/videos/a@b.mp4"


def test_cameras_and_other_sources() -> None:
    assert all(map(is_camera, ("rtsp://a", "RTSP://a", "http://a/b", "https://a", "/dev/video0")))
    assert is_camera("/dev/front_door")
    assert not is_camera("/dev/shm/video.mp4")
    assert not any(map(is_camera, ("video.mp4", "shots/*.jpg", "test://moving", "file:///a.mp4")))
    assert not is_camera("//[videos/a.mp4")
