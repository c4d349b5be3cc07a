"""The table of stages."""

from onlooker.config.schema import Config, Pipeline
from onlooker.stream.stages import STAGES


def test_the_table_ends_with_one_ordered_recorder() -> None:
    names = ["detect", "associate", "recognise", "track", "record"]
    assert [stage.name for stage in STAGES] == names
    assert [stage.ordered for stage in STAGES] == [False, True, False, True, True]
    assert STAGES[-1].processes(Config()) == 1
    assert STAGES[0].processes(Config(pipeline=Pipeline(workers=3))) == 3
