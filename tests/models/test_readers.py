"""Recognisers by the names of their cards and by scripts."""

import pytest

from onlooker.config.schema import Text
from onlooker.models import readers
from onlooker.models.card import WeightsError, card


def names(*wanted: str) -> list[str]:
    return [each.name for each in readers.recognisers(Text(readers=wanted))]


def test_a_reader_is_named_by_its_card_or_by_a_script() -> None:
    assert names("latin") == ["ppocrv6_rec_small"]
    assert names("ppocrv6_rec_small_all") == ["ppocrv6_rec_small_all"]
    assert names("latin", "cyrillic", "arabic") == [
        "ppocrv6_rec_small",
        "tesseract_rus",
        "tesseract_ara",
    ]
    assert names("latin", "greek", "ppocrv6_rec_small") == ["ppocrv6_rec_small"]


def test_the_models_and_the_scripts_of_some_settings() -> None:
    settings = Text(readers=("latin", "cyrillic"))
    assert readers.scripts(settings) == ["latin", "greek", "cyrillic"]
    assert readers.model_version(settings) == "ppocrv6_det_small+ppocrv6_rec_small+tesseract_rus"
    assert readers.model_version(Text()) == "ppocrv6_det_small+ppocrv6_rec_small"


def test_the_usual_name_is_a_script_if_that_stands_for_the_card() -> None:
    assert [readers.usual_name(card(name)) for name in ("tesseract_rus", "ppocrv6_rec_small")] == [
        "cyrillic",
        "latin",
    ]
    assert readers.usual_name(card("ppocrv6_rec_small_all")) == "han"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("yunet", r"readers: yunet cannot be used for lines; it"),
        ("thai", r"no model reads thai; those that are here read arabic, cyrillic, .*add-language"),
        ("ppocrv6_rec_smal", "no model is called 'ppocrv6_rec_smal'; did you mean"),
    ],
)
def test_what_reads_no_lines_is_refused(name: str, said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        names("latin", name)
