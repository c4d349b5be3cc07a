"""A real process of the server whose event loop hangs when it is asked for /healthz."""

import time

from starlette.requests import Request
from starlette.responses import Response

from onlooker.api.app import Server
from onlooker.api.server_process import main


async def hang(self: Server, request: Request) -> Response:
    time.sleep(3600)
    return Response()


if __name__ == "__main__":
    Server.healthy = hang  # type: ignore[method-assign,assignment]
    main()
