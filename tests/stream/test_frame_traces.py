"""Traces of the frames of a real run, with its processes, as a collector receives them."""

import uuid
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from tests.support import steps
from tests.support.collector import Received, collecting
from tests.support.frames import frame

from onlooker.config.schema import Config, Pipeline
from onlooker.config.telemetry import Telemetry
from onlooker.record.sinks import json_lines
from onlooker.rekognition.shapes import StreamRecord
from onlooker.stream.frame_traces import ROOT, Passage, epoch_ns, open_traces, span_id
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Stage
from onlooker.stream.supervisor import replay

FRAMES = 40


def traced(
    folder: Path, url: str, share: float, stages: tuple[Stage, ...] = steps.LIGHT
) -> list[StreamRecord]:
    video = steps.video(folder / "small.mp4", FRAMES)
    config = Config(
        pipeline=Pipeline(workers=2, window=8),
        telemetry=Telemetry(traces=url, frames=share),
    )
    records = folder / "records.jsonl"
    replay([video], config, Outputs(records=records), steps.quiet, stages)
    return list(json_lines.read(records))


def by_trace(spans: list[Received]) -> dict[str, dict[str, Received]]:
    found: dict[str, dict[str, Received]] = {}
    for span in spans:
        found.setdefault(span.trace, {})[span.name] = span
    assert sum(map(len, found.values())) == len(spans), "a span was sent twice"
    return found


def test_each_records_id_leads_to_its_way(tmp_path: Path) -> None:
    with collecting() as collector:
        records = traced(tmp_path, collector.url, 1.0)
        found = by_trace(collector.spans)
    assert len(records) == FRAMES
    assert set(found) == {record.RecordId.replace("-", "") for record in records}
    names = ["decode", *(stage.name for stage in steps.LIGHT)]
    for record in records:
        way = found[record.RecordId.replace("-", "")]
        root = way.pop(ROOT)
        assert set(way) == set(names)
        assert root.parent == ""
        assert root.attributes["onlooker.frame"] == record.FrameInformation.Index
        assert root.attributes["onlooker.stream"] == "small"
        assert root.attributes["onlooker.record_id"] == record.RecordId
        times = [(way[name].began, way[name].ended) for name in names]
        assert all(began <= ended for began, ended in times)
        # One after the other; the clock may have been set meanwhile, by a little.
        for (_, ended), (began, _) in pairwise(times):
            assert began >= ended - 10**7
        assert abs(root.began - times[0][0]) < 10**7
        assert root.ended == times[-1][1]
        assert {span.parent for span in way.values()} == {root.id}
        assert way["record"].resource["service.instance.id"] == "record-0.1"


def test_a_pause_between_two_clocks_moves_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 175_000_000, 400_000_000, 400_000_200])  # another process ran meanwhile
    monkeypatch.setattr("time.monotonic_ns", lambda: next(ticks))
    monkeypatch.setattr("time.time_ns", lambda: 10**18)
    assert epoch_ns(0.3) == 10**18 - 400_000_000 + 300_000_000


def test_a_share_is_the_same_frames_for_all_processes(tmp_path: Path) -> None:
    with collecting() as collector:
        records = traced(tmp_path, collector.url, 0.5)
        found = by_trace(collector.spans)
    expected = {
        record.RecordId.replace("-", "")
        for record in records
        if int(record.RecordId[:8], 16) < 2**31
    }
    assert 5 < len(expected) < 35
    assert set(found) == expected
    assert {len(way) for way in found.values()} == {2 + len(steps.LIGHT)}


def test_a_frame_that_failed_says_why(tmp_path: Path) -> None:
    with collecting() as collector:
        records = traced(
            tmp_path, collector.url, 1.0, (Stage("detect", steps.raising), *steps.LIGHT[1:])
        )
        found = by_trace(collector.spans)
    [failed] = [record for record in records if record.FrameInformation.Error]
    way = found[failed.RecordId.replace("-", "")]
    assert way[ROOT].error == failed.FrameInformation.Error
    good = [way[ROOT] for trace, way in found.items() if trace != failed.RecordId.replace("-", "")]
    assert {span.error for span in good} == {None}


def test_no_frame_is_traced_without_a_collector_or_a_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    with ExitStack() as closing:
        for settings in (Telemetry(), Telemetry(traces="http://127.0.0.1:9", frames=0.0)):
            assert open_traces(settings, "detect", "detect.1", lambda _: "a", closing) is None


def test_the_last_stage_waits_for_the_commit() -> None:
    with collecting() as collector, ExitStack() as closing:
        settings = Telemetry(traces=collector.url, frames=1.0)
        traces = open_traces(settings, "record", "record.1", lambda _: "a", closing, last=True)
        assert traces is not None
        traces.add([Passage(frame("a", 1), None, 0.0)], 10, 20)
        closing.pop_all().close()
        assert collector.spans == []


def test_ids_of_spans_differ_by_name_and_record() -> None:
    one, other = uuid.UUID(int=1), uuid.UUID(int=2)
    ids = {span_id(record, name) for record in (one, other) for name in (ROOT, "detect")}
    assert len(ids) == 4
    assert all(0 < each < 2**64 for each in ids)
