"""The errors of media that cannot be read or written."""

from onlooker.errors import OnlookerError


class MediaError(OnlookerError):
    """An image or video cannot be read or written; one line that names it and the cause."""


class TooLarge(MediaError):
    """An image has more pixels than may be decoded."""
