"""Notices of the ends of jobs: Amazon's JSON, and the envelope in which SNS delivers it."""

import base64
import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime

import msgspec

from onlooker.jobs.job import Job

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "onlooker/notices")


def message_id(job: str) -> str:
    """Return the MessageId of a job's notice, by which receivers can drop a repeated one."""
    return str(uuid.uuid5(NAMESPACE, job))


def notice(job: Job, state: str, ended: float) -> str:
    """Return the Message that Rekognition Video publishes at the end of a job."""
    request = job.request
    content: dict[str, object] = {
        "JobId": job.id,
        "Status": state,
        "API": f"Start{request.kind}",
        **({} if request.tag is None else {"JobTag": request.tag}),
        "Timestamp": int(ended * 1000),
        "Video": {"S3ObjectName": request.name, "S3Bucket": request.bucket},
    }
    return msgspec.json.encode(content).decode()


def envelope(id: str, topic: str, message: str, time: float, secret: bytes) -> str:
    """Return a notice as SNS delivers it to a queue or a URL.

    The Signature is an HMAC with `secret`, since only Amazon has the key of its certificate.
    """
    stamp = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    signed = f"{id}\n{topic}\n{message}"
    content = {
        "Type": "Notification",
        "MessageId": id,
        "TopicArn": topic,
        "Message": message,
        "Timestamp": stamp.replace("+00:00", "Z"),
        "SignatureVersion": "1",
        "Signature": base64.b64encode(
            hmac.digest(secret, signed.encode(), hashlib.sha256)
        ).decode(),
        "SigningCertURL": "",
        "UnsubscribeURL": "",
    }
    return json.dumps(content, indent=2, separators=(",", " : "), ensure_ascii=False)
