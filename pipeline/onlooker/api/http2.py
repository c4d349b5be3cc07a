"""HTTP/2 for clients that announce the end of a connection before its last answer has come.

With GOAWAY and no error a client says that it will send no more requests; those on their way are
still answered (RFC 9113, section 6.8). Amazon's SDK for JavaScript says so with each request. The
library h2 takes it for the end of the connection, and every answer that is larger than the client's
window would be cut off.
"""

from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
from hyperframe.frame import Frame, GoAwayFrame


class PatientConnection(h2.connection.H2Connection):
    """A connection that answers what is on its way before it ends as the client has announced."""

    def __init__(self, config: h2.config.H2Configuration | None = None) -> None:
        super().__init__(config)
        self._leaving = False
        """Whether the client will send no more requests."""

    def end_stream(self, stream_id: int) -> None:
        super().end_stream(stream_id)
        if self._leaving and not self.open_inbound_streams:
            # Not with `close_connection`: frames that still come would be errors.
            end = GoAwayFrame(0)
            end.last_stream_id = self.highest_inbound_stream_id
            self._prepare_for_sending([end])

    def _receive_goaway_frame(
        self, frame: GoAwayFrame
    ) -> tuple[list[Frame], list[h2.events.Event]]:
        if frame.error_code == h2.errors.ErrorCodes.NO_ERROR and self.open_inbound_streams:
            self._leaving = True
            return [], []
        return super()._receive_goaway_frame(frame)


def use_patient_connections() -> None:
    """Have hypercorn use such connections in this process."""
    module: Any = h2.connection
    module.H2Connection = PatientConnection
