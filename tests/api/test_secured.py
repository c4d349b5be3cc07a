"""Keys, permissions and secrets of a server with TLS."""

import ssl
import tomllib
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.support.secured_server import SECRETS, TOKEN, client
from tests.support.server import Running

from onlooker.api.server import check
from onlooker.config.schema import Config
from onlooker.config.section import ConfigError
from onlooker.config.serving import Serve


def test_keys_and_regions_are_checked(secured: Running) -> None:
    assert client(secured, "ADMIN").list_collections()
    unknown = client(secured, "NOBODY")
    with pytest.raises(unknown.exceptions.ClientError) as raised:
        unknown.list_collections()
    assert raised.value.response["Error"]["Code"] == "UnrecognizedClientException"
    for wrong in ({"region_name": "eu-west-1"}, {"aws_secret_access_key": "a wrong secret...."}):
        settings = {"aws_access_key_id": "ADMIN", "aws_secret_access_key": SECRETS["ADMIN"]}
        asked = secured.client(
            **{**settings, **wrong}, verify=str(secured.log.parent / "certificate.pem")
        )
        with pytest.raises(asked.exceptions.ClientError) as raised:
            asked.list_collections()
        assert raised.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_a_session_token_belongs_to_its_key(secured: Running) -> None:
    assert client(secured, "GUEST", aws_session_token=TOKEN).list_collections()
    for key, token in (("GUEST", "another"), ("GUEST", None), ("ADMIN", TOKEN)):
        asked = client(secured, key, aws_session_token=token)
        with pytest.raises(asked.exceptions.ClientError, match=r"AWS_SESSION_TOKEN") as raised:
            asked.list_collections()
        assert raised.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_a_key_may_do_only_what_it_allows(secured: Running) -> None:
    kiosk = client(secured, "KIOSK")
    denied = kiosk.exceptions.AccessDeniedException
    with pytest.raises(
        denied,
        match=r"User: arn:aws:iam::000000000000:user/kiosk is not authorized to perform: "
        r"rekognition:DeleteCollection on resource: .*collection/staff",
    ):
        kiosk.delete_collection(CollectionId="staff")
    # Whether there is such a collection is not revealed.
    for name in ("other", "none-of-that-name"):
        with pytest.raises(denied):
            kiosk.list_faces(CollectionId=name)
    with pytest.raises(denied):
        kiosk.list_tags_for_resource(
            ResourceArn="arn:aws:rekognition:us-east-1:000000000000:collection/staff"
        )


def test_a_key_reaches_only_its_collections_and_buckets(secured: Running) -> None:
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


def test_a_violated_limit_has_the_configured_name(secured: Running) -> None:
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
    response = connection.getresponse().read().decode()
    connection.close()
    assert 'onlooker_requests_total{operation="ListCollections",result="200"}' in response
    pem = str(secured.log.parent / "certificate.pem")
    context = ssl.create_default_context(cafile=pem)
    secure = HTTPSConnection("127.0.0.1", secured.port, context=context)
    secure.request("GET", "/metrics")
    assert secure.getresponse().status == 400
    secure.close()


def test_the_log_contains_no_secret_and_nothing_of_a_body(secured: Running) -> None:
    lines = secured.lines()
    asked = [line for line in lines if line["message"] == "request"]
    assert {line["user"] for line in asked} >= {"admin", "kiosk", "anybody"}
    assert all(len(line["request_id"]) == 36 and line["ms"] >= 0 for line in asked)
    text = secured.log.read_text()
    for secret in (*SECRETS.values(), TOKEN, "ADMIN", "Signature=", "obama", "/9j/", "bad id!"):
        assert secret not in text


def test_a_server_without_keys_listens_on_loopback_only(tmp_path: Path) -> None:
    check(Config(serve=Serve(host="localhost")))
    check(Config(serve=Serve(host="::1")))
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(ConfigError, match="without keys"):
            check(Config(serve=Serve(host=host)))
    with pytest.raises(ConfigError, match="certificate"):
        check(Config(serve=Serve(certificate=str(tmp_path / "none.pem"))))
    with pytest.raises(ConfigError, match="host"):
        check(Config(serve=Serve(host="no-such-host.invalid")))
