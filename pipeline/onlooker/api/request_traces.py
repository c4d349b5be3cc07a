"""A span for each request to the API, for OpenTelemetry.

A client that traces its own calls says so in the header `traceparent` (W3C Trace Context): the span
then belongs to its trace. Otherwise the RequestId is the trace's id.
"""

import re
import secrets
import time
import uuid
from collections.abc import Mapping

from onlooker.traces import Ids, Spans

TRACE_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
"""Version, trace, span, flags; later versions may add to it."""
SAMPLED = 1
"""Flag of a trace that is kept."""


class RequestTraces:
    """The spans of a server's requests. share: of those that are traced if the client is silent."""

    def __init__(self, spans: Spans, share: float) -> None:
        self._spans = spans
        self._share = share

    def add(
        self,
        request_id: str,
        operation: str,
        headers: Mapping[str, str],
        result: str,
        seconds: float,
    ) -> None:
        """Send the span of a request that has just been answered.

        result: "200", or the error's name.
        """
        ended = time.time_ns()
        trace, parent = _above(headers.get("traceparent", ""))
        if trace is None:
            trace = uuid.UUID(request_id).int
            if trace >> 96 >= self._share * 2**32:
                return
        elif parent is None:
            return
        failed = result != "200"
        self._spans.add(
            operation,
            Ids(trace, secrets.randbits(64) or 1),
            parent,
            (ended - round(1e9 * seconds), ended),
            {
                "rpc.system": "aws-api",
                "rpc.method": operation,
                "aws.request_id": request_id,
                **({"error.type": result} if failed else {}),
            },
            result if failed else None,
            server=True,
        )


def _above(header: str) -> tuple[int | None, int | None]:
    """Return the client's trace and span; no span if it does not keep the trace."""
    found = TRACE_PARENT.fullmatch(header.strip())
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None, None
    return int(found[1], 16), int(found[2], 16) if int(found[3], 16) & SAMPLED else None
