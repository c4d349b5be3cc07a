"""Built models compared with their cards."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from onlooker.models import fitness, precision, self_test, session, weights
from onlooker.models.card import Card, Figures, WeightsError, cards
from onlooker.models.card import card as find_card
from onlooker.models.model import Model, Outputs

MAX_CAUSE = 200
"""Characters of ONNX Runtime's error that are shown."""


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
    Each verdict is yielded as soon as it is known. Raises WeightsError if there is no such model,
    or if the provider cannot be used.
    """
    if names is None:
        built = [each for each in cards().values() if weights.built(each)]
        names = dict.fromkeys(each.name for each in [*weights.defaults(), *built])
    for name in names:
        chosen = session.choose(find_card(name), provider)
        try:
            yield _verdict(name, provider)
        except session.ProviderError:
            raise
        except WeightsError as error:
            yield Verdict(name=name, provider=chosen, precision="", problems=(str(error),))


def _verdict(name: str, provider: str) -> Verdict:
    """Return the result for one model. Raises WeightsError if it cannot be run."""
    # Imported here: onnx loads slowly.
    from onlooker.models.convert import graph_edits

    model = session.load(name, provider)
    card = model.card
    if model.precision == "fp32":
        problems = _differences(card, model.outputs, _outputs(model))
    else:
        exact, rounded = _outputs(session.load(name, "cpu")), _outputs(model)
        problems = _differences(card, model.outputs, exact)
        problems += precision.compare(card, model.outputs, exact, rounded).differences
    if denormal := graph_edits.count_denormals(weights.path(name).read_bytes()):
        problems.append(f"{denormal} weights are denormal: inference is slow")
    return Verdict(
        name=name,
        provider=model.provider,
        precision=model.precision,
        problems=tuple(problems),
    )


def measure(name: str) -> list[Figures]:
    """Return the figures of the built model on its card's probe, on the CPU in fp32.

    Raises WeightsError.
    """
    model = session.load(name, "cpu")
    return self_test.measure(model.outputs, _outputs(model))


def _differences(card: Card, names: Sequence[str], outputs: Outputs) -> list[str]:
    """Return, in words, the differences of outputs in fp32, called `names`, from the card."""
    figures = self_test.measure(names, outputs)
    return self_test.differences(card.probe, figures, self_test.TOLERANCE)


def _outputs(model: Model) -> Outputs:
    """Return the outputs of a model for its card's probe.

    Raises WeightsError if it fails there, or if the card cannot decode the outputs.
    """
    try:
        outputs = model(self_test.batch(model.card))
    except Exception as error:  # ONNX Runtime's, of many classes
        cause = " ".join(str(error).split())[:MAX_CAUSE]
        width, height = model.card.probe.size
        raise WeightsError(
            f"{model.name}: it fails on its probe, an image of {width} x {height} pixels; are "
            f"shape, multiple and layout of its card this model's? ({cause})"
        ) from error
    # The file may leave sizes open that are known now.
    shapes = {name: each.shape for name, each in zip(model.outputs, outputs, strict=True)}
    fitness.check(model.card, shapes, model.metadata)
    return outputs
