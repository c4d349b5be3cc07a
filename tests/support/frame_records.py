"""Records of the frames of a stream, as many as a test wants."""

from onlooker.config.schema import Config
from onlooker.record.frame_record import build
from onlooker.rekognition.shapes import StreamRecord
from onlooker.types import Face, Frame, Pose, Quality, TextLine

FACE = Face(
    box=(64.0, 36.0, 128.0, 108.0),
    score=0.9875,
    points=((80.0, 60.0), (112.0, 61.0), (96.0, 72.0), (84.0, 90.0), (108.0, 91.0)),
    pose=Pose(roll=-6.5, yaw=23.75, pitch=2.25),
    quality=Quality(brightness=40.5, sharpness=96.1),
)
LINE = TextLine(
    text="Grüße aus Köln",
    score=0.75,
    quad=((64.0, 36.0), (320.0, 36.0), (320.0, 72.0), (64.0, 72.0)),
    words=(),
)


def make_records(
    count: int,
    stream: str = "video",
    faces: int = 1,
    lines: int = 1,
    error: str | None = None,
    epoch: str = "ab" * 32,
) -> list[StreamRecord]:
    """Return the records of frames 0 to `count` - 1 of a stream."""
    return [
        build(
            Frame(
                stream=stream,
                epoch=epoch,
                index=index,
                pts=index,
                time_base=(1, 25),
                fragment=0,
                fragment_pts=0,
                started=0.0,
                width=640,
                height=360,
                faces=(FACE,) * faces,
                lines=(LINE,) * lines,
                error=error,
            ),
            Config(),
            "d",
        )
        for index in range(count)
    ]
