"""Built models compared with their cards."""

from collections.abc import Iterable, Iterator

import msgspec

from onlooker.models import self_test, session, weights
from onlooker.models.card import Figures, cards


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the comparison for one model."""

    name: str
    provider: str
    precision: str
    problems: tuple[str, ...]
    """Empty if the model is sound."""


def verify(names: Iterable[str] | None = None, provider: str = "auto") -> Iterator[Verdict]:
    """Run each model on its card's probe and compare; build missing models first.

    By default these are all models that are not optional, and the optional ones that are built.
    Each verdict is yielded as soon as it is known. Raises WeightsError.
    """
    # Imported here: onnx loads slowly.
    from onlooker.models.convert import graph_edits

    if names is None:
        built = [each for each in cards().values() if weights.built(each)]
        names = dict.fromkeys(each.name for each in [*weights.defaults(), *built])
    for name in names:
        model = session.load(name, provider)
        found = self_test.measure(model.outputs, model(self_test.batch(model.card)))
        tolerance = self_test.TOLERANCES[model.precision]
        problems = self_test.differences(model.card.probe, found, tolerance)
        if denormal := graph_edits.count_denormals(weights.path(name).read_bytes()):
            problems.append(f"{denormal} weights are denormal: inference is slow")
        yield Verdict(
            name=name,
            provider=model.provider,
            precision=model.precision,
            problems=tuple(problems),
        )


def measure(name: str) -> list[Figures]:
    """Return the figures of the built model on its card's probe, on the CPU in fp32."""
    model = session.load(name, "cpu")
    return self_test.measure(model.outputs, model(self_test.batch(model.card)))
