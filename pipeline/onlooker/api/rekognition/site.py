"""What the operations of one process share."""

import zlib
from dataclasses import dataclass

from onlooker.config.schema import Config
from onlooker.identity.search.searcher import Searcher
from onlooker.media.buckets import Objects
from onlooker.models.card import Space


@dataclass(frozen=True, slots=True)
class Site:
    """Settings, who is known, and where pictures of buckets come from."""

    settings: Config
    searcher: Searcher
    """Collections, for vectors of this server's embedder."""
    objects: Objects

    def arn(self, collection: str) -> str:
        """A collection's ARN."""
        record = self.settings.record
        return f"arn:aws:rekognition:{record.region}:{record.account}:collection/{collection}"

    @property
    def space(self) -> Space:
        """Where the vectors of this server's embedder live."""
        return self.searcher.space

    @property
    def face_model(self) -> str:
        """Version of this server's embedder."""
        return model_version(self.space.name)


def model_version(model: str) -> str:
    """What answers call an embedder: digits and points, as Amazon has it, another for each.

    The 7 is Amazon's of today: programs look for "3 or later" before they use what came with it.
    """
    return f"7.{zlib.crc32(model.encode())}"
