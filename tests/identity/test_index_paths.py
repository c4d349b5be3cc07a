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
    assert {each.parent for each in names} == {tmp_path / "index"}


def test_only_unused_files_of_the_collection_are_removed(tmp_path: Path) -> None:
    base = index_paths.base_path(tmp_path, "staff", "m", "faces")
    other = index_paths.base_path(tmp_path, "guests", "m", "faces")
    base.parent.mkdir()
    used, old = f"{base.name}-2.vectors", f"{base.name}-1.vectors"
    for name in (used, old, f"{base.name}-1.ann", f".{base.name}.part", f"{other.name}-1.vectors"):
        (base.parent / name).touch()
    base.with_suffix(".manifest").touch()
    index_paths.remove_unused(base, {used})
    kept = {used, f"{base.name}.manifest", f"{other.name}-1.vectors"}
    assert {each.name for each in base.parent.iterdir()} == kept
    index_paths.remove(base)
    assert [each.name for each in base.parent.iterdir()] == [f"{other.name}-1.vectors"]
