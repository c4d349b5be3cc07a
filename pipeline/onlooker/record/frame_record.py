"""Amazon's stream record of one frame.

No clock is read: a video that is analysed twice gives the same bytes. Seconds are rounded to 6
decimals; `onlooker.rekognition.ratios` rounds the other numbers.
"""

import functools
import hashlib
import uuid
from collections.abc import Iterator, Sequence
from fractions import Fraction

import msgspec
from msgspec.structs import replace

from onlooker import types
from onlooker.config.schema import Config
from onlooker.escape import STREAMS
from onlooker.models.readers import model_version
from onlooker.rekognition.face_detail import detected_face, face_match
from onlooker.rekognition.ratios import Size, percent, rounded
from onlooker.rekognition.shapes import (
    Appearance,
    FaceSearch,
    FrameInformation,
    InputInformation,
    KinesisVideo,
    LineTrack,
    Reading,
    StreamProcessorInformation,
    StreamRecord,
    Track,
)
from onlooker.rekognition.text_detection import geometry, text_detections
from onlooker.types import Face, Frame, TextLine

RECORD_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "onlooker/records")

MIN_FRAGMENT_NUMBER = 10**46
"""The least number of 47 digits, as Amazon's have: they sort alike as numbers and as text."""


def build(frame: Frame, config: Config, analysis: str) -> StreamRecord:
    """Return the record of one frame.

    config: the settings that the frame was analysed with. analysis: their `analysis_digest`. The
    record of a frame with an error has empty lists, and the error in FrameInformation.
    """
    size = (frame.width, frame.height)
    failed = frame.error is not None
    return StreamRecord(
        InputInformation=InputInformation(KinesisVideo=_kinesis_video(frame, config)),
        StreamProcessorInformation=StreamProcessorInformation(Status="RUNNING"),
        FaceSearchResponse=()
        if failed
        else tuple(_face(face, size, config) for face in frame.faces),
        TextDetections=() if failed else text_detections(frame.lines, size),
        RecordId=record_id(frame.stream, frame.epoch, frame.index, analysis),
        Sequence=frame.index + 1,
        FrameInformation=FrameInformation(
            Index=frame.index,
            Pts=frame.pts,
            Time=rounded(frame.time, 6),
            Width=frame.width,
            Height=frame.height,
            Carried=frame.carried,
            Error=frame.error,
        ),
        Tracks=() if failed else tuple(_tracks(frame.faces)),
        Appearances=tuple(_appearance(each, size, config) for each in frame.appearances),
        LineTracks=() if failed else tuple(_line_tracks(frame.lines)),
        Readings=tuple(_reading(each, size) for each in frame.readings),
        FaceModelVersion=config.faces.embedder if config.faces.enabled else None,
        TextModelVersion=model_version(config.text) if config.text.enabled else None,
    )


def repeated(record: StreamRecord, reference: StreamRecord) -> StreamRecord:
    """Return `record` with the result of `reference`, since which hardly anything has changed."""
    return replace(
        record,
        FaceSearchResponse=reference.FaceSearchResponse,
        TextDetections=reference.TextDetections,
        Tracks=reference.Tracks,
        LineTracks=reference.LineTracks,
        FrameInformation=replace(
            record.FrameInformation, Same=True, Error=reference.FrameInformation.Error
        ),
    )


def record_id(stream: str, epoch: str, index: int, analysis: str) -> str:
    """Return a frame's RecordId, which is that of the same frame analysed in the same way."""
    name = msgspec.json.encode([stream, epoch, index, analysis])
    return str(uuid.uuid5(RECORD_NAMESPACE, name.decode()))


def analysis_digest(config: Config) -> str:
    """Return 16 hex digits that change if the settings do, or the weights of a model they use.

    They are part of every RecordId. To be called once for each configuration. Raises WeightsError
    if a model that `config` names is unknown.
    """
    from onlooker.vision.analyser import weights_digest

    parts = [config.digest(), weights_digest(config)]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]


def _kinesis_video(frame: Frame, config: Config) -> KinesisVideo:
    # Of the fragment, not of the frame: a consumer adds the offset to get the frame's time.
    fragment_time = rounded(frame.started + frame.fragment_time, 3)
    offset = (frame.pts - frame.fragment_pts) * Fraction(*frame.time_base)
    number = MIN_FRAGMENT_NUMBER + round(frame.started * 1000) * 10**12 + frame.fragment
    return KinesisVideo(
        StreamArn=_stream_arn(
            frame.stream, frame.epoch, config.record.region, config.record.account
        ),
        FragmentNumber=str(number),
        ServerTimestamp=fragment_time,
        ProducerTimestamp=fragment_time,
        FrameOffsetInSeconds=rounded(float(offset), 6),
    )


@functools.lru_cache(1000)
def _stream_arn(stream: str, epoch: str, region: str, account: str) -> str:
    """Return a stream's ARN, which ends in digits of the epoch; Amazon's in a time of creation."""
    made = hashlib.sha256(msgspec.json.encode([stream, epoch])).digest()
    digits = 10**12 + int.from_bytes(made[:8]) % (9 * 10**12)
    return f"arn:aws:kinesisvideo:{region}:{account}:stream/{STREAMS.meant(stream)}/{digits}"


def _tracks(faces: Sequence[Face]) -> Iterator[Track]:
    for place, face in enumerate(faces):
        if (track := face.track) is not None:
            yield Track(
                TrackId=track.id,
                Index=track.number,
                Face=place,
                Person=track.person,
                Carried=track.carried,
            )


def _appearance(event: types.Appearance, size: Size, config: Config) -> Appearance:
    best = event.best
    return Appearance(
        AppearanceId=event.id,
        State=event.state,
        Index=event.number,
        Start=rounded(event.start, 6),
        End=rounded(event.end, 6),
        Frames=event.frames,
        Person=event.person,
        Match=None if event.match is None else face_match(event.match),
        DetectedFace=detected_face(best.face, size, config.faces.attributes),
        RecordId=best.record_id,
        Time=rounded(best.time, 6),
        Clarity=percent(best.weight),
        Together=event.together,
        Quiet=event.quiet,
    )


def _line_tracks(lines: Sequence[TextLine]) -> Iterator[LineTrack]:
    for place, line in enumerate(lines):
        if (track := line.track) is not None:
            yield LineTrack(
                TrackId=track.id,
                Index=track.number,
                Line=place,
                DetectedText=track.text,
                Carried=track.carried,
            )


def _reading(event: types.Reading, size: Size) -> Reading:
    return Reading(
        ReadingId=event.id,
        State=event.state,
        Index=event.number,
        Start=rounded(event.start, 6),
        End=rounded(event.end, 6),
        Frames=event.frames,
        DetectedText=event.text,
        Confidence=percent(event.score),
        RunnerUp=event.runner_up,
        Geometry=geometry(event.quad, size),
        RecordId=event.record_id,
        Time=rounded(event.time, 6),
    )


def _face(face: Face, size: Size, config: Config) -> FaceSearch:
    return FaceSearch(
        DetectedFace=detected_face(face, size, config.faces.attributes),
        MatchedFaces=tuple(map(face_match, face.identities)),
    )
