"""The page of live streams."""

from pathlib import Path

from tests.support.console import Visitor, serving


def test_without_cameras_the_page_says_what_to_do(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        text = Visitor(url).get("/live").text
    assert "No camera yet" in text
    assert "onlooker.toml" in text
