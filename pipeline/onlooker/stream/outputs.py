"""The outputs of a feed: its log, and the sinks that follow it."""

from pathlib import Path

import msgspec

from onlooker.config.schema import Retention


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """The log of a feed's records, and the sinks that follow it. Feeds of one run may share it."""

    log: Path | None = None
    """The log of records, which a run resumes at its end; None: beside `records`, with the suffix
    .db, and without those the user's own."""
    limits: Retention = Retention()
    """How much is kept of the log and of the JSON lines."""
    records: Path | None = None
    """JSON-lines file that follows the log."""
    publish: str | None = None
    """ZeroMQ endpoint to publish records on."""
    key: Path | None = None
    """File with the publisher's key pair; None means that records are not encrypted."""
    clients: tuple[str, ...] = ()
    """Public keys of those who may subscribe to encrypted records."""
    patient: bool = False
    """Whether to wait while a disk is full. Otherwise the run ends, and can be resumed."""

    @property
    def poisoned_path(self) -> Path:
        """Folder for the images of frames over which workers died."""
        return self.log_path.with_suffix(".poisoned")

    @property
    def log_path(self) -> Path:
        """Path of the log."""
        if self.log is not None:
            return self.log
        if self.records is not None:
            return self.records.with_suffix(".db")
        from onlooker.record.log.reader import default_path

        return default_path()
