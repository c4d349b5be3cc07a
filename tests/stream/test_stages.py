"""The table of stages."""

from onlooker.config.schema import Config, Pipeline
from onlooker.stream.stages import STAGES


def test_the_table_ends_with_one_ordered_recorder() -> None:
    assert [stage.name for stage in STAGES] == ["detect", "recognise", "track", "record"]
    assert [stage.ordered for stage in STAGES] == [False, False, True, True]
    assert STAGES[-1].processes(Config()) == 1
    assert STAGES[0].processes(Config(pipeline=Pipeline(workers=3))) == 3
