"""Operations on the tags of collections."""

from onlooker.api.context import Context
from onlooker.api.errors import Refusal, invalid
from onlooker.api.rekognition import names, requests, responses


def tag_resource(request: requests.TagResource, context: Context) -> responses.Empty:
    context.searcher.tag(_collection(request.ResourceArn, context), request.Tags)
    return responses.Empty()


def untag_resource(request: requests.UntagResource, context: Context) -> responses.Empty:
    context.searcher.untag(_collection(request.ResourceArn, context), request.TagKeys)
    return responses.Empty()


def list_tags_for_resource(
    request: requests.ListTagsForResource, context: Context
) -> responses.ListTagsForResource:
    tags = context.searcher.tags(_collection(request.ResourceArn, context))
    return responses.ListTagsForResource(Tags=tags)


def _collection(arn: str, context: Context) -> str:
    """Return the name of the collection that an ARN names. Raises Refusal."""
    account, collection = names.account_of(arn), names.collection_of(arn)
    example = names.collection_arn(context, "NAME")
    if account is None:
        raise invalid(f"{arn!r} is not an ARN of Rekognition's; a collection's is {example}")
    if collection is None or account != context.settings.record.account:
        raise Refusal(
            "ResourceNotFoundException",
            f"Requested resource not found. {arn}: only collections of this account have tags; "
            f"their ARNs are {example}",
        )
    return collection
