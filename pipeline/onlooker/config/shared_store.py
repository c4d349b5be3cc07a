"""The setting of a store that several machines share."""

from typing import Annotated

from msgspec import Meta

from onlooker.config.section import Section


class Store(Section, frozen=True, kw_only=True):
    """`[store]`: where collections are kept, if not in a file of this machine."""

    url: Annotated[str, Meta(pattern="^postgres(ql)?://")] | None = None
    """Database of PostgreSQL, which many machines may share: see docs/postgres.md."""

    def __repr__(self) -> str:
        return f"Store(url={self.url and '...'})"  # it may have a password
