"""Operations on the tags of collections and of stream processors."""

from onlooker.api.context import Context
from onlooker.api.errors import Refusal, invalid
from onlooker.api.rekognition import names, requests, responses
from onlooker.api.rekognition.stream_processors import table_of
from onlooker.stream import processors


def tag_resource(request: requests.TagResource, context: Context) -> responses.Empty:
    if (processor := _processor(request.ResourceArn, context)) is not None:
        processors.tag(table_of(context), processor, request.Tags)
    else:
        context.searcher.tag(_collection(request.ResourceArn, context), request.Tags)
    return responses.Empty()


def untag_resource(request: requests.UntagResource, context: Context) -> responses.Empty:
    if (processor := _processor(request.ResourceArn, context)) is not None:
        processors.tag(table_of(context), processor, {}, request.TagKeys)
    else:
        context.searcher.untag(_collection(request.ResourceArn, context), request.TagKeys)
    return responses.Empty()


def list_tags_for_resource(
    request: requests.ListTagsForResource, context: Context
) -> responses.ListTagsForResource:
    if (processor := _processor(request.ResourceArn, context)) is not None:
        return responses.ListTagsForResource(
            Tags=processors.find(table_of(context), processor).tags
        )
    tags = context.searcher.tags(_collection(request.ResourceArn, context))
    return responses.ListTagsForResource(Tags=tags)


def _processor(arn: str, context: Context) -> str | None:
    """Return the name of the stream processor that an ARN names; None if it names none of ours."""
    ours = names.account_of(arn) == context.settings.record.account
    return names.processor_of(arn) if ours else None


def _collection(arn: str, context: Context) -> str:
    """Return the name of the collection that an ARN names. Raises Refusal."""
    account, collection = names.account_of(arn), names.collection_of(arn)
    example = names.collection_arn(context, "NAME")
    if account is None:
        raise invalid(f"{arn!r} is not an ARN of Rekognition's; a collection's is {example}")
    if collection is None or account != context.settings.record.account:
        raise Refusal(
            "ResourceNotFoundException",
            f"Requested resource not found. {arn}: only collections and stream processors of this "
            f"account have tags; the ARNs of collections are {example}",
        )
    return collection
