import numpy as np

from onlooker.models import self_test
from onlooker.models.card import Figures, Probe, card


def figures(**changes: object) -> Figures:
    output = np.array([[1.0, 2.0, 3.0, 6.0, 8.0]], np.float32)
    (found,) = self_test.measure(["y"], [output])
    return Figures(
        **{**{name: getattr(found, name) for name in found.__struct_fields__}, **changes}
    )


def promised(*expect: Figures) -> Probe:
    return Probe(picture="blocks", size=(8, 8), expect=expect)


def test_figures_by_hand() -> None:
    assert figures() == Figures(
        output="y", shape=(1, 5), mean=4.0, deviation=2.60768, first=(1.0, 2.0, 3.0, 6.0)
    )


def test_blocks_are_the_hash_of_their_number() -> None:
    blocks = self_test.blocks(20, 10)
    assert blocks.shape == (10, 20, 3)
    # Row 1 of 3 columns, column 2, channel 1: the number is 1 + 1 + 3 * 2 + 3 * 3 * 1 = 17.
    assert blocks[9, 19, 1] == (2654435761 * 17) % 2**32 >> 24
    assert (blocks[:8, :8] == blocks[0, 0]).all()


def test_digits_are_dark_on_light() -> None:
    digits = self_test.digits(64, 48)
    # The first is a 3: its upper left segment is off, its upper right one on.
    assert (digits[11 + 5, 12] == self_test.PAPER).all()
    assert (digits[11 + 5, 12 + 13] == self_test.INK).all()


def test_words_are_dark_on_light() -> None:
    words = self_test.words(320, 48)
    assert set(self_test.WORDS) == {*self_test.LETTERS, " "}
    # The first is a C: its left edge has dots from the second row on, its top right corner none.
    assert (words[10 + 4, 16] == self_test.INK).all()
    assert (words[10, 16 + 16] == self_test.PAPER).all()
    assert (words[:, 16 + 5 * 24 : 16 + 6 * 24] == self_test.PAPER).all()
    # An M is 8 rows of pixels lower dark in its middle.
    assert (words[10 + 8, 16 + 2 * 24 + 8] == self_test.INK).all()


def test_the_batch_is_bgr_whatever_the_network_takes() -> None:
    detector = self_test.batch(card("yunet"))
    mesh = self_test.batch(card("face_mesh_attention"))
    assert (card("yunet").colour, card("face_mesh_attention").colour) == ("BGR", "RGB")
    assert detector.shape == (1, 192, 320, 3)
    assert mesh.shape == (1, 192, 192, 3)
    first = self_test.blocks(8, 8)[0, 0]
    np.testing.assert_array_equal(detector[0, 0, 0], first)
    np.testing.assert_array_equal(mesh[0, 0, 0], first[::-1])


def test_differences_are_described() -> None:
    assert self_test.differences(promised(figures()), [figures()], 1e-3) == []
    assert self_test.differences(promised(figures()), [figures(mean=4.001)], 1e-3) == []
    assert self_test.differences(promised(figures()), [figures(mean=4.1)], 1e-3) == [
        "mean of y is 4.1, not 4"
    ]
    assert self_test.differences(promised(figures()), [figures(mean=float("nan"))], 1e-3) == [
        "mean of y is nan, not 4"
    ]
    assert self_test.differences(
        promised(figures()), [figures(first=(1.0, 2.0, 3.0, 9.0))], 1e-3
    ) == ["value 3 of y is 9, not 6"]
    assert self_test.differences(promised(figures()), [figures(shape=(5, 1))], 1e-3) == [
        "y has shape (5, 1), not (1, 5)"
    ]
    assert self_test.differences(promised(figures()), [figures(output="z")], 1e-3) == [
        "no output is called y"
    ]
    assert self_test.differences(promised(), [figures()], 1e-3)


def test_cosine() -> None:
    a = np.array([3.0, 4.0], np.float32)
    assert self_test.cosine(a, 2 * a) == 1.0
    assert self_test.cosine(a, np.array([-4, 3])) == 0.0
    assert self_test.cosine(a, np.array([np.nan, 1])) == 0.0
    assert self_test.cosine(0 * a, a) == 0.0
