"""`onlooker faces` and `onlooker text`: Amazon's answers for a file, and the annotated copy."""

import json
import shutil
from pathlib import Path

import cv2
import pytest
import skimage.data
from typer.testing import CliRunner, Result

from onlooker.cli.commands import app
from onlooker.media.errors import MediaError

FOLDER = Path(skimage.data.__file__).parent


def run(*arguments: str, command: str = "text") -> Result:
    result = CliRunner().invoke(app, [command, *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two images in it, and no settings but the defaults."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ONLOOKER_CONFIG", raising=False)
    for name in ("page.png", "astronaut.png"):
        shutil.copy(FOLDER / name, tmp_path / name)
    return tmp_path


def test_lines_and_words_are_printed_as_detecttext_has_them() -> None:
    answer = json.loads(run("page.png").stdout)
    assert answer["TextModelVersion"] == "ppocrv6_det_small+ppocrv6_rec_small"
    found = answer["TextDetections"]
    lines = [each for each in found if each["Type"] == "LINE"]
    words = [each for each in found if each["Type"] == "WORD"]
    assert lines[0]["DetectedText"] == "Region-based segmentation"
    assert [each["Id"] for each in found] == list(range(len(found)))
    assert all("ParentId" not in each for each in lines)
    for line in lines:
        own = [each["DetectedText"] for each in words if each["ParentId"] == line["Id"]]
        assert " ".join(own) == line["DetectedText"]
        assert set(line["Geometry"]) == {"BoundingBox", "Polygon"}


def test_words_of_little_confidence_can_be_left_out() -> None:
    found = json.loads(run("page.png", "--min-confidence", "100").stdout)["TextDetections"]
    assert [each for each in found if each["Confidence"] < 100 and each["Type"] == "WORD"] == []
    assert run("page.png", "--min-confidence", "101").exit_code == 2


def test_the_copy_shows_the_lines(place: Path) -> None:
    said = run("page.png", "--annotate")
    assert "drawn into page-text.png" in said.stderr
    before, after = (cv2.imread(str(place / name)) for name in ("page.png", "page-text.png"))
    assert before is not None
    assert after is not None
    assert before.shape == after.shape
    assert (before != after).any()


def test_a_file_that_is_no_image_is_an_error(place: Path) -> None:
    (place / "notes.png").write_text("hello")
    with pytest.raises(MediaError, match="neither JPEG nor PNG"):
        run("notes.png")


def test_faces_are_printed_as_detectfaces_has_them() -> None:
    [face] = json.loads(run("astronaut.png", command="faces").stdout)["FaceDetails"]
    assert len(face["Landmarks"]) == 30
    assert face["Smile"]["Value"] is True
    box = face["BoundingBox"]
    assert 0.3 < box["Left"] < 0.42
    assert json.loads(run("page.png", command="faces").stdout) == {"FaceDetails": []}


def test_only_the_attributes_that_are_asked_for_are_printed() -> None:
    arguments = ("astronaut.png", "--attribute", "DEFAULT", "--attribute", "GENDER")
    [face] = json.loads(run(*arguments, command="faces").stdout)["FaceDetails"]
    assert face["Gender"]["Value"] == "Female"
    assert "Smile" not in face
    assert len(face["Landmarks"]) == 5
    unknown = run("astronaut.png", "--attribute", "HEIGHT", command="faces")
    assert unknown.exit_code == 2
    assert "known ones are DEFAULT, ALL" in " ".join(unknown.output.split())


def test_the_copy_shows_the_faces(place: Path) -> None:
    result = run("astronaut.png", "--annotate", command="faces")
    assert "drawn into astronaut-faces.png" in result.stderr
    before, after = (
        cv2.imread(str(place / name)) for name in ("astronaut.png", "astronaut-faces.png")
    )
    assert before is not None
    assert after is not None
    assert before.shape == after.shape
    assert (before != after).any()
