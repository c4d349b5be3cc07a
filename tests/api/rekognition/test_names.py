"""ARNs of collections and versions of models."""

import pytest
from tests.support.api import context

from onlooker.api.rekognition import names

ARN = "arn:aws:rekognition:us-east-1:000000000000:collection/staff"


def test_an_arn_gives_its_collection_back() -> None:
    arn = names.collection_arn(context(), "staff")
    assert arn == ARN
    assert names.collection_of(arn) == "staff"
    assert names.account_of(arn) == "000000000000"


@pytest.mark.parametrize(
    ("arn", "collection", "account"),
    [
        (ARN.removeprefix("arn:"), "staff", "000000000000"),
        (ARN.replace("aws:", "aws-cn:"), "staff", "000000000000"),
        (ARN.replace("collection/", "streamprocessor/"), None, "000000000000"),
        (ARN + "/x", None, "000000000000"),
        (ARN.replace("rekognition", "kinesis"), None, None),
        (ARN.replace("000000000000", "0"), None, None),
        ("staff", None, None),
        ("", None, None),
    ],
)
def test_other_arns(arn: str, collection: str | None, account: str | None) -> None:
    assert names.collection_of(arn) == collection
    assert names.account_of(arn) == account


def test_each_model_has_a_version_of_its_own() -> None:
    versions = {names.model_version(model) for model in ("mobilefacenet", "dlib", "edgeface")}
    assert len(versions) == 3
    assert all(version.startswith("7.") and version[2:].isdigit() for version in versions)
