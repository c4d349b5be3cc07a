"""A store with collections, faces, users and tags."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from onlooker.identity.faces import NewFace
from onlooker.identity.store import Store

Place = tuple[Path, str | None]
"""Path and URL of a store, of which the URL is that of a database of PostgreSQL."""


def new(seed: int, name: str | None = None) -> NewFace:
    """Return a face with a random vector, the same for the same seed, each of its own image."""
    vector = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    return NewFace(
        picture=b"%d" % seed,
        external_image_id=name,
        box=(-0.1, 0.2, 0.3, 0.4),
        confidence=99.5,
        vector=vector / np.linalg.norm(vector),
    )


def face(
    seed: int = 0,
    name: str | None = None,
    picture: bytes = b"picture",
    box: tuple[float, float, float, float] = (0.1, 0.2, 0.3, 0.4),
) -> NewFace:
    """Return a face with a random vector, the same for the same seed, of one image."""
    vector = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return NewFace(picture=picture, external_image_id=name, box=box, confidence=99.5, vector=vector)


def filled(path: Path, url: str | None = None) -> Iterator[Store]:
    """Open a store at `path`, or at `url`, with two collections, one of them empty."""
    with Store(path, url) as opened:
        opened.make_collection("staff", "m", {"team": "red"}, "exact")
        faces = opened.add("staff", [new(seed, f"face{seed % 7}") for seed in range(50)])
        opened.add("staff", [new(100)])
        opened.delete_faces("staff", [faces[3].face_id])
        for user_id in ("ann", "bob", "nobody"):
            opened.create_user("staff", user_id)
        alike = lambda face, user: 100.0  # noqa: E731
        opened.associate_alike("staff", "ann", [faces[0].face_id, faces[7].face_id], alike)
        opened.associate_alike("staff", "bob", [faces[1].face_id], alike)
        opened.make_collection("guests", "m")
        yield opened


def everything(store: Store, name: str) -> dict[str, Any]:
    collection = store.collection(name)
    faces = store.faces(name).faces
    return {
        "collection": msgspec.structs.replace(collection, name=""),
        "tags": store.tags(name),
        "faces": faces,
        "vectors": store.vectors(name, [face.face_id for face in faces]).tolist(),
        "users": store.users(name).users,
        "ann": store.user_vector(name, "ann").tolist(),  # type: ignore[union-attr]
    }
