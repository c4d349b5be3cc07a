"""The dashboard for Grafana: the file is the script's, and shows what is exported."""

import json
from typing import Any

from deploy.grafana import dashboard
from tests.support.deployment import check_expression, metrics_of


def panels() -> list[dict[str, Any]]:
    found = json.loads(dashboard.FILE.read_bytes())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def test_the_file_is_what_the_script_makes() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.build()


def test_every_expression_names_what_is_exported() -> None:
    targets = [target for panel in panels() for target in panel["targets"]]
    assert len(targets) >= 14
    for target in targets:
        check_expression(target["expr"])
        assert target["datasource"]["uid"] == "${source}"
    assert len({name for target in targets for name in metrics_of(target["expr"])}) >= 14


def test_every_variable_is_defined() -> None:
    text = dashboard.FILE.read_text(encoding="utf-8")
    variables = {each["name"] for each in json.loads(text)["templating"]["list"]}
    assert variables == {"source", "stream"}
    assert '=~\\"$stream\\"' in text
    query = next(
        each["query"] for each in json.loads(text)["templating"]["list"] if each["name"] == "stream"
    )
    check_expression(query)


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
