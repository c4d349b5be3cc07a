"""Names written in the few characters that Amazon allows, so that they can be read back.

A character that is not allowed becomes its code point in hex, as in `M:fc:ller` for Müller and
`:674e.96f7:` for 李雷; a space becomes `::`. Two names are never written alike: not Müller and
Möller, nor Müller and a name that is `M:fc:ller` itself, which becomes `M:3a:fc:3a:ller`.
"""

import re
import unicodedata

JOINERS = "\u200c\u200d"
"""Characters that show nothing themselves, but belong into names of some scripts."""


class Escape:
    """A way to write names.

    allowed: the allowed characters, as in a regular expression. opening, closing: what surrounds
    code points, and alone is a space; both consist of allowed characters.
    """

    def __init__(self, allowed: str, opening: str, closing: str) -> None:
        first, rest = re.escape(opening[0]), re.escape(opening[1:])
        point = "(?:10[0-9a-f]{4}|[0-9a-f]{2,5})"
        self._allowed = re.compile(f"[{allowed}]*")
        self._foreign = re.compile(f" |(?:[^{allowed} ]|{first}(?={rest}))+")
        self._escaped = re.compile(
            rf"{re.escape(opening)}({point}(?:\.{point})*)?{re.escape(closing)}"
        )
        self._opening, self._closing = opening, closing

    def encode(self, name: str) -> str:
        """Return how a name is written. A name has one Unicode form: NFC and NFD are the same."""
        name = unicodedata.normalize("NFC", name)
        if self._allowed.fullmatch(name) and self.decode(name) == name:
            return name
        return self._escape(name)

    def decode(self, written: str) -> str:
        """Return the name that `encode` has written, or `written` itself if it was not `encode`."""
        name = self._escaped.sub(_characters, written)
        normal = unicodedata.is_normalized("NFC", name)
        return name if normal and self._escape(name) == written else written

    def shown(self, written: str) -> str:
        """Return the name for people to read: `written` if the name has invisible characters."""
        name = self.decode(written)
        return name if all(c.isprintable() or c in JOINERS for c in name) else written

    def meant(self, text: str) -> str:
        """Return what is written for what a user has typed: a name, or how it is written."""
        return text if self._allowed.fullmatch(text) else self.encode(text)

    def _escape(self, name: str) -> str:
        def escaped(found: re.Match[str]) -> str:
            points = "" if found[0] == " " else ".".join(f"{ord(c):02x}" for c in found[0])
            return f"{self._opening}{points}{self._closing}"

        return self._foreign.sub(escaped, name)


def _characters(escaped: re.Match[str]) -> str:
    points: str | None = escaped[1]
    return " " if points is None else "".join(chr(int(point, 16)) for point in points.split("."))


PEOPLE = Escape(r"a-zA-Z0-9_.\-:", ":", ":")
"""Names of people as ExternalImageIds."""
STREAMS = Escape(r"a-zA-Z0-9_.\-", "_u", "_")
"""Names of video files as names of streams."""
