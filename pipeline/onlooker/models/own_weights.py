"""Reading of our own weights, which lie beside the cards."""

import hashlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.models.card import CARDS, OwnWeights, WeightsError


def read(own: OwnWeights) -> dict[str, NDArray[Any]]:
    """Return the arrays of the file. Raises WeightsError if it has another sha256 than the card."""
    data = (CARDS / own.file).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != own.sha256:
        raise WeightsError(
            f"{own.file} has sha256 {found}, but the card has {own.sha256}; "
            "reinstall onlooker, or correct the card if you trained it"
        )
    with np.load(io.BytesIO(data)) as file:
        return dict(file)
