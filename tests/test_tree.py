"""The shape of the tree: short files, few modules at the top, and no two modules of one name."""

from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pipeline" / "onlooker"

MAX_LINES = 450
SOURCES = {".py", ".pyi", ".pyx", ".pxd", ".h"}

TOP = {
    "__init__": "the public names",
    "__main__": "python -m onlooker",
    "child_process": "processes of a run and of the server",
    "durable_file": "written by collections, logs, models and runs",
    "errors": "the root of all expected errors",
    "escape": "names of people and of streams, written in few characters",
    "file_format": "SQLite files of collections, logs, streams, jobs and usage",
    "idempotency": "ClientRequestTokens of collections and of jobs",
    "page_token": "tokens of lists and of positions in the log",
    "piped_process": "processes of the API, the console, jobs and sinks",
    "program_log": "lines of one form from all processes of a program",
    "sql": "statements of collections and of jobs, in SQLite and PostgreSQL",
    "toml_file": "configuration, keys and cards",
    "traces": "spans of frames and of requests, for OpenTelemetry",
    "types": "the nouns that travel",
}
"""Modules beside the packages, each because several packages need it."""

TESTED_BY = {
    "api/kinesis/data_stream_requests": "api/kinesis/test_kinesis_contract",
    "api/kinesis/data_stream_responses": "api/kinesis/test_kinesis_contract",
    "api/kinesis/kinesis_service": "api/test_kinesis_server",
    "api/kinesis_process": "api/test_kinesis_server",
    "api/listener": "api/test_server",
    "api/process_protocol": "api/test_server",
    "api/rekognition/operations": "api/test_docs",
    "api/rekognition/requests": "api/test_contract",
    "api/rekognition/responses": "api/test_contract",
    "api/rekognition/stream_processor_requests": "api/test_contract",
    "api/rekognition/stream_processor_responses": "api/rekognition/test_stream_processors",
    "api/server_process": "api/test_server",
    "api/service": "api/test_services",
    "cli/commands": "cli/test_main",
    "cli/pull_models": "cli/test_models",
    "cli/standard_streams": "cli/test_main",
    "cli/status": "cli/test_stream",
    "cli/terminal": "cli/test_main",
    "jobs/entries": "jobs/test_job_runner",
    "jobs/errors": "jobs/test_job_store",
    "jobs/job": "jobs/test_job_store",
    "jobs/job_database": "jobs/test_job_store",
    "jobs/job_process": "jobs/test_job_processes",
    "jobs/schema": "jobs/test_result_file",
    "config/section": "config/test_schema",
    "config/serving": "config/test_schema",
    "config/shared_store": "config/test_schema",
    "config/telemetry": "config/test_schema",
    "config/tracking": "config/test_schema",
    "console/people_cards": "console/test_people_page",
    "console/people_changes": "console/test_people_page",
    "console/live_feed": "console/test_live_page",
    "console/run_observer": "console/test_streams_page",
    "console/settings": "console/test_supervised",
    "identity/errors": "identity/test_store",
    "identity/faces": "identity/test_store",
    "identity/schema": "identity/test_store",
    "identity/search/engines": "identity/search/test_store_searcher",
    "media/errors": "media/test_open",
    "media/video": "media/test_video_file",
    "models/card_words": "models/test_card",
    "models/convert/faceapi": "models/test_verify",
    "models/convert/graph": "models/convert/test_graph_edits",
    "models/convert/paddle": "models/test_import_paddle",
    "models/import_tesseract": "models/test_languages",
    "models/own_models": "models/test_import_paddle",
    "sql": "identity/test_store",
    "stream/errors": "stream/test_supervisor",
    "stream/gateway_process": "stream/test_gateway",
    "stream/hub_process": "stream/test_supervisor",
    "stream/hub_state": "stream/test_hub",
    "stream/outputs": "stream/test_supervisor",
    "stream/program": "cli/test_stream",
    "stream/ring_reader": "stream/test_worker",
    "stream/sink_process": "stream/test_sink_processes",
    "stream/sink_status": "stream/test_sink_processes",
}
"""Modules that have no test of their name, and the test that covers them."""

ROLES = {
    "errors": "the exceptions of a package",
    "faces": "vision finds them in an image, identity keeps them in a collection",
    "metrics": "the counters of a program, for Prometheus",
    "schema": "the structure of a file: the configuration, the face store, the log",
}
"""Names that several packages may have, because the module plays the same role in each."""


def files() -> list[Path]:
    """Return the source files of the project."""
    folders = ("pipeline", "ext", "models", "tests", "bench")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    sources = [path for path in found if path.suffix in SOURCES]
    assert len(sources) > 200
    return [ROOT / "setup.py", *sources]


def modules() -> list[Path]:
    """Return the modules of the package."""
    found = [path for path in PACKAGE.rglob("*.py*") if path.suffix in {".py", ".pyi"}]
    assert len(found) > 100
    return found


def test_no_file_is_long() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files()}
    long = {path.relative_to(ROOT).as_posix() for path, n in lines.items() if n > MAX_LINES}
    assert not long


def test_the_top_has_few_modules() -> None:
    assert {path.stem for path in modules() if path.parent == PACKAGE} <= TOP.keys()


def test_no_two_modules_have_one_name() -> None:
    places = defaultdict(list)
    for path in modules():
        # A module of `cli` is named after its command.
        if path.stem != "__init__" and path.parent != PACKAGE / "cli":
            places[path.stem].append(path.relative_to(PACKAGE).as_posix())
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert not {name: found for name, found in twice.items() if name not in ROLES}


def test_every_module_has_a_test_of_its_name_or_a_known_one() -> None:
    tests = ROOT / "tests"
    named = {
        path.relative_to(tests).parent / path.stem.removeprefix("test_")
        for path in tests.rglob("test_*.py")
    }
    without = {
        path.relative_to(PACKAGE).with_suffix("").as_posix()
        for path in modules()
        if path.stem not in {"__init__", "__main__"}
        and path.relative_to(PACKAGE).with_suffix("") not in named
    }
    assert without == TESTED_BY.keys()
    for place in TESTED_BY.values():
        assert (tests / f"{place}.py").is_file(), place


def test_every_package_says_what_it_holds() -> None:
    packages = [path.parent for path in modules() if path.stem == "__init__"]
    assert len(packages) > 10
    for package in packages:
        text = (package / "__init__.py").read_text(encoding="utf-8")
        assert text.startswith('"""'), package
