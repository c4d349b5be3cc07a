"""The scripts of an alphabet."""

import pytest

from onlooker.models.scripts import check, scripts_of

LATIN = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("alphabet", "scripts"),
    [
        (LATIN, ("latin",)),
        (LATIN + "".join(map(chr, range(0x410, 0x450))), ("cyrillic", "latin")),
        ("".join(map(chr, range(0x621, 0x64B))) + "0123456789", ("arabic",)),
        ("".join(map(chr, range(0x4E00, 0x4E80))) + LATIN + "αβγ", ("han", "latin")),
        ("".join(map(chr, [*range(0x3041, 0x3060), *range(0x30A1, 0x30C0)])), ("kana",)),
        ("".join(map(chr, range(0x5D0, 0x5EB))), ("hebrew",)),
        ("0123456789-.", ("other",)),
        ("", ("other",)),
    ],
)
def test_a_script_counts_with_twenty_letters(alphabet: str, scripts: tuple[str, ...]) -> None:
    assert scripts_of(alphabet) == scripts


def test_characters_of_several_code_points_count_by_their_first() -> None:
    assert scripts_of([each + "\u0301" for each in LATIN]) == ("latin",)


@pytest.mark.parametrize("name", ["latin", "han", "kana", "other", "gothic", "phags-pa"])
def test_names_of_scripts_are_known(name: str) -> None:
    check(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Latin", "did you mean latin"),
        ("hebreu", "did you mean hebrew"),
        ("qqq", "some are arab"),
    ],
)
def test_a_name_of_no_script_is_refused_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"no script is called '{name}'; {hint}"):
        check(name)
