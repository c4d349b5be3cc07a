"""Vectors of people, and indexes that search them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onlooker.identity.faces import Kind, Method, Metric, NewFace, Vectors
from onlooker.identity.search import index_builder
from onlooker.identity.search.index import FaceIndex, Found
from onlooker.identity.store import Store
from onlooker.models.card import Calibration, Space
from onlooker.types import StoredFace

DIM = 64
SPACE = Space(
    name="m",
    dim=64,
    smallest=40.0,
    calibration=Calibration(metric="cosine", slope=21.69, midpoint=0.4821),
)
"""The vector space of `people`."""


def unit(vectors: NDArray[np.floating]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def people(seed: int, count: int, images: int = 8, cosine: float = 0.6) -> Vectors:
    """Return vectors of images of `count` people; two of one person have about this cosine."""
    chance = np.random.default_rng(seed)
    centres = unit(chance.standard_normal((count, DIM)))
    spread = np.sqrt((1 / cosine - 1) / DIM)
    noise = spread * chance.standard_normal((count * images, DIM))
    return unit(np.repeat(centres, images, axis=0) + noise)


def new(vector: Vectors) -> NewFace:
    return NewFace(
        picture=b"", external_image_id=None, box=(0, 0, 1, 1), confidence=99, vector=vector
    )


def ids(results: list[Found[StoredFace]]) -> list[str]:
    return [hit.entry.face_id for hit in results]


IMAGES = people(11, 500, images=9).reshape(500, 9, DIM)
VECTORS = IMAGES[:, :8].reshape(4000, DIM)
QUERIES = IMAGES[::5, 8]


class InThisProcess:
    """A builder without a process."""

    def __init__(
        self,
        path: Path,
        collection: str,
        model: str,
        metric: Metric,
        kind: Kind,
        url: str | None = None,
    ) -> None:
        self.place = path, url
        self.key = collection, model, metric, kind

    def run(self) -> None:
        with Store(*self.place) as opened:
            index_builder.build(opened, *self.key)

    def stop(self) -> None: ...


def files(store: Store, ending: str) -> list[Path]:
    return sorted(store.index_folder.glob(f"*{ending}"))


def by(store: Store, method: Method) -> FaceIndex:
    """Return an index that searches by `method`, with an up-to-date file."""
    store.set_method("staff", method)
    index = FaceIndex(store, "staff", "m")
    index.wait()
    return index


def is_mapped(index: FaceIndex) -> bool:
    return index.replica.is_mapped


def recall(truth: list[list[Found[StoredFace]]], found: list[list[Found[StoredFace]]]) -> float:
    shares = [len({*ids(a)} & {*ids(b)}) / len(a) for a, b in zip(truth, found, strict=True) if a]
    return float(np.mean(shares))
