"""What is answered when something cannot be done: Amazon's name, Amazon's sentence, then why.

Programs tell errors apart by the name, people read the sentence: after Amazon's, which says little,
stands what was wrong and what to do about it.
"""

import msgspec

STATUS = {
    "InternalServerError": 500,
    "RequestEntityTooLargeException": 413,
    "RequestTimeoutException": 408,
}
"""HTTP status of the errors whose status is not 400."""


class Refusal(Exception):
    """An error that the client is told: its name, and a text that says what to do."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text

    @property
    def status(self) -> int:
        """HTTP status."""
        return STATUS.get(self.name, 400)

    def body(self, request_id: str) -> bytes:
        """The answer's JSON, with all that the clients of any language look for."""
        return msgspec.json.encode(
            {"__type": self.name, "Code": self.name, "Logref": request_id, "Message": self.text}
        )


def invalid(why: str) -> Refusal:
    """A parameter is not what the operation can work with."""
    return Refusal("InvalidParameterException", f"Request has invalid parameters. {why}")


def unreadable(why: str) -> Refusal:
    """The body is not JSON, or a member of it has another type than the operation's."""
    return Refusal("SerializationException", why)


def bad_picture(why: str) -> Refusal:
    """What was sent as a picture cannot be decoded."""
    return Refusal("InvalidImageFormatException", f"Request has invalid image format. {why}")


def large_picture(why: str) -> Refusal:
    return Refusal("ImageTooLargeException", f"Image size is too large. {why}")


def no_object(why: str) -> Refusal:
    """An S3Object cannot be read."""
    return Refusal(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. Check object key, region and/or access "
        f"permissions. {why}",
    )


def no_faces(why: str) -> Refusal:
    return Refusal(
        "InvalidParameterException",
        f"There are no faces in the image. Should be at least 1. {why}",
    )


def throttled(why: str) -> Refusal:
    """There is more to do than can be done; clients try again by themselves."""
    return Refusal("ThrottlingException", f"Slow down; sudden increase in rate of requests. {why}")


def failed(why: str) -> Refusal:
    """It is not the client's fault; clients try again by themselves."""
    return Refusal("InternalServerError", f"Internal server error. {why}")
