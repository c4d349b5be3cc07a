"""Records of one face and one line, for tests that draw them."""

from onlooker.config.schema import Config
from onlooker.record.frame_record import build
from onlooker.rekognition.shapes import StreamRecord
from onlooker.types import Face, Frame, Identity, Pose, Quality, StoredFace, TextLine

WIDTH, HEIGHT = 640, 360
EILEEN = Identity(
    similarity=99.25,
    face=StoredFace(
        face_id="00000000-0000-0000-0000-000000000001",
        image_id="00000000-0000-0000-0000-000000000002",
        external_image_id="Eileen Collins",
        box=(0.1, 0.1, 0.2, 0.2),
        confidence=99.0,
    ),
)


def face(*identities: Identity) -> Face:
    return Face(
        box=(100.0, 120.0, 200.0, 250.0),
        score=0.99,
        points=((130, 160), (170, 160), (150, 190), (135, 220), (165, 220)),
        pose=Pose(roll=0, yaw=0, pitch=0),
        quality=Quality(brightness=50, sharpness=50),
        identities=identities,
    )


def line(text: str) -> TextLine:
    quad = (300.0, 200.0), (500.0, 200.0), (500.0, 240.0), (300.0, 240.0)
    return TextLine(text=text, score=0.9, quad=quad, words=())


def record(
    index: int = 0, faces: tuple[Face, ...] = (), lines: tuple[TextLine, ...] = (), pts: int = 0
) -> StreamRecord:
    frame = Frame(
        stream="video", epoch="e", index=index, pts=pts, time_base=(1, 16000), fragment=0,
        fragment_pts=0, started=0.0, width=WIDTH, height=HEIGHT, faces=faces, lines=lines,
    )  # fmt: skip
    return build(frame, Config(), "d")
