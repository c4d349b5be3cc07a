"""A recogniser's characters, and the share of a line's ink that it has read."""

import numpy as np
import pytest
from tests.support.made_lines import ENGLISH, RUSSIAN, crop_of

from onlooker.vision.text_readers import score
from onlooker.vision.text_recogniser import TextRecogniser, share_read


@pytest.fixture(scope="module")
def latin() -> TextRecogniser:
    return TextRecogniser("ppocrv6_rec_small", "cpu")


def test_characters_and_their_places(latin: TextRecogniser) -> None:
    crops = [crop_of(text).tobytes() for text in ENGLISH]
    for text, found in zip(ENGLISH, latin(crops), strict=True):
        assert "".join(each.text for each in found).strip() == text
        centres = [each.centre for each in found]
        assert centres == sorted(centres)
        assert 0 < centres[0] < centres[-1] < 1
        assert score(found) > 0.95


def test_without_the_language_model_every_character_stands_for_itself(
    latin: TextRecogniser,
) -> None:
    """Of a word whose fourth letter is half hidden, only the model of letters makes one."""
    crop = crop_of("ESPRESSO").copy()
    crop[:24, 118:136] = crop[0, 0]
    [[weighed], [alone]] = (
        list(each([crop.tobytes()]))
        for each in (latin, TextRecogniser("ppocrv6_rec_small", "cpu", language_model=False))
    )
    assert "".join(each.text for each in weighed) == "ESPRESSO"
    assert "".join(each.text for each in alone) != "ESPRESSO"
    assert score(weighed) < 0.95


def test_lines_in_a_script_that_it_does_not_know_score_low(latin: TextRecogniser) -> None:
    """It is sure of the digits and signs that it finds in them: nearly all of the ink is unread."""
    crops = [crop_of(text).tobytes() for text in RUSSIAN]
    assert [score(found) < 0.5 for found in latin(crops)] == [True] * len(RUSSIAN)


def test_ink_far_from_all_characters_is_unread() -> None:
    crop = np.full((48, 480, 3), 230, np.uint8)
    crop[10:40, 20:460:8] = 20
    everywhere = [n / 20 for n in range(1, 20)]
    assert share_read(crop, everywhere) == 1
    assert share_read(crop, [0.25]) == pytest.approx(72 / 440, abs=0.03)
    assert share_read(crop, everywhere[:10]) == pytest.approx(0.5 + 36 / 440, abs=0.05)


def test_a_gap_without_ink_is_no_unread_text() -> None:
    crop = np.full((48, 480, 3), 230, np.uint8)
    crop[10:40, 10:90:6] = 20
    crop[10:40, 390:470:6] = 20
    assert share_read(crop, [0.05, 0.1, 0.15, 0.85, 0.9, 0.95]) == 1
    assert share_read(np.full((48, 480, 3), 230, np.uint8), [0.5]) == 1
    assert share_read(crop, []) == 1
