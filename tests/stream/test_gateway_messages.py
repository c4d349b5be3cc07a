"""Messages between a gateway and machines: pixels are the same behind them, others are refused."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.config.schema import Config, Pipeline, SourceConfig
from onlooker.media.picture import Planes
from onlooker.stream import gateway_messages
from onlooker.stream.gateway_messages import (
    ArrivingImage,
    Join,
    Settings,
    StageSettings,
    Took,
    Welcome,
    pack_image,
)
from onlooker.stream.messages import MessageError


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_pixels_arrive_as_they_were(width: int, height: int, padding: int, seed: int) -> None:
    random = np.random.default_rng(seed)

    def plane(rows: int, columns: int) -> np.ndarray:
        wider = random.integers(0, 256, (rows, columns + padding), np.uint8)
        return wider[:, :columns]  # rows of a decoder are padded

    half = (height + 1) // 2, (width + 1) // 2
    sent = Planes(plane(height, width), plane(*half), plane(*half))
    size, pieces = pack_image(sent, 7)
    image = ArrivingImage(size)
    for piece in pieces:
        assert not image.whole
        image.add(piece)
    assert image.whole
    arrived = image.planes
    for before, after in zip(
        (sent.y, sent.u, sent.v), (arrived.y, arrived.u, arrived.v), strict=True
    ):
        assert np.array_equal(before, after)


@pytest.mark.parametrize(
    ("size", "piece"),
    [
        (b"", b""),
        (struct.pack("<II", 4, 4), b"\0" * 25),
        (struct.pack("<II", 4, 4), b""),
        (struct.pack("<II", 0, 4), b""),
        (struct.pack("<II", 2**31, 2**31), b"\0" * 24),
    ],
)
def test_other_bytes_are_no_image(size: bytes, piece: bytes) -> None:
    with pytest.raises(MessageError, match="image"):
        ArrivingImage(size).add(piece)


def test_messages_arrive_as_they_were() -> None:
    welcome = Welcome(
        run="r",
        config=Config(pipeline=Pipeline(workers=3)),
        stages=(StageSettings("detect", 1, 1),),
        facts={"numpy": "2"},
    )
    settings = Settings(4, "door", SourceConfig(url="test://moving", faces=False))
    for message in (welcome, settings):
        found = gateway_messages.unpack_from_gateway(gateway_messages.pack(message))
        assert found == message
    assert gateway_messages.unpack_to_gateway(gateway_messages.pack(Took())) == Took()
    join = Join("1.0", "box", "s")
    assert gateway_messages.unpack_to_gateway(gateway_messages.pack(join)) == join
    with pytest.raises(MessageError):
        gateway_messages.unpack_to_gateway(gateway_messages.pack(welcome))
    with pytest.raises(MessageError):
        gateway_messages.unpack_from_gateway(b"\xc1")
    torn = gateway_messages.pack(Join("1.0", "box", "s")).replace(b"box", b"b\xffx")
    with pytest.raises(MessageError, match="utf-8"):
        gateway_messages.unpack_to_gateway(torn)
    with pytest.raises(MessageError):
        gateway_messages.unpack_to_gateway(b"\x91" * 100_000)
