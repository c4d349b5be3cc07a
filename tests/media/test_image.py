"""Image files of every kind that JPEG and PNG allow, damaged and hostile ones included."""

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.support.garbage import none_left
from tests.support.images import UPRIGHT, corners, near, tiff, with_exif

from onlooker.media.errors import MediaError, TooLarge
from onlooker.media.image import MAX_PIXELS, decode, read


def encoded(picture: NDArray[np.uint8] | NDArray[np.uint16], ending: str) -> bytes:
    return bytes(cv2.imencode(ending, picture)[1])


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def jpeg_turned(orientation: int) -> bytes:
    data = encoded(corners(), ".png")
    data = saved(Image.open(io.BytesIO(data)), "JPEG", quality=95, subsampling=0)
    return with_exif(data, tiff(orientation))


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_with(kind: bytes, content: bytes) -> bytes:
    """Return the corners as PNG, with another chunk after the header."""
    data = encoded(corners(), ".png")
    return data[:33] + chunk(kind, content) + data[33:]


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_jpeg_is_turned_upright(orientation: int) -> None:
    picture = decode(jpeg_turned(orientation)).bgr
    assert near(picture, UPRIGHT[orientation](corners()))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_invalid_orientation_is_ignored(orientation: int) -> None:
    assert near(decode(jpeg_turned(orientation)).bgr, corners())


def test_exif_in_a_png_is_ignored() -> None:
    assert np.array_equal(decode(png_with(b"eXIf", tiff(6))).bgr, corners())


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_grey_image_has_three_channels(ending: str) -> None:
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


def test_transparency_is_composed_over_white() -> None:
    ink = np.zeros((1, 3, 4), np.uint8)  # black ink, as text on a transparent page
    ink[0, :, 3] = 255, 128, 0
    assert decode(encoded(ink, ".png")).bgr[0, :, 0].tolist() == [0, 127, 255]
    deep = ink.astype(np.uint16) * 257
    assert decode(encoded(deep, ".png")).bgr[0, :, 0].tolist() == [0, 127, 255]


def test_a_transparent_palette_and_grey_are_composed_over_white() -> None:
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


def jpegs() -> dict[str, bytes]:
    """Return a photograph-like image as JPEGs of every kind that cameras and programs write."""
    small = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    picture = Image.fromarray(cv2.resize(small, (96, 72), interpolation=cv2.INTER_CUBIC))
    options: dict[str, dict[str, object]] = {
        "baseline": {},
        "optimised": {"optimize": True},
        "progressive": {"progressive": True},
        "restarts": {"restart_marker_blocks": 3},
        "fine": {"subsampling": 0},
    }
    found = {kind: saved(picture, "JPEG", **given) for kind, given in options.items()}
    return found | {mode: saved(picture.convert(mode), "JPEG") for mode in ("L", "CMYK")}


@pytest.mark.parametrize("kind", jpegs())
def test_a_truncated_jpeg_is_an_error_at_every_length(kind: str) -> None:
    data = jpegs()[kind]
    for length in range(len(data) - 2):
        with pytest.raises(MediaError):
            decode(data[:length])


@pytest.mark.parametrize("kind", jpegs())
@pytest.mark.parametrize("behind", [b"", b"DHAV\0\1", b"\0" * 600, b"\xff\x02\xff\xc0\0\x11"])
def test_a_whole_jpeg_needs_no_end_marker(kind: str, behind: bytes) -> None:
    data = jpegs()[kind]
    assert data.endswith(b"\xff\xd9")
    assert np.array_equal(decode(data[:-2] + behind).bgr, decode(data).bgr)
    assert np.array_equal(decode(data + behind).bgr, decode(data).bgr)


@pytest.mark.parametrize("kind", jpegs())
@pytest.mark.parametrize("part", [0.4, 0.5, 0.7, 0.9, 0.97])
def test_part_of_a_jpeg_with_an_end_marker_is_refused(kind: str, part: float) -> None:
    data = jpegs()[kind]
    pixels = data.index(b"\xff\xda")
    cut = pixels + round(part * (len(data) - pixels))
    with pytest.raises(MediaError, match=r"ends early, after \d+ bytes"):
        decode(data[:cut] + b"\xff\xd9")


def test_extraneous_bytes_of_a_camera_are_no_damage() -> None:
    data = jpegs()["baseline"]
    assert np.array_equal(decode(data[:-2] + b"\0\0\xff\xd9").bgr, decode(data).bgr)


def test_a_truncated_png_is_an_error_at_every_length() -> None:
    data = encoded(corners(), ".png")
    for length in range(len(data)):
        with pytest.raises(MediaError):
            decode(data[:length])
    assert np.array_equal(decode(data + b"and what a camera adds behind").bgr, corners())


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
def test_other_formats_are_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match="neither JPEG nor PNG"):
        decode(data + bytes(100))


def test_a_huge_image_is_refused_before_it_is_decoded() -> None:
    header = struct.pack(">IIBBBBB", 65500, 65500, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")
    with pytest.raises(TooLarge, match="65500 x 65500 pixels exceed 65 million"):
        decode(data)
    jpeg = bytearray(encoded(corners(), ".jpg"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    with pytest.raises(TooLarge):
        decode(bytes(jpeg))
    assert MAX_PIXELS == 65_000_000


def test_a_png_with_a_side_that_libpng_refuses_is_refused() -> None:
    data = bytearray(encoded(corners(), ".png"))
    data[16:24] = struct.pack(">II", 2_000_000, 1)
    with pytest.raises(TooLarge, match="2000000 x 1 pixels; a side of a PNG may have 1 million"):
        decode(bytes(data))


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = saved(Image.fromarray(corners()), "JPEG", progressive=True)
    scan = data.index(b"\xff\xda")
    bomb = data[:scan] + data[scan:-2] * 300 + data[-2:]
    with pytest.raises(MediaError, match="may have 256 scans"):
        decode(bomb)


def test_a_large_jpeg_may_have_few_scans_only() -> None:
    data = saved(Image.new("L", (8000, 8000)), "JPEG", progressive=True)
    bomb = data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 240 + data[-2:]
    assert len(bomb) < 300_000
    with pytest.raises(MediaError, match="may have 10 scans"):
        decode(bomb)


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_with_too_few_bytes_for_its_size_is_refused(progressive: int) -> None:
    # No image is smaller than grey in optimal codes.
    options = [cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    options += [cv2.IMWRITE_JPEG_QUALITY, 1]
    data = cv2.imencode(".jpg", np.full((2000, 3000), 128, np.uint8), options)[1].tobytes()
    assert decode(data).width == 3000
    small = bytearray(cv2.imencode(".jpg", np.zeros((80, 80, 3), np.uint8), options)[1].tobytes())
    frame = max(small.find(b"\xff\xc0"), small.find(b"\xff\xc2"))
    small[frame + 5 : frame + 9] = struct.pack(">HH", 6999, 6999)
    with pytest.raises(MediaError, match=r"6999 x 6999 pixels needs more than .* bytes"):
        decode(bytes(small))


def test_deep_pixels_count_by_their_bytes() -> None:
    data = bytearray(encoded(corners(), ".png"))
    data[16:24] = struct.pack(">II", 6000, 6000)
    data[24:26] = bytes((16, 6))  # 16 bits, colour with transparency
    with pytest.raises(TooLarge, match="6000 x 6000 pixels of 8 bytes exceed 195 million"):
        decode(bytes(data))
    for end in range(8, 33):
        with pytest.raises(MediaError):
            decode(bytes(data[:end]))


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_bombs_in_other_chunks_of_a_png_are_not_unpacked(
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
def test_damaged_files_are_images_or_errors(
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


@pytest.mark.parametrize("length", [0, 3, 40, 700, -60, -2])
@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_damaged_file_does_not_wait_for_the_garbage_collector(ending: str, length: int) -> None:
    photograph = np.random.default_rng(3).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    data = encoded(photograph, ending)[:length]
    with none_left(Exception), suppress(MediaError):
        decode(data)


def test_a_jpeg_without_one_of_its_components_is_refused() -> None:
    """It is cut between two scans, and an end marker is added: the image would be green."""
    grey = cv2.imencode(".jpg", np.full((32, 48), 128, np.uint8))[1].tobytes()
    frame = grey.index(b"\xff\xc0")
    size = grey[frame + 5 : frame + 9]
    components = b"\3\1\x11\0\2\x11\0\3\x11\0"
    header = b"\xff\xc0\0\x11\x08" + size + components
    cut = grey[:frame] + header + grey[frame + 13 :]
    assert decode(grey).width == 48
    with pytest.raises(MediaError, match="the JPEG ends early"):
        decode(cut)


def test_an_arithmetic_jpeg_needs_its_end_marker() -> None:
    data = bytearray(encoded(corners(), ".jpg"))
    frame = data.index(b"\xff\xc0")
    assert decode(bytes(data[:-2])).width == corners().shape[1]
    data[frame + 1] = 0xC9  # what follows is arithmetic coding of something else
    assert decode(bytes(data)).width == corners().shape[1]
    with pytest.raises(MediaError, match="the JPEG ends early"):
        decode(bytes(data[:-2]))


def test_the_spectrum_of_a_sequential_jpegs_scan_says_nothing() -> None:
    data = bytearray(encoded(corners(), ".jpg"))
    scan = data.index(b"\xff\xda")
    place = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4]) - 3
    assert data[place : place + 3] == b"\0\x3f\0"
    whole, data[place] = decode(bytes(data)), 1
    assert (decode(bytes(data)).bgr == whole.bgr).all()


def png(kind: int, rows: bytes, *chunks: bytes, bits: int = 8) -> bytes:
    """Return a PNG of 8 x 8 pixels with `chunks` before the pixels."""
    header = struct.pack(">IIBBBBB", 8, 8, bits, kind, 0, 0, 0)
    parts = chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


GREY = 8 * (b"\0" + bytes(8))
COLOURS = chunk(b"PLTE", bytes(range(30)))
WRONG_PNG = {
    "checksum of the pixels": png(0, GREY).replace(b"IDATx", b"IDATX"),
    "bits": png(0, GREY, bits=3),
    "kind of pixels": png(5, GREY),
    "no palette": png(3, GREY),
    "broken palette": png(3, GREY, chunk(b"PLTE", bytes(4))),
    "no pixels": png(0, GREY).replace(b"IDAT", b"iDAT"),
}


@pytest.mark.parametrize("what", WRONG_PNG)
def test_a_wrong_png_is_one_error_and_nothing_on_stderr(
    what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MediaError, match="damaged"):
        decode(WRONG_PNG[what])
    assert capfd.readouterr().err == ""


IGNORED = {
    "second header": chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0)),
    "palette of grey": COLOURS,
    "transparency of another kind": chunk(b"tRNS", bytes(6)),
}


@pytest.mark.parametrize("what", IGNORED)
def test_what_does_not_belong_into_a_png_is_ignored(
    what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not decode(png(0, GREY, IGNORED[what])).bgr.any()
    assert capfd.readouterr().err == ""
