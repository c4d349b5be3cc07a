"""The schema of the configuration file: every setting, with its type, default and meaning.

`onlooker.config.load` reads the file. Every setting has a default, so no file is needed.
"""

import hashlib
import re
from typing import Annotated, Literal, get_args
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from onlooker.config import jobs
from onlooker.config.jobs import Jobs, Queue, Topics
from onlooker.config.section import (
    ConfigError,
    Count,
    Megabytes,
    Pattern,
    Percent,
    Ratio,
    Seconds,
    Section,
    Side,
)
from onlooker.config.serving import Console, Kinesis, Metrics, Publish, Serve, Workers
from onlooker.config.shared_store import Store
from onlooker.config.sinks import SinkConfig, SinkName
from onlooker.config.telemetry import Telemetry
from onlooker.config.tracking import People, Tracks

Provider = Literal["auto", "cpu", "openvino", "cuda"]
PROVIDERS: tuple[str, ...] = get_args(Provider)

QualityFilter = Literal["NONE", "AUTO", "LOW", "MEDIUM", "HIGH"]
"""Amazon's filter of faces; the thresholds are in `onlooker.vision.unindexed_reasons`."""

FaceAttribute = Literal[
    "ALL",
    "AGE_RANGE",
    "BEARD",
    "EMOTIONS",
    "EYE_DIRECTION",
    "EYEGLASSES",
    "EYES_OPEN",
    "GENDER",
    "MOUTH_OPEN",
    "MUSTACHE",
    "FACE_OCCLUDED",
    "SMILE",
    "SUNGLASSES",
]
"""Amazon's names of the facial attributes beyond the default ones."""

Deinterlace = Literal["auto", "off", "on"]

CAMERA_SCHEMES = ("rtsp", "rtsps", "http", "https")
"""Schemes of URLs whose streams do not end by themselves."""
URL_SCHEMES = (*CAMERA_SCHEMES, "test", "file")

NEARLY_URL = re.compile(
    r"(?i)(rtsps?|rtmp|https?|file|test):|"
    r"(rtsps?|rtmp|https?)[;,.\s]*[/\\]+[^/\s]+:\S*@|[^/\s]+:[^/]*@"
)
"""The beginning of what is meant as a URL, but lacks the scheme or its slashes."""

STREAM_NAME = r"^[A-Za-z0-9_.\-]{1,128}$"
StreamName = Annotated[str, Meta(pattern=STREAM_NAME)]

SPEED = r"^(max|(?=.*[1-9])\d+(\.\d+)?x)$"
"""Playback speed of a video: "max", or a factor such as "8x"."""

ROUNDING = 1e-9
"""Ratios of a region may exceed 1 by this much, since 0.1 + 0.9 need not be 1 exactly."""


class Faces(Section, frozen=True, kw_only=True):
    """`[faces]`: face detection and recognition."""

    enabled: bool = True
    """Analyse faces."""
    size: Side = 640
    """Long side, in pixels, of the image that the detector receives. Images are never enlarged."""
    detection: Literal["fast", "balanced", "thorough"] = "balanced"
    """Effort spent on faces that are hard to detect. "fast": one pass. "balanced": a second pass at
    higher resolution if the first finds nothing, or a large face that the image's edge cuts.
    "thorough": further passes, and a second detector for small faces, at many times the cost."""
    min_score: Annotated[float, Meta(gt=0, lt=1)] = 0.94
    """Minimum detection score of a face in a record, 0 to 1."""
    embedder: str = "mobilefacenet"
    """Card of the embedding model; two cards may be joined by "+"."""
    mesh: bool = True
    """Fit a mesh to each face. It makes landmarks and pose right for tilted and turned heads, and
    at a false match rate of 1 in 10,000 it misses a ninth as many people. Without it, faces on
    their side and upside down are not told from upright ones."""
    mirrored: bool = False
    """Embed each face and its mirror image: at a false match rate of 1 in 10,000 it misses an
    eighth fewer people. `onlooker serve` does so unless `[serve] thorough` is off; vectors made
    with and without match each other."""
    quality: QualityFilter = "AUTO"
    """Minimum quality of faces that are recognised; the others are detected only."""
    attributes: tuple[FaceAttribute, ...] = ()
    """Facial attributes in records. Amazon's stream records have none. They need `mesh`."""


class Text(Section, frozen=True, kw_only=True):
    """`[text]`: text detection and recognition."""

    enabled: bool = True
    """Analyse text."""
    size: Side = 640
    """Long side, in pixels, of the image that the detector receives. Images are never enlarged.

    For a 720p video, 960 finds a tenth more lines, the smallest ones, in twice the time.
    """
    detection: Literal["fast", "thorough"] = "fast"
    """Effort spent on text that is hard to detect. "fast": one pass. "thorough": one pass at 960
    pixels or more and another at higher resolution for small text; it also reads text that is
    upside down."""
    detector: str = "ppocrv6_det_small"
    """Card of the text detector."""
    readers: Annotated[tuple[str, ...], Meta(min_length=1)] = ("latin",)
    """Recognisers, each by its card's name or by a script that it reads (`onlooker models list`).
    The first reads every line, the others the lines that it doubts: ("latin", "cyrillic")."""
    language_model: bool = True
    """Where the image leaves a doubt, prefer letters that make words of one of twenty languages in
    Latin letters. False: read every character for itself, as codes that look like words need."""
    min_score: Ratio = 0.5
    """Minimum mean character score of a line in a record."""


class Match(Section, frozen=True, kw_only=True):
    """`[match]`: the collection that faces are searched in, and the threshold of a match."""

    collection: str | None = None
    """Collection that faces are searched in; None means that they are not."""
    threshold: Percent = 80.0
    """Minimum Similarity of a match (Amazon's FaceMatchThreshold)."""
    max_faces: Annotated[int, Meta(ge=1, le=4096)] = 5
    """Maximum matches of a face."""


class Pipeline(Section, frozen=True, kw_only=True):
    """`[pipeline]`: the processes that frames pass through, and their heartbeats."""

    workers: Count = 0
    """Processes for each of detect and recognise; 0 means one per core, or two on a card (cuda)."""
    batch: Annotated[int, Meta(ge=0, le=128)] = 0
    """Frames that one of them analyses at once; 0 means 1, or 32 on a card."""
    window: Annotated[int, Meta(ge=0, le=512)] = 0
    """Maximum frames of one stream in flight: the slots of its shared-memory ring. 0 means 16, or
    two batches on a card."""
    heartbeat: Seconds = 1.0
    """Seconds between heartbeats."""
    liveness: Annotated[int, Meta(ge=2)] = 3
    """Missed heartbeats after which a peer is considered dead."""
    attempts: Annotated[int, Meta(ge=1)] = 2
    """Workers that may die while processing a frame before it is recorded as failed."""

    def __post_init__(self) -> None:
        if self.window == 1:
            raise ConfigError("window: must be at least 2, or 0 for the default")


class Retention(Section, frozen=True, kw_only=True):
    """Retention of records and of images of faces; 0 means without limit."""

    max_age_days: Annotated[float, Meta(ge=0)] = 0
    """Maximum age of a record in the log. The last record of each stream is always kept, so that
    a video can be resumed."""
    max_megabytes: Megabytes = 0
    """Maximum size of the log."""
    best_faces: bool = True
    """Keep a small image of the best face of each appearance, and of each line of text."""
    best_faces_max_age_days: Annotated[float, Meta(ge=0)] = 0
    """Maximum age of these images; 0 means as long as the appearance is in the log."""
    json_lines_max_megabytes: Megabytes = 0
    """Size at which the JSON lines file is rotated."""
    json_lines_max_files: Annotated[int, Meta(ge=1)] = 5
    """Maximum number of rotated JSON lines files, without the current one."""


KEEP_ALL = Retention()


class Log(Retention, frozen=True, kw_only=True):
    """`[log]`: where records of `[streams]` are kept, and for how long."""

    path: str | None = None
    """The log; None means `records.db` in the user's data directory."""
    max_age_days: Annotated[float, Meta(ge=0)] = 30
    max_megabytes: Megabytes = 10_000
    json_lines: str | None = None
    """JSON lines file that follows the log; None means no such file."""
    json_lines_max_megabytes: Megabytes = 100

    @property
    def retention(self) -> Retention:
        return Retention(**{name: getattr(self, name) for name in Retention.__struct_fields__})


def is_camera(url: str) -> bool:
    """Return whether `url` names a stream that does not end by itself."""
    scheme, separator, _ = url.partition("://")
    return (bool(separator) and scheme.lower() in CAMERA_SCHEMES) or is_device(url)


def is_device(url: str) -> bool:
    """Return whether `url` names a device file; /dev/shm alone has ordinary files."""
    return url.startswith("/dev/") and not url.startswith("/dev/shm/")


class SourceConfig(Section, frozen=True, kw_only=True):
    """`[streams.NAME]`: the source of a stream, and how it is analysed."""

    url: str
    """rtsp://, http:// or https:// (HLS or MJPEG), /dev/video0, a video file, a folder of images, a
    pattern of images such as shots/*.jpg, or test://moving."""
    enabled: bool = True
    """If false, the stream runs only while a stream processor of it does."""
    policy: Literal["live", "every"] | None = None
    """With "every" all frames are analysed, and the source waits; with "live" the newest one wins.
    None means "live" for cameras and "every" for videos and images."""
    repeat: bool = False
    """Play a video again and again, as a camera before which the same happens for ever: to try out
    a setting without a camera. It needs the policy "live"."""
    fps: Annotated[float, Meta(gt=0)] | None = None
    """Maximum frames analysed per second."""
    nth: Annotated[int, Meta(ge=1)] = 1
    """Analyse every nth frame."""
    detect_every: Annotated[int, Meta(ge=1)] | None = None
    """Search at least every nth of them for faces and text, and follow those found before in the
    others. None means that a video's frames are searched if something new is to be seen, at least
    every 0.1 s, and for text every 0.3 s at a higher resolution; and those of a camera that there
    is time for, but at least every fifth. With 1, all frames of a video are searched, and a
    camera's frames for which there is no time are dropped."""
    region: tuple[Ratio, Ratio, Ratio, Ratio] | None = None
    """The part that is analysed: left, top, width and height as ratios of the image."""
    faces: bool | None = None
    """Analyse faces; None means as `[faces] enabled`."""
    text: bool | None = None
    """Analyse text; None means as `[text] enabled`."""
    attributes: tuple[FaceAttribute, ...] | None = None
    """Facial attributes in records; None means as `[faces] attributes`."""
    collection: str | None = None
    """Collection that faces are searched in; None means that of `[match]`."""
    threshold: Percent | None = None
    """Minimum Similarity of a match; None means that of `[match]`."""
    topic: StreamName | None = None
    """Topic of its records, which is the name of a Kinesis data stream; None means the stream's."""
    expect: Pattern | None = None
    """Pattern of the lines of text that are events, after voting: that of licence plates, say."""
    confirm: Annotated[float, Meta(ge=0)] | None = None
    """As in `[tracks]`; None means the value there."""
    absence: Annotated[float, Meta(gt=0)] | None = None
    """As in `[tracks]`; None means the value there."""
    cooldown: Annotated[float, Meta(ge=0)] | None = None
    """As in `[tracks]`; None means the value there."""
    start: Annotated[float, Meta(ge=0)] = 0
    """Start of the analysis, in seconds of the video."""
    end: Annotated[float, Meta(gt=0)] | None = None
    """End of the analysis, in seconds of the video; that time itself is left out."""
    speed: Annotated[str, Meta(pattern=SPEED)] = "max"
    """Playback speed of a video: "max", or a factor such as "8x". Live videos play at 1x."""
    motion_threshold: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Share of the image that must change; below it, the previous result is repeated."""
    deinterlace: Deinterlace = "auto"
    """Make one image of the two fields of interlaced video: with "auto" where it is marked as
    interlaced, with "on" everywhere."""
    transport: Literal["tcp", "udp"] = "tcp"
    """Transport of RTSP."""
    timeout: Seconds = 10.0
    """Seconds without an image after which a camera is reconnected."""
    frozen_timeout: Seconds = 60.0
    """Seconds of one image, or of a few repeated ones, after which a camera is reconnected."""
    max_delay: Seconds = 2.0
    """Maximum delay of a camera's frame, in seconds; frames that come later are dropped."""

    def __post_init__(self) -> None:
        self._check_url()
        if self.repeat and self._endless:
            raise ConfigError("repeat: what url names never ends; only a video can be repeated")
        if self.repeat and self.policy != "live":
            raise ConfigError('repeat: a video that is repeated plays as a camera: policy = "live"')
        if self.region is not None:
            left, top, width, height = self.region
            if not width or not height:
                raise ConfigError("region: width and height must be greater than 0")
            if max(left + width, top + height) > 1 + ROUNDING:
                raise ConfigError(
                    "region: it extends beyond the image; left + width and top + height must be "
                    "at most 1"
                )
        if self.end is not None and self.end <= self.start:
            raise ConfigError(f"end: {self.end:g} must be greater than start, {self.start:g}")

    def _check_url(self) -> None:
        scheme, separator, _ = self.url.partition("://")
        # None of these texts has the URL: it may contain a password.
        if not separator:
            if NEARLY_URL.match(self.url):
                raise ConfigError(
                    "url: neither a file nor a URL; a URL begins with its scheme and two slashes, "
                    "as rtsp://"
                )
            return
        if scheme.lower() not in URL_SCHEMES:
            known = ", ".join(f"{known}://" for known in URL_SCHEMES)
            raise ConfigError(f"url: {scheme}:// is not supported; use one of {known}")
        try:
            urlsplit(self.url).port  # noqa: B018
        except ValueError:
            raise ConfigError(
                "url: it has no valid host and port; special characters in the user name or "
                "password must be encoded: %2F for /, %3F for ?, %23 for #, %5B for ["
            ) from None

    @property
    def _endless(self) -> bool:
        """Whether it is a camera, or a test video without a number of frames."""
        if not self.url.startswith("test://"):
            return is_camera(self.url)
        return dict(parse_qsl(urlsplit(self.url).query)).get("frames", "0") == "0"

    @property
    def pace(self) -> float:
        """Seconds of the video per second; 0 means as fast as possible."""
        if self.speed == "max":
            return 1.0 if self.policy == "live" else 0.0
        return float(self.speed.removesuffix("x"))

    def selection(self) -> bytes:
        """Return the settings that select frames and regions of a video; empty if none does."""
        parts = [
            self.fps,
            self.nth,
            self.region,
            self.start,
            self.end,
            self.motion_threshold,
            self.deinterlace,
            self.detect_every or 1,
        ]
        usual = [None, 1, None, 0, None, None, "auto", 1]
        return b"" if parts == usual else msgspec.json.encode(parts)


class Record(Section, frozen=True, kw_only=True):
    """`[record]`: the region and account in records and ARNs."""

    region: str = "us-east-1"
    """AWS region."""
    account: Annotated[str, Meta(pattern="^[0-9]{12}$")] = "000000000000"
    """AWS account, 12 digits."""


class Runtime(Section, frozen=True, kw_only=True):
    """`[runtime]`: the hardware that models run on."""

    provider: Provider = "auto"
    """Provider of ONNX Runtime; "auto" takes for each model the one on its card, if it is there."""


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    faces: Faces = Faces()
    text: Text = Text()
    match: Match = Match()
    store: Store = Store()
    tracks: Tracks = Tracks()
    people: People = People()
    pipeline: Pipeline = Pipeline()
    record: Record = Record()
    runtime: Runtime = Runtime()
    serve: Serve = Serve()
    console: Console = Console()
    jobs: Jobs = Jobs()
    queue: Queue = Queue()
    topics: Topics = msgspec.field(default_factory=dict)
    kinesis: Kinesis = Kinesis()
    log: Log = Log()
    publish: Publish = Publish()
    metrics: Metrics = Metrics()
    telemetry: Telemetry = Telemetry()
    workers: Workers = Workers()
    streams: dict[StreamName, SourceConfig] = msgspec.field(default_factory=dict)
    sinks: dict[SinkName, SinkConfig] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        jobs.check(self.topics)
        asked = [self.faces.attributes, *(source.attributes for source in self.streams.values())]
        if any(asked) and not self.faces.mesh:
            raise ConfigError("facial attributes need the mesh: set faces.mesh = true")
        for pattern in (self.tracks.expect, *(source.expect for source in self.streams.values())):
            try:
                re.compile(pattern or "")
            except re.error as error:
                raise ConfigError(
                    f"expect: {pattern!r} is no regular expression: {error}"
                ) from error

    @property
    def embeds(self) -> bool:
        """Whether the faces of frames are embedded: to be searched, or to be followed."""
        return self.match.collection is not None or self.tracks.enabled

    def for_source(self, source: SourceConfig) -> "Config":
        """Return the settings for one stream: `source` overrides the sections."""
        faces = self.faces.enabled if source.faces is None else source.faces
        text = self.text.enabled if source.text is None else source.text
        attributes = self.faces.attributes if source.attributes is None else source.attributes
        collection = source.collection or self.match.collection
        threshold = self.match.threshold if source.threshold is None else source.threshold
        tracks = {
            name: value
            for name in ("confirm", "absence", "cooldown", "expect")
            if (value := getattr(source, name)) is not None
        }
        return replace(
            self,
            faces=replace(self.faces, enabled=faces, attributes=attributes),
            text=replace(self.text, enabled=text),
            match=replace(self.match, collection=collection, threshold=threshold),
            tracks=replace(self.tracks, **tracks),
        )

    def with_thorough_detection(self) -> "Config":
        """Return the settings for still images: thorough detection, and mirrored embeddings."""
        return replace(
            self,
            faces=replace(self.faces, detection="thorough", mirrored=True),
            text=replace(self.text, detection="thorough"),
        )

    def digest(self) -> str:
        """Return 16 hex digits that change with every setting that affects records."""
        parts = [
            self.faces,
            self.text,
            self.match,
            self.tracks,
            self.record,
            self.runtime,
            *([self.people] if self.people.enabled else []),
        ]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]
