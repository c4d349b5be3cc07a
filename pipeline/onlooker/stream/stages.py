"""The table of stages: the whole pipeline on one screen."""

from onlooker.config.schema import Config
from onlooker.models.card import Characters, ProbabilityMap, WeightsError
from onlooker.stream.stage import Stage
from onlooker.stream.steps import detect, recognise, record

STAGES = (
    Stage("detect", detect),
    Stage("recognise", recognise),
    Stage("record", record, workers=1, ordered=True, batch=64),
)


def needed_models(config: Config) -> list[str]:
    """The cards of the models that the steps will load.

    Raises WeightsError for a model that is not there, or cannot do what the configuration has it
    do.
    """
    from onlooker.models.card import card, space

    detector, reader = card(config.text.detector), card(config.text.reader)
    for model, place, can, what in (
        (detector, "detector", isinstance(detector.decode, ProbabilityMap), "text"),
        (reader, "reader", isinstance(reader.decode, Characters), "lines"),
    ):
        if not can:
            raise WeightsError(
                f"[text] {place}: {model.name} cannot be used for {what}; it {model.task}"
            )
    try:
        embedders = space(config.faces.embedder).name.split("+")
    except WeightsError as error:
        raise WeightsError(f"[faces] embedder: {error}") from error
    names = ["yunet"] if config.faces.enabled else []
    if config.faces.enabled and config.faces.detection == "thorough":
        names.append("centerface")
    if config.faces.enabled and config.faces.mesh:
        names.append("face_mesh_attention")
    if config.faces.enabled and config.faces.attributes:
        names += ["face_expression", "faceres", "age", "gender"]
    if config.faces.enabled and config.match.collection is not None:
        names += embedders
    if config.text.enabled:
        names += [config.text.detector, config.text.reader]
    return names
