"""Kinesis: PutRecords to a data stream of Amazon's, or of a server with its interface.

The partition key is the stream's name, so that a stream's records are in one shard, in order.
https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from onlooker.config.sinks import SinkConfig
from onlooker.media.url import redacted
from onlooker.record.destinations.destination import NotTaken, TooLarge
from onlooker.record.destinations.message import Message

MAX_RECORDS = 500
MAX_BYTES = 5 * 2**20
MAX_RECORD_BYTES = 2**20 - 256
"""Kinesis's limit with the partition key."""


class KinesisStream:
    """A destination. The credentials and the region are those of the AWS settings.

    A call may take some records and refuse others. The refused ones are sent again, in order,
    before any later ones: only among the records of one such call another order is possible, which
    the Sequence in each tells.
    """

    def __init__(self, config: SinkConfig) -> None:
        boto3: Any = importlib.import_module("boto3")
        settings: Any = importlib.import_module("botocore.config")
        errors: Any = importlib.import_module("botocore.exceptions")
        self._errors = (errors.BotoCoreError, errors.ClientError, ValueError)
        self._config = config
        limits = settings.Config(
            connect_timeout=config.timeout,
            read_timeout=config.timeout,
            retries={"total_max_attempts": 1},  # the sink tries again itself
        )
        try:
            self._client = boto3.client(
                "kinesis", endpoint_url=config.url, config=limits, verify=config.ca
            )
        except self._errors as error:
            raise NotTaken(f"{self._name}: {error}") from error

    def send(self, messages: Sequence[Message], taken: Callable[[int], None]) -> None:
        done = 0
        for call in _calls(messages):
            if len(call[0].body) > MAX_RECORD_BYTES:
                raise TooLarge(f"{self._name}: {len(call[0].body)} bytes are too many")
            self._put(call)
            done += len(call)
            taken(done)

    def close(self) -> None:
        self._client.close()

    @property
    def _name(self) -> str:
        return f"{redacted(self._config.url or 'Kinesis')} {self._config.prefix}"

    def _put(self, call: list[Message]) -> None:
        """Put records, and those again that were refused, as long as some are taken."""
        while call:
            records = [
                {"Data": message.body + b"\n", "PartitionKey": message.stream} for message in call
            ]
            try:
                answer = self._client.put_records(StreamName=self._config.prefix, Records=records)
            except self._errors as error:
                raise NotTaken(f"{self._name}: {error}") from error
            results = answer["Records"]
            refused = [
                (message, result)
                for message, result in zip(call, results, strict=True)
                if "ErrorCode" in result
            ]
            if len(refused) == len(call):
                result = refused[0][1]
                raise NotTaken(f"{self._name}: {result['ErrorCode']}: {result['ErrorMessage']}")
            call = [message for message, _ in refused]


def _calls(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Yield the messages of one call after the other; one that is too large is alone."""
    call: list[Message] = []
    size = 0
    for message in messages:
        more = len(message.body) + 1 + len(message.stream.encode())
        alone = more > MAX_RECORD_BYTES or (call and len(call[0].body) > MAX_RECORD_BYTES)
        if call and (alone or len(call) == MAX_RECORDS or size + more > MAX_BYTES):
            yield call
            call, size = [], 0
        call.append(message)
        size += more
    if call:
        yield call
