"""Operations on tags, requested by an unchanged boto3."""

from typing import Any

import pytest


def test_tags_are_kept(client: Any, collection: str) -> None:
    arn = client.describe_collection(CollectionId=collection)["CollectionARN"]
    client.tag_resource(ResourceArn=arn, Tags={"team": "door", "Größe": "1"})
    client.tag_resource(ResourceArn=arn.removeprefix("arn:"), Tags={"team": "gate"})
    response = client.list_tags_for_resource(ResourceArn=arn)
    assert response["Tags"] == {"team": "gate", "Größe": "1"}
    client.untag_resource(ResourceArn=arn, TagKeys=["team", "none"])
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"Größe": "1"}
    for other in (arn + "x", arn.replace("collection/", "streamprocessor/"), arn + "/x"):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.list_tags_for_resource(ResourceArn=other)
    with pytest.raises(client.exceptions.InvalidParameterException, match="not an ARN"):
        client.list_tags_for_resource(ResourceArn="collection/of-no-service-at-all")
