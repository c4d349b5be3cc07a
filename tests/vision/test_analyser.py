"""Which models an analysis needs, and what it finds."""

import pytest
from msgspec.structs import replace

from onlooker.config.schema import Config, Faces, Match, Record, Text
from onlooker.models import card as model_card
from onlooker.models.card import Card, WeightsError
from onlooker.vision import analyser

NO_TEXT = Text(enabled=False)


def test_only_the_models_that_are_asked_for_are_needed() -> None:
    assert analyser.cards(Config(faces=Faces(enabled=False), text=NO_TEXT)) == []
    assert analyser.cards(Config(faces=Faces(mesh=False), text=NO_TEXT)) == ["yunet"]
    meshed = ["yunet", "face_mesh_attention"]
    assert analyser.cards(Config(text=NO_TEXT)) == meshed
    staff = Match(collection="staff")
    assert analyser.cards(Config(match=staff, text=NO_TEXT)) == [*meshed, "mobilefacenet"]
    careful = Faces(mesh=False, detection="thorough", embedder="mobilefacenet+dlib_resnet")
    assert analyser.cards(Config(faces=careful, match=staff, text=NO_TEXT)) == [
        *("yunet", "centerface", "mobilefacenet", "dlib_resnet")
    ]
    described = Config(faces=Faces(attributes=("SMILE",)), text=NO_TEXT)
    attributes = ["face_expression", "faceres", "age", "gender"]
    assert analyser.cards(described) == [*meshed, *attributes]
    assert analyser.cards(Config())[-2:] == ["ppocrv6_det_small", "ppocrv6_rec_small"]


def test_all_that_can_be_wanted_needs_the_mesh_even_if_it_is_off() -> None:
    names = analyser.cards(Config(faces=Faces(mesh=False, enabled=False)), analyser.ALL)
    assert names == [
        *("yunet", "face_mesh_attention", "face_expression", "faceres", "age", "gender"),
        *("mobilefacenet", "ppocrv6_det_small", "ppocrv6_rec_small"),
    ]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Config(text=Text(detector="yunet")), r"\[text\] detector: yunet cannot be used for text"),
        (Config(text=Text(reader="yunet")), r"\[text\] reader: yunet cannot be used for lines"),
        (Config(faces=Faces(embedder="yunet")), r"\[faces\] embedder: yunet is no face embedder"),
        (Config(faces=Faces(embedder="nobody")), r"\[faces\] embedder: no model is called"),
    ],
)
def test_a_model_that_cannot_do_its_task_is_refused(config: Config, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        analyser.cards(config)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> dict[str, Card]:
    """The cards by name, which a test may change."""
    known = dict(model_card.cards())
    monkeypatch.setattr(model_card, "cards", lambda: known)
    analyser._weights_digest.cache_clear()
    return known


def test_the_weights_digest_changes_with_the_weights_that_are_used(cards: dict[str, Card]) -> None:
    config = Config(text=NO_TEXT)
    before = analyser.weights_digest(config)
    assert len(before) == 64

    def after(name: str) -> str:
        [first, *others] = cards[name].members
        changed = replace(first, sha256="0" * 64)
        old, cards[name] = cards[name], replace(cards[name], members=(changed, *others))
        analyser._weights_digest.cache_clear()
        found = analyser.weights_digest(config)
        cards[name] = old
        analyser._weights_digest.cache_clear()
        return found

    assert after("yunet") != before
    assert after("face_mesh_attention") not in (before, after("yunet"))
    assert after("ppocrv6_rec_small") == before
    assert after("mobilefacenet") == before


def test_the_weights_digest_depends_on_nothing_but_the_models(cards: dict[str, Card]) -> None:
    config = Config(text=NO_TEXT)
    before = analyser.weights_digest(config)
    assert analyser.weights_digest(replace(config, record=Record(region="eu-west-1"))) == before
    assert analyser.weights_digest(replace(config, text=Text())) != before
    assert analyser.weights_digest(replace(config, match=Match(collection="staff"))) != before


def test_a_new_calibration_changes_the_weights_digest(cards: dict[str, Card]) -> None:
    config = Config(match=Match(collection="staff"), text=NO_TEXT)
    before = analyser.weights_digest(config)
    embedder = cards["mobilefacenet"].embedder
    assert embedder is not None
    calibration = replace(embedder.calibration, midpoint=0.0)
    cards["mobilefacenet"] = replace(
        cards["mobilefacenet"], embedder=replace(embedder, calibration=calibration)
    )
    analyser._weights_digest.cache_clear()
    assert analyser.weights_digest(config) != before
