"""Pictures in: files of every kind that JPEG and PNG allow, and the two ways to hold pixels."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from onlooker.media.errors import MediaError, TooLarge
from onlooker.media.image import MAX_PIXELS, decode, read
from onlooker.media.picture import MAX_DISTORTION, Pixels, Planes, Still

RED, GREEN, BLUE, WHITE = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)


def corners() -> Pixels:
    """Red, green, blue and white quarters of whole JPEG blocks: each turn looks different."""
    picture = np.empty((32, 48, 3), np.uint8)
    picture[:16, :24], picture[:16, 24:] = RED, GREEN
    picture[16:, :24], picture[16:, 24:] = BLUE, WHITE
    return picture


def encoded(picture: NDArray[np.uint8] | NDArray[np.uint16], ending: str) -> bytes:
    return bytes(cv2.imencode(ending, picture)[1])


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def near(picture: Pixels, expected: Pixels, by: int = 6) -> bool:
    if picture.shape != expected.shape:
        return False
    return int(np.abs(picture.astype(int) - expected.astype(int)).max()) <= by


def exif(orientation: int) -> bytes:
    """A TIFF block with one entry: tag 0x0112, one SHORT."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)


def jpeg_turned(orientation: int) -> bytes:
    block = b"Exif\0\0" + exif(orientation)
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    data = encoded(corners(), ".png")
    data = saved(Image.open(io.BytesIO(data)), "JPEG", quality=95, subsampling=0)
    return data[:2] + segment + data[2:]


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_with(kind: bytes, content: bytes) -> bytes:
    """The corners, with one more chunk behind the header."""
    data = encoded(corners(), ".png")
    return data[:33] + chunk(kind, content) + data[33:]


# What the picture looks like when its pixels are stored as `corners()` (EXIF 2.3, tag 0x0112).
UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_jpeg_is_turned_upright(orientation: int) -> None:
    picture = decode(jpeg_turned(orientation)).bgr
    assert near(picture, UPRIGHT[orientation](corners()))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_means_nothing_is_passed_over(orientation: int) -> None:
    assert near(decode(jpeg_turned(orientation)).bgr, corners())


def test_exif_in_a_png_is_passed_over() -> None:
    assert np.array_equal(decode(png_with(b"eXIf", exif(6))).bgr, corners())


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_grey_picture_has_three_channels(ending: str) -> None:
    ramp = np.tile(np.arange(0, 200, 5).astype(np.uint8), (24, 1))
    assert near(decode(encoded(ramp, ending)).bgr, np.repeat(ramp[:, :, None], 3, axis=2))


def test_sixteen_bits_are_rounded_to_eight() -> None:
    deep = np.array([[0, 128, 129, 257, 25700, 65535]], np.uint16)
    assert decode(encoded(deep, ".png")).bgr[0, :, 0].tolist() == [0, 0, 1, 1, 100, 255]
    colour = corners().astype(np.uint16) * 257
    assert np.array_equal(decode(encoded(colour, ".png")).bgr, corners())


def test_a_palette_and_one_bit() -> None:
    picture = Image.fromarray(corners()[:, :, ::-1])
    assert np.array_equal(decode(saved(picture.quantize(4), "PNG")).bgr, corners())
    bits = decode(saved(picture.convert("1", dither=Image.Dither.NONE), "PNG")).bgr
    assert set(np.unique(bits)) == {0, 255}


def test_what_is_transparent_lies_on_white() -> None:
    ink = np.zeros((1, 3, 4), np.uint8)  # black ink, as text on a transparent page
    ink[0, :, 3] = 255, 128, 0
    assert decode(encoded(ink, ".png")).bgr[0, :, 0].tolist() == [0, 127, 255]
    deep = ink.astype(np.uint16) * 257
    assert decode(encoded(deep, ".png")).bgr[0, :, 0].tolist() == [0, 127, 255]


def test_a_transparent_palette_and_grey_lie_on_white() -> None:
    picture = Image.fromarray(np.repeat(np.array([[0, 1]], np.uint8), 8, axis=1), "P")
    picture.putpalette([0, 0, 0, 200, 0, 0])
    pixels = decode(saved(picture, "PNG", transparency=0)).bgr
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 15].tolist() == [0, 0, 200]
    grey = Image.merge("LA", (Image.new("L", (2, 1), 60), Image.new("L", (2, 1), 0)))
    assert decode(saved(grey, "PNG")).bgr.min() == 255


def test_a_jpeg_in_cmyk_and_a_progressive_one() -> None:
    picture = Image.fromarray(corners()[:, :, ::-1])
    cmyk = saved(picture.convert("CMYK"), "JPEG", quality=95, subsampling=0)
    assert near(decode(cmyk).bgr, corners(), by=12)
    progressive = saved(picture, "JPEG", quality=95, subsampling=0, progressive=True)
    assert near(decode(progressive).bgr, corners())


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_file_that_ends_early_is_an_error_at_every_length(ending: str) -> None:
    data = encoded(corners(), ending)
    for length in range(len(data)):
        with pytest.raises(MediaError):
            decode(data[:length])
    decode(data + b"and what a camera adds behind")


def test_errors_name_the_file_and_the_cause(tmp_path: Path) -> None:
    empty, text, missing = tmp_path / "empty.jpg", tmp_path / "text.jpg", tmp_path / "missing.png"
    empty.touch()
    text.write_text("I am no picture")
    for path, cause in (
        (empty, "empty"),
        (text, "neither JPEG nor PNG; it begins with b'I am no '"),
        (missing, "No such file"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(MediaError) as error:
            read(path)
        assert str(error.value).startswith(f"{path}: ")
        assert cause in str(error.value)


@pytest.mark.parametrize(
    "data",
    [b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"8BPS", b"SIMPLE  =", b"<svg/>", b"BM", b"\xff\xd8"],
)
def test_other_kinds_of_picture_are_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match="neither JPEG nor PNG"):
        decode(data + bytes(100))


def test_a_giant_is_refused_before_its_pixels_are_made() -> None:
    header = struct.pack(">IIBBBBB", 65500, 65500, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")
    with pytest.raises(TooLarge, match="65500 x 65500 pixels exceed 50 million"):
        decode(data)
    jpeg = bytearray(encoded(corners(), ".jpg"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    with pytest.raises(TooLarge):
        decode(bytes(jpeg))
    assert MAX_PIXELS == 50_000_000


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = saved(Image.fromarray(corners()), "JPEG", progressive=True)
    scan = data.index(b"\xff\xda")
    bomb = data[:scan] + data[scan:-2] * 300 + data[-2:]
    with pytest.raises(MediaError, match="may have 256 scans"):
        decode(bomb)


def test_a_large_jpeg_may_have_few_scans_only() -> None:
    data = saved(Image.new("L", (7000, 7000)), "JPEG", progressive=True)
    bomb = data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 240 + data[-2:]
    assert len(bomb) < 250_000
    with pytest.raises(MediaError, match="may have 10 scans"):
        decode(bomb)


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_of_fewer_bytes_than_its_size_takes_is_refused(progressive: int) -> None:
    # Nothing is smaller than grey in the best codes that there are for it.
    options = [cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    options += [cv2.IMWRITE_JPEG_QUALITY, 1]
    data = cv2.imencode(".jpg", np.full((2000, 3000), 128, np.uint8), options)[1].tobytes()
    assert decode(data).width == 3000
    small = bytearray(cv2.imencode(".jpg", np.zeros((80, 80, 3), np.uint8), options)[1].tobytes())
    frame = max(small.find(b"\xff\xc0"), small.find(b"\xff\xc2"))
    small[frame + 5 : frame + 9] = struct.pack(">HH", 6999, 6999)
    with pytest.raises(MediaError, match=r"6999 x 6999 pixels needs more than .* bytes"):
        decode(bytes(small))


def test_deep_pixels_count_for_more() -> None:
    data = bytearray(encoded(corners(), ".png"))
    data[16:24] = struct.pack(">II", 6000, 6000)
    data[24:26] = bytes((16, 6))  # 16 bits, colour with transparency
    with pytest.raises(TooLarge, match="6000 x 6000 pixels of 8 bytes exceed 150 million"):
        decode(bytes(data))
    for end in range(8, 33):
        with pytest.raises(MediaError):
            decode(bytes(data[:end]))


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_bombs_in_the_margins_of_a_png_are_not_unpacked(
    kind: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    bomb = b"name\0\0" + zlib.compress(bytes(64 << 20))
    assert np.array_equal(decode(png_with(kind, bomb)).bgr, corners())
    assert capfd.readouterr().err == ""


SEEDS = [
    encoded(corners(), ".jpg"),
    encoded(corners(), ".png"),
    saved(Image.fromarray(corners()), "JPEG", progressive=True),
    jpeg_turned(6),
]


@settings(max_examples=300, deadline=1000)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_damaged_files_are_pictures_or_errors(
    seed: bytes, edits: list[tuple[float, int]], cut: float
) -> None:
    data = bytearray(seed)
    for place, value in edits:
        data[int(place * len(data))] = value
    try:
        picture = decode(bytes(data[: max(1, round(cut * len(data)))]))
    except MediaError:
        return
    assert picture.bgr.shape == (picture.height, picture.width, 3)


# Holding pixels


def planes_of(width: int, height: int, seed: int = 0) -> Planes:
    """Smooth brightness and colour, as a picture has, without clipping a colour."""
    rng = np.random.default_rng(seed)

    def smooth(rows: int, columns: int, low: int, high: int) -> Pixels:
        few = rng.uniform(low, high, (4, 4)).astype(np.float32)
        return cv2.resize(few, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.uint8)

    half = (height + 1) // 2, (width + 1) // 2
    return Planes(smooth(height, width, 60, 190), smooth(*half, 110, 146), smooth(*half, 110, 146))


def full(planes: Planes) -> Pixels:
    """ITU-R BT.601 by the book: each chroma sample stands for its 2 x 2 pixels."""
    height, width = planes.height, planes.width
    y = (planes.y.astype(float) - 16) * 255 / 219
    u, v = (
        np.kron(plane.astype(float) - 128, np.ones((2, 2)))[:height, :width] * 255 / 224
        for plane in (planes.u, planes.v)
    )
    blue, red = y + 1.772 * u, y + 1.402 * v
    green = y - 0.344136 * u - 0.714136 * v
    return np.stack((blue, green, red), axis=2).round().clip(0, 255).astype(np.uint8)


sides = st.integers(1, 40)


@given(sides, sides, st.data())
def test_a_region_is_that_part_of_the_whole(width: int, height: int, data: st.DataObject) -> None:
    planes = planes_of(width, height)
    x1, y1 = data.draw(st.integers(-3, width - 1)), data.draw(st.integers(-3, height - 1))
    x2 = data.draw(st.integers(max(x1, 0) + 1, width + 3))
    y2 = data.draw(st.integers(max(y1, 0) + 1, height + 3))
    for picture, whole in ((planes, full(planes)), (Still(full(planes)), full(planes))):
        pixels, (left, top) = picture.region(x1, y1, x2, y2)
        rows, columns = pixels.shape[:2]
        assert near(pixels, whole[top : top + rows, left : left + columns], by=3)
        assert max(0, x1) - 1 <= left <= max(0, x1)
        assert max(0, y1) - 1 <= top <= max(0, y1)
        assert (left + columns, top + rows) == (min(x2, width), min(y2, height))


@given(sides, sides, st.integers(1, 3), st.data())
def test_a_halved_region_has_the_means_of_its_blocks(
    width: int, height: int, halvings: int, data: st.DataObject
) -> None:
    planes, block = planes_of(width, height), 2**halvings
    y, u, v = (
        np.asarray(cv2.GaussianBlur(plane, (0, 0), 9), np.uint8)
        for plane in (planes.y, planes.u, planes.v)
    )
    smooth = Planes(y, u, v)
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    for picture in (smooth, Still(full(smooth))):
        whole, origin = picture.region(x1, y1, width, height)
        halved, same = picture.region(x1, y1, width, height, halvings)
        assert same == origin
        more = [-side % block for side in whole.shape[:2]]
        padded = np.pad(whole, ((0, more[0]), (0, more[1]), (0, 0)), "edge").astype(float)
        rows, columns = halved.shape[:2]
        means = padded.reshape(rows, block, columns, block, 3).mean((1, 3))
        assert near(halved, means.astype(np.uint8), by=4)


@given(sides, sides, st.data())
def test_luma_is_how_bright_a_region_is(width: int, height: int, data: st.DataObject) -> None:
    planes = planes_of(width, height)
    grey = Planes(planes.y, planes.u * 0 + 128, planes.v * 0 + 128)
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, width + 2)), data.draw(st.integers(y1 + 1, height + 2))
    for picture in (grey, Still(full(grey))):
        assert near(picture.luma(x1, y1, x2, y2), full(grey)[y1:y2, x1:x2, 0], by=1)


@given(sides, sides, st.integers(1, 45))
def test_small_is_the_whole_made_small(width: int, height: int, long_side: int) -> None:
    planes = planes_of(width, height)
    for picture in (planes, Still(full(planes))):
        small = picture.small(long_side)
        scale = min(1.0, long_side / max(width, height))
        assert small.dtype == np.uint8
        assert max(small.shape[:2]) <= long_side
        assert abs(small.shape[0] - height * scale) <= 0.5 or small.shape[0] == 1
        assert abs(small.shape[1] - width * scale) <= 0.5 or small.shape[1] == 1


@given(sides, sides, st.integers(1, 45), st.integers(1, 9))
def test_small_has_round_sides_where_that_distorts_little(
    width: int, height: int, long_side: int, multiple: int
) -> None:
    for picture in (planes_of(width, height), Still(full(planes_of(width, height)))):
        sides = picture.small(long_side, multiple).shape[1::-1]
        scale = min(1.0, long_side / max(width, height))
        if scale == 1.0:
            assert sides == (width, height)
        for side, exact in zip(sides, (width * scale, height * scale), strict=True):
            assert side <= long_side
            round_one = side % multiple == 0 and abs(side - exact) <= MAX_DISTORTION * exact
            assert round_one or side == max(1, round(exact))
    assert planes_of(1280, 720).small(640, 32).shape == (352, 640, 3)


@pytest.mark.parametrize(("width", "height"), [(640, 360), (641, 361), (639, 480), (201, 801)])
@pytest.mark.parametrize("long_side", [320, 321, 200, 97])
def test_small_looks_as_the_whole_does(width: int, height: int, long_side: int) -> None:
    planes = planes_of(width, height)
    small = planes.small(long_side)
    expected = cv2.resize(full(planes), small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert near(small, expected.astype(np.uint8), by=8)


def test_a_small_checkerboard_is_grey_not_noise() -> None:
    board = (np.indices((720, 1280)).sum(axis=0) % 2 * 219 + 16).astype(np.uint8)
    grey = np.full((360, 640), 128, np.uint8)
    small = Planes(board, grey, grey).small(400)
    assert near(small, np.full_like(small, 130), by=4)


def test_rows_may_be_padded() -> None:
    padded = np.zeros((24, 64), np.uint8)
    padded[:, 40:] = 255
    grey = np.full((12, 32), 128, np.uint8)
    planes = Planes(padded[:, :40], grey[:, :20], grey[:, :20])
    assert planes.small(40).max() == 0


def test_nothing_of_the_region_in_the_picture() -> None:
    for picture in (planes_of(40, 24), Still(corners())):
        for box in ((48, 0, 60, 10), (-5, 0, 0, 10), (10, 10, 10, 12)):
            with pytest.raises(ValueError, match="outside the"):
                picture.region(*box)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        Still(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="uint8"):
        Still(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="do not match"):
        Planes(np.zeros((4, 4), np.uint8), np.zeros((2, 2), np.uint8), np.zeros((2, 1), np.uint8))
    with pytest.raises(ValueError, match="0 pixels"):
        Still(corners()).small(0)


def test_what_was_made_small_once_is_kept_for_its_size_only() -> None:
    planes = planes_of(40, 30)
    large, small = planes.small(20), planes.small(10)
    assert (large.shape, small.shape) == ((15, 20, 3), (8, 10, 3))
    assert planes.small(20) is large
    np.testing.assert_array_equal(planes_of(40, 30).small(10), small)
