"""The site of the documentation: it builds, is whole, and says everything that the code has."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs import reference
from prometheus_client import REGISTRY

from onlooker.api import metrics as api_metrics
from onlooker.api.rekognition.operations import OPERATIONS
from onlooker.config.schema import Config
from onlooker.rekognition.record_schema import member_docs, record_schema
from onlooker.stream import metrics as stream_metrics
from onlooker.stream.messages import Status

ROOT = Path(__file__).resolve().parent.parent

OWN = ("StreamRecord", "FrameInformation", "Track", "Appearance", "LineTrack", "Reading")
"""Shapes that Amazon does not document: each of their keys must be."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site. A dead link or anchor fails the build."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_builds_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(?:script|img|iframe)[^>]*src=.?(?:https?:)?//", text), page.name
        assert not re.search(r"<link[^>]*href=.?(?:https?:)?//", text), page.name


def test_the_site_has_the_schema(site: Path) -> None:
    schema = json.loads((site / "reference" / "record.schema.json").read_bytes())
    assert schema == json.loads(json.dumps(record_schema()))


def test_every_command_and_option_says_what_it_does() -> None:
    page = reference.commands_page()
    found = list(reference.commands())
    assert len(found) >= 40
    for words, command in found:
        assert f"\n## {words}\n" in page
        assert command.help, words
        for parameter in command.params:
            assert reference.spelled(parameter) in page or parameter.name == "help"
            if parameter.param_type_name == "option":
                assert parameter.help, f"{words} {parameter.name}"


def test_every_setting_says_what_it_means() -> None:
    page = reference.settings_page()
    sections = dict(reference.sections())
    named = {name.removesuffix(".NAME") for name in sections}
    assert named == set(Config.__struct_fields__) - {"topics"}
    for name, section in sections.items():
        assert section.__doc__, name
        assert f"\n## [{name}]\n" in page
        meanings = member_docs(section)
        for key in section.__struct_fields__:  # type: ignore[attr-defined]
            assert key in meanings, f"{name}.{key}"
            assert f"| `{key}` | " in page


def test_every_key_of_a_record_says_what_it_means() -> None:
    page, shapes = reference.record_page(), record_schema()["$defs"]
    assert len(shapes) >= 20
    for name, shape in shapes.items():
        assert shape["description"], name
        for key, schema in shape["properties"].items():
            assert f"| `{key}` | " in page
            assert name not in OWN or schema["description"], f"{name}.{key}"


def test_every_operation_is_on_the_page() -> None:
    page = reference.requests_page()
    assert all(f"\n| `{name}` | " in page for name in OPERATIONS)


def test_every_metric_says_what_it_counts() -> None:
    page, found = reference.metrics_page(), {name: text for name, _, _, text in reference.metrics()}
    counted = [*stream_metrics.families(Status()), *REGISTRY.collect()]
    names = [
        family.name + ("_total" if family.type == "counter" else "")
        for family in counted
        if family.name.startswith("onlooker_")
    ]
    assert len(names) >= 15
    assert api_metrics.REQUESTS
    for name in names:
        assert found[name], name
        assert f"| `{name}` | " in page


def test_every_name_of_a_metric_in_the_source_is_on_the_page() -> None:
    source = "".join(
        path.read_text("utf-8") for path in (ROOT / "pipeline" / "onlooker").rglob("*.py")
    )
    named = set(re.findall(r"(?:Counter|Gauge|Histogram|Family)\(\s*\"(onlooker_\w+)\"", source))
    assert len(named) >= 20
    found = {name.removesuffix("_total") for name, *_ in reference.metrics()}
    assert {name.removesuffix("_total") for name in named} <= found
