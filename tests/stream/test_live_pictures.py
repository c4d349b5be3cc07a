"""Frames for whoever watches a stream."""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import zmq
from msgspec.structs import replace
from tests.support.frames import frame
from tests.support.processes import wait_until

from onlooker.config.schema import Config
from onlooker.media.picture import Planes, Still
from onlooker.record.frame_record import build
from onlooker.rekognition.shapes import decode
from onlooker.stream import live_pictures
from onlooker.stream.live_pictures import MAX_SIDE, LivePictures, Place, encoded, endpoint, topic
from onlooker.stream.stage import NoPicture
from onlooker.types import Frame

WIDTH, HEIGHT = 320, 180


def picture(width: int = WIDTH, height: int = HEIGHT) -> Planes:
    """An image with a colour in each of its quarters."""
    bgr = np.zeros((height, width, 3), np.uint8)
    half = height // 2, width // 2
    for place, colour in enumerate(((0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255))):
        row, column = divmod(place, 2)
        bgr[row * half[0] : (row + 1) * half[0], column * half[1] : (column + 1) * half[1]] = colour
    return Planes.of(Still(bgr))


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[LivePictures]:
    with LivePictures(tmp_path) as made:
        yield made


@pytest.fixture
def subscriber(tmp_path: Path, publisher: LivePictures) -> "Iterator[zmq.Socket[bytes]]":
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        socket.connect(endpoint(tmp_path))
        yield socket


def subscribe(socket: "zmq.Socket[bytes]", publisher: LivePictures, wanted: bytes) -> None:
    socket.subscribe(wanted)
    assert wait_until(lambda: known(publisher, wanted), 60)


def known(publisher: LivePictures, wanted: bytes) -> bool:
    publisher._take_subscriptions()
    return wanted in publisher._wanted


def show(publisher: LivePictures, made: Frame, image: object = None) -> None:
    record = build(made, Config(), "d")
    publisher.show(made, record, picture() if image is None else image)  # type: ignore[arg-type]


def received(socket: "zmq.Socket[bytes]", seconds: float = 5) -> list[bytes] | None:
    return socket.recv_multipart() if socket.poll(round(seconds * 1000)) else None


def test_an_image_comes_with_its_record(
    publisher: LivePictures, subscriber: "zmq.Socket[bytes]"
) -> None:
    subscribe(subscriber, publisher, topic("door", "picture"))
    made = frame("door", 7, width=WIDTH, height=HEIGHT)
    show(publisher, made)
    parts = received(subscriber)
    assert parts is not None
    name, record, place, jpeg = parts
    assert name == b"door\0picture"
    assert decode(record).FrameInformation.Index == 7
    where = msgspec.json.decode(place, type=Place)
    assert where.region == (0, 0, 1, 1)
    assert where.time == made.started + made.time
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    for (y, x), colour in {
        (45, 80): (0, 0, 255),
        (45, 240): (0, 255, 0),
        (135, 80): (255, 0, 0),
        (135, 240): (255, 255, 255),
    }.items():
        assert np.abs(pixels[y, x].astype(int) - colour).max() < 12


def test_nothing_is_encoded_while_nobody_watches(
    publisher: LivePictures, subscriber: "zmq.Socket[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> bytes:
        raise AssertionError("encoded for nobody")

    monkeypatch.setattr(live_pictures, "encoded", refuse)
    show(publisher, frame("door", 0))
    subscribe(subscriber, publisher, topic("yard", "picture"))
    subscribe(subscriber, publisher, topic("door", "record"))
    show(publisher, frame("door", 1))
    parts = received(subscriber)
    assert parts is not None
    assert parts[0] == b"door\0record"
    assert parts[3] == b""
    subscriber.unsubscribe(topic("door", "record"))
    assert wait_until(lambda: not known(publisher, topic("door", "record")), 60)


def test_a_stream_whose_name_begins_alike_is_another(
    publisher: LivePictures, subscriber: "zmq.Socket[bytes]"
) -> None:
    subscribe(subscriber, publisher, topic("door", "picture"))
    show(publisher, frame("door2", 0))
    assert received(subscriber, 0.2) is None


@pytest.mark.parametrize("image", [NoPicture(), Still(np.zeros((9, 16, 3), np.uint8))])
def test_a_frame_without_pixels_comes_without_an_image(
    publisher: LivePictures, subscriber: "zmq.Socket[bytes]", image: object
) -> None:
    subscribe(subscriber, publisher, topic("door", "picture"))
    show(publisher, frame("door", 3), image)
    parts = received(subscriber)
    assert parts is not None
    assert parts[3] == b""


def test_a_part_of_the_frame_says_which(
    publisher: LivePictures, subscriber: "zmq.Socket[bytes]"
) -> None:
    subscribe(subscriber, publisher, topic("door", "picture"))
    made = replace(frame("door", 3, width=640, height=360), origin=(160, 90))
    show(publisher, made)
    parts = received(subscriber)
    assert parts is not None
    assert msgspec.json.decode(parts[2], type=Place).region == (0.25, 0.25, 0.5, 0.5)


def test_one_who_does_not_read_holds_nothing_up(
    publisher: LivePictures, subscriber: "zmq.Socket[bytes]"
) -> None:
    subscribe(subscriber, publisher, topic("door", "picture"))
    began = time.monotonic()
    for index in range(2000):
        show(publisher, frame("door", index))
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("size", [(2560, 1440), (1281, 721), (1280, 720), (101, 57), (16, 16)])
def test_large_images_are_made_smaller(size: tuple[int, int]) -> None:
    pixels = cv2.imdecode(np.frombuffer(encoded(picture(*size)), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    height, width = pixels.shape[:2]
    assert max(width, height) == min(MAX_SIDE, size[0])
    assert abs(width / height - size[0] / size[1]) < 0.01


def test_a_run_whose_socket_cannot_be_made_is_recorded_all_the_same(tmp_path: Path) -> None:
    assert live_pictures.open_live(None) is None
    assert live_pictures.open_live(tmp_path / "missing") is None
