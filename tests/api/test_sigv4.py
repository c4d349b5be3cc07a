"""Signatures, made by botocore and then tampered with."""

import hmac
import re
import time
from calendar import timegm
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from onlooker.api.access_keys import Key
from onlooker.api.errors import Refusal
from onlooker.api.sigv4 import MAX_CLOCK_SKEW_SECONDS, ReplayGuard, claim, verify

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEY = Key(id="AKIDEXAMPLE", secret=SECRET, user="kiosk")
SESSION = Key(id="ASIAEXAMPLE", secret=SECRET, user="guest", token="a/token+of=mine")
KEYS = {KEY.id: KEY, SESSION.id: SESSION}
BODY = b'{"CollectionId":"staff","FaceId":"x"}'
Sent = list[tuple[str, str]]


def signed(
    body: bytes = BODY,
    key: Key = KEY,
    region: str = "us-east-1",
    service: str = "rekognition",
    secret: str = SECRET,
    more: dict[str, str] | None = None,
    query: str = "",
) -> Sent:
    """The headers that botocore sends, in the form that the server gets them."""
    request = AWSRequest(
        method="POST",
        url=f"http://127.0.0.1:8600/{query and '?'}{query}",
        data=body,
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "RekognitionService.SearchFaces",
            "Host": "127.0.0.1:8600",
            **(more or {}),
        },
    )
    SigV4Auth(Credentials(key.id, secret, key.token), service, region).add_auth(request)
    return [(name.lower(), value) for name, value in request.headers.items()]


def judge(
    headers: Sent,
    body: bytes = BODY,
    region: str | None = None,
    ahead: float = 0.0,
    now: float | None = None,
    service: str = "rekognition",
    query: str = "",
) -> str:
    """User of the key, or the error's name; `ahead`: seconds of the server's clock."""
    try:
        moment = (time.time() if now is None else now) + ahead
        found = claim(headers, KEYS, service, region, moment, query)
        verify(found, headers, sha256(body).hexdigest())
    except Refusal as refusal:
        return refusal.name
    return found.key.user


def replaced(headers: Sent, name: str, change: Callable[[str], str]) -> Sent:
    return [(n, change(value) if n == name else value) for n, value in headers]


def test_botocores_signatures_are_accepted() -> None:
    assert judge(signed()) == "kiosk"
    assert judge(signed(key=SESSION)) == "guest"
    assert judge(signed(region="eu-west-1"), region="eu-west-1") == "kiosk"
    assert judge(signed(body=b""), b"") == "kiosk"


@given(
    body=st.binary(max_size=200),
    values=st.dictionaries(
        st.from_regex(r"x-[a-z][a-z0-9-]{0,12}[a-z0-9]", fullmatch=True),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
        max_size=4,
    ),
    order=st.randoms(use_true_random=False),
)
def test_any_headers_in_any_order_are_verified(body: bytes, values: dict[str, str], order) -> None:  # type: ignore[no-untyped-def]
    taken = {"x-amz-date", "x-amz-target", "x-amz-security-token", "x-amz-content-sha256"}
    headers = signed(body, more={k: v for k, v in values.items() if k not in taken})
    order.shuffle(headers)
    assert judge(headers, body) == "kiosk"


@given(st.data())
def test_any_changed_byte_of_the_body_is_detected(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(BODY) - 1))
    changed = bytearray(BODY)
    changed[at] ^= data.draw(st.integers(1, 255))
    assert judge(signed(), bytes(changed)) == "InvalidSignatureException"


WRONG = "InvalidSignatureException"
HALF = "IncompleteSignatureException"


def test_every_changed_header_is_detected() -> None:
    headers = signed(more={"X-Mine": "mine"})
    for number, (name, value) in enumerate(headers):
        if name == "authorization":
            continue
        for at in range(len(value)):
            flipped = value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
            if " ".join(flipped.split()) != value:
                changed = [*headers[:number], (name, flipped), *headers[number + 1 :]]
                assert judge(changed) in (WRONG, HALF), name


def test_every_changed_nibble_of_the_signature_is_detected() -> None:
    *others, (name, value) = signed()
    assert name == "authorization"
    for at in range(len(value) - 64, len(value)):
        for nibble in "0f":
            changed = value[:at] + nibble + value[at + 1 :]
            expected = "kiosk" if changed == value else WRONG
            assert judge([*others, (name, changed)]) == expected


def _authorization(pattern: str, new: str) -> Sent:
    changed = replaced(signed(), "authorization", lambda v: re.sub(pattern, new, v, count=1))
    assert changed != signed()
    return changed


@pytest.mark.parametrize(
    ("pattern", "new", "answer"),
    [
        ("us-east-1", "us-east-2", WRONG),
        ("/rekognition/", "/kinesis/", WRONG),
        ("aws4_request", "aws4_reques", HALF),
        (r"/\d{8}/", "/20200101/", WRONG),
        ("AKIDEXAMPLE", "AKIDEXAMPLF", "UnrecognizedClientException"),
        ("AKIDEXAMPLE", "ASIAEXAMPLE", "UnrecognizedClientException"),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512", HALF),
        ("AWS4-HMAC-SHA256", "AWS3-HTTPS", HALF),
        (r"Signature=\w+", "Signature=", HALF),
        (r"Signature=\w+", "Signature=" + "0" * 63, HALF),
        (r"Signature=(\w+)", "Signature=" + "Z" * 64, HALF),
        ("SignedHeaders=[^,]+", "SignedHeaders=", HALF),
        ("content-type;host", "host;content-type", HALF),
        ("content-type;host", "content-type;content-type;host", HALF),
        ("content-type;host", "Content-Type;host", HALF),
        ("content-type;", "", WRONG),
        ("host;", "", WRONG),
        ("x-amz-date;", "", WRONG),
        (";x-amz-target", "", WRONG),
        ("x-amz-target", "x-amz-target;x-nobody", WRONG),
        ("Credential=[^,]+", "Credential=AKIDEXAMPLE", HALF),
        ("Credential=", "Credentials=", HALF),
        (".*", "Basic dXNlcjpwYXNzd29yZA==", HALF),
        (".*", "", HALF),
    ],
)
def test_changed_authorizations_are_refused(pattern: str, new: str, answer: str) -> None:
    assert judge(_authorization(pattern, new)) == answer


@pytest.mark.parametrize(
    ("pattern", "new"),
    [
        (", ", ","),
        (", SignedHeaders", " ,\tSignedHeaders"),
        (r"(Credential=\S+), (SignedHeaders=\S+), (Signature=\S+)", r"\3, \1, \2"),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256   "),
    ],
)
def test_the_parts_of_an_authorization_have_any_order_and_spaces(pattern: str, new: str) -> None:
    assert judge(_authorization(pattern, new)) == "kiosk"


@pytest.mark.parametrize("more", [", Signature=" + "0" * 64, ", Realm=x", ","])
def test_an_authorization_with_further_parts_is_refused(more: str) -> None:
    assert judge(_authorization("$", more)) == HALF


def test_a_wrong_secret_region_or_service_is_refused() -> None:
    assert judge(signed(secret=SECRET + "x")) == WRONG
    assert judge(signed(region="eu-west-1"), region="us-east-1") == WRONG
    assert judge(signed(service="kinesis")) == WRONG
    assert judge(signed(), service="kinesis") == WRONG
    assert judge(signed(service="kinesis"), service="kinesis") == "kiosk"


def test_headers_that_are_missing_or_doubled_are_refused() -> None:
    headers = signed()
    for name in ("host", "x-amz-date", "x-amz-target"):
        without = [pair for pair in headers if pair[0] != name]
        assert judge(without) in (WRONG, HALF), name
        for value in ("other", dict(headers)[name]):
            assert judge([*headers, (name, value)]) in (WRONG, HALF), name
            assert judge([(name, value), *headers]) in (WRONG, HALF), name
    without = [pair for pair in headers if pair[0] != "authorization"]
    assert judge(without) == "MissingAuthenticationTokenException"
    assert judge([*headers, ("authorization", dict(headers)["authorization"])]) == HALF


def test_a_header_that_comes_twice_is_signed_in_the_order_it_came() -> None:
    headers = signed(more={"X-Mine": "a,b"})
    split = [pair for pair in headers if pair[0] != "x-mine"]
    assert judge([*split, ("x-mine", "a"), ("x-mine", "b")]) == "kiosk"
    assert judge([*split, ("x-mine", "b"), ("x-mine", "a")]) == WRONG
    assert judge([*split, ("x-mine", "a"), ("x-mine", "b"), ("x-mine", "c")]) == WRONG


def test_unsigned_headers_may_change() -> None:
    assert judge([*signed(), ("amz-sdk-request", "attempt=2"), ("via", "a proxy")]) == "kiosk"
    unsigned = signed_without_content_type()
    assert judge(unsigned) == "kiosk"
    assert judge([*unsigned, ("content-type", "text/plain"), ("content-type", "a/b")]) == "kiosk"


def signed_without_content_type() -> Sent:
    """The headers as the SDKs sign them that leave the content type out."""

    class Signer(SigV4Auth):  # type: ignore[misc]
        def headers_to_sign(self, request: AWSRequest) -> object:
            headers = super().headers_to_sign(request)
            del headers["content-type"]
            return headers

    headers = {"X-Amz-Target": "RekognitionService.SearchFaces", "Host": "127.0.0.1:8600"}
    headers["Content-Type"] = "application/x-amz-json-1.1"
    request = AWSRequest("POST", "http://127.0.0.1:8600/", headers, BODY)
    Signer(Credentials(KEY.id, SECRET, None), "rekognition", "us-east-1").add_auth(request)
    assert "content-type" not in request.headers["Authorization"]
    return [(name.lower(), value) for name, value in request.headers.items()]


def test_spaces_in_a_header_are_those_of_ascii() -> None:
    """The UTF-8 of "à" has the byte A0, which is a space in Latin-1."""
    date = dict(signed())["x-amz-date"]
    names = ("host", "x-amz-date", "x-amz-target", "x-mine")
    headers = {"host": "a", "x-amz-date": date, "x-amz-target": "b", "x-mine": "c\u00c3\u00a0 d"}
    scope = f"{date[:8]}/us-east-1/rekognition/aws4_request"
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    canonical = f"POST\n/\n\n{lines}\n{';'.join(names)}\n{sha256(BODY).hexdigest()}"
    digest = sha256(canonical.encode("latin-1")).hexdigest()
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={KEY.id}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )
    for value in ("c\u00c3\u00a0 d", "  c\u00c3\u00a0 \t  d\t "):
        sent = {**headers, "x-mine": value, "authorization": authorization}
        assert judge([*sent.items()]) == "kiosk"
    assert judge([*{**headers, "x-mine": "c d", "authorization": authorization}.items()]) == WRONG


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)] * 2), max_size=4
    )
)
def test_a_query_is_signed(parts: list[tuple[str, str]]) -> None:
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parts)
    headers = signed(query=query)
    assert judge(headers, query=query) == "kiosk"
    assert judge(headers, query=f"{query}&x=1") == WRONG


def test_a_signature_in_the_query_is_refused_with_what_to_do() -> None:
    headers = [pair for pair in signed() if pair[0] != "authorization"]
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00"
    with pytest.raises(Refusal, match=r"Sign the headers; a signature in the URL is not taken"):
        claim(headers, KEYS, "rekognition", None, query=query)


def test_the_session_token_must_be_the_keys_and_signed() -> None:
    headers = signed(key=SESSION)
    refused = "UnrecognizedClientException"
    assert judge(replaced(headers, "x-amz-security-token", lambda v: v + "x")) == refused
    without = [pair for pair in headers if pair[0] != "x-amz-security-token"]
    assert judge(without) == WRONG  # it is signed, but not there
    assert judge([*signed(), ("x-amz-security-token", "a/token+of=mine")]) == WRONG  # unsigned
    unasked = Key(id=KEY.id, secret=SECRET, user="kiosk", token="not its own")
    assert judge(signed(key=unasked)) == refused


def test_the_body_must_be_signed() -> None:
    for value in ("UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", ""):
        headers = signed(more={"X-Amz-Content-SHA256": value})
        assert judge(headers) == WRONG
        with pytest.raises(Refusal, match=f"{value!r}, but the body must be signed"):
            claim(headers, KEYS, "rekognition", None)
    assert judge(signed(more={"X-Amz-Content-SHA256": sha256(b"").hexdigest()})) == WRONG
    right = signed(more={"X-Amz-Content-SHA256": sha256(BODY).hexdigest()})
    assert judge(right) == "kiosk"


@pytest.mark.parametrize(
    ("ahead", "answer"),
    [(0, "kiosk"), (299, "kiosk"), (300, "kiosk"), (301, WRONG), (-299, "kiosk"), (-301, WRONG)],
)
def test_clocks_may_differ_by_five_minutes(ahead: float, answer: str) -> None:
    headers = signed()
    sent = timegm(time.strptime(dict(headers)["x-amz-date"], "%Y%m%dT%H%M%SZ"))
    assert judge(headers, now=sent, ahead=ahead) == answer


def test_the_error_of_a_wrong_clock_has_both_times() -> None:
    headers = signed()
    date = dict(headers)["x-amz-date"]
    with pytest.raises(Refusal, match=rf"Signature expired: {date} is now earlier than \d+T\d+Z"):
        claim(headers, KEYS, "rekognition", None, time.time() + MAX_CLOCK_SKEW_SECONDS + 60)
    with pytest.raises(Refusal, match=f"Signature not yet current: {date} is still later than"):
        claim(headers, KEYS, "rekognition", None, time.time() - MAX_CLOCK_SKEW_SECONDS - 60)


@pytest.mark.parametrize("date", ["", "yesterday", "20261332T256199Z", "2026-11-25T00:00:00Z"])
def test_an_invalid_date_is_refused(date: str) -> None:
    changed = replaced(signed(), "x-amz-date", lambda _: date)
    if date.startswith("20261332"):
        changed = replaced(
            changed, "authorization", lambda v: re.sub(r"/\d{8}/", "/20261332/", v, count=1)
        )
    assert judge(changed) in (HALF, WRONG)


def test_a_repeated_signature_is_refused() -> None:
    guard = ReplayGuard()
    guard.check("a" * 64, 1000.0)
    guard.check("b" * 64, 1000.0)
    with pytest.raises(Refusal, match="used before"):
        guard.check("a" * 64, 1000.0 + 2 * MAX_CLOCK_SKEW_SECONDS)
    # By then the date has passed, and the clock refuses it.
    guard.check("a" * 64, 1001.0 + 2 * MAX_CLOCK_SKEW_SECONDS)
