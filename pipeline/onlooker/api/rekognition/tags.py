"""Operations on the tags of collections."""

import re

from onlooker.api.errors import Refusal, invalid
from onlooker.api.rekognition import requests, responses
from onlooker.api.rekognition.site import Site

_ARN = re.compile(r"(?:arn:)?aws[a-z-]*:rekognition:[a-z\d-]*:(\d{12}):([a-z]+)/([^/]+)(/.*)?")


def collection_of(arn: str) -> str | None:
    """Name of the collection that an ARN is of, with `arn:` in front or without; else None."""
    found = _ARN.fullmatch(arn)
    return found[3] if found and found[2] == "collection" and not found[4] else None


def tag_resource(request: requests.TagResource, site: Site) -> responses.Empty:
    site.searcher.tag(_collection(request.ResourceArn, site), request.Tags)
    return responses.Empty()


def untag_resource(request: requests.UntagResource, site: Site) -> responses.Empty:
    site.searcher.untag(_collection(request.ResourceArn, site), request.TagKeys)
    return responses.Empty()


def list_tags_for_resource(
    request: requests.ListTagsForResource, site: Site
) -> responses.ListTagsForResource:
    tags = site.searcher.tags(_collection(request.ResourceArn, site))
    return responses.ListTagsForResource(Tags=tags)


def _collection(arn: str, site: Site) -> str:
    found = _ARN.fullmatch(arn)
    if found is None:
        raise invalid(f"{arn!r} is no ARN of Rekognition's; a collection's is {site.arn('NAME')}")
    name = collection_of(arn)
    if name is None or found[1] != site.settings.record.account:
        raise Refusal(
            "ResourceNotFoundException",
            f"Requested resource not found. {arn}: here are collections only, whose ARNs are "
            f"{site.arn('NAME')}",
        )
    return name
