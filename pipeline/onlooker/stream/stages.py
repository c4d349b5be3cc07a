"""The table of stages: the whole pipeline on one screen."""

from onlooker.stream.stage import Stage
from onlooker.stream.steps import detect, recognise, record, track

STAGES = (
    Stage("detect", detect),
    Stage("recognise", recognise),
    Stage("track", track, workers=1, ordered=True, stateful=True),
    Stage("record", record, workers=1, ordered=True, leases=64),
)
