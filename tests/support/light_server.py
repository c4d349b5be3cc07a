"""A process of the server without models: it talks to the server as a real one does.

GET /loop hangs its event loop, /threads its threads, /replacement says whether it is one.
"""

import asyncio
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from onlooker import piped_process
from onlooker.api import process_protocol
from onlooker.api.listener import listening
from onlooker.api.process_protocol import ProcessSettings
from onlooker.piped_process import Signs

POOL = ThreadPoolExecutor(1)


async def answer(settings: ProcessSettings, signs: Signs) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split()[1]
        if path == b"/loop":
            time.sleep(3600)
        if path == b"/threads":
            POOL.submit(time.sleep, 3600)
        body = str(settings.replacement).encode()
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    def probe() -> list[Future[None]]:
        return [POOL.submit(lambda: None)]

    server = await asyncio.start_server(connected, sock=listening(settings.address))
    async with server:
        await process_protocol.beat(signs, probe)


def main() -> None:
    signs = Signs()
    settings = piped_process.unpack(sys.stdin.buffer.readline(), ProcessSettings)
    threading.Thread(target=sys.stdin.buffer.read, daemon=True).start()
    asyncio.run(answer(settings, signs))


if __name__ == "__main__":
    main()
