"""Try it: an image is dropped, and the page shows what the API answers, and the call that asks."""

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onlooker.api.errors import Refusal
from onlooker.console import console_context, wording
from onlooker.console.boto3_call import FILE, boto3_call
from onlooker.console.console_context import ConsoleContext
from onlooker.console.enrolled_page import collections
from onlooker.console.sessions import Session
from onlooker.media import image
from onlooker.media.errors import MediaError

MAX_SHOWN_PIXELS = 1200
"""Longer side of the image that is shown."""
JPEG_QUALITY = 85
MAX_FILE_NAME_LENGTH = 200
MAX_LABELS = 300
"""Boxes that are drawn."""

OPERATIONS = {
    "DetectFaces": "Find and describe faces",
    "DetectText": "Read text",
    "SearchFacesByImage": "Search a collection for the largest face",
}


class Mark(NamedTuple):
    """A part of the image that is outlined."""

    points: str
    """The polygon, in thousandths of the width and the height, as SVG has it."""
    label: str


class Shown(NamedTuple):
    """The image as the page shows it."""

    url: str
    width: int
    height: int


def show(request: Request) -> Response:
    """Show the page."""
    context, session = _allowed(request)
    return context.render(
        request,
        "try.html",
        operations=_allowed_operations(session),
        collections=collections(context, session),
    )


def _allowed(request: Request) -> tuple[ConsoleContext, Session]:
    return console_context.of(request), console_context.allowed(request, "console:View")


def _allowed_operations(session: Session) -> dict[str, str]:
    return {
        name: what for name, what in OPERATIONS.items() if session.allows(f"rekognition:{name}")
    }


async def run(request: Request) -> Response:
    """Run an operation on the image that was sent, and show its answer."""
    context, session = _allowed(request)
    async with request.form(max_files=1) as form:
        upload, operation = form.get("image"), str(form.get("operation", ""))
        collection = str(form.get("collection", ""))
        if not isinstance(upload, UploadFile):
            raise HTTPException(400, "Choose an image first.")
        data, file = await upload.read(), (upload.filename or "")[:MAX_FILE_NAME_LENGTH]
    if operation not in OPERATIONS:
        raise HTTPException(400, f"{operation[:80]!r} cannot be tried here.")
    if not data:
        raise HTTPException(400, "Choose an image first.")
    fields: dict[str, Any] = {"Image": {"Bytes": FILE}}
    if operation == "DetectFaces":
        fields["Attributes"] = ["ALL"]
    elif operation == "SearchFacesByImage":
        fields["CollectionId"] = collection
    values = await run_in_threadpool(_run, context, session, operation, fields, data)
    code = boto3_call(context.config.serve, operation, fields, file or "image.jpg")
    return context.render(request, "try_result.html", operation=operation, code=code, **values)


def _run(
    context: ConsoleContext,
    session: Session,
    operation: str,
    fields: Mapping[str, Any],
    data: bytes,
) -> Mapping[str, Any]:
    sent = {**fields, "Image": {"Bytes": base64.b64encode(data).decode()}}
    began = time.perf_counter()
    try:
        body = context.api.answer(session.key, operation, sent)
    except Refusal as error:
        return {"error": error, "shown": _shown(data)}
    seconds = time.perf_counter() - began
    answer = msgspec.json.decode(body)
    return {
        "error": None,
        "shown": _shown(data),
        "seconds": seconds,
        "marks": _marks(operation, answer)[:MAX_LABELS],
        "findings": _findings(operation, answer)[:MAX_LABELS],
        "json": msgspec.json.format(body, indent=2).decode(),
    }


def _shown(data: bytes) -> Shown | None:
    """Return the image, upright and not too large; None if it is none."""
    try:
        pixels = image.decode(data).bgr
    except MediaError:
        return None
    height, width = pixels.shape[:2]
    scale = MAX_SHOWN_PIXELS / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        shown = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    else:
        size, shown = (width, height), pixels
    jpeg = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    url = f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"
    return Shown(url, *size)


def _marks(operation: str, answer: Mapping[str, Any]) -> list[Mark]:
    """Return what is outlined, numbered as the findings are."""
    if operation == "DetectText":
        lines = [each for each in answer["TextDetections"] if each["Type"] == "LINE"]
        return [
            Mark(
                " ".join(
                    f"{p['X'] * 1000:.1f},{p['Y'] * 1000:.1f}" for p in each["Geometry"]["Polygon"]
                ),
                str(number),
            )
            for number, each in enumerate(lines, 1)
        ]
    if operation == "SearchFacesByImage":
        return [_box(answer["SearchedFaceBoundingBox"], "searched")]
    boxes = [each["BoundingBox"] for each in answer["FaceDetails"]]
    return [_box(box, str(number)) for number, box in enumerate(boxes, 1)]


def _box(box: Mapping[str, float], label: str) -> Mark:
    left, top = box["Left"] * 1000, box["Top"] * 1000
    right, bottom = left + box["Width"] * 1000, top + box["Height"] * 1000
    corners = (left, top), (right, top), (right, bottom), (left, bottom)
    return Mark(" ".join(f"{x:.1f},{y:.1f}" for x, y in corners), label)


def _findings(operation: str, answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the answer in short: each finding, and how sure it is."""
    if operation == "DetectText":
        return [
            (each["DetectedText"], wording.percent(each["Confidence"]))
            for each in answer["TextDetections"]
            if each["Type"] == "LINE"
        ]
    if operation == "SearchFacesByImage":
        return [
            (_name(each["Face"]), f"similarity {wording.percent(each['Similarity'])}")
            for each in answer["FaceMatches"]
        ]
    return [(_face(each), wording.percent(each["Confidence"])) for each in answer["FaceDetails"]]


def _name(face: Mapping[str, Any]) -> str:
    return wording.person(face.get("UserId") or face.get("ExternalImageId") or face["FaceId"])


def _face(face: Mapping[str, Any]) -> str:
    """Return what a face is like, in words."""
    words = (
        [f"{face['AgeRange']['Low']} to {face['AgeRange']['High']}"] if "AgeRange" in face else []
    )
    emotions: Sequence[Mapping[str, Any]] = face.get("Emotions", ())
    if emotions:
        words.append(max(emotions, key=lambda each: each["Confidence"])["Type"].lower())
    for member, word in (
        ("Smile", "smiling"),
        ("Eyeglasses", "glasses"),
        ("Sunglasses", "sunglasses"),
        ("Beard", "beard"),
        ("Mustache", "moustache"),
        ("FaceOccluded", "covered"),
    ):
        if face.get(member, {}).get("Value"):
            words.append(word)
    return ", ".join(words) or "face"


ROUTES = (
    Route("/try", show),
    Route("/try/run", run, methods=["POST"]),
)
