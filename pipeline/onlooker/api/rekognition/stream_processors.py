"""Operations on stream processors. `onlooker.stream.processors` has their states.

A processor searches the faces of a stream in a collection. Amazon's other kind, which finds labels
in the homes of people, is refused.
"""

from typing import Any

from onlooker import page_token
from onlooker.api.access_keys import Key
from onlooker.api.context import Context
from onlooker.api.errors import Refusal, invalid
from onlooker.api.rekognition import names, responses
from onlooker.api.rekognition import stream_processor_requests as requests
from onlooker.api.rekognition import stream_processor_responses as answers
from onlooker.api.service import Resource
from onlooker.stream import processors
from onlooker.stream.processors import (
    BadProcessor,
    Processor,
    ProcessorExists,
    ProcessorInUse,
    TooManyProcessors,
    stream_of,
)
from onlooker.stream.stream_table import StreamTable

MAX_RESULTS = 1000
SCOPE = ("ListStreamProcessors",)
ONLY_FACES = "only processors with Settings.FaceSearch are offered here"
NOT_FOR_FACES = (
    "NotificationChannel",
    "KmsKeyId",
    "RegionsOfInterest",
    "DataSharingPreference",
    "StartSelector",
    "StopSelector",
)
"""Members that a processor of faces cannot have."""


def create_stream_processor(
    request: requests.CreateStreamProcessor, context: Context
) -> answers.CreateStreamProcessor:
    search, video = request.Settings.FaceSearch, request.Input.KinesisVideoStream
    if request.Settings.ConnectedHome is not None:
        raise invalid(f"Settings.ConnectedHome: {ONLY_FACES}.")
    if search is None or search.CollectionId is None:
        raise invalid("Settings.FaceSearch needs a CollectionId.")
    _check_for_faces(request)
    data = request.Output.KinesisDataStream
    if request.Output.S3Destination is not None or data is None or data.Arn is None:
        raise invalid("Output: a processor of faces has a KinesisDataStream with an Arn.")
    if video is None or video.Arn is None:
        raise invalid("Input: a processor has a KinesisVideoStream with an Arn.")
    processor = Processor(
        name=request.Name,
        input=video.Arn,
        output=data.Arn,
        collection=search.CollectionId,
        threshold=search.FaceMatchThreshold,
        role=request.RoleArn,
        tags=dict(request.Tags or {}),
    )
    try:
        processors.create(table_of(context), processor)
    except ProcessorExists as error:
        raise _in_use("Stream processor name already in use.", error) from error
    except TooManyProcessors as error:
        raise Refusal(
            "LimitExceededException", f"Stream processor limit exceeded for account, {error}."
        ) from error
    return answers.CreateStreamProcessor(
        StreamProcessorArn=names.processor_arn(context, request.Name)
    )


def describe_stream_processor(
    request: requests.DescribeStreamProcessor, context: Context
) -> answers.DescribeStreamProcessor:
    found = processors.find(table_of(context), request.Name)
    return answers.DescribeStreamProcessor(
        Name=found.name,
        StreamProcessorArn=names.processor_arn(context, found.name),
        Status=found.status,
        StatusMessage=found.message,
        CreationTimestamp=found.created,
        LastUpdateTimestamp=found.updated,
        Input=answers.StreamProcessorInput(
            KinesisVideoStream=answers.KinesisVideoStream(Arn=found.input)
        ),
        Output=answers.StreamProcessorOutput(
            KinesisDataStream=answers.KinesisDataStream(Arn=found.output)
        ),
        RoleArn=found.role,
        Settings=answers.StreamProcessorSettings(
            FaceSearch=answers.FaceSearchSettings(
                CollectionId=found.collection, FaceMatchThreshold=found.threshold
            )
        ),
    )


def list_stream_processors(
    request: requests.ListStreamProcessors, context: Context
) -> answers.ListStreamProcessors:
    table = table_of(context)
    last = ""
    if request.NextToken:  # clients that loop begin with an empty one
        last = page_token.verify(table.secret, SCOPE, request.NextToken).decode()
    limit = min(request.MaxResults or MAX_RESULTS, MAX_RESULTS)
    found = processors.after(table, last, limit + 1)
    token = None
    if len(found) > limit:
        found = found[:limit]
        token = page_token.sign(table.secret, SCOPE, found[-1].name.encode())
    shown = [answers.StreamProcessor(Name=each.name, Status=each.status) for each in found]
    return answers.ListStreamProcessors(StreamProcessors=tuple(shown), NextToken=token)


def start_stream_processor(
    request: requests.StartStreamProcessor, context: Context
) -> responses.Empty:
    table = table_of(context)
    processors.find(table, request.Name)
    _check_for_faces(request)
    try:
        processors.start(table, request.Name)
    except ProcessorInUse as error:
        raise _in_use("Specified resource is in use.", error) from error
    return responses.Empty()


def stop_stream_processor(
    request: requests.StopStreamProcessor, context: Context
) -> responses.Empty:
    try:
        processors.stop(table_of(context), request.Name)
    except ProcessorInUse as error:
        raise _in_use("Processor not available for stopping stream.", error) from error
    return responses.Empty()


def delete_stream_processor(
    request: requests.DeleteStreamProcessor, context: Context
) -> responses.Empty:
    try:
        processors.delete(table_of(context), request.Name)
    except ProcessorInUse as error:
        raise _in_use("Cannot delete stream processor.", error) from error
    return responses.Empty()


def update_stream_processor(
    request: requests.UpdateStreamProcessor, context: Context
) -> responses.Empty:
    """Refuse: Amazon updates processors of labels only."""
    processors.find(table_of(context), request.Name)
    raise invalid(
        "A processor of faces cannot be updated: delete it, and create it with other settings."
    )


def table_of(context: Context) -> StreamTable:
    """Return the table of the stream processors. Raises Refusal if the server has none."""
    if context.streams is None:
        raise invalid("This server knows no stream processors.")
    return context.streams


def resources(request: Any, context: Context) -> list[Resource]:
    """Return the stream processor that a request is about; of a new one also what it uses."""
    found = []
    if isinstance(request, requests.OfProcessor) and request.Name is not None:
        arn = names.processor_arn(context, request.Name)
        found.append(Resource("processor", request.Name, arn))
    if isinstance(request, requests.CreateStreamProcessor):
        settings = request.Settings and request.Settings.FaceSearch
        if settings and settings.CollectionId is not None:
            arn = names.collection_arn(context, settings.CollectionId)
            found.append(Resource("collection", settings.CollectionId, arn))
        video = request.Input and request.Input.KinesisVideoStream
        data = request.Output and request.Output.KinesisDataStream
        arns = [stream.Arn for stream in (video, data) if stream and stream.Arn is not None]
        found += [Resource("stream", _name(arn), arn) for arn in arns]
    return found


def known_to(key: Key, page: answers.ListStreamProcessors) -> answers.ListStreamProcessors:
    """Return the processors of a page that a key may know of; it may be short, or empty."""
    known = (each for each in page.StreamProcessors if key.reaches("processor", each.Name))
    return answers.ListStreamProcessors(StreamProcessors=tuple(known), NextToken=page.NextToken)


def _name(arn: str) -> str:
    try:
        return stream_of(arn)
    except BadProcessor:
        return arn  # the operation refuses it


def _check_for_faces(request: Any) -> None:
    """Raise Refusal if a request has a member that a processor of faces cannot have."""
    given = [name for name in NOT_FOR_FACES if getattr(request, name, None) is not None]
    if given:
        raise invalid(f"{', '.join(given)}: not for a processor of faces, and {ONLY_FACES}.")


def _in_use(sentence: str, error: Exception) -> Refusal:
    text = str(error)
    return Refusal("ResourceInUseException", f"{sentence} {text[:1].upper()}{text[1:]}.")
