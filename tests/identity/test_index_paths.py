"""Search files of a collection: found by name, removed without touching others."""

from pathlib import Path

from onlooker.identity import index_paths


def test_each_collection_model_and_kind_has_its_own_files(tmp_path: Path) -> None:
    names = {
        index_paths.base_path(tmp_path, "staff", "m", "faces"),
        index_paths.base_path(tmp_path, "staff", "m", "users"),
        index_paths.base_path(tmp_path, "staff", "other", "faces"),
        index_paths.base_path(tmp_path, "guests", "m", "faces"),
    }
    assert len(names) == 4
    assert {each.parent for each in names} == {tmp_path}


def test_only_unused_files_of_the_collection_are_removed(tmp_path: Path) -> None:
    base = index_paths.base_path(tmp_path, "staff", "m", "faces")
    other = index_paths.base_path(tmp_path, "guests", "m", "faces")
    used, old = f"{base.name}-2.vectors", f"{base.name}-1.vectors"
    for name in (used, old, f"{base.name}-1.ann", f".{base.name}.part", f"{other.name}-1.vectors"):
        (base.parent / name).touch()
    base.with_suffix(".manifest").touch()
    index_paths.remove_unused(base, {used})
    kept = {used, f"{base.name}.manifest", f"{other.name}-1.vectors"}
    assert {each.name for each in base.parent.iterdir()} == kept
    index_paths.remove(base)
    assert [each.name for each in base.parent.iterdir()] == [f"{other.name}-1.vectors"]


def test_files_of_collections_that_are_gone(tmp_path: Path) -> None:
    kept = index_paths.base_path(tmp_path, "staff", "m", "users").name
    gone = index_paths.base_path(tmp_path, "guests", "m", "faces").name
    for name in (kept, gone):
        for file in (f"{name}-1.vectors", f"{name}.manifest", f"{name}.lock", f".{name}.a.part"):
            (tmp_path / file).touch()
    (tmp_path / "notes.txt").touch()  # of somebody else
    index_paths.remove_gone(tmp_path, [("staff", "m"), ("others", "m")])
    left = {f"{kept}-1.vectors", f"{kept}.manifest", f"{kept}.lock", f".{kept}.a.part", "notes.txt"}
    assert {each.name for each in tmp_path.iterdir()} == left
    index_paths.remove_gone(tmp_path / "nowhere", [])
