"""`onlooker faces`: what DetectFaces says of a picture, and the picture with it drawn in."""

import sys
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console

from onlooker.config import schema
from onlooker.config.load import load
from onlooker.media import image
from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels, Still
from onlooker.models import weights
from onlooker.rekognition.face_detail import FIELDS, face_detail, fields
from onlooker.rekognition.shapes import FaceDetail
from onlooker.render.video import draw_detail
from onlooker.vision.attributes import FaceDescriber
from onlooker.vision.faces import FaceFinder
from onlooker.vision.mesh import Mesher

complaints = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)

MODELS = (
    "yunet",
    "centerface",
    "face_mesh_attention",
    "face_expression",
    "faceres",
    "age",
    "gender",
)


def faces(
    picture: Annotated[Path, typer.Argument(help="JPEG or PNG.")],
    attribute: Annotated[
        list[str] | None,
        typer.Option(help=f"DEFAULT, ALL, {', '.join(FIELDS)}; repeatable. [default: ALL]"),
    ] = None,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Also draw boxes and landmarks into a copy.")
    ] = False,
) -> None:
    """Print what DetectFaces says of a picture, as JSON.

    Takes the settings of `[faces]`, but looks thoroughly. The copy is `NAME-faces.png` in the
    current folder. Example: `onlooker faces --annotate family.jpg`
    """
    wanted = attribute or ["ALL"]
    for name in wanted:
        if name not in FIELDS and name not in ("DEFAULT", "ALL"):
            known = ", ".join(["DEFAULT", "ALL", *FIELDS])
            raise typer.BadParameter(f"{name!r} is no attribute; known ones are {known}")
    settings = load()
    shown = image.read(picture)
    weights.pull(MODELS)
    found = detect(shown, wanted, settings)
    document = msgspec.json.encode({"FaceDetails": found})
    sys.stdout.buffer.write(msgspec.json.format(document, indent=2) + b"\n")
    sys.stdout.buffer.flush()
    if annotate:
        out = Path(f"{picture.stem}-faces.png")
        if not cv2.imwrite(str(out), _drawn(shown, found)):
            raise MediaError(f"{out}: cannot be written")
        complaints.print(f"drawn into {out}")


def detect(picture: Still, wanted: list[str], settings: schema.Config) -> list[FaceDetail]:
    """The faces of a picture, largest first, with Amazon's attributes that are `wanted`."""
    provider = settings.runtime.provider
    find = FaceFinder(settings.with_thorough_detection().faces, provider)
    lay, describe = Mesher(provider), FaceDescriber(provider)
    seen = lay(picture, find(picture))
    told = describe(picture, seen, fields(wanted))
    size = picture.width, picture.height
    return [
        face_detail(replace(one.face, attributes=attributes), size, wanted)
        for one, attributes in zip(seen, told, strict=True)
    ]


def _drawn(picture: Still, found: list[FaceDetail]) -> Pixels:
    copy = picture.bgr.copy()
    for detail in found:
        draw_detail(copy, detail)
    return copy
