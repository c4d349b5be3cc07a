"""Which models an analysis needs, and what it finds."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from msgspec.structs import replace

from onlooker.config.schema import Config, Faces, Match, Record, Runtime, Text
from onlooker.config.tracking import Tracks
from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.models import card as model_card
from onlooker.models import session, weights
from onlooker.models.batches import Batches
from onlooker.models.buffers import Buffers
from onlooker.models.card import Card, WeightsError
from onlooker.models.card import card as find_card
from onlooker.models.model import Model
from onlooker.types import Face
from onlooker.vision import analyser
from onlooker.vision.analyser import ALL, Analyser, Analysis, Detection, Wanted
from onlooker.vision.attributes import EVERYTHING
from onlooker.vision.unindexed_reasons import Reasons, everyone, passing

NO_TEXT = Text(enabled=False)


def test_only_the_models_that_are_asked_for_are_needed() -> None:
    assert analyser.cards(Config(faces=Faces(enabled=False), text=NO_TEXT)) == []
    alone = Tracks(enabled=False)
    unmeshed = Config(faces=Faces(mesh=False), text=NO_TEXT, tracks=alone)
    assert analyser.cards(unmeshed) == ["yunet"]
    meshed = ["yunet", "face_mesh_attention"]
    assert analyser.cards(Config(text=NO_TEXT, tracks=alone)) == meshed
    assert analyser.cards(Config(text=NO_TEXT)) == [*meshed, "mobilefacenet"]
    staff = Match(collection="staff")
    searched = Config(match=staff, text=NO_TEXT, tracks=alone)
    assert analyser.cards(searched) == [*meshed, "mobilefacenet"]
    careful = Faces(mesh=False, detection="thorough", embedder="mobilefacenet+dlib_resnet")
    assert analyser.cards(Config(faces=careful, match=staff, text=NO_TEXT)) == [
        *("yunet", "centerface", "mobilefacenet", "dlib_resnet")
    ]
    described = Config(faces=Faces(attributes=("SMILE",)), text=NO_TEXT, tracks=alone)
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
        (
            Config(text=Text(readers=("yunet",))),
            r"\[text\] readers: yunet cannot be used for lines",
        ),
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
    config = Config(text=NO_TEXT, tracks=Tracks(enabled=False))
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
    config = Config(text=NO_TEXT, tracks=Tracks(enabled=False))
    before = analyser.weights_digest(config)
    assert analyser.weights_digest(replace(config, record=Record(region="eu-west-1"))) == before
    assert analyser.weights_digest(replace(config, text=Text())) != before
    assert analyser.weights_digest(replace(config, match=Match(collection="staff"))) != before
    assert analyser.weights_digest(replace(config, tracks=Tracks())) != before


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


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models that are loaded, in order."""
    names: list[str] = []
    load = session.load

    def noted(name: str, provider: str = "auto") -> Model:
        names.append(name)
        return load(name, "cpu")

    monkeypatch.setattr(session, "load", noted)
    return names


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (Config(), ALL),
        (Config(faces=Faces(mesh=False, detection="thorough")), Wanted(select=everyone)),
        (Config(), Wanted(text=False)),
        (Config(faces=Faces(mesh=False)), Wanted(text=False, attributes=EVERYTHING)),
        (Config(), Wanted(faces=False)),
    ],
)
def test_the_cards_are_those_of_the_models_that_run(
    config: Config, wanted: Wanted, loaded: list[str]
) -> None:
    Analyser(config).warm_up(wanted)
    assert len(loaded) == len(set(loaded))
    assert set(loaded) == set(analyser.cards(config, wanted))


def test_each_half_loads_its_own_models_when_they_are_needed(loaded: list[str]) -> None:
    one = Analyser(Config())
    assert loaded == []
    wanted = Wanted(select=everyone)
    one.prepare_detection(wanted)
    assert loaded == ["yunet", "ppocrv6_det_small"]
    blank = Still(np.zeros((100, 100, 3), np.uint8))
    assert one.recognise([blank], [Detection()], [wanted]) == [Analysis()]
    assert len(loaded) == 2
    one.prepare_recognition(wanted)
    assert loaded[2:] == ["face_mesh_attention", "mobilefacenet", "ppocrv6_rec_small"]


@pytest.fixture(scope="module")
def images() -> list[Still]:
    """The astronaut beside her mirror image, a page, nothing, and the astronaut in two sizes."""
    folder = Path(skimage.data.__file__).parent
    astronaut, page = image.read(folder / "astronaut.png"), image.read(folder / "page.png")
    smaller = cv2.resize(astronaut.bgr, (400, 400), interpolation=cv2.INTER_AREA)
    pair = np.hstack([astronaut.bgr, astronaut.bgr[:, ::-1]])
    blank = np.full((120, 200, 3), 127, np.uint8)
    return [Still(pair), page, Still(blank), Still(np.asarray(smaller, np.uint8)), astronaut]


def same(one: Analysis, other: Analysis) -> None:
    """Assert that two analyses are equal to the last bit."""
    assert one.lines == other.lines
    assert one.faces_found == other.faces_found
    assert len(one.faces) == len(other.faces)
    for a, b in zip(one.faces, other.faces, strict=True):
        assert a.face == b.face
        assert a.reasons == b.reasons
        assert (a.mesh is None) == (b.mesh is None)
        if a.mesh is not None and b.mesh is not None:
            np.testing.assert_array_equal(a.mesh.points, b.mesh.points)
        assert (a.vector is None) == (b.vector is None)
        if a.vector is not None:
            np.testing.assert_array_equal(a.vector, b.vector)


@pytest.mark.parametrize("detection", ["balanced", "thorough"])
def test_several_images_together_are_analysed_as_each_alone(
    detection: str, images: list[Still]
) -> None:
    config = Config()
    if detection == "thorough":
        config = config.with_thorough_detection()
    everything = Wanted(attributes=EVERYTHING, select=passing("AUTO"))
    wanted = [everything, everything, everything, Wanted(max_faces=1), Wanted(text=False)]
    together = Analyser(config)(images, wanted)
    assert [len(each.faces) for each in together] == [2, 0, 0, 1, 1]
    assert len(together[1].lines) >= 6
    # Alone, and by two halves as in two processes.
    first, second = Analyser(config), Analyser(config)
    for picture, want, found in zip(images, wanted, together, strict=True):
        [alone] = second.recognise([picture], first.detect([picture], [want]), [want])
        same(found, alone)


@pytest.fixture
def in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models in batches, as on a card, that the processor runs."""

    def load(name: str, provider: str = "auto") -> Model:
        found = find_card(name)
        width, height = found.probe.size

        def make(n: int, height: int, width: int) -> Any:
            path = weights.path(name)
            return session._session(found, path, "cpu", "fp32", n=n, height=height, width=width)

        runner = Batches(make, Buffers(), (height, width), sizes=(1, 4))
        monkeypatch.setattr(runner, "prepare", lambda *_: None)
        return Model(found, "cpu", "fp32", runner)

    monkeypatch.setattr(session, "load", load)


def nearly_same(one: Analysis, other: Analysis) -> None:
    assert len(one.faces) == len(other.faces) == one.faces_found
    assert [line.text for line in one.lines] == [line.text for line in other.lines]
    for a, b in zip(one.faces, other.faces, strict=True):
        assert a.face.box == pytest.approx(b.face.box, abs=0.05)
        assert a.face.landmarks == pytest.approx(np.array(b.face.landmarks), abs=0.05)
        assert a.vector is not None
        assert b.vector is not None
        assert a.vector @ b.vector > 0.9999


@pytest.mark.usefixtures("in_batches")
def test_batches_give_what_each_image_gives_alone_also_to_threads_that_share_them(
    images: list[Still], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [Wanted(mesh=True, select=everyone)] * len(images)
    shared = Analyser(Config())
    with ThreadPoolExecutor(3) as pool:
        orders = [images, images[::-1], images[2:] + images[:2]]
        by_thread = list(pool.map(lambda order: shared(order, wanted), orders))
    monkeypatch.undo()
    single = Analyser(Config(runtime=Runtime(provider="cpu")))
    alone = {id(picture): single([picture], wanted[:1])[0] for picture in images}
    assert [len(each.faces) for each in by_thread[0]] == [2, 0, 0, 1, 1]
    for order, found in zip(orders, by_thread, strict=True):
        for picture, analysis in zip(order, found, strict=True):
            nearly_same(analysis, alone[id(picture)])


def test_only_what_is_wanted_is_found_out(images: list[Still]) -> None:
    pair = images[0]
    one = Analyser(Config(text=NO_TEXT))
    [nothing] = one([pair], [Wanted(faces=False, text=False)])
    assert nothing == Analysis()
    [plain] = one([pair], [Wanted(text=False)])
    assert [face.face.attributes for face in plain.faces] == [None, None]
    with pytest.raises(ValueError, match="was not embedded"):
        _ = plain.faces[0].row
    some = frozenset({"smile"})
    [largest] = one([pair], [Wanted(text=False, max_faces=1, attributes=some, select=everyone)])
    assert largest.faces_found == 2
    [face] = largest.faces
    assert face.row.shape == (1, 192)
    assert face.face.attributes is not None
    assert face.face.attributes.smile is not None
    assert face.face.attributes.age is None


def test_faces_that_are_not_selected_have_reasons_and_no_vector(images: list[Still]) -> None:
    def second(faces: Sequence[Face], smallest: float) -> list[Reasons]:
        assert smallest == 32
        return [("LOW_SHARPNESS",), *[()] * (len(faces) - 1)]

    [found] = Analyser(Config())([images[0]], [Wanted(text=False, select=second)])
    assert [face.reasons for face in found.faces] == [("LOW_SHARPNESS",), ()]
    assert [face.vector is None for face in found.faces] == [True, False]
    with pytest.raises(ValueError, match="was not embedded: LOW_SHARPNESS"):
        _ = found.faces[0].row


def test_without_the_mesh_vectors_are_the_same_whether_or_not_one_is_wanted(
    images: list[Still],
) -> None:
    """The API fits meshes for its answers; its vectors are compared with those of enrolment."""
    one = Analyser(Config(faces=Faces(mesh=False)))
    plain, meshed = (
        Wanted(text=False, select=everyone),
        Wanted(text=False, mesh=True, select=everyone),
    )
    [enrolled], [searched] = one([images[4]], [plain]), one([images[4]], [meshed])
    assert enrolled.faces[0].mesh is None
    assert searched.faces[0].mesh is not None
    assert enrolled.faces[0].face.points != searched.faces[0].face.points
    np.testing.assert_array_equal(enrolled.faces[0].row, searched.faces[0].row)
