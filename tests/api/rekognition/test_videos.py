"""Jobs over stored videos as an unchanged boto3 uses them; each response fits botocore's model."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.rekognition import indexed
from tests.support.server import Running
from tests.support.stored_videos import NAME, ROLE, TOPIC, make_video

from onlooker import page_token
from onlooker.api.rekognition.videos import TOKEN
from onlooker.config.jobs import Jobs
from onlooker.jobs.job_store import JobStore

START = {
    "FaceDetection": "start_face_detection",
    "FaceSearch": "start_face_search",
    "TextDetection": "start_text_detection",
    "PersonTracking": "start_person_tracking",
}
GET = {kind: name.replace("start", "get") for kind, name in START.items()}
VIDEO = {"S3Object": {"Bucket": "mybucket", "Name": NAME}}
WAIT_SECONDS = 200.0


@pytest.fixture(scope="module")
def client(server: Running, bucket: Path) -> Iterator[Any]:
    made = server.client()
    if not (bucket / NAME).exists():
        make_video(bucket / NAME)
    made.create_collection(CollectionId="crew")
    from onlooker.cli.demo_video import photographs

    photograph = bucket.parent.parent / "eileen.png"
    import cv2

    cv2.imwrite(str(photograph), photographs().astronaut)
    indexed(made, "crew", photograph, "eileen")
    yield made
    made.delete_collection(CollectionId="crew")


@pytest.fixture(scope="module")
def jobs(client: Any) -> dict[str, str]:
    """Return the ids of a job of each kind, which have ended; each was started with a token."""
    started = {kind: getattr(client, name)(**asked(kind))["JobId"] for kind, name in START.items()}
    search = asked("FaceSearch")
    assert client.start_face_search(**search)["JobId"] == started["FaceSearch"]
    first = client.get_face_detection(JobId=started["FaceDetection"])
    assert "VideoMetadata" not in first or first["JobStatus"] == "SUCCEEDED"
    for kind, id in started.items():
        assert ended(client, kind, id)["JobStatus"] == "SUCCEEDED"
    return started


def asked(kind: str) -> dict[str, Any]:
    """Return the parameters of a job, which has a token."""
    search = {"CollectionId": "crew"} if kind == "FaceSearch" else {}
    return {"Video": VIDEO, "JobTag": "a:b", "ClientRequestToken": f"token-{kind}", **search}


def ended(client: Any, kind: str, id: str, **more: Any) -> Any:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        response = getattr(client, GET[kind])(JobId=id, **more)
        if response["JobStatus"] != "IN_PROGRESS":
            return response
        assert "VideoMetadata" not in response
        time.sleep(0.2)
    raise AssertionError(f"{kind} does not end")


def listed(kind: str, response: Any) -> list[Any]:
    members = {"FaceDetection": "Faces", "TextDetection": "TextDetections"}
    return list(response[members.get(kind, "Persons")])


@pytest.mark.parametrize("kind", START)
def test_results(client: Any, jobs: dict[str, str], kind: str) -> None:
    response = getattr(client, GET[kind])(JobId=jobs[kind], NextToken="")
    assert response["JobId"] == jobs[kind]
    assert response["Video"] == VIDEO
    assert response["JobTag"] == "a:b"
    assert "NextToken" not in response
    assert "StatusMessage" not in response
    assert response["VideoMetadata"] == {
        "Codec": "h264",
        "DurationMillis": 4000,
        "Format": "QuickTime / MOV",
        "FrameRate": 30.0,
        "FrameHeight": 720,
        "FrameWidth": 1280,
        "ColorRange": "LIMITED",
    }
    found = listed(kind, response)
    times = [each["Timestamp"] for each in found]
    assert found
    assert times == sorted(times)
    if kind == "FaceSearch":
        names = {
            match["Face"]["ExternalImageId"] for each in found for match in each["FaceMatches"]
        }
        assert names == {"eileen"}
    if kind == "PersonTracking":
        assert all("FaceMatches" not in each for each in found)
    if kind in ("FaceSearch", "PersonTracking"):
        assert {each["Person"]["Index"] for each in found} == {0}
        assert "BoundingBox" not in found[0]["Person"]
    if kind == "TextDetection":
        assert response["TextModelVersion"]


@pytest.mark.parametrize("kind", START)
@pytest.mark.parametrize("size", [1, 3, 1000, 5000])
def test_pages(client: Any, jobs: dict[str, str], kind: str, size: int) -> None:
    get = getattr(client, GET[kind])
    whole = listed(kind, get(JobId=jobs[kind]))
    found, token, pages = [], "", 0
    while True:
        response = get(JobId=jobs[kind], MaxResults=size, NextToken=token)
        assert "VideoMetadata" in response
        found += listed(kind, response)
        pages += 1
        token = response.get("NextToken")
        if token is None:
            break
        assert len(token) <= 255
    assert found == whole
    assert pages == -(-len(whole) // size)


def test_people_by_index(client: Any, jobs: dict[str, str]) -> None:
    response = client.get_face_search(JobId=jobs["FaceSearch"], SortBy="INDEX")
    scores = [each["Person"]["Face"]["Confidence"] for each in response["Persons"]]
    assert scores == sorted(scores, reverse=True)
    assert client.get_person_tracking(JobId=jobs["PersonTracking"], SortBy="TIMESTAMP")["Persons"]


def store_of(server: Running) -> JobStore:
    return JobStore(Jobs(folder=str(server.log.parent / "jobs")))


def test_tokens_of_others_forged_and_expired_ones(
    server: Running, client: Any, jobs: dict[str, str]
) -> None:
    tokens = {
        kind: getattr(client, GET[kind])(JobId=jobs[kind], MaxResults=1)["NextToken"]
        for kind in START
    }
    by_index = client.get_face_search(JobId=jobs["FaceSearch"], MaxResults=1, SortBy="INDEX")
    with store_of(server) as store:
        secret = store.database.secret
    scope = ("FaceSearch", jobs["FaceSearch"], "TIMESTAMP")
    fresh = page_token.sign(secret, scope, struct.pack(TOKEN, 1, time.time()))
    old = page_token.sign(secret, scope, struct.pack(TOKEN, 1, time.time() - 24 * 3600 - 5))
    client.get_face_search(JobId=jobs["FaceSearch"], NextToken=fresh)
    good = tokens["FaceSearch"]
    wrong = [
        *(token for kind, token in tokens.items() if kind != "FaceSearch"),
        by_index["NextToken"],
        old,
        good[:-1],
        good + "A",
        "B" + good[1:],
        good[:-6] + "AAAAAA",
        good.lower(),
        "a" * 255,
        "ü",
        " ",
    ]
    for token in wrong:
        with pytest.raises(client.exceptions.InvalidPaginationTokenException) as caught:
            client.get_face_search(JobId=jobs["FaceSearch"], NextToken=token)
        assert str(caught.value).endswith(".")
        assert "Invalid Pagination Token" in str(caught.value)


def test_jobs_of_other_operations_and_unknown_ones(client: Any, jobs: dict[str, str]) -> None:
    for kind, name in GET.items():
        for other, id in [*jobs.items(), ("", "0" * 64), ("", "a")]:
            if other == kind:
                continue
            with pytest.raises(
                client.exceptions.ResourceNotFoundException, match="Could not find JobId"
            ):
                getattr(client, name)(JobId=id)


@pytest.mark.parametrize("kind", START)
def test_a_token_starts_one_job(client: Any, jobs: dict[str, str], bucket: Path, kind: str) -> None:
    start = getattr(client, START[kind])
    assert start(**asked(kind))["JobId"] == jobs[kind]
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException, match="token"):
        start(**{**asked(kind), "JobTag": "other"})
    (bucket / NAME).rename(bucket / "away.mp4")  # it is not looked for again
    try:
        assert start(**asked(kind))["JobId"] == jobs[kind]
    finally:
        (bucket / "away.mp4").rename(bucket / NAME)


def test_filters_of_text(client: Any, jobs: dict[str, str]) -> None:
    box = {"Left": 0.0, "Top": 0.0, "Width": 1.0, "Height": 0.3}
    response = ended(
        client,
        "TextDetection",
        client.start_text_detection(
            Video=VIDEO, Filters={"RegionsOfInterest": [{"BoundingBox": box}]}
        )["JobId"],
    )
    whole = client.get_text_detection(JobId=jobs["TextDetection"])
    words = [each["TextDetection"] for each in response["TextDetections"]]
    assert 0 < len(words) < len(whole["TextDetections"])
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.start_text_detection(Video=VIDEO, Filters={"RegionsOfInterest": [{}]})


def test_what_is_refused_at_once(client: Any, server: Running, bucket: Path) -> None:
    missing = {"S3Object": {"Bucket": "mybucket", "Name": "none.mp4"}}
    for video in (missing, {}, {"S3Object": {"Bucket": "mybucket"}}):
        with pytest.raises(client.exceptions.InvalidS3ObjectException):
            client.start_face_detection(Video=video)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.start_face_search(Video=VIDEO, CollectionId="none")
    channel = {"SNSTopicArn": TOPIC.replace("Done", "Gone"), "RoleArn": ROLE}
    with pytest.raises(client.exceptions.InvalidParameterException, match=r"\[topics\]"):
        client.start_face_detection(Video=VIDEO, NotificationChannel=channel)
    with (bucket / "large.mp4").open("wb") as file:
        file.truncate(20_000_000_000)
    large = {"S3Object": {"Bucket": "mybucket", "Name": "large.mp4"}}
    with pytest.raises(
        client.exceptions.VideoTooLargeException, match="Video size in bytes: 20000000000 is more"
    ):
        client.start_text_detection(Video=large)
    (bucket / "large.mp4").unlink()


def test_what_fails_says_why(client: Any, bucket: Path) -> None:
    (bucket / "text.mp4").write_text("no video" * 100)
    video = {"S3Object": {"Bucket": "mybucket", "Name": "text.mp4"}}
    response = ended(client, "FaceDetection", client.start_face_detection(Video=video)["JobId"])
    assert response["JobStatus"] == "FAILED"
    assert response["StatusMessage"].startswith("mybucket/text.mp4: not a video that can be read")
    assert response["Faces"] == []
    assert "VideoMetadata" not in response


def test_the_answer_is_compact_json(server: Running, client: Any, jobs: dict[str, str]) -> None:
    answer = server.post("GetFaceSearch", {"JobId": jobs["FaceSearch"]})
    assert answer.body == json.dumps(answer.json, separators=(",", ":")).encode()


def test_jobs_are_counted(server: Running, client: Any, jobs: dict[str, str]) -> None:
    text = server.get("/metrics").body.decode()
    assert 'onlooker_jobs{kind="FaceSearch",state="SUCCEEDED"}' in text
    assert "onlooker_job_notices 0.0" in text
