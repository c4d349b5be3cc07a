"""Every route of the console: who may use it, and that no value breaks it."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.routing import Route
from tests.console.test_appearances_page import write
from tests.support.appearances import VISIT
from tests.support.console import KEYS, Visitor, serving
from tests.support.people import join, visitor

from onlooker.console.site import ROUTES

FILLED = {"visit": VISIT.format(1), "reading": VISIT.format(1), "record": VISIT.format(1)}
OPEN = ("/sign-in",)
FIELDS = (
    *("person", "stream", "since", "until", "before", "find", "show", "after", "collection"),
    *("month", "name", "newest", "shown", "visit", "into", "changes", "url", "fps", "old"),
    "operation",
)
VALUES = ("", "nan", "-1", "9" * 40, "inf_" + VISIT.format(1), "x\0y", "%'\"<>", "a" * 3000, ":zz:")


def routes(method: str) -> list[str]:
    """Return the paths of all routes for a method, their parameters filled."""
    return [
        re.sub(r"\{(\w+)(:\w+)?\}", lambda found: FILLED.get(found[1], "name"), route.path)
        for route in ROUTES
        if isinstance(route, Route) and method in (route.methods or ()) and route.path not in OPEN
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("console")
    write(folder, 10)
    join(folder, visitor(1, 0), visitor(2, 0))
    return folder


@pytest.fixture
def locked(folder: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLOOKER_DATA", str(folder))
        with serving(folder, KEYS) as url:
            yield url


def test_no_route_is_for_those_who_have_not_signed_in_or_lack_the_permission(locked: str) -> None:
    stranger, robot = Visitor(locked), Visitor(locked)
    robot.sign_in("ROBOT")
    assert len(routes("GET")) > 30
    assert len(routes("POST")) > 7
    for method in ("GET", "POST"):
        for path in routes(method):
            assert stranger.send(method, path).status == 401, path
            if path != "/sign-out":
                headers = {"X-CSRF-Token": robot.token}
                assert robot.send(method, path, headers=headers).status == 403, path


def test_no_change_is_made_without_the_token_or_from_another_page(locked: str) -> None:
    admin = Visitor(locked)
    admin.sign_in("ADMIN")
    for path in routes("POST"):
        assert admin.send("POST", path).status == 403, path
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert admin.post(path, headers=headers).status == 403, path
    assert admin.get("/live").status == 200, "still signed in"


def test_who_may_only_look_changes_nothing(locked: str) -> None:
    viewer = Visitor(locked)
    viewer.sign_in("VIEWER")
    for path in routes("POST"):
        if path != "/sign-out":
            answer = viewer.post(path, {"person": "unknown-000001", "name": "x"})
            assert answer.status in (400, 403, 404), path  # 400, 404: nothing to try or to cancel
            if answer.status != 403:
                assert path in ("/try/run", "/jobs/name/cancel")


@pytest.mark.parametrize("value", VALUES)
def test_no_value_breaks_a_page(folder: Path, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLOOKER_DATA", str(folder))
        with serving(folder) as url:
            visitor = Visitor(url)
            visitor.get("/live")
            for path in routes("GET"):
                answer = visitor.get(f"{path}?{urlencode(dict.fromkeys(FIELDS, value))}")
                assert answer.status < 500, (path, answer.text)
            for path in routes("POST"):
                if path != "/sign-out":
                    answer = visitor.post(path, dict.fromkeys(FIELDS, value))
                    assert answer.status < 500, (path, answer.text)
