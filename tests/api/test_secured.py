"""A server with TLS and keys, which answers as in November 2017."""

import socket
import ssl
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import cv2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.server import Running, running

from onlooker.api.rekognition.orientation import has_orientation
from onlooker.api.server import check
from onlooker.config.schema import Config, ConfigError, Serve

SECRETS = {"ADMIN": "the secret of the admin", "KIOSK": "the secret of the kiosk"}
KEYS = f"""
[[key]]
id = "ADMIN"
secret = "{SECRETS["ADMIN"]}"
user = "admin"

[[key]]
id = "KIOSK"
secret = "{SECRETS["KIOSK"]}"
user = "kiosk"
operations = ["Search*", "ListFaces", "ListCollections", "CompareFaces"]
collections = ["staff"]
buckets = ["photos"]
"""

BOX = {"Width", "Height", "Left", "Top"}
FACE = {"FaceId": str, "BoundingBox": BOX, "ImageId": str, "ExternalImageId": str, "Confidence": 0}
VALUE = {"Value", "Confidence"}
DETAIL = {
    "BoundingBox": BOX,
    "AgeRange": {"Low", "High"},
    "Smile": VALUE,
    "Eyeglasses": VALUE,
    "Sunglasses": VALUE,
    "Gender": VALUE,
    "Beard": VALUE,
    "Mustache": VALUE,
    "EyesOpen": VALUE,
    "MouthOpen": VALUE,
    "Emotions": [{"Type", "Confidence"}],
    "Landmarks": [{"Type", "X", "Y"}],
    "Pose": {"Roll", "Yaw", "Pitch"},
    "Quality": {"Brightness", "Sharpness"},
    "Confidence": 0,
}
MATCHES = [{"Similarity": 0, "Face": FACE}]
SYNTAX: dict[str, dict[str, Any]] = {
    "DetectText": {
        "TextDetections": [
            {
                "DetectedText": "",
                "Type": "",
                "Id": 0,
                "Confidence": 0,
                "Geometry": {"BoundingBox": BOX, "Polygon": [{"X", "Y"}]},
            }
        ]
    },
    "CreateCollection": {"StatusCode": 0, "CollectionArn": "", "FaceModelVersion": ""},
    "IndexFaces": {
        "FaceRecords": [{"Face": FACE, "FaceDetail": DETAIL}],
        "OrientationCorrection": "",
        "FaceModelVersion": "",
    },
    "ListCollections": {"CollectionIds": [], "FaceModelVersions": []},
    "ListFaces": {"Faces": [FACE], "FaceModelVersion": ""},
    "SearchFaces": {"SearchedFaceId": "", "FaceMatches": MATCHES, "FaceModelVersion": ""},
    "SearchFacesByImage": {
        "SearchedFaceBoundingBox": BOX,
        "SearchedFaceConfidence": 0,
        "FaceMatches": MATCHES,
        "FaceModelVersion": "",
    },
}
"""The members that each operation's answer had then, of a named face on one page."""


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "onlooker's test")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("secured")
    keys, pem = folder / "keys.toml", certificate(folder)
    keys.write_text(KEYS)
    keys.chmod(0o600)
    toml = f"""
[serve]
profile = "2017-11"
keys = "{keys}"
certificate = "{pem}"
any_region = false
reject_replays = true
threads = 1
workers = 2
validation_error = "ValidationException"
metrics_port = {free_port()}
"""
    with running(folder, toml) as one:
        yield one


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def client(secured: Running, key: str, **more: Any) -> Any:
    return secured.client(
        aws_access_key_id=key,
        aws_secret_access_key=SECRETS.get(key, "unknown"),
        verify=str(secured.log.parent / "certificate.pem"),
        **more,
    )


def test_answers_have_the_form_of_2017(secured: Running, samples: Path) -> None:
    asked = client(secured, "ADMIN")
    image = {"Bytes": plain(samples / "faces" / "identities" / "barack_obama" / "1.jpg")}
    other = {"Bytes": (samples / "faces" / "identities" / "barack_obama" / "2.jpg").read_bytes()}
    sign = samples / "text" / "icdar2015" / "test25" / "img_100.jpg"
    told: dict[str, Any] = {}
    told["CreateCollection"] = asked.create_collection(CollectionId="staff")
    told["IndexFaces"] = asked.index_faces(
        CollectionId="staff",
        Image=image,
        ExternalImageId="obama",
        DetectionAttributes=["ALL"],
    )
    asked.index_faces(CollectionId="staff", Image=other, ExternalImageId="obama")
    face = told["IndexFaces"]["FaceRecords"][0]["Face"]["FaceId"]
    told["DetectText"] = asked.detect_text(Image={"Bytes": sign.read_bytes()})
    told["ListCollections"] = asked.list_collections()
    told["ListFaces"] = asked.list_faces(CollectionId="staff")
    told["SearchFaces"] = asked.search_faces(CollectionId="staff", FaceId=face)
    told["SearchFacesByImage"] = asked.search_faces_by_image(CollectionId="staff", Image=image)
    for operation, syntax in SYNTAX.items():
        answer = {k: v for k, v in told[operation].items() if k != "ResponseMetadata"}
        _same(answer, syntax, operation)
    assert told["CreateCollection"]["CollectionArn"].startswith("aws:rekognition:")
    assert told["IndexFaces"]["OrientationCorrection"] == "ROTATE_0"
    detail = told["IndexFaces"]["FaceRecords"][0]["FaceDetail"]
    assert len(detail["Landmarks"]) == 25
    assert len(detail["Emotions"]) == 7
    lines = [one for one in told["DetectText"]["TextDetections"] if one["Type"] == "LINE"]
    assert lines
    assert all(one["DetectedText"].isascii() for one in lines)
    assert set(asked.delete_faces(CollectionId="staff", FaceIds=[face])) == {
        "DeletedFaces", "ResponseMetadata"
    }  # fmt: skip


def plain(path: Path, turn: int | None = None) -> bytes:
    """A picture as PNG, without EXIF, and turned where that is wanted."""
    pixels = cv2.imread(str(path))
    assert pixels is not None
    turned = pixels if turn is None else cv2.rotate(pixels, turn)
    return cv2.imencode(".png", turned)[1].tobytes()


def _same(answer: Any, syntax: Any, place: str) -> None:
    if isinstance(syntax, dict | set):
        assert set(answer) - {"ParentId"} == set(syntax), place
    if isinstance(syntax, dict):
        for name, inner in syntax.items():
            _same(answer[name], inner, f"{place}.{name}")
    elif isinstance(syntax, list):
        assert answer, place
        for inner in syntax:
            for one in answer:
                _same(one, inner, f"{place}[]")


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        (cv2.ROTATE_90_COUNTERCLOCKWISE, "ROTATE_90"),
        (cv2.ROTATE_180, "ROTATE_180"),
        (cv2.ROTATE_90_CLOCKWISE, "ROTATE_270"),
    ],
)
def test_faces_tell_which_way_up_a_picture_is(
    secured: Running, samples: Path, turn: int, name: str
) -> None:
    path = samples / "faces" / "identities" / "barack_obama" / "1.jpg"
    turned = {"Bytes": plain(path, turn)}
    asked = client(secured, "ADMIN")
    told = asked.detect_faces(Image=turned)
    assert told["OrientationCorrection"] == name
    [face] = told["FaceDetails"]
    straight = {"Bytes": plain(path)}
    [right] = asked.detect_faces(Image=straight)["FaceDetails"]
    box, upright_box = face["BoundingBox"], right["BoundingBox"]
    if name != "ROTATE_180":
        assert box["Width"] == pytest.approx(upright_box["Height"], abs=0.03)
    eyes = {mark["Type"]: (mark["X"], mark["Y"]) for mark in face["Landmarks"]}
    (left_x, left_y), (right_x, right_y) = eyes["eyeLeft"], eyes["eyeRight"]
    along = {"ROTATE_90": left_y - right_y, "ROTATE_180": left_x - right_x}
    assert along.get(name, right_y - left_y) > 0.05


def test_an_exif_orientation_is_not_told(secured: Running, samples: Path) -> None:
    path = samples / "faces" / "identities" / "barack_obama" / "1.jpg"
    data = path.read_bytes()
    assert has_orientation(data)  # a camera's own
    pixels = cv2.imread(str(path))
    assert pixels is not None
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    assert not has_orientation(data)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0"
    marked = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    told = client(secured, "ADMIN").detect_faces(Image={"Bytes": marked})
    assert len(told["FaceDetails"]) == 1
    assert "OrientationCorrection" not in told


def test_keys_and_regions_are_checked(secured: Running) -> None:
    assert client(secured, "ADMIN").list_collections()
    stranger = client(secured, "NOBODY")
    with pytest.raises(stranger.exceptions.ClientError) as raised:
        stranger.list_collections()
    assert raised.value.response["Error"]["Code"] == "UnrecognizedClientException"
    for wrong in ({"region_name": "eu-west-1"}, {"aws_secret_access_key": "a wrong secret...."}):
        settings = {"aws_access_key_id": "ADMIN", "aws_secret_access_key": SECRETS["ADMIN"]}
        asked = secured.client(
            **{**settings, **wrong}, verify=str(secured.log.parent / "certificate.pem")
        )
        with pytest.raises(asked.exceptions.ClientError) as raised:
            asked.list_collections()
        assert raised.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_a_key_may_do_no_more_than_it_may(secured: Running) -> None:
    kiosk = client(secured, "KIOSK")
    denied = kiosk.exceptions.AccessDeniedException
    with pytest.raises(
        denied,
        match=r"User: arn:aws:iam::000000000000:user/kiosk is not authorized to perform: "
        r"rekognition:DeleteCollection on resource: .*collection/staff",
    ):
        kiosk.delete_collection(CollectionId="staff")
    # Whether there is such a collection is not told.
    for name in ("other", "none-of-that-name"):
        with pytest.raises(denied):
            kiosk.list_faces(CollectionId=name)
    with pytest.raises(denied):
        kiosk.list_tags_for_resource(
            ResourceArn="arn:aws:rekognition:us-east-1:000000000000:collection/staff"
        )


def test_a_key_sees_its_collections_and_buckets_only(secured: Running) -> None:
    admin, kiosk = client(secured, "ADMIN"), client(secured, "KIOSK")
    admin.create_collection(CollectionId="secret")
    assert "secret" in admin.list_collections()["CollectionIds"]
    listed = kiosk.list_collections()
    assert set(listed["CollectionIds"]) <= {"staff"}
    assert len(listed["FaceModelVersions"]) == len(listed["CollectionIds"])
    admin.delete_collection(CollectionId="secret")

    def compare(bucket: str, other: str) -> None:
        kiosk.compare_faces(
            SourceImage={"S3Object": {"Bucket": bucket, "Name": "a.jpg"}},
            TargetImage={"S3Object": {"Bucket": other, "Name": "a.jpg"}},
        )

    with pytest.raises(kiosk.exceptions.AccessDeniedException, match=r"s3:GetObject on .*:private"):
        compare("photos", "private")
    with pytest.raises(kiosk.exceptions.InvalidS3ObjectException, match="reads no buckets"):
        compare("photos", "photos")


def test_a_limit_has_the_name_that_is_configured(secured: Running) -> None:
    asked = client(secured, "ADMIN")
    with pytest.raises(asked.exceptions.ClientError) as raised:
        asked.list_faces(CollectionId="bad id!")
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(asked.exceptions.ClientError, match=r"at 'image\.bytes'") as raised:
        asked.detect_faces(Image={"Bytes": bytes(5242881)})
    assert raised.value.response["Error"]["Code"] == "ValidationException"


def test_a_change_is_made_once(secured: Running) -> None:
    """The very same bytes are sent again, on the same connection: to the same process."""
    host = f"127.0.0.1:{secured.port}"
    context = ssl.create_default_context(cafile=str(secured.log.parent / "certificate.pem"))
    connection = HTTPSConnection("127.0.0.1", secured.port, context=context)
    answers = []
    for operation in ("CreateCollection", "ListCollections"):
        body = b'{"CollectionId":"once"}' if operation == "CreateCollection" else b"{}"
        request = AWSRequest(
            "POST",
            f"https://{host}/",
            {
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": f"RekognitionService.{operation}",
                "Host": host,
            },
            body,
        )
        SigV4Auth(Credentials("ADMIN", SECRETS["ADMIN"]), "rekognition", "us-east-1").add_auth(
            request
        )
        for _ in range(2):
            connection.request("POST", "/", body, dict(request.headers.items()))
            answer = connection.getresponse()
            answers.append((answer.status, b"used before" in answer.read()))
    connection.close()
    assert answers == [(200, False), (400, True), (200, False), (200, False)]


def test_the_metrics_have_a_port_of_their_own(secured: Running) -> None:
    settings = tomllib.loads((secured.log.parent / "onlooker.toml").read_text())
    connection = HTTPConnection("127.0.0.1", settings["serve"]["metrics_port"])
    connection.request("GET", "/metrics")
    told = connection.getresponse().read().decode()
    connection.close()
    assert 'onlooker_requests_total{operation="ListCollections",result="200"}' in told
    pem = str(secured.log.parent / "certificate.pem")
    context = ssl.create_default_context(cafile=pem)
    secure = HTTPSConnection("127.0.0.1", secured.port, context=context)
    secure.request("GET", "/metrics")
    assert secure.getresponse().status == 400
    secure.close()


def test_the_log_has_no_secret_and_nothing_of_a_body(secured: Running) -> None:
    lines = secured.lines()
    asked = [line for line in lines if line["message"] == "request"]
    assert {line["user"] for line in asked} >= {"admin", "kiosk", "anybody"}
    assert all(len(line["request_id"]) == 36 and line["ms"] >= 0 for line in asked)
    text = secured.log.read_text()
    for secret in (*SECRETS.values(), "ADMIN", "Signature=", "obama", "/9j/", "bad id!"):
        assert secret not in text


def test_strangers_are_kept_out_where_there_are_no_keys(tmp_path: Path) -> None:
    check(Config(serve=Serve(host="localhost")))
    check(Config(serve=Serve(host="::1")))
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(ConfigError, match="without keys"):
            check(Config(serve=Serve(host=host)))
    with pytest.raises(ConfigError, match="certificate"):
        check(Config(serve=Serve(certificate=str(tmp_path / "none.pem"))))
    with pytest.raises(ConfigError, match="host"):
        check(Config(serve=Serve(host="no-such-host.invalid")))
