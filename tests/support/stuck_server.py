"""A real process of the server whose event loop hangs when it is asked for /healthz.

It loads its models when they are needed, not at its start: no test of it needs any.
"""

import time

from starlette.requests import Request
from starlette.responses import Response

from onlooker.api.app import Server
from onlooker.api.server_process import main
from onlooker.vision.analyser import Analyser, Wanted


async def hang(self: Server, request: Request) -> Response:
    time.sleep(3600)
    return Response()


def stay_cold(self: Analyser, wanted: Wanted) -> None:
    pass


if __name__ == "__main__":
    Server.healthy = hang  # type: ignore[method-assign,assignment]
    Analyser.warm_up = stay_cold  # type: ignore[method-assign]
    main()
