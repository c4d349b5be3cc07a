"""Synthetic videos and their faults."""

import pytest

from onlooker.media.errors import MediaError
from onlooker.media.synthetic import SyntheticVideo

URL = "test://moving?size=64x48&fps=20&frames=100"


def test_no_two_images_are_equal() -> None:
    found = [planes.y.tobytes() for _, planes in SyntheticVideo(URL).frames("s") if planes]
    assert len(set(found)) == 100


@pytest.mark.parametrize(("kind", "different"), [("black", 1), ("frozen", 1), ("repeating", 8)])
def test_faults(kind: str, different: int) -> None:
    found = SyntheticVideo(f"test://{kind}?frames=40&size=64x48").frames("s")
    assert len({planes.y.tobytes() for _, planes in found if planes}) == different


@pytest.mark.parametrize(
    "url",
    ["test://nonsense", "test://moving?size=9", "test://moving?fps=0", "test://moving?colour=1",
     "test://moving?size=8x8", "test://moving?fps=1/0", "test://[x", "test://moving?size=1"],
)  # fmt: skip
def test_an_invalid_url(url: str) -> None:
    with pytest.raises(MediaError, match="test://"):
        SyntheticVideo(url)
