"""`onlooker faces` and `onlooker text`: the answers of DetectFaces and DetectText for a file."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import cv2
import msgspec
import typer

from onlooker import durable_file
from onlooker.cli.pull_models import pull_models
from onlooker.cli.terminal import complaints
from onlooker.config.load import load
from onlooker.config.schema import Config
from onlooker.durable_file import Occupied
from onlooker.media import image
from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels, Still
from onlooker.models import readers
from onlooker.rekognition.face_detail import FIELDS, face_detail, fields
from onlooker.rekognition.shapes import DetectionFilter, TextFilters
from onlooker.rekognition.text_detection import text_detections
from onlooker.render.draw import draw_face_detail, draw_lines
from onlooker.vision import analyser
from onlooker.vision.analyser import Analyser, Analysis, Wanted

MAX_WORDS = 100
MAX_TEXT_DEGREES = 90.0

File = Annotated[Path, typer.Argument(metavar="IMAGE", help="JPEG or PNG.")]


def faces(
    file: File,
    attribute: Annotated[
        list[str] | None,
        typer.Option(help=f"DEFAULT, ALL, {', '.join(FIELDS)}; repeatable. [default: ALL]"),
    ] = None,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Also draw boxes and landmarks into a copy.")
    ] = False,
) -> None:
    """Print DetectFaces' answer for an image as JSON.

    Uses the settings of `[faces]`, but detects thoroughly. The copy is `NAME-faces.png` in the
    current folder, which must not exist. Example: `onlooker faces --annotate family.jpg`
    """
    attributes = attribute or ["ALL"]
    for name in attributes:
        if name not in FIELDS and name not in ("DEFAULT", "ALL"):
            known = ", ".join(["DEFAULT", "ALL", *FIELDS])
            raise typer.BadParameter(f"{name!r} is no attribute; known ones are {known}")
    copy = _copy_of(file, "faces", annotate)
    wanted = Wanted(text=False, mesh=True, attributes=fields(attributes))
    picture, analysis = _analysed(file, load(), wanted)
    size = picture.width, picture.height
    found = [face_detail(one.face, size, attributes) for one in analysis.faces]
    _print({"FaceDetails": found})

    def draw(pixels: Pixels) -> None:
        for detail in found:
            draw_face_detail(pixels, detail)

    if copy is not None:
        _annotate(picture, draw, copy)


def text(
    file: File,
    min_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Leave out words of less confidence. [default: none]"),
    ] = None,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Also draw the lines into a copy.")
    ] = False,
) -> None:
    """Print DetectText's answer for an image as JSON: lines, then their words.

    Uses the settings of `[text]`, but detects thoroughly. The copy is `NAME-text.png` in the
    current folder, which must not exist. Example: `onlooker text --annotate menu.jpg`
    """
    copy, config = _copy_of(file, "text", annotate), load()
    filters = None
    if min_confidence is not None:
        filters = TextFilters(WordFilter=DetectionFilter(MinConfidence=min_confidence))
    picture, analysis = _analysed(file, config, Wanted(faces=False))
    found = text_detections(
        analysis.lines,
        (picture.width, picture.height),
        filters=filters,
        max_words=MAX_WORDS,
        max_angle=MAX_TEXT_DEGREES,
    )
    _print({"TextDetections": found, "TextModelVersion": readers.model_version(config.text)})
    if copy is not None:
        _annotate(picture, lambda pixels: draw_lines(pixels, found), copy)


def _copy_of(file: Path, kind: str, wanted: bool) -> Path | None:
    """Return the path of the copy to draw into, which is free; None if none is wanted.

    Raises Occupied.
    """
    copy = Path(f"{file.stem}-{kind}.png")
    if not wanted:
        return None
    durable_file.claim(copy)
    return copy


def _analysed(file: Path, config: Config, wanted: Wanted) -> tuple[Still, Analysis]:
    """Return the image in `file` and what a thorough analysis finds in it."""
    picture = image.read(file)
    config = config.with_thorough_detection()
    pull_models(analyser.cards(config, wanted))
    [analysis] = Analyser(config)([picture], [wanted])
    return picture, analysis


def _print(answer: dict[str, Any]) -> None:
    document = msgspec.json.encode(answer)
    sys.stdout.buffer.write(msgspec.json.format(document, indent=2) + b"\n")
    sys.stdout.buffer.flush()


def _annotate(picture: Still, draw: Callable[[Pixels], None], out: Path) -> None:
    """Draw into a copy of the image and write it to `out`."""
    copy = picture.bgr.copy()
    draw(copy)
    try:
        with durable_file.replacing(out, overwrite=False) as part:
            part.write_bytes(cv2.imencode(".png", copy)[1].tobytes())
    except Occupied:
        raise
    except OSError as error:
        raise MediaError(f"{out}: cannot be written: {error.strerror}") from error
    complaints.print(f"drawn into {out}")
