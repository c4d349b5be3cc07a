"""Records, checked against the form that the document gives."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support import frames
from tests.support.appearances import event
from tests.support.record_form import Json, schema

from onlooker.config.schema import Config, Faces, Match, Pipeline, Record, Text
from onlooker.record.frame_record import analysis_digest, build, record_id
from onlooker.rekognition.shapes import LineTrack, StreamRecord, Track, encode
from onlooker.types import (
    Face,
    Frame,
    Identity,
    LineRef,
    Pose,
    Quad,
    Quality,
    Reading,
    StoredFace,
    TextLine,
    TrackRef,
    Word,
)
from onlooker.vision import analyser


def quad(x1: float, y1: float, x2: float, y2: float) -> Quad:
    return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


ANNA = StoredFace(
    face_id="ed1b560f-d6af-5158-989a-ff586c931545",
    image_id="70e09693-2114-57e1-807c-50b6d61fa4dc",
    external_image_id="anna",
    box=(0.103426, 0.206731, 0.749838, 0.557692),
    confidence=99.9992,
)
UNNAMED = StoredFace(
    face_id="00000000-d6af-4158-989a-ff586c931545",
    image_id="70e09693-2114-57e1-807c-50b6d61fa4dc",
    external_image_id=None,
    box=(0.5, 0.25, 0.125, 0.375),
    confidence=98.5,
)
FACE = Face(
    box=(64.0, 36.0, 128.0, 108.0),
    score=0.9875,
    points=((80.0, 60.0), (112.0, 61.0), (96.0, 72.0), (84.0, 90.0), (108.0, 91.0)),
    pose=Pose(roll=-6.5, yaw=23.84388111, pitch=2.25),
    quality=Quality(brightness=40.592964, sharpness=96.1),
    identities=(
        Identity(similarity=100.0, face=ANNA),
        Identity(similarity=88.8639601, face=UNNAMED),
    ),
)
LINES = (
    TextLine(
        text="DE LONDRES",
        score=0.75,
        quad=quad(64, 36, 320, 72),
        words=(
            Word(text="DE", score=0.5, quad=quad(64, 36, 128, 72)),
            Word(text="LONDRES", score=1.0, quad=quad(160, 36, 320, 72)),
        ),
    ),
    TextLine(
        text="Exit",
        score=0.625,
        # slanted: the top-left of the text is the lowest corner on the left
        quad=((64.0, 288.0), (256.0, 180.0), (288.0, 216.0), (96.0, 324.0)),
        words=(
            Word(
                text="Exit",
                score=0.625,
                quad=((64.0, 288.0), (256.0, 180.0), (288.0, 216.0), (96.0, 324.0)),
            ),
        ),
    ),
)


def frame(
    index: int = 7,
    stream: str = "video",
    faces: tuple[Face, ...] = (FACE,),
    lines: tuple[TextLine, ...] = LINES,
    error: str | None = None,
    started: float = 0.0,
    epoch: str = "ab" * 32,
    size: tuple[int, int] = (640, 360),
) -> Frame:
    """Frame `index` of a 29.97 fps video that begins at 0.9 s, in groups of five."""
    return Frame(
        stream=stream,
        epoch=epoch,
        index=index,
        pts=27000 + 1001 * index,
        time_base=(1, 30000),
        fragment=index - index % 5,
        fragment_pts=27000 + 1001 * (index - index % 5),
        started=started,
        width=size[0],
        height=size[1],
        faces=faces,
        lines=lines,
        error=error,
    )


def record(frame: Frame, config: Config | None = None) -> Json:
    return json.loads(encode(build(frame, config or Config(), "d")))


def test_form() -> None:
    schema(record(frame()))
    schema(record(frame(faces=(), lines=())))
    schema(record(frame(error="the packet is damaged")))
    schema(record(frame(stream="my video (1).mp4")))


def test_tracks_and_events_are_told_in_ratios() -> None:
    corners = ((64.0, 36.0), (320.0, 36.0), (320.0, 72.0), (64.0, 72.0))
    line = TextLine(
        text="EXlT",
        score=0.9,
        quad=corners,
        words=(),
        track=LineRef(id="l", number=2, text="EXIT"),
    )
    reading = Reading(
        id="l",
        state="end",
        stream="s",
        number=2,
        start=1.5,
        end=2.25,
        text="EXIT",
        score=0.875,
        runner_up="EXlT",
        frames=9,
        record_id="r",
        time=2.0,
        quad=corners,
    )
    visit = event(1, "update", 1.25, 3.5, "anna", quiet=True)
    seen = replace(FACE, track=TrackRef(id=visit.id, number=1, person="anna"))
    made = frames.frame(
        "s",
        0,
        width=640,
        height=360,
        faces=(FACE, seen),
        lines=(line,),
        appearances=(visit,),
        readings=(reading,),
    )
    built = build(made, Config(), "d")
    assert built.Tracks == (Track(TrackId=visit.id, Index=1, Face=1, Person="anna"),)
    assert built.LineTracks == (LineTrack(TrackId="l", Index=2, Line=0, DetectedText="EXIT"),)
    [told] = built.Appearances
    assert (told.AppearanceId, told.State, told.Start, told.End) == (visit.id, "update", 1.25, 3.5)
    assert (told.Frames, told.Person, told.Clarity, told.Quiet) == (7, "anna", 50.0, True)
    box = told.DetectedFace.BoundingBox
    assert (box.Left, box.Top, box.Width, box.Height) == (0.1, 0.1, 0.1, 0.2)
    [read] = built.Readings
    assert (read.DetectedText, read.RunnerUp, read.Confidence) == ("EXIT", "EXlT", 87.5)
    assert read.Geometry == built.TextDetections[0].Geometry
    assert (read.Start, read.End, read.Time, read.RecordId) == (1.5, 2.25, 2.0, "r")
    failed = build(replace(made, error="lost"), Config(), "d")
    assert failed.Tracks == ()
    assert failed.LineTracks == ()
    assert failed.Appearances == built.Appearances  # a visit may end with a frame that failed


coordinate = st.floats(-5000, 5000)
faces = st.builds(
    msgspec.structs.replace,
    st.just(FACE),
    box=st.tuples(st.floats(-500, 0), st.floats(-500, 0), st.floats(0, 900), st.floats(0, 900)),
    score=st.floats(0, 1),
    points=st.tuples(*[st.tuples(coordinate, coordinate)] * 5),
)


@given(st.tuples(faces, faces), st.integers(0, 10**6), st.floats(0, 2e9))
def test_form_of_any_faces(found: tuple[Face, Face], index: int, started: float) -> None:
    schema(record(frame(index, faces=found, started=started)))


class TestNumbers:
    def test_pixels_become_ratios(self) -> None:
        [found] = record(frame())["FaceSearchResponse"]
        expected = {"Width": 0.1, "Height": 0.2, "Left": 0.1, "Top": 0.1}
        assert found["DetectedFace"]["BoundingBox"] == expected
        assert found["DetectedFace"]["Confidence"] == 98.75

    def test_boxes_are_not_clipped(self) -> None:
        edge = msgspec.structs.replace(FACE, box=(-64.0, -36.0, 704.0, 396.0))
        [found] = record(frame(faces=(edge,)))["FaceSearchResponse"]
        expected = {"Width": 1.2, "Height": 1.2, "Left": -0.1, "Top": -0.1}
        assert found["DetectedFace"]["BoundingBox"] == expected

    def test_are_short(self) -> None:
        odd = msgspec.structs.replace(FACE, box=(1 / 3, 1 / 7, 2 / 3, 5 / 7), score=2 / 3)
        [found] = record(frame(faces=(odd,)))["FaceSearchResponse"]
        expected = {"Width": 0.000521, "Height": 0.001587, "Left": 0.000521, "Top": 0.000397}
        assert found["DetectedFace"]["BoundingBox"] == expected
        assert found["DetectedFace"]["Confidence"] == 66.6667
        assert found["DetectedFace"]["Pose"]["Yaw"] == 23.8439

    def test_nothing_is_not_less_than_nothing(self) -> None:
        centred = msgspec.structs.replace(FACE, box=(-1e-9, -0.0, 10.0, 10.0))
        assert b"-0.0" not in encode(build(frame(faces=(centred,), lines=()), Config(), "d"))


class TestFaces:
    def test_landmarks_are_in_the_order_of_the_real_service(self) -> None:
        [found] = record(frame())["FaceSearchResponse"]
        assert found["DetectedFace"]["Landmarks"] == [
            {"Type": "eyeLeft", "X": 0.125, "Y": 0.166667},
            {"Type": "eyeRight", "X": 0.175, "Y": 0.169444},
            {"Type": "mouthLeft", "X": 0.13125, "Y": 0.25},
            {"Type": "mouthRight", "X": 0.16875, "Y": 0.252778},
            {"Type": "nose", "X": 0.15, "Y": 0.2},
        ]

    def test_matches_are_best_first_and_names_may_be_missing(self) -> None:
        [found] = record(frame())["FaceSearchResponse"]
        first, second = found["MatchedFaces"]
        assert (first["Similarity"], second["Similarity"]) == (100.0, 88.864)
        assert first["Face"] == {
            "FaceId": ANNA.face_id,
            "BoundingBox": {
                "Width": 0.749838,
                "Height": 0.557692,
                "Left": 0.103426,
                "Top": 0.206731,
            },
            "ImageId": ANNA.image_id,
            "ExternalImageId": "anna",
            "Confidence": 99.9992,
        }
        assert second["Face"]["FaceId"] == UNNAMED.face_id
        assert "ExternalImageId" not in second["Face"]

    def test_nobody_is_an_empty_list(self) -> None:
        unknown = msgspec.structs.replace(FACE, identities=())
        [found] = record(frame(faces=(unknown,)))["FaceSearchResponse"]
        assert found["MatchedFaces"] == []


class TestText:
    def test_lines_first_then_their_words(self) -> None:
        found = [
            (one["Id"], one["Type"], one.get("ParentId"), one["DetectedText"], one["Confidence"])
            for one in record(frame())["TextDetections"]
        ]
        assert found == [
            (0, "LINE", None, "DE LONDRES", 75.0),
            (1, "LINE", None, "Exit", 62.5),
            (2, "WORD", 0, "DE", 50.0),
            (3, "WORD", 0, "LONDRES", 100.0),
            (4, "WORD", 1, "Exit", 62.5),
        ]

    def test_polygon_begins_at_the_texts_own_corner_in_an_upright_box(self) -> None:
        slanted = record(frame())["TextDetections"][1]["Geometry"]
        assert slanted["Polygon"] == [
            {"X": 0.1, "Y": 0.8},
            {"X": 0.4, "Y": 0.5},
            {"X": 0.45, "Y": 0.6},
            {"X": 0.15, "Y": 0.9},
        ]
        assert slanted["BoundingBox"] == {"Width": 0.35, "Height": 0.4, "Left": 0.1, "Top": 0.5}


class TestTime:
    def test_is_the_fragments_plus_an_offset(self) -> None:
        found = record(frame(7))
        kinesis = found["InputInformation"]["KinesisVideo"]
        assert kinesis["ProducerTimestamp"] == kinesis["ServerTimestamp"] == 1.067  # frame 5
        assert kinesis["FrameOffsetInSeconds"] == 0.066733
        assert found["FrameInformation"] == {
            "Index": 7,
            "Pts": 34007,
            "Time": 1.133567,
            "Width": 640,
            "Height": 360,
        }
        assert found["Sequence"] == 8

    def test_live_streams_are_on_the_clock(self) -> None:
        kinesis = record(frame(5, started=1510552592.1))["InputInformation"]["KinesisVideo"]
        assert kinesis["ProducerTimestamp"] == 1510552593.167
        assert kinesis["FrameOffsetInSeconds"] == 0.0

    def test_fragment_numbers_grow_along_a_stream(self) -> None:
        numbers = [_fragment(frame(index)) for index in range(11)]
        assert [len(set(numbers[start : start + 5])) for start in (0, 5, 10)] == [1, 1, 1]
        assert numbers[0] < numbers[5] < numbers[10]
        assert {len(one) for one in numbers} == {47}

    def test_fragment_numbers_grow_when_a_camera_starts_again(self) -> None:
        before = _fragment(frame(10**6, started=1510552592.1))
        assert before < _fragment(frame(0, started=1510552592.2))


def _fragment(frame: Frame) -> str:
    return build(frame, Config(), "d").InputInformation.KinesisVideo.FragmentNumber


class TestIdentity:
    def test_same_frame_same_bytes(self) -> None:
        assert encode(build(frame(), Config(), "d")) == encode(build(frame(), Config(), "d"))

    def test_record_id_knows_stream_content_frame_and_analysis(self) -> None:
        ids = [
            record_id("a", "x", 1, "d"),
            record_id("b", "x", 1, "d"),
            record_id("a", "y", 1, "d"),
            record_id("a", "x", 2, "d"),
            record_id("ax", "", 1, "d"),
            record_id("a", "x", 1, "e"),
        ]
        assert len(set(ids)) == len(ids)
        assert build(frame(), Config(), "d").RecordId == record_id("video", "ab" * 32, 7, "d")

    def test_the_analysis_is_another_with_other_settings_or_weights(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = [
            Config(),
            Config(match=Match(collection="staff")),
            Config(faces=Faces(size=320)),
        ]
        found = [analysis_digest(config) for config in settings]
        monkeypatch.setattr(analyser, "weights_digest", lambda config: "of newer weights")
        found += [analysis_digest(config) for config in settings]
        assert len(set(found)) == 6
        assert analysis_digest(Config(pipeline=Pipeline(workers=7))) == found[3]

    def test_arn(self) -> None:
        place = Config(record=Record(region="eu-west-1", account="123456789012"))
        arns = {
            _arn(frame(stream="my video"), place),
            _arn(frame(stream="my_video"), place),
            _arn(frame(stream="my video", epoch="other"), place),
        }
        assert len(arns) == 3
        start = "arn:aws:kinesisvideo:eu-west-1:123456789012:stream/"
        assert {arn.removeprefix(start).split("/")[0] for arn in arns} == {"my_video", "my_u_video"}
        assert build(frame(stream="my video"), place, "d").stream == "my_u_video"


def _arn(frame: Frame, config: Config) -> str:
    return build(frame, config, "d").InputInformation.KinesisVideo.StreamArn


class TestWhatWasLookedFor:
    def test_a_failed_frame_says_why(self) -> None:
        found = record(frame(error="the packet is damaged"))
        assert found["FrameInformation"]["Error"] == "the packet is damaged"
        assert (found["FaceSearchResponse"], found["TextDetections"]) == ([], [])

    def test_models_are_named_where_they_looked(self) -> None:
        found = record(frame())
        assert found["FaceModelVersion"] == "mobilefacenet"
        assert found["TextModelVersion"] == "ppocrv6_det_small+ppocrv6_rec_small"
        found = record(frame(), Config(faces=Faces(enabled=False), text=Text(enabled=False)))
        assert not {"FaceModelVersion", "TextModelVersion"} & found.keys()


def test_amazons_documented_record_fits_the_shapes() -> None:
    """The sample of the developer guide, with our keys added, is read and written unchanged."""
    sample = {
        "InputInformation": {
            "KinesisVideo": {
                "StreamArn": "arn:aws:kinesisvideo:us-west-2:000000000000:stream/stream-name/1",
                "FragmentNumber": "91343852333289682796718532614445757584843717598",
                "ServerTimestamp": 1510552593.455,
                "ProducerTimestamp": 1510552593.193,
                "FrameOffsetInSeconds": 2.0,
            }
        },
        "StreamProcessorInformation": {"Status": "RUNNING"},
        "FaceSearchResponse": [
            {
                "DetectedFace": {
                    "BoundingBox": {
                        "Width": 0.05625,
                        "Height": 0.075,
                        "Left": 0.428125,
                        "Top": 0.40833333,
                    },
                    "Confidence": 99.975174,
                    "Landmarks": [
                        {"Type": "eyeLeft", "X": 0.4452057, "Y": 0.4395594},
                        {"Type": "eyeRight", "X": 0.46340984, "Y": 0.43744427},
                        {"Type": "nose", "X": 0.45960626, "Y": 0.4526856},
                        {"Type": "mouthLeft", "X": 0.44958648, "Y": 0.4696949},
                        {"Type": "mouthRight", "X": 0.46409217, "Y": 0.46704912},
                    ],
                    "Pose": {"Roll": -6.8904796, "Yaw": 23.84388, "Pitch": 2.9691637},
                    "Quality": {"Brightness": 40.592964, "Sharpness": 96.09616},
                },
                "MatchedFaces": [
                    {
                        "Similarity": 88.86396,
                        "Face": {
                            "FaceId": "ed1b560f-d6af-5158-989a-ff586c931545",
                            "BoundingBox": {
                                "Width": 0.749838,
                                "Height": 0.557692,
                                "Left": 0.103426,
                                "Top": 0.206731,
                            },
                            "ImageId": "70e09693-2114-57e1-807c-50b6d61fa4dc",
                            "ExternalImageId": "matchedImage.jpeg",
                            "Confidence": 99.999201,
                        },
                    }
                ],
            }
        ],
    }
    ours = {key: record(frame())[key] for key in ("RecordId", "Sequence", "FrameInformation")}
    whole_sample = {**sample, "TextDetections": [], **ours}
    read = msgspec.convert(whole_sample, StreamRecord)
    assert json.loads(encode(read)) == whole_sample


def test_order_of_members() -> None:
    """Amazon's come first and in Amazon's order, for readers of the lines."""
    assert list(record(frame()))[:3] == [
        "InputInformation",
        "StreamProcessorInformation",
        "FaceSearchResponse",
    ]
