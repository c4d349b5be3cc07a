"""The facts about a machine on which the results of detect and recognise depend.

Machines that work for one run must agree in them, so that a frame's record is the same whichever
machine has analysed it.
"""

from collections.abc import Mapping
from importlib.metadata import version

from onlooker.config.schema import Config

MAX_NAMED = 3
"""Differences that an error names."""


def program_version() -> str:
    """Return the version of this program."""
    return version("onlooker")


def facts(config: Config) -> dict[str, str]:
    """Return the facts for all that streams with this configuration may want, by their subject.

    They are the models' digests, the providers that run them, and the versions of the libraries
    that compute. Raises WeightsError if a model is unknown or cannot run here.
    """
    import cv2
    import numpy as np
    import onnxruntime

    from onlooker.models import session
    from onlooker.models.card import card
    from onlooker.vision import analyser

    found = {
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
    for name in dict.fromkeys(analyser.cards(config, analyser.ALL)):
        one = card(name)
        found[f"model {name}"] = one.digest
        found[f"provider of {name}"] = session.choose(one, config.runtime.provider)
    return found


def difference(hub: Mapping[str, str], here: Mapping[str, str]) -> str | None:
    """Return how this machine differs from the hub's and what to do; None if it does not."""
    differing = [
        f"{subject}: {here.get(subject, 'missing')} here, {hub.get(subject, 'missing')} there"
        for subject in dict.fromkeys((*hub, *here))
        if hub.get(subject) != here.get(subject)
    ]
    if not differing:
        return None
    named = "; ".join(differing[:MAX_NAMED])
    more = f"; and {len(differing) - MAX_NAMED} more" if len(differing) > MAX_NAMED else ""
    return (
        f"results would differ from the hub's machine ({named}{more}); install the same release of "
        "onlooker with the same extra and the same versions of these libraries on both"
    )
