"""The pages of the reference, made from the code whenever the site is built: a hook of MkDocs.

Pages of the repository that are not in `docs/` (the README and others) become pages of the site.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import onlooker
from onlooker.api.service import Operation
from onlooker.api.services import DATA_STREAMS, SERVICES
from onlooker.cli.commands import app
from onlooker.config.schema import Config
from onlooker.rekognition.record_schema import member_docs, record_schema

ROOT = Path(__file__).resolve().parent.parent

OUTSIDE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "conduct.md": "CODE_OF_CONDUCT.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
    "models.md": "models/README.md",
}
"""Pages of the site by their files outside of `docs/`."""

METRICS = {
    "Counter": "counter",
    "CounterMetricFamily": "counter",
    "Gauge": "gauge",
    "GaugeMetricFamily": "gauge",
    "Histogram": "histogram",
}
"""Kinds of metrics by the names that make them."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files of `docs/`."""
    generated = {name: (ROOT / source).read_text("utf-8") for name, source in OUTSIDE.items()}
    generated |= {
        "reference/commands.md": commands_page(),
        "reference/settings.md": settings_page(),
        "reference/record.md": record_page(),
        "reference/record.schema.json": msgspec.json.format(
            msgspec.json.encode(record_schema())
        ).decode(),
        "reference/requests.md": requests_page(),
        "reference/metrics.md": metrics_page(),
    }
    for name, text in generated.items():
        files.append(File.generated(config, name, content=text))
    picture = ROOT / ".github" / "summary.svg"
    files.append(File.generated(config, "summary.svg", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that lead to files of the repository into links of the site."""
    name = page.file.src_uri
    home = (ROOT / OUTSIDE.get(name, f"docs/{name}")).parent
    up = "../" * name.count("/")
    pages = {source: target for target, source in OUTSIDE.items()}

    def link(found: re.Match[str]) -> str:
        target, anchor = found.groups(default="")
        place = (home / target).resolve()
        if not place.exists():  # one of the reference's pages; MkDocs checks it
            return found[0]
        source = place.relative_to(ROOT).as_posix()
        if source == ".github/summary.svg":
            return f"]({up}summary.svg)"
        return f"]({up}{pages.get(source, source.removeprefix('docs/'))}{anchor})"

    return re.sub(r"\]\((?!https?:)([^)#\s]+)(#[^)]*)?\)", link, markdown.replace("\r", ""))


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command with its words, such as `onlooker log query`."""

    def walk(words: str, command: Any) -> Iterator[tuple[str, Any]]:
        if hasattr(command, "commands"):
            for name, inner in command.commands.items():
                yield from walk(f"{words} {name}", inner)
        else:
            yield words, command

    yield from walk("onlooker", typer.main.get_command(app))


def commands_page() -> str:
    """Return the page of commands, from the table of Typer."""
    parts = ["# Commands\n\nEach has `--help`, which says the same.\n"]
    for words, command in commands():
        rows = [
            (spelled(parameter), getattr(parameter, "help", None) or "", default(parameter))
            for parameter in command.params
            if parameter.name != "help"
        ]
        parts.append(f"## {words}\n\n{paragraphs(command.help)}\n")
        parts.append(table(("argument or option", "meaning", "default"), rows))
    return "\n".join(parts)


def spelled(parameter: Any) -> str:
    """Return a parameter as one types it."""
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name}`"
    return ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])


def default(parameter: Any) -> str:
    """Return a parameter's default; empty if there is none, or it is off."""
    value = parameter.default
    if parameter.required:
        return "required"
    return "" if callable(value) or value in (None, False, ()) else f"`{value}`"


def paragraphs(text: str | None) -> str:
    """Return a help text as Markdown."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text or "").strip()


def sections() -> Iterator[tuple[str, type]]:
    """Yield the name of each section of the configuration file with its struct."""
    for name, hint in get_type_hints(Config).items():
        if get_origin(hint) is not dict:
            yield name, hint
        elif issubclass(section := get_args(hint)[1], msgspec.Struct):
            yield f"{name}.NAME", section


def settings_page() -> str:
    """Return the page of the configuration file, from its schema."""
    schemas = msgspec.json.schema(Config)["$defs"]
    parts = [
        "# Settings\n\nEvery section and key of `onlooker.toml`. "
        "[Configuration](../configuration.md) says where the file is; `onlooker config show` "
        "prints the values.\n"
    ]
    for name, section in sections():
        meanings = member_docs(section)
        rows = [
            (
                f"`{key}`",
                kind(schema),
                f"`{toml(schema['default'])}`" if "default" in schema else "required",
                meanings.get(key, ""),
            )
            for key, schema in schemas[section.__name__]["properties"].items()
        ]
        text = " ".join((section.__doc__ or "").split())
        parts.append(f"## [{name}]\n\n{text}\n")
        parts.append(table(("key", "value", "default", "meaning"), rows))
    parts.append(
        "## [topics]\n\nThe target of notices, by the topic's ARN: "
        "[Rekognition Video](../rekognition-video.md#notices).\n"
    )
    return "\n".join(parts)


def toml(value: Any) -> str:
    """Return a default as the file would have it."""
    return "none" if value is None else msgspec.json.encode(value).decode()


def kind(schema: dict[str, Any]) -> str:
    """Return the type and the limits of a value in words."""
    if "anyOf" in schema:
        return kind(next(each for each in schema["anyOf"] if each.get("type") != "null"))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    names = {"boolean": "true or false", "integer": "whole number", "array": "list"}
    found = str(names.get(schema.get("type", ""), schema.get("type", "any")))
    if "items" in schema and isinstance(schema["items"], dict):
        found += f" of {kind(schema['items'])}"
    for key, words in (
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
    ):
        if key in schema:
            found += f" {words} {schema[key]}"
    return found


def record_page() -> str:
    """Return the page of the record's keys, from its JSON Schema."""
    schemas = record_schema()["$defs"]
    parts = [
        "# The record\n\nOne JSON object for each frame, and the shapes in it. "
        "What Amazon documents has Amazon's names. [JSON Schema](record.schema.json), also printed "
        "by `onlooker log schema`.\n"
    ]
    for name in ["StreamRecord", *(name for name in schemas if name != "StreamRecord")]:
        schema = schemas[name]
        rows = [
            (
                f"`{key}`",
                kind(member),
                "yes" if key in schema.get("required", ()) else "",
                member.get("description", ""),
            )
            for key, member in schema["properties"].items()
        ]
        parts.append(f"## {name}\n\n{paragraphs(schema['description'])}\n")
        parts.append(table(("key", "value", "always there", "meaning"), rows))
    return "\n".join(parts)


def requests_page() -> str:
    """Return the page of the operations that are answered, from the tables of services."""
    parts = [
        "# Requests\n\nThe operations over HTTP and the members of their requests. "
        "[Operations](../operations.md) says how they differ from Amazon's.\n"
    ]
    for service in [*SERVICES.values(), *DATA_STREAMS.values()]:
        rows = [
            (f"`{name}`", members(operation), "yes" if operation.changes else "")
            for name, operation in service.operations.items()
        ]
        parts.append(f"## {service.name}\n\n`X-Amz-Target: {service.target}.OPERATION`\n")
        parts.append(table(("operation", "members", "changes what is stored"), rows))
    return "\n".join(parts)


def members(operation: Operation) -> str:
    """Return the members of a request, those that it must have in bold."""
    return ", ".join(
        f"**{field.encode_name}**" if field.required else field.encode_name
        for field in msgspec.structs.fields(operation.request)
    )


def metrics() -> Iterator[tuple[str, str, str, str]]:
    """Yield name, kind, labels and meaning of each metric that the source makes."""
    for path in sorted(Path(onlooker.__path__[0]).rglob("*.py")):
        lists: dict[str, ast.expr] = {}
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value):
                    lists[target] = value
                case ast.Call(
                    func=ast.Name(id=maker),
                    args=[ast.Constant(str(name)), ast.Constant(str(text)), *rest],
                ) if maker in METRICS and name.startswith("onlooker_"):
                    labels = [each.value for each in node.keywords if each.arg == "labels"]
                    given = (labels or [*rest, ast.List([])])[0]
                    if isinstance(given, ast.Name):
                        given = lists[given.id]
                    named = ast.literal_eval(given)
                    suffix = "_total" if METRICS[maker] == "counter" else ""
                    name = name.removesuffix("_total") + suffix
                    yield name, METRICS[maker], ", ".join(named), text


def metrics_page() -> str:
    """Return the page of metrics, from the source."""
    head = "# Metrics\n\nAnswers to `/metrics`, for Prometheus: `[metrics] listen`, `[serve]`.\n"
    rows = [(f"`{name}`", *rest) for name, *rest in sorted(metrics())]
    return "\n".join([head, table(("metric", "kind", "labels", "meaning"), rows)])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown; nothing if it has no rows."""
    lines = [" | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) for row in rows]
    if not lines:
        return ""
    titles = list(head)
    lines = [" | ".join(titles), " | ".join(["---"] * len(titles)), *lines]
    return "\n".join(f"| {line} |" for line in lines) + "\n"
