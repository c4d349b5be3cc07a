"""An analyser in a process that does nothing else: `python -m tests.support.analyser_process`.

It reads a configuration file's text, then JPEGs, each preceded by its length in 4 bytes, and
answers each with the numbers of faces and of words in it.
"""

import sys

import cv2
import msgspec

from onlooker.config.schema import Config
from onlooker.media import image
from onlooker.vision.analyser import ALL, Analyser


def main() -> None:
    cv2.setNumThreads(1)
    analyser = Analyser(msgspec.toml.decode(_read(), type=Config))
    analyser.warm_up(ALL)
    while jpeg := _read():
        [found] = analyser([image.decode(jpeg)], [ALL])
        print(len(found.faces), sum(len(line.words) for line in found.lines), flush=True)


def _read() -> bytes:
    return sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(4)))


if __name__ == "__main__":
    main()
