"""The table of stages: the whole pipeline on one screen."""

from onlooker.stream.stage import Stage
from onlooker.stream.steps import associate, detect, recognise, record, track

STAGES = (
    Stage("detect", detect, batched=True),
    Stage("associate", associate, ordered=True, stateful=True, leases=16, follows=True),
    Stage("recognise", recognise, batched=True),
    Stage("track", track, ordered=True, stateful=True, leases=16),
    Stage("record", record, workers=1, ordered=True, leases=64),
)
