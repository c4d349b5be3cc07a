"""The alerts for Prometheus: they name what is exported, are valid, explained, and fire."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.support.deployment import DEPLOY, ROOT, check_expression, read_yaml

FOLDER = DEPLOY / "prometheus"
RULES = FOLDER / "onlooker.rules.yml"
ALERTS = [rule for group in read_yaml(RULES)["groups"] for rule in group["rules"]]
PAGE = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")

alerts = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))

CASES = [
    ("OnlookerDown", 'up{job="onlooker"}', "0+0x40"),
    ("OnlookerCameraFailing", 'onlooker_stream_healthy{stream="door"}', "0+0x40"),
    ("OnlookerCameraReconnecting", 'onlooker_stream_reconnects_total{stream="door"}', "0+1x40"),
    ("OnlookerLag", 'onlooker_lag_seconds{stream="door",quantile="0.99"}', "9+0x40"),
    ("OnlookerSinkFailing", 'onlooker_sink_healthy{sink="home"}', "0+0x40"),
    ("OnlookerSinkBehind", 'onlooker_sink_backlog{sink="home"}', "900+60x40"),
    ("OnlookerSinkLost", 'onlooker_sink_lost_records_total{sink="home"}', "0+1x40"),
    (
        "OnlookerRequestsFailing",
        'onlooker_requests_total{operation="DetectFaces",result="InternalServerError"}',
        "0+1x40",
    ),
    ("OnlookerThrottled", 'onlooker_requests_total{result="ThrottlingException"}', "0+5x40"),
    ("OnlookerServerRestarting", "onlooker_worker_restarts_total", "0+1x40"),
    ("OnlookerJobFailed", 'onlooker_jobs{kind="face_search",state="FAILED"}', "0+1x40"),
    ("OnlookerNoticesWaiting", "onlooker_job_notices", "3+0x40"),
]
"""Alerts that one series makes fire, with its values each minute."""
PAIRS = [
    (
        "OnlookerFramesFailing",
        'onlooker_frames_failed_total{stream="door",cause="undecodable"}',
    ),
    ("OnlookerOverloaded", 'onlooker_frames_dropped_total{stream="door",cause="stale"}'),
]
"""Alerts about a share of the frames received."""
RECEIVED = 'onlooker_frames_received_total{stream="door"}'


@pytest.fixture
def promtool() -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool (Debian: apt install prometheus)")
    return program


@alerts
def test_an_alert_names_what_is_exported(rule: dict[str, str]) -> None:
    expression = rule["expr"]
    if expression != 'up{job="onlooker"} == 0':
        check_expression(expression)
    scrape = read_yaml(FOLDER / "prometheus.yml")["scrape_configs"]
    assert [job["job_name"] for job in scrape] == ["onlooker"]


@alerts
def test_an_alert_says_what_to_do_and_is_on_the_page(rule: dict[str, dict[str, str]]) -> None:
    assert set(rule["annotations"]) == {"summary", "action"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert f"| {rule['alert']} |" in PAGE


@pytest.mark.parametrize(
    "wrong",
    [
        "onlooker_frames_seen_total > 0",
        'onlooker_frames_dropped_total{cause="bored"} > 0',
        "sum by (camera) (onlooker_frames_failed_total)",
        "onlooker_request_seconds > 1",
    ],
)
def test_the_check_finds_names_that_do_not_exist(wrong: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        check_expression(wrong)


def test_promtool_accepts_the_configuration(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "config", str(FOLDER / "prometheus.yml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_each_alert_fires_for_its_cause(promtool: str, tmp_path: Path) -> None:
    still = [(RECEIVED, "50+0x40"), ('onlooker_stream_healthy{stream="door"}', "1+0x40")]
    inputs = {name: [(series, values)] for name, series, values in CASES}
    inputs |= {name: [(series, "0+20x40"), (RECEIVED, "0+100x40")] for name, series in PAIRS}
    inputs["OnlookerNoFrames"] = still
    bucket = 'onlooker_request_seconds_bucket{operation="DetectFaces",le='
    inputs["OnlookerRequestsSlow"] = [
        (f'{bucket}"{le}"}}', values)
        for le, values in (("5", "0+1x40"), ("10", "0+5x40"), ("+Inf", "0+5x40"))
    ]
    assert inputs.keys() == {rule["alert"] for rule in ALERTS}
    sound = [(RECEIVED, "0+100x40"), ('onlooker_stream_healthy{stream="door"}', "1+0x40")]
    cases = [
        (f"count(ALERTS{{alertname='{name}',alertstate='firing'}})", series, 1)
        for name, series in inputs.items()
    ]
    cases.append(("count(ALERTS) or vector(0)", sound, 0))
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series],
            "promql_expr_test": [
                {"expr": asked, "eval_time": "35m", "exp_samples": [{"labels": "{}", "value": n}]}
            ],
        }
        for asked, series, n in cases
    ]
    file = tmp_path / "alerts.yml"
    made = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    file.write_text(yaml.safe_dump(json.loads(json.dumps(made))))
    done = subprocess.run(
        [promtool, "test", "rules", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
