"""Our own weights are those that the card means."""

import pytest

from onlooker.models import own_weights
from onlooker.models.card import CARDS, Characters, OwnWeights, WeightsError, card, cards


def test_every_file_of_ours_is_named_by_a_card_and_read() -> None:
    decode = card("ppocrv6_rec_small").decode
    assert isinstance(decode, Characters)
    assert decode.letters is not None
    assert set(own_weights.read(decode.letters)) >= {"alphabet", "cost", "next"}
    texts = [(CARDS / f"{name}.toml").read_text(encoding="utf-8") for name in cards()]
    for file in CARDS.glob("*.npz"):
        assert any(f'file = "{file.name}"' in text for text in texts), file.name


def test_another_file_is_refused() -> None:
    other = OwnWeights(file="letters.npz", sha256="0" * 64)
    with pytest.raises(WeightsError, match=r"letters.npz has sha256 .* but the card has 0000"):
        own_weights.read(other)
