"""The queues of notices, in the protocol of Amazon SQS (2012-11-05, JSON).

A queue exists if `[topics]` names it. Messages come from jobs alone: nothing is sent here.
"""

from __future__ import annotations  # members are named as their types are

import hashlib
import re
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from onlooker import page_token
from onlooker.api.access_keys import Key
from onlooker.api.context import Context
from onlooker.api.errors import Refusal
from onlooker.api.service import Continue, Operation, Resource, Service
from onlooker.api.validation import required
from onlooker.config.jobs import queues as queue_names
from onlooker.errors import OnlookerError
from onlooker.jobs.job_store import DAY_SECONDS
from onlooker.jobs.queues import Message, Queues
from onlooker.rekognition.shapes import Shape

MAX_MESSAGES, MAX_WAIT_SECONDS, MAX_HIDDEN_SECONDS = 10, 20, 43200
MAX_BATCH, MAX_QUEUES = 10, 1000
POLL_SECONDS = 0.2
"""Between two looks for a message that a client waits for."""
SPARE_SECONDS = 2.0
"""A wait ends so long before the time that any request may take."""
RECEIPT = re.compile(r"[A-Za-z0-9_-]{64}")
PREFIX = "AWS.SimpleQueueService."


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The root of all requests. Unknown members are ignored."""


class GetQueueUrl(Request, frozen=True, kw_only=True):
    QueueName: str = required()
    QueueOwnerAWSAccountId: str | None = None


class ListQueues(Request, frozen=True, kw_only=True):
    QueueNamePrefix: str | None = None
    NextToken: str | None = None
    MaxResults: int | None = None


class OfQueue(Request, frozen=True, kw_only=True):
    """A request about one queue."""

    QueueUrl: str = required()


class ReceiveMessage(OfQueue, frozen=True, kw_only=True):
    AttributeNames: tuple[str, ...] | None = None
    MessageSystemAttributeNames: tuple[str, ...] | None = None
    MessageAttributeNames: tuple[str, ...] | None = None
    MaxNumberOfMessages: int | None = None
    VisibilityTimeout: int | None = None
    WaitTimeSeconds: int | None = None
    ReceiveRequestAttemptId: str | None = None


class DeleteMessage(OfQueue, frozen=True, kw_only=True):
    ReceiptHandle: str = required()


class DeleteMessageBatchRequestEntry(Request, frozen=True, kw_only=True):
    Id: str = required()
    ReceiptHandle: str = required()


class DeleteMessageBatch(OfQueue, frozen=True, kw_only=True):
    Entries: tuple[DeleteMessageBatchRequestEntry, ...] = required()


class ChangeMessageVisibility(OfQueue, frozen=True, kw_only=True):
    ReceiptHandle: str = required()
    VisibilityTimeout: int = required()


class GetQueueAttributes(OfQueue, frozen=True, kw_only=True):
    AttributeNames: tuple[str, ...] | None = None


class PurgeQueue(OfQueue, frozen=True, kw_only=True):
    pass


class Empty(Shape, frozen=True, kw_only=True):
    """Response without members."""


class QueueUrl(Shape, frozen=True, kw_only=True):
    QueueUrl: str


class QueueUrls(Shape, frozen=True, kw_only=True):
    QueueUrls: tuple[str, ...] | None = None
    NextToken: str | None = None


class ReceivedMessage(Shape, frozen=True, kw_only=True):
    MessageId: str
    ReceiptHandle: str
    MD5OfBody: str
    Body: str
    Attributes: dict[str, str] | None = None


class ReceivedMessages(Shape, frozen=True, kw_only=True):
    Messages: tuple[ReceivedMessage, ...] | None = None
    """Left out if there is none, as clients expect."""


class Deleted(Shape, frozen=True, kw_only=True):
    Id: str


class NotDeleted(Shape, frozen=True, kw_only=True):
    Id: str
    SenderFault: bool
    Code: str
    Message: str


class BatchResult(Shape, frozen=True, kw_only=True):
    Successful: tuple[Deleted, ...]
    Failed: tuple[NotDeleted, ...]


class QueueAttributes(Shape, frozen=True, kw_only=True):
    Attributes: dict[str, str] | None = None


def get_queue_url(request: GetQueueUrl, context: Context) -> QueueUrl:
    return QueueUrl(QueueUrl=_url(_known(request.QueueName, context), context))


def list_queues(request: ListQueues, context: Context) -> QueueUrls:
    limit = _within("MaxResults", request.MaxResults, 1, MAX_QUEUES, MAX_QUEUES)
    prefix = request.QueueNamePrefix or ""
    found = [name for name in queue_names(context.settings.topics) if name.startswith(prefix)]
    secret, scope = b"" if context.jobs is None else context.jobs.database.secret, ("queues",)
    try:
        first = page_token.last(secret, scope, request.NextToken or None)
    except page_token.InvalidToken as error:
        raise _invalid(f"NextToken: {error}") from error
    more = page_token.token(secret, scope, first + limit) if first + limit < len(found) else None
    urls = tuple(_url(name, context) for name in found[first : first + limit])
    return QueueUrls(QueueUrls=urls or None, NextToken=more if request.MaxResults else None)


def receive_message(request: ReceiveMessage, context: Context) -> ReceivedMessages | Continue:
    queue = _known(request.QueueUrl, context)
    limit = _within("MaxNumberOfMessages", request.MaxNumberOfMessages, 1, MAX_MESSAGES, 1)
    wait = _within("WaitTimeSeconds", request.WaitTimeSeconds, 0, MAX_WAIT_SECONDS, 0)
    usual = context.settings.queue.visibility
    hidden = _within("VisibilityTimeout", request.VisibilityTimeout, 0, MAX_HIDDEN_SECONDS, usual)
    names = {*(request.AttributeNames or ()), *(request.MessageSystemAttributeNames or ())}
    seconds = min(wait, context.settings.serve.request_timeout - SPARE_SECONDS)
    end, queues = time.monotonic() + seconds, _queues(context)
    account = context.settings.record.account

    def receive() -> ReceivedMessages | Continue:
        found = queues.receive(queue, limit, hidden)
        if found or time.monotonic() + POLL_SECONDS > end:
            return ReceivedMessages(
                Messages=tuple(_shown(each, names, account) for each in found) or None
            )
        return Continue("store", receive, delay=POLL_SECONDS)

    return receive()


def delete_message(request: DeleteMessage, context: Context) -> Empty:
    _delete(_known(request.QueueUrl, context), request.ReceiptHandle, context)
    return Empty()


def delete_message_batch(request: DeleteMessageBatch, context: Context) -> BatchResult:
    queue = _known(request.QueueUrl, context)
    ids = [each.Id for each in request.Entries]
    if not ids:
        raise _refused("EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(ids) > MAX_BATCH:
        raise _refused(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are {MAX_BATCH}. You have sent {len(ids)}.",
        )
    if len(set(ids)) < len(ids):
        raise _refused("BatchEntryIdsNotDistinct", "Two entries of the request have one Id.")
    done: list[Deleted] = []
    failed: list[NotDeleted] = []
    for each in request.Entries:
        try:
            _delete(queue, each.ReceiptHandle, context)
            done.append(Deleted(Id=each.Id))
        except Refusal as error:
            failed.append(
                NotDeleted(Id=each.Id, SenderFault=True, Code=error.name, Message=error.text)
            )
    return BatchResult(Successful=tuple(done), Failed=tuple(failed))


def change_message_visibility(request: ChangeMessageVisibility, context: Context) -> Empty:
    queue = _known(request.QueueUrl, context)
    seconds = _within("VisibilityTimeout", request.VisibilityTimeout, 0, MAX_HIDDEN_SECONDS, 0)
    _check_receipt(request.ReceiptHandle)
    if not _queues(context).hide(queue, request.ReceiptHandle, seconds):
        raise _refused(
            "MessageNotInflight", "The message is visible to all again, or it was deleted."
        )
    return Empty()


def get_queue_attributes(request: GetQueueAttributes, context: Context) -> QueueAttributes:
    queue = _known(request.QueueUrl, context)
    counts, settings = _queues(context).counts(queue), context.settings.queue
    values = {
        "ApproximateNumberOfMessages": counts.visible,
        "ApproximateNumberOfMessagesNotVisible": counts.hidden,
        "ApproximateNumberOfMessagesDelayed": 0,
        "DelaySeconds": 0,
        "MaximumMessageSize": 262144,
        "MessageRetentionPeriod": int(settings.keep_days * DAY_SECONDS),
        "QueueArn": context.arn("sqs", queue),
        "ReceiveMessageWaitTimeSeconds": 0,
        "VisibilityTimeout": settings.visibility,
    }
    wanted = request.AttributeNames or ()
    chosen = (
        values if "All" in wanted else {name: values[name] for name in wanted if name in values}
    )
    if unknown := [name for name in wanted if name != "All" and name not in values]:
        raise Refusal("InvalidAttributeName", f"Unknown Attribute {unknown[0]}.")
    return QueueAttributes(Attributes={name: str(value) for name, value in chosen.items()} or None)


def purge_queue(request: PurgeQueue, context: Context) -> Empty:
    _queues(context).purge(_known(request.QueueUrl, context))
    return Empty()


def _queues(context: Context) -> Queues:
    assert context.jobs is not None, "the queue is known"
    keep = context.settings.queue.keep_days * DAY_SECONDS
    return Queues(context.jobs.database, keep)


def _known(queue: str, context: Context) -> str:
    """Return the name of a queue by its URL or name. Raises Refusal if there is none."""
    name = queue.rstrip("/").rpartition("/")[2]
    if context.jobs is None or name not in queue_names(context.settings.topics):
        raise Refusal(
            "QueueDoesNotExist",
            f"The specified queue does not exist: {name[:80]!r}. A queue is made by [topics] of "
            "the server's configuration, together with [jobs].",
            f"{PREFIX}NonExistentQueue",
        )
    return name


def _url(queue: str, context: Context) -> str:
    root = context.settings.queue.url or context.url
    return f"{root.rstrip('/')}/{context.settings.record.account}/{queue}"


def _shown(message: Message, names: set[str], account: str) -> ReceivedMessage:
    attributes = {
        "SenderId": account,
        "SentTimestamp": str(int(message.sent * 1000)),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(int(message.first_received * 1000)),
    }
    chosen = {name: text for name, text in attributes.items() if name in names or "All" in names}
    return ReceivedMessage(
        MessageId=message.id,
        ReceiptHandle=message.receipt,
        MD5OfBody=hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
        Body=message.body,
        Attributes=chosen or None,
    )


def _delete(queue: str, receipt: str, context: Context) -> None:
    """Delete a message; an older receipt of one deletes nothing, as with Amazon."""
    _check_receipt(receipt)
    _queues(context).delete(queue, receipt)


def _check_receipt(receipt: str) -> None:
    if not RECEIPT.fullmatch(receipt):
        raise Refusal(
            "ReceiptHandleIsInvalid",
            f"The input receipt handle {receipt[:80]!r} is invalid.",
            "ReceiptHandleIsInvalid",
        )


def _within(name: str, value: int | None, least: int, most: int, default: int) -> int:
    if value is None:
        return default
    if not least <= value <= most:
        raise _invalid(
            f"Value {value} for parameter {name} is invalid. Reason: Must be between {least} and "
            f"{most}, if provided."
        )
    return value


def _invalid(text: str) -> Refusal:
    return Refusal("InvalidParameterValueException", text, "InvalidParameterValue")


def _refused(name: str, text: str) -> Refusal:
    return Refusal(name, text, f"{PREFIX}{name}")


def _resources(request: Any, context: Context) -> Sequence[Resource]:
    """Return the queue that a request is about."""
    given = getattr(request, "QueueUrl", None) or getattr(request, "QueueName", None)
    if given is None:
        return ()
    name = str(given).rstrip("/").rpartition("/")[2]
    return (Resource("queue", name, context.arn("sqs", name)),)


def _refusal(_: OnlookerError) -> Refusal | None:
    return None


def _response(_: Operation, answer: msgspec.Struct, key: Key | None, context: Context) -> Any:
    """Return an answer, without queues that are not the key's."""
    if key is None or not isinstance(answer, QueueUrls):
        return answer
    urls = [url for url in answer.QueueUrls or () if key.reaches("queue", url.rpartition("/")[2])]
    return QueueUrls(QueueUrls=tuple(urls) or None, NextToken=answer.NextToken)


SQS = Service(
    name="sqs",
    target="AmazonSQS",
    content_type="application/x-amz-json-1.0",
    operations={
        operation.name: operation
        for operation in (
            Operation(GetQueueUrl, get_queue_url),
            Operation(ListQueues, list_queues),
            Operation(ReceiveMessage, receive_message),
            Operation(DeleteMessage, delete_message, changes=True),
            Operation(DeleteMessageBatch, delete_message_batch, changes=True),
            Operation(ChangeMessageVisibility, change_message_visibility, changes=True),
            Operation(GetQueueAttributes, get_queue_attributes),
            Operation(PurgeQueue, purge_queue, changes=True),
        )
    },
    resources=_resources,
    refusal=_refusal,
    response=_response,
    any_path=True,
)
