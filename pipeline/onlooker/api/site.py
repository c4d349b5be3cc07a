"""What the operations of one process share."""

from dataclasses import dataclass

from onlooker.api.images import Objects
from onlooker.config import Config
from onlooker.identity.store import Store


@dataclass(frozen=True, slots=True)
class Site:
    """Settings, the store of faces, and where pictures of buckets come from."""

    settings: Config
    store: Store
    objects: Objects

    def arn(self, collection: str) -> str:
        """A collection's ARN."""
        record = self.settings.record
        return f"arn:aws:rekognition:{record.region}:{record.account}:collection/{collection}"
