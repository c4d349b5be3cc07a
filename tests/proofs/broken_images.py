"""Thousands of broken images sent to a running server: no crash, no 500, nothing slow, memory flat.

    python -m tests.proofs.broken_images --images 10000 --seed 1

The tests do the same with a few hundred.
"""

import argparse
import base64
import io
import random
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from tests.support.images import tiff, with_exif
from tests.support.server import Running, running

MAX_SECONDS = 1.0
"""Seconds that an answer may take."""
MAX_PRINTED = 5
"""Slowest answers that are printed."""
MAX_GROWTH_BYTES = 64 << 20
"""Bytes by which the server's memory may grow in the second half."""
EXPECTED = {
    "",
    "ImageTooLargeException",
    "InvalidImageFormatException",
    "InvalidParameterException",
}
"""Responses: none is the server's fault, and none is to be retried."""


class Outcome(NamedTuple):
    """The responses to all images."""

    results: Counter[str]
    slowest: list[tuple[float, str]]
    """Seconds and description of the slowest answers, the slowest first."""
    growth: int
    replaced: int
    """Processes that died."""


def originals() -> list[bytes]:
    """Return whole images of every kind: the colours and depths of JPEG and PNG."""
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (12, 16, 3), np.uint8)
    colour = cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC)
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    deep = colour.astype(np.uint16) * 257
    clear = np.dstack([colour, grey])
    found = [cv2.imencode(".png", one)[1] for one in (colour, grey, deep, clear)]
    found += [cv2.imencode(".jpg", one)[1] for one in (colour, grey)]
    for option in (cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_RST_INTERVAL):
        found.append(cv2.imencode(".jpg", colour, [option, 1])[1])
    picture = Image.fromarray(colour)
    veil = Image.fromarray(grey)
    more = [
        _saved(picture.quantize(16), "PNG", transparency=3),
        _saved(Image.merge("LA", (veil, veil)), "PNG"),
        _saved(veil.convert("1"), "PNG"),
        _saved(picture.convert("CMYK"), "JPEG"),
        _saved(picture, "JPEG", subsampling=0, optimize=True),
    ]
    return [one.tobytes() for one in found] + more


def _saved(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def mutants(number: int, seed: int) -> Iterator[bytes]:
    """Yield `number` broken images, always the same for a seed."""
    chance, whole = random.Random(seed), originals()
    special = list(bombs())
    for _ in range(number):
        data = bytearray(chance.choice(whole))
        kind = chance.randrange(11)
        if kind == 0:
            data = data[: chance.randrange(len(data))]
        elif kind == 1:
            for _ in range(chance.choice((1, 3, 10, 100))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == 2:  # lies in the headers
            for _ in range(chance.choice((1, 2, 4))):
                data[chance.randrange(min(len(data), 200))] = chance.choice((0, 1, 0x7F, 0xFF))
        elif kind == 3:
            other = chance.choice(whole)
            data = data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]
        elif kind == 4:
            data[chance.randrange(len(data)) :] = chance.randbytes(chance.randrange(2000))
        elif kind == 5:
            data = bytearray(_resized(data, chance))
        elif kind == 6:
            data = bytearray(_turned(data, chance.randrange(12), chance))
        elif kind == 7:
            at = chance.randrange(len(data))
            data = data[:at] + data[at : at + 500] * chance.randrange(2, 40) + data[at:]
        elif kind == 8:  # without the end, and with more behind
            data = data[: -chance.choice((2, 4, 12, 13, 16))]
            data += chance.randbytes(chance.choice((0, 1, 300)))
        elif kind == 9:  # a part, with the end
            end = b"\xff\xd9" if data.startswith(b"\xff\xd8") else data[-12:]
            data = data[: chance.randrange(len(data) // 3, len(data))] + end
        else:
            data = bytearray(chance.choice(special))
        yield bytes(data) or b"\xff"


def _resized(data: bytearray, chance: random.Random) -> bytes:
    """Return the same pixels with another size in the header."""
    width, height = (chance.choice((0, 1, 79, 6999, 65500, 2**31 - 1)) for _ in range(2))
    if data.startswith(b"\x89PNG"):
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    else:
        frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        data[frame + 5 : frame + 9] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
    return bytes(data)


def _turned(data: bytearray, orientation: int, chance: random.Random) -> bytes:
    """Return the image with an orientation in EXIF; some of it is nonsense."""
    order, kind = chance.choice("<>"), chance.choice((1, 3, 4))
    exif = tiff(orientation, order, kind, chance.randrange(3), chance.choice((8, 9, 200)))
    if chance.random() < 0.3:
        exif = exif[: chance.randrange(len(exif))]
    marked = bytearray(with_exif(bytes(data), exif))
    if chance.random() < 0.2:
        marked[4:6] = struct.pack(">H", chance.randrange(65536))
    return bytes(marked)


def bombs() -> Iterator[bytes]:
    """Yield small files that cost much to decode, and other formats."""
    png, *_ = originals()
    progressive = originals()[6]
    head, rest = png[:33], png[33:]
    for kind in (b"zTXt", b"iCCP", b"iTXt"):
        packed = zlib.compress(bytes(50_000_000), 9)
        content = kind + b"name\0\0" + packed
        chunk = struct.pack(">I", len(content) - 4) + content
        yield head + chunk + struct.pack(">I", zlib.crc32(content)) + rest
    scan = progressive.rindex(b"\xff\xda")
    yield progressive[:-2] + progressive[scan:-2] * 5000 + progressive[-2:]
    large = np.zeros((6900, 6900), np.uint8)
    data = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    yield data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 240 + data[-2:]
    lie = bytearray(cv2.imencode(".png", large)[1].tobytes()[:40_000])
    yield bytes(lie)
    yield b"GIF89a" + bytes(100)
    yield b"RIFF\x24\0\0\0WEBPVP8 " + bytes(100)
    yield b"SIMPLE  =                    T" + bytes(2850)
    yield b"8BPS\0\x01" + bytes(100)
    yield b"II*\0\x08\0\0\0" + bytes(100)
    yield b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield b"%!PS-Adobe-3.0\n"
    yield b"\xff\xd8\xff"
    yield b"\x89PNG\r\n\x1a\n"


def prove(server: Running, number: int, seed: int) -> Outcome:
    """Send all images, and return the responses."""
    before, connection = server.workers(), server.connect()
    results: Counter[str] = Counter()
    slowest: list[tuple[float, str]] = []
    middle = 0
    for count, data in enumerate(mutants(number, seed)):
        body = {"Image": {"Bytes": base64.b64encode(data).decode()}}
        errors = set()
        for operation in ("DetectFaces", "DetectText"):
            began = time.perf_counter()
            answer = server.post(operation, body, connection)
            seconds = time.perf_counter() - began
            errors.add(answer.error)
            described = f"number {count}, {operation}, {len(data)} bytes, {answer.error or 'fine'}"
            slowest = sorted([*slowest, (seconds, described)], reverse=True)[:MAX_PRINTED]
        # Both operations decode alike.
        results[errors.pop() if len(errors) == 1 else f"different: {sorted(errors)}"] += 1
        if count == number // 2:
            middle = server.memory()
    connection.close()
    replaced = len(set(before) - set(server.workers()))
    return Outcome(results, slowest, server.memory() - middle, replaced)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        outcome = prove(server, given.images, given.seed)
        print(f"seed {given.seed}: {given.images} images")
        for result, count in outcome.results.most_common():
            print(f"  {result or 'answered'}: {count}")
        for seconds, described in outcome.slowest:
            print(f"  slowest {seconds:.3f} s: {described}")
        print(f"  memory of the second half {outcome.growth / 2**20:+.1f} MB")
        print(f"  processes that died: {outcome.replaced}")
    bad = set(outcome.results) - EXPECTED
    if (
        bad
        or outcome.slowest[0][0] > MAX_SECONDS
        or outcome.growth > MAX_GROWTH_BYTES
        or outcome.replaced
    ):
        sys.exit("FAILED")


if __name__ == "__main__":
    main()
