"""`onlooker text`: what DetectText says of a picture, and the picture with it drawn in."""

import sys
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import typer
from rich.console import Console

from onlooker.config import schema
from onlooker.config.load import load
from onlooker.media import image
from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels, Still
from onlooker.models import weights
from onlooker.rekognition.shapes import DetectionFilter, TextDetection, TextFilters
from onlooker.rekognition.text_detection import text_detections
from onlooker.render.video import draw_text
from onlooker.vision.text import TextFinder, TextReader

complaints = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)

MOST_WORDS = 100
MAX_ANGLE = 90.0


def text(
    picture: Annotated[Path, typer.Argument(help="JPEG or PNG.")],
    min_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Leave out words that are less sure. [default: none]"),
    ] = None,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Also draw the lines into a copy.")
    ] = False,
) -> None:
    """Print what DetectText says of a picture, as JSON: lines, then their words.

    Takes the settings of `[text]`, but looks thoroughly. The copy is `NAME-text.png` in the
    current folder. Example: `onlooker text --annotate menu.jpg`
    """
    settings = load()
    shown = image.read(picture)
    weights.pull([settings.text.detector, settings.text.reader])
    filters = None
    if min_confidence is not None:
        filters = TextFilters(WordFilter=DetectionFilter(MinConfidence=min_confidence))
    found = detect(shown, settings, filters)
    answer = {"TextDetections": found, "TextModelVersion": settings.text.reader}
    document = msgspec.json.encode(answer)
    sys.stdout.buffer.write(msgspec.json.format(document, indent=2) + b"\n")
    sys.stdout.buffer.flush()
    if annotate:
        out = Path(f"{picture.stem}-text.png")
        if not cv2.imwrite(str(out), _drawn(shown, found)):
            raise MediaError(f"{out}: cannot be written")
        complaints.print(f"drawn into {out}")


def detect(
    picture: Still, settings: schema.Config, filters: TextFilters | None = None
) -> tuple[TextDetection, ...]:
    """The lines and words of a picture, as DetectText tells them."""
    provider = settings.runtime.provider
    thorough = settings.with_thorough_detection().text
    find, read = TextFinder(thorough, provider), TextReader(thorough, provider)
    return text_detections(
        read(picture, find(picture)),
        (picture.width, picture.height),
        filters=filters,
        most_words=MOST_WORDS,
        max_angle=MAX_ANGLE,
    )


def _drawn(picture: Still, found: tuple[TextDetection, ...]) -> Pixels:
    copy = picture.bgr.copy()
    draw_text(copy, found)
    return copy
