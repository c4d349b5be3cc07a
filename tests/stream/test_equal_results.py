"""The facts on which results depend, and the words for a machine that differs."""

from onlooker.config.schema import Config, Text
from onlooker.stream.equal_results import difference, facts, program_version


def test_the_facts_follow_the_models_and_libraries_and_not_the_rest() -> None:
    ours = facts(Config())
    assert difference(ours, facts(Config())) is None
    assert {"numpy", "onnxruntime", "opencv", "model yunet"} <= ours.keys()
    assert program_version()
    others = facts(Config(text=Text(readers=("latin", "arabic"))))
    assert others.keys() > ours.keys()


def test_a_difference_is_named_with_what_to_do() -> None:
    ours = {"numpy": "2.4", "model a": "1f", "model b": "2e", "model c": "3d", "model d": "4c"}
    there = {**ours, "model a": "ff"}
    said = difference(there, ours)
    assert said is not None
    assert "model a: 1f here, ff there" in said
    assert "install the same release of onlooker" in said
    assert "missing here" in (difference({**ours, "model e": "5"}, ours) or "")
    assert "and 2 more" in (difference({}, ours) or "")
