"""Operations on stored videos: Start and Get of FaceDetection, FaceSearch, TextDetection and
PersonTracking.
"""

import struct
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from onlooker import page_token
from onlooker.api.context import Context
from onlooker.api.errors import Refusal, invalid, no_object
from onlooker.api.rekognition import requests, responses
from onlooker.api.rekognition.face_input import check_model, threshold
from onlooker.api.rekognition.images import text_filters
from onlooker.api.service import Continue, Result
from onlooker.jobs.errors import JobNotFound, TooManyJobs
from onlooker.jobs.job import Job, JobKind, Request
from onlooker.jobs.job_store import JobStore
from onlooker.jobs.result_file import NAME, Entry, Order, page
from onlooker.media.buckets import BucketError
from onlooker.models import readers

MAX_RESULTS = 1000
"""Entries of a page; a request for more gets as many."""
TOKEN_SECONDS = 24 * 3600
"""Seconds for which the token of a page is known."""
TOKEN = ">qd"
"""Content of a token: the last entry's place, and the time at which it was made."""


def start_face_detection(request: requests.StartFaceDetection, context: Context) -> Result:
    attributes: Any = request.FaceAttributes or "DEFAULT"
    return _start("FaceDetection", request, context, attributes=attributes)


def start_text_detection(request: requests.StartTextDetection, context: Context) -> Result:
    filters = None if request.Filters is None else text_filters(request.Filters)
    return _start("TextDetection", request, context, filters=filters)


def start_person_tracking(request: requests.StartPersonTracking, context: Context) -> Result:
    return _start("PersonTracking", request, context)


def start_face_search(request: requests.StartFaceSearch, context: Context) -> Result:
    jobs_of(context)
    check_model(request, context)
    return _start(
        "FaceSearch",
        request,
        context,
        collection=request.CollectionId,
        threshold=threshold(request.FaceMatchThreshold),
    )


def get_face_detection(
    request: requests.GetFaceDetection, context: Context
) -> responses.GetFaceDetection:
    members, entries = _get("FaceDetection", request, context, "TIMESTAMP")
    faces = (
        responses.VideoFace(Timestamp=each.time, Face=msgspec.Raw(each.body)) for each in entries
    )
    return responses.GetFaceDetection(**members, Faces=tuple(faces))


def get_text_detection(
    request: requests.GetTextDetection, context: Context
) -> responses.GetTextDetection:
    members, entries = _get("TextDetection", request, context, "TIMESTAMP")
    return responses.GetTextDetection(
        **members,
        TextDetections=tuple(
            responses.VideoText(Timestamp=each.time, TextDetection=msgspec.Raw(each.body))
            for each in entries
        ),
        TextModelVersion=readers.model_version(context.settings.text),
    )


def get_face_search(request: requests.GetFaceSearch, context: Context) -> responses.GetPersons:
    return _persons("FaceSearch", request, context)


def get_person_tracking(
    request: requests.GetPersonTracking, context: Context
) -> responses.GetPersons:
    return _persons("PersonTracking", request, context)


def jobs_of(context: Context) -> JobStore:
    """Return the server's jobs. Raises Refusal if it takes none."""
    if context.jobs is None:
        raise invalid(
            "This server takes no jobs over stored videos; write a section [jobs] into its "
            "configuration."
        )
    return context.jobs


def known_job(request: requests.GetJob, context: Context) -> Job | None:
    """Return the job that a request is about; None if there is none."""
    if context.jobs is None or not isinstance(request.JobId, str):
        return None
    try:
        return context.jobs.find(request.JobId)
    except JobNotFound:
        return None


def _start(kind: JobKind, request: requests.StartJob, context: Context, **more: Any) -> Result:
    """Start a job once its video is known to be there. Raises Refusal."""
    store = jobs_of(context)
    found = request.Video.S3Object
    if found is None or found.Bucket is None or found.Name is None:
        raise no_object("Video must have an S3Object with a Bucket and a Name.")
    channel = request.NotificationChannel
    if channel is not None and channel.SNSTopicArn not in context.settings.topics:
        raise invalid(
            f"The topic {channel.SNSTopicArn} is not known here; write it into [topics] of the "
            "server's configuration, with where its notices go."
        )
    job = Request(
        kind=kind,
        bucket=found.Bucket,
        name=found.Name,
        version=found.Version,
        topic=None if channel is None else channel.SNSTopicArn,
        tag=request.JobTag,
        **more,
    )

    if (known := store.known(job, request.ClientRequestToken)) is not None:
        return responses.StartJob(JobId=known)

    def start() -> responses.StartJob:
        _check_size(job, context)
        try:
            return responses.StartJob(JobId=store.start(job, request.ClientRequestToken))
        except TooManyJobs as error:
            account = context.settings.record.account
            raise Refusal(
                "LimitExceededException",
                f"{error.open_jobs} open Jobs for User arn:aws:iam::{account}:root Maximum limit: "
                f"{store.settings.max_open}. Start more when one has ended.",
            ) from error

    # A slow bucket keeps a thread of its own busy.
    return Continue("buckets", start)


def _check_size(job: Request, context: Context) -> None:
    limit = int(jobs_of(context).settings.max_gigabytes * 1e9)
    try:
        size = context.buckets.size(job.bucket, job.name, job.version)
    except BucketError as error:
        raise no_object(f"{error}.") from error
    if size > limit:
        raise Refusal(
            "VideoTooLargeException",
            f"Video size in bytes: {size} is more than the maximum limit of: {limit} bytes. Cut "
            "the video, or raise [jobs] max_gigabytes.",
        )


def _persons(
    kind: JobKind, request: requests.GetFaceSearch | requests.GetPersonTracking, context: Context
) -> responses.GetPersons:
    order: Any = request.SortBy or "TIMESTAMP"
    members, entries = _get(kind, request, context, order)
    return responses.GetPersons(
        **members,
        Persons=tuple(
            responses.PersonMatch(
                Timestamp=each.time,
                Person=responses.PersonDetail(Index=each.person, Face=msgspec.Raw(each.body)),
                FaceMatches=None if each.matches is None else msgspec.Raw(each.matches),
            )
            for each in entries
        ),
    )


def _get(
    kind: JobKind, request: requests.GetJob, context: Context, order: Order
) -> tuple[dict[str, Any], Sequence[Entry]]:
    """Return the members that all results have, and the entries of a page. Raises Refusal."""
    store = jobs_of(context)
    job = store.find(request.JobId)
    if job.request.kind != kind:
        raise JobNotFound(
            f"Could not find JobId {job.id} among those of Start{kind}: it is of "
            f"Start{job.request.kind}"
        )
    secret, scope = store.database.secret, (kind, job.id, order)
    last = _last(secret, scope, request.NextToken)
    entries: Sequence[Entry] = ()
    token = None
    if job.state == "SUCCEEDED":
        limit = min(request.MaxResults or MAX_RESULTS, MAX_RESULTS)
        entries, following = page(store.place(job.id) / NAME, order, last, limit)
        if following is not None:
            content = struct.pack(TOKEN, following, time.time())
            token = page_token.sign(secret, scope, content)
    members = {
        "JobStatus": job.state,
        "StatusMessage": job.message,
        "VideoMetadata": job.metadata,
        "NextToken": token,
        "JobId": job.id,
        "Video": _video(job),
        "JobTag": job.request.tag,
    }
    return members, entries


def _last(secret: bytes, scope: page_token.Scope, token: str | None) -> int:
    """Return the place behind which a page begins. Raises Refusal."""
    if not token:  # clients that loop begin with an empty one
        return 0
    try:
        place, made = struct.unpack(TOKEN, page_token.verify(secret, scope, token))
    except page_token.InvalidToken as error:
        raise _invalid_token("It is not one that this job's results came with.") from error
    if time.time() - made > TOKEN_SECONDS:
        raise _invalid_token("It is older than 24 hours; begin again without one.")
    return int(place)


def _invalid_token(why: str) -> Refusal:
    return Refusal("InvalidPaginationTokenException", f"Invalid Pagination Token. {why}")


def _video(job: Job) -> responses.Video:
    asked = job.request
    return responses.Video(
        S3Object=responses.S3Object(Bucket=asked.bucket, Name=asked.name, Version=asked.version)
    )
