"""All pages as one application."""

import html.parser
import re
from pathlib import Path

from tests.support.console import Visitor, serving

import onlooker.console
from onlooker.console.console_context import PAGES

ROOM = Path(onlooker.console.__file__).parent
MAX_FIRST_PAGE_BYTES = 250_000
MAX_SCRIPT_LINES = 600


class Sources(html.parser.HTMLParser):
    """The addresses that a page names, and scripts and styles that are not in files."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "script" and "src" not in given:
            self.inline.append(tag)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if source := given.get("src" if tag != "link" else "href"):
            self.files.append(source)


def test_every_page_is_made_of_the_consoles_own_files(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        visitor = Visitor(url)
        for path, name in PAGES:
            answer = visitor.get(path)
            assert answer.status == 200, path
            assert f"<title>{name} – Onlooker</title>" in answer.text
            assert answer.text.count('aria-current="page"') == 1
            sources = Sources()
            sources.feed(answer.text)
            assert sources.inline == []
            size = len(answer.text.encode())
            for file in sources.files:
                assert file.startswith("/static/"), file
                found = visitor.get(file)
                assert found.status == 200, file
                size += len(found.text.encode())
            assert size < MAX_FIRST_PAGE_BYTES, path


def test_our_own_scripts_are_short() -> None:
    scripts = list((ROOM / "static").glob("*.js"))
    assert sum(len(script.read_text().splitlines()) for script in scripts) <= MAX_SCRIPT_LINES


def test_every_library_has_its_licence() -> None:
    vendor = ROOM / "static" / "vendor"
    libraries = {path.name.split(".")[0].split("-")[0] for path in vendor.glob("*.*s")}
    assert libraries == {"htmx", "idiomorph", "pico", "uPlot"}
    for library in libraries:
        licence = (vendor / f"{library}.LICENSE").read_text()
        assert re.search("permission", licence, re.IGNORECASE)


def test_no_template_turns_escaping_off() -> None:
    for template in (ROOM / "templates").glob("*.html"):
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text()), template


def test_an_unknown_page_is_not_found(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        answer = Visitor(url).get("/<script>alert(1)</script>")
    assert answer.status == 404
    assert "script" not in answer.text
