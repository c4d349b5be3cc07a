"""Errors that clients see: Amazon's name, Amazon's sentence, then the cause.

Programs tell errors apart by the name, people read the text: Amazon's sentence, which says little,
is followed by what was wrong and what to do about it.
"""

from onlooker.errors import OnlookerError

STATUS = {
    "InternalServerError": 500,
    "RequestEntityTooLargeException": 413,
    "RequestTimeoutException": 408,
}
"""HTTP status by the error's name; 400 for all others."""


class Refusal(OnlookerError):
    """An error that the client sees: its name, and a text that says what to do."""

    def __init__(self, name: str, text: str, query_name: str | None = None) -> None:
        """query_name: the error's name in the query protocol, which SQS's clients still read."""
        super().__init__(text)
        self.query_name = query_name
        self.name = name
        self.text = text

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS.get(self.name, 400)

    def members(self, request_id: str) -> dict[str, str]:
        """Return the response's members, those that the SDKs of all languages read."""
        return {"__type": self.name, "Code": self.name, "Logref": request_id, "Message": self.text}


def invalid(why: str) -> Refusal:
    """Return the error of a parameter that the operation cannot use."""
    return Refusal("InvalidParameterException", f"Request has invalid parameters. {why}")


def unreadable(why: str) -> Refusal:
    """Return the error of a body that is not JSON, or has a member of a wrong type."""
    return Refusal("SerializationException", why)


def bad_image(why: str) -> Refusal:
    """Return the error of an image that cannot be decoded."""
    return Refusal("InvalidImageFormatException", f"Request has invalid image format. {why}")


def large_image(why: str) -> Refusal:
    """Return the error of an image with too many bytes or pixels."""
    return Refusal("ImageTooLargeException", f"Image size is too large. {why}")


def no_object(why: str) -> Refusal:
    """Return the error of an S3Object that cannot be read."""
    return Refusal(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. Check object key, region and/or access "
        f"permissions. {why}",
    )


def no_faces(why: str) -> Refusal:
    """Return the error of an image without a face that can be compared."""
    return Refusal(
        "InvalidParameterException",
        f"There are no faces in the image. Should be at least 1. {why}",
    )


def throttled(why: str) -> Refusal:
    """Return the error of a server that has too much to do; clients retry by themselves."""
    return Refusal("ThrottlingException", f"Slow down; sudden increase in rate of requests. {why}")


def failed(why: str) -> Refusal:
    """Return the error of a fault that is not the client's; clients retry by themselves."""
    return Refusal("InternalServerError", f"Internal server error. {why}")
