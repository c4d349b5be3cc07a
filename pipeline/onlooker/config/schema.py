"""One TOML file read into typed structs; an unknown key is an error with a hint.

The file is the first that exists of `$ONLOOKER_CONFIG`, `./onlooker.toml` and `onlooker.toml` in
the user's configuration directory. Every value has a default, so no file is needed.
`onlooker config show` prints what is in force, `onlooker config check` says what is wrong.
"""

import hashlib
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from onlooker.errors import OnlookerError

Ratio = Annotated[float, Meta(ge=0, le=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Count = Annotated[int, Meta(ge=0)]
Side = Annotated[int, Meta(ge=64, le=4096)]
Provider = Literal["auto", "cpu", "openvino", "cuda"]
QualityFilter = Literal["NONE", "AUTO", "LOW", "MEDIUM", "HIGH"]
"""Amazon's filter of faces: `onlooker.vision.quality` has the limits."""
CAMERAS = ("rtsp", "rtsps", "http", "https")
"""Schemes of URLs that have no end of their own."""
SCHEMES = (*CAMERAS, "test", "file")


PROVIDERS: tuple[str, ...] = get_args(Provider)


class ConfigError(OnlookerError, ValueError):
    """The configuration cannot be used; the text says why and what to do."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all sections of the file share."""


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
"""Amazon's names for what can be told of a face besides where it is and whose."""


class Faces(Section, frozen=True, kw_only=True):
    """`[faces]`: which faces are found, and how they are recognised."""

    enabled: bool = True
    size: Side = 640
    """Long side, in pixels, of the picture that the detector sees. Never enlarged."""
    detection: Literal["fast", "balanced", "thorough"] = "balanced"
    """How much time to take for faces that are hard to find. "fast" looks once. "balanced" looks
    again, closer, where that finds nothing or a large face that the edge cuts. "thorough" does so
    in more ways, and looks for small faces with a second detector, in many times the time."""
    score: Annotated[float, Meta(gt=0, lt=1)] = 0.94
    """Least probability that it is one, of a face in a record."""
    embedder: str = "mobilefacenet"
    """Card of the model that turns a face into a vector; two may be joined by "+"."""
    mesh: bool = True
    """Lay a mesh over each face: landmarks and pose are right for leaning and turned heads too, and
    of strangers as alike as one in ten thousand pairs, a ninth is missed of what is without."""
    mirrored: bool = False
    """Look at each face twice, the second time mirrored: slower, and a little surer."""
    quality: QualityFilter = "AUTO"
    """Which faces are good enough to be recognised; the others are found only."""
    attributes: tuple[FaceAttribute, ...] = ()
    """What else records say of each face. Amazon's have none of it; it takes `mesh`."""


class Text(Section, frozen=True, kw_only=True):
    """`[text]`: which text is found and read."""

    enabled: bool = True
    size: Side = 640
    """Long side, in pixels, of the picture that the detector sees. Never enlarged.

    Of a 720p video, 960 finds a tenth more lines, the smallest ones, in twice the time.
    """
    detection: Literal["fast", "thorough"] = "fast"
    """How much time to take for text that is hard to find. "fast" looks once. "thorough" looks at
    960 pixels at least and again, closer, where text is small; it also reads what stands on its
    head."""
    detector: str = "ppocrv6_det_small"
    reader: str = "ppocrv6_rec_small"
    score: Ratio = 0.5
    """Least mean character score of a line in a record."""


class Match(Section, frozen=True, kw_only=True):
    """`[match]`: which collection faces are looked up in, and when two faces are one person."""

    collection: str | None = None
    threshold: Percent = 80.0
    """Least Similarity of a named face (Amazon's FaceMatchThreshold)."""
    max_faces: Annotated[int, Meta(ge=1, le=4096)] = 5


class Stream(Section, frozen=True, kw_only=True):
    """`[stream]`: how frames travel."""

    workers: Count = 0
    """Processes for each of detect and recognise; 0 means one for each core."""
    window: Annotated[int, Meta(ge=2, le=256)] = 16
    """Frames of one stream in flight at once: slots of its shared-memory ring."""
    heartbeat: Annotated[float, Meta(gt=0)] = 1.0
    """Seconds between signs of life."""
    liveness: Annotated[int, Meta(ge=2)] = 3
    """Heartbeats missed before a peer counts as dead."""
    attempts: Annotated[int, Meta(ge=1)] = 2
    """Workers that may die over one frame before it is recorded as failed."""


class Limits(Section, frozen=True, kw_only=True):
    """How much is kept; 0 stands for everything."""

    days: Annotated[float, Meta(ge=0)] = 0
    """Age of the oldest record in the log. The last one of each stream stays for good, so that a
    video is gone on with."""
    megabytes: Annotated[float, Meta(ge=0)] = 0
    """Size of the log."""
    lines_megabytes: Annotated[float, Meta(ge=0)] = 0
    """Size at which a file of JSON lines is put aside and another one begun."""
    lines_files: Annotated[int, Meta(ge=1)] = 5
    """Files of JSON lines that are kept besides the newest."""


EVERYTHING = Limits()


class Log(Limits, frozen=True, kw_only=True):
    """`[log]`: where `onlooker stream` keeps records, and how many."""

    path: str | None = None
    """The log; without it, `records.db` in the user's data directory."""
    days: Annotated[float, Meta(ge=0)] = 30
    megabytes: Annotated[float, Meta(ge=0)] = 10_000
    lines: str | None = None
    """File of JSON lines that follows the log."""
    lines_megabytes: Annotated[float, Meta(ge=0)] = 100

    @property
    def limits(self) -> Limits:
        return Limits(**{name: getattr(self, name) for name in Limits.__struct_fields__})


class Publish(Section, frozen=True, kw_only=True):
    """`[publish]`: where `onlooker stream` publishes records, and who may subscribe."""

    endpoint: str | None = None
    """As tcp://127.0.0.1:5555; any other address needs a key."""
    key: str | None = None
    """File with the publisher's key pair (`onlooker keys generate`)."""
    clients: tuple[str, ...] = ()
    """Public keys of those who may subscribe then."""

    def __post_init__(self) -> None:
        if self.clients and self.key is None:
            raise ValueError(
                "clients are told apart by keys: set key, too (`onlooker keys generate FILE`)"
            )


class Metrics(Section, frozen=True, kw_only=True):
    """`[metrics]`: figures of `onlooker stream` for Prometheus; the server's are at `[serve]`."""

    listen: Annotated[str, Meta(pattern=r"^\S+:\d{1,5}$")] | None = None
    """As 127.0.0.1:9464; nothing listens without it."""

    def __post_init__(self) -> None:
        if self.listen is not None and int(self.listen.rpartition(":")[2]) > 65535:
            raise ValueError(f"{self.listen}: a port is 1 to 65535")


STREAM_NAME = r"^[A-Za-z0-9_.\-]{1,128}$"
StreamName = Annotated[str, Meta(pattern=STREAM_NAME)]


SPEED = r"^(max|(?=.*[1-9])\d+(\.\d+)?x)$"
"""How fast a video is played: as fast as it can be looked at, or as "8x"."""


class Source(Section, frozen=True, kw_only=True):
    """`[streams.NAME]`: where a stream comes from, and what is done with it."""

    url: str
    """rtsp://, http:// or https:// (HLS or MJPEG), /dev/video0, a video, a folder of pictures,
    pictures by a pattern as shots/*.jpg, or test://moving."""
    policy: Literal["live", "every"] | None = None
    """every: all frames are looked at, and the source waits. live: the newest wins. Without it,
    cameras are live, and of videos and pictures every frame counts."""
    fps: Annotated[float, Meta(gt=0)] | None = None
    """Look at so many frames a second at most."""
    nth: Annotated[int, Meta(ge=1)] = 1
    """Look at one frame in so many."""
    region: tuple[Ratio, Ratio, Ratio, Ratio] | None = None
    """Left, top, width and height of the part to look at, as ratios of the picture."""
    faces: bool | None = None
    """Look for faces; without it, as [faces] look says."""
    text: bool | None = None
    """Look for text; without it, as [text] look says."""
    attributes: tuple[FaceAttribute, ...] | None = None
    """What else records say of each face; without it, as [faces] attributes says."""
    collection: str | None = None
    """Collection to look faces up in; without it, that of [match]."""
    start: Annotated[float, Meta(ge=0)] = 0
    """Seconds of a video before the first frame that is looked at."""
    end: Annotated[float, Meta(gt=0)] | None = None
    """Seconds of a video that are looked at no more."""
    speed: Annotated[str, Meta(pattern=SPEED)] = "max"
    """How fast a video is played: "max", or as "8x". A video that is live is played at 1x."""
    motion: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Share of the picture that must change; where less does, the last result is taken again."""
    transport: Literal["tcp", "udp"] = "tcp"
    """What RTSP goes over."""
    timeout: Annotated[float, Meta(gt=0)] = 10.0
    """Seconds without a picture after which a camera is connected to anew."""
    frozen: Annotated[float, Meta(gt=0)] = 60.0
    """Seconds of one picture, or of a few again and again, after which it is too."""
    stale: Annotated[float, Meta(gt=0)] = 2.0
    """Seconds that a frame of a camera may come late; older ones are dropped."""

    def __post_init__(self) -> None:
        scheme, separator, _ = self.url.partition("://")
        if not separator:
            return
        # Neither text has the URL: there may be a password in it.
        if scheme.lower() not in SCHEMES:
            raise ConfigError(
                f"url: {scheme}:// is none of {', '.join(f'{known}://' for known in SCHEMES)}"
            )
        try:
            urlsplit(self.url).port  # noqa: B018
        except ValueError:
            raise ConfigError(
                "url: no host and port can be seen in it; what is special in a user name or "
                "password is written as %2F for /, %3F for ?, %5B for ["
            ) from None

    @property
    def pace(self) -> float:
        """Seconds of the video in one second; 0 for as fast as it can be looked at."""
        if self.speed == "max":
            return 1.0 if self.policy == "live" else 0.0
        return float(self.speed.removesuffix("x"))

    def selection(self) -> bytes:
        """What decides, besides the video, which frames there are and what is in them."""
        parts = [self.fps, self.nth, self.region, self.start, self.end, self.motion]
        return b"" if parts == [None, 1, None, 0, None, None] else msgspec.json.encode(parts)


class Record(Section, frozen=True, kw_only=True):
    """`[record]`: what names the records carry."""

    region: str = "us-east-1"
    account: Annotated[str, Meta(pattern="^[0-9]{12}$")] = "000000000000"


class Runtime(Section, frozen=True, kw_only=True):
    """`[runtime]`: where models run."""

    provider: Provider = "auto"


class Serve(Section, frozen=True, kw_only=True):
    """`[serve]`: how `onlooker serve` answers."""

    host: str = "127.0.0.1"
    """Address to listen on; without `keys` one that only this machine reaches."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8600
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    """Processes that answer on the port."""
    threads: Count = 0
    """Pictures that one process looks at side by side, each with models of its own; 0 means that
    the processes share the cores evenly."""
    queue: Count = 16
    """Requests of a process that may wait for a thread; who comes then is told to slow down."""
    patience: Annotated[float, Meta(gt=0)] = 30.0
    """Seconds after which a request that was not answered is given up."""
    thorough: bool = True
    """Whether small faces and text are looked for as `onlooker faces` and `onlooker text` do;
    otherwise by `[faces]` and `[text] detection`, in a fraction of the time."""
    profile: Literal["current", "2017-11"] = "current"
    """Shapes and limits of Amazon's answers today, or of November 2017."""
    keys: str | None = None
    """File of access keys: see the docstring of `onlooker.api.access_keys`. None: anybody may
    ask."""
    any_region: bool = True
    """Whether clients may sign for any region, or only for that of `[record] region`."""
    once: bool = False
    """Whether a signed request that changes something is answered only once in ten minutes. Two
    that are alike and signed in the same second count as one."""
    buckets: str | None = None
    """Where S3Objects are read: "s3", or a folder that holds a folder for each bucket."""
    certificate: str | None = None
    """File with the TLS certificate and its chain, in PEM."""
    private_key: str | None = None
    """File with the certificate's key; None where it is in the same file."""
    metrics_port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """Where the server answers /metrics instead of on `port`."""
    validation_error: Literal["InvalidParameterException", "ValidationException"] = (
        "InvalidParameterException"
    )
    """What a violated limit is called; Amazon changed the name."""


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    faces: Faces = Faces()
    text: Text = Text()
    match: Match = Match()
    stream: Stream = Stream()
    record: Record = Record()
    runtime: Runtime = Runtime()
    serve: Serve = Serve()
    log: Log = Log()
    publish: Publish = Publish()
    metrics: Metrics = Metrics()
    streams: dict[StreamName, Source] = {}

    def __post_init__(self) -> None:
        asked = [self.faces.attributes, *(source.attributes for source in self.streams.values())]
        if any(asked) and not self.faces.mesh:
            raise ConfigError("attributes of faces are told from their mesh: leave faces.mesh on")

    def of(self, source: Source) -> "Config":
        """What frames of this stream are looked at with."""
        faces = self.faces.enabled if source.faces is None else source.faces
        text = self.text.enabled if source.text is None else source.text
        attributes = self.faces.attributes if source.attributes is None else source.attributes
        collection = source.collection or self.match.collection
        return replace(
            self,
            faces=replace(self.faces, enabled=faces, attributes=attributes),
            text=replace(self.text, enabled=text),
            match=replace(self.match, collection=collection),
        )

    def thorough(self) -> "Config":
        """What still pictures are looked at with, where nobody is in a hurry."""
        return replace(
            self,
            faces=replace(self.faces, detection="thorough"),
            text=replace(self.text, detection="thorough"),
        )

    def digest(self) -> str:
        """Sixteen hex digits that change whenever the content of records could."""
        parts = [self.faces, self.text, self.match, self.record, self.runtime]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]
