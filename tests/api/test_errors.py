"""Errors that clients see."""

import pytest

from onlooker.api import errors
from onlooker.api.errors import Refusal
from onlooker.errors import OnlookerError


def test_a_refusal_is_an_expected_error_with_its_text() -> None:
    refusal = errors.invalid("MaxFaces is 0.")
    assert isinstance(refusal, OnlookerError)
    assert str(refusal) == refusal.text == "Request has invalid parameters. MaxFaces is 0."


def test_the_body_has_what_the_sdks_read() -> None:
    assert errors.throttled("Wait.").members("the id") == {
        "__type": "ThrottlingException",
        "Code": "ThrottlingException",
        "Logref": "the id",
        "Message": "Slow down; sudden increase in rate of requests. Wait.",
    }


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (errors.invalid(""), 400),
        (errors.throttled(""), 400),
        (errors.failed(""), 500),
        (Refusal("RequestEntityTooLargeException", ""), 413),
        (Refusal("RequestTimeoutException", ""), 408),
    ],
)
def test_the_status_follows_from_the_name(refusal: Refusal, status: int) -> None:
    assert refusal.status == status
