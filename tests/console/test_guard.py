"""The guard: who is let in, and what is refused."""

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from tests.support.console import KEYS, Visitor, serving

from onlooker.console.guard import MAX_FORM_BYTES


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("locked"), KEYS) as url:
        yield url


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("free")) as url:
        yield url


PATHS = ("/", "/live", "/appearances", "/appearances/rows", "/streams", "/streams/history")


@pytest.mark.parametrize("path", PATHS)
def test_without_a_session_every_page_leads_to_sign_in(locked: str, path: str) -> None:
    visitor = Visitor(locked)
    answer = visitor.get(path, {"Accept": "text/html"})
    assert (answer.status, answer.headers["location"]) == (303, "/sign-in")
    assert visitor.get(path).status == 401
    visitor.cookies["onlooker_session"] = "ADMIN.1.0.0"
    assert visitor.get(path, {"Accept": "text/html"}).headers["location"] == "/sign-in?ended"


def test_a_key_signs_in_and_out(locked: str) -> None:
    visitor = Visitor(locked)
    assert visitor.sign_in("ADMIN").status == 303
    cookie = visitor.cookies["onlooker_session"]
    assert visitor.get("/streams").status == 200
    assert visitor.post("/sign-out").headers["hx-redirect"] == "/sign-in"
    assert visitor.cookies["onlooker_session"] != cookie
    assert visitor.get("/streams").status == 401


def test_the_cookie_is_not_for_scripts_or_other_pages(locked: str) -> None:
    answer = Visitor(locked).sign_in("VIEWER")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Max-Age=43200" in cookie


def test_a_key_without_permission_sees_nothing(locked: str) -> None:
    visitor = Visitor(locked)
    visitor.sign_in("ROBOT")
    answer = visitor.get("/streams")
    assert answer.status == 403
    assert "lacks console:View" in answer.text


def test_every_answer_has_the_headers_that_protect_it(locked: str, free: str) -> None:
    for url in (locked, free):
        for path in ("/sign-in", "/streams", "/nothing", "/static/console.js", "/static/none"):
            headers = Visitor(url).get(path).headers
            assert headers["content-security-policy"].startswith("default-src 'self'; ")
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "0" * 64},
        {"X-CSRF-Token": "é"},
    ],
)
def test_a_change_from_another_page_is_refused(locked: str, headers: dict[str, str]) -> None:
    visitor = Visitor(locked)
    visitor.sign_in("ADMIN")
    assert visitor.post("/sign-out", headers=headers).status == 403
    assert visitor.get("/streams").status == 200, "still signed in"


def test_a_token_of_another_session_is_refused(locked: str) -> None:
    one, other = Visitor(locked), Visitor(locked)
    one.sign_in("ADMIN")
    other.sign_in("VIEWER")
    assert one.post("/sign-out", headers={"X-CSRF-Token": other.token}).status == 403


def test_without_keys_only_this_machines_own_names_are_answered(free: str) -> None:
    port = free.rpartition(":")[2]
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert Visitor(free).get("/streams", {"Host": host}).status == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::"):
        assert Visitor(free).get("/streams", {"Host": host}).status in (400, 421), host


def test_without_keys_a_change_needs_the_pages_token(free: str) -> None:
    visitor = Visitor(free)
    assert visitor.post("/sign-out").status == 401, "before any page"
    visitor.get("/streams")
    assert visitor.post("/sign-out", headers={"X-CSRF-Token": ""}).status == 403
    assert visitor.post("/sign-out").status == 200


def test_a_large_upload_is_refused(free: str) -> None:
    visitor = Visitor(free)
    visitor.get("/streams")
    answer = visitor.post("/sign-out", headers={"Content-Length": str(2**40)})
    assert answer.status == 413


@pytest.mark.parametrize(
    "path",
    [
        "/static/../console_context.py",
        "/static/%2e%2e/site.py",
        "/static/..%2fsite.py",
        "/static//etc/passwd",
        "/static/vendor/../../site.py",
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_files(free: str, path: str) -> None:
    answer = Visitor(free).get(path)
    assert answer.status == 404
    assert "import" not in answer.text


def test_one_who_has_not_signed_in_sends_little(locked: str) -> None:
    fields = {"id": "ADMIN", "secret": "x" * MAX_FORM_BYTES}
    assert Visitor(locked).post("/sign-in", fields).status == 413


def test_a_body_that_is_announced_as_too_large_is_not_waited_for(locked: str, free: str) -> None:
    for url in (locked, free):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        connection.putrequest("POST", "/sign-in")
        connection.putheader("Content-Length", str(10**9))
        connection.endheaders(b"a")
        assert connection.getresponse().status == 413
        connection.close()


def test_a_second_host_does_not_help(free: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(free).netloc, timeout=60)
    connection.putrequest("GET", "/live")  # with the right one
    connection.putheader("Host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status == 421
    connection.close()
