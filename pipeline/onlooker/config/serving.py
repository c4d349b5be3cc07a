"""Settings of the HTTP API, of the console, and of what else listens for other machines."""

import ipaddress
import re
from typing import Annotated, Literal

from msgspec import Meta

from onlooker.config.section import ConfigError, Count, Seconds, Section

ORIGIN = r"^(\*|[a-z][a-z0-9+.\-]*://[^/\sA-Z]+)$"
"""Origin of a web page as browsers send it, or "*"."""


class Serve(Section, frozen=True, kw_only=True):
    """`[serve]`: the HTTP API. If the file has this section, `onlooker run` starts it."""

    host: str = "127.0.0.1"
    """Address to listen on; without `keys` it must be a loopback address."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8600
    """Port to listen on; 0 takes a free one."""
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    """Processes that share the port."""
    threads: Count = 0
    """Images that one process analyses at a time, each with models of its own; 0 means that the
    processes share the cores evenly."""
    queue: Count = 16
    """Maximum requests that wait for a thread of a process; further ones are throttled."""
    request_timeout: Seconds = 30.0
    """Seconds after which a request that was not answered is cancelled."""
    thorough: bool = True
    """Detect small faces and small text as `onlooker faces` and `onlooker text` do. If false,
    `[faces] detection` and `[text] detection` apply, at a fraction of the cost."""
    profile: Literal["current", "2017-11"] = "current"
    """Amazon's response shapes and limits: today's, or those of November 2017."""
    keys: str | None = None
    """File of access keys, as described in `onlooker.api.access_keys`; None means that requests
    need no signature."""
    any_region: bool = True
    """Accept signatures for any region; if false, only for `[record] region`."""
    reject_replays: bool = False
    """Refuse a signed request for a change if the same signature came within ten minutes. Two equal
    requests that are signed in the same second count as one."""
    buckets: str | None = None
    """Source of S3Objects: "s3", or a folder with one folder per bucket."""
    certificate: str | None = None
    """File with the TLS certificate and its chain, in PEM."""
    private_key: str | None = None
    """File with the certificate's key; None means that `certificate` has it."""
    cors_origins: tuple[Annotated[str, Meta(pattern=ORIGIN)], ...] = ()
    """Origins of web pages that may send requests from a browser, such as "http://localhost:3000";
    "*" means any, and needs `keys`."""
    metrics_port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """Port of /metrics; None means `port`."""
    validation_error: Literal["InvalidParameterException", "ValidationException"] = (
        "InvalidParameterException"
    )
    """Name of the exception for a violated limit; Amazon has used both."""

    def __post_init__(self) -> None:
        if self.metrics_port == self.port:
            raise ConfigError("metrics_port: is the API's port, which has /metrics without it")
        if "*" in self.cors_origins and self.keys is None:
            raise ConfigError(
                'cors_origins: "*" lets any web page that is open on this machine do everything; '
                "set keys, or name the pages' origins"
            )


class Listening(Section, frozen=True, kw_only=True):
    """A section with an address to listen on."""

    listen: Annotated[str, Meta(pattern=r"^\S+:\d{1,5}$")]

    def __post_init__(self) -> None:
        if not self.port <= 65535:
            raise ConfigError(f"listen: {self.listen}: the port must be 0 to 65535")

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])


class Console(Listening, frozen=True, kw_only=True):
    """`[console]`: pages for a browser. If the file has this section, `onlooker run` serves them.

    Its users sign in with the keys of `[serve] keys`.
    """

    listen: Annotated[str, Meta(pattern=r"^\S+:\d{1,5}$")] = "127.0.0.1:8700"
    """Address and port; without `[serve] keys` it must be a loopback address. Port 0 takes a free
    one."""
    session_hours: Annotated[float, Meta(gt=0, le=720)] = 12
    """Hours after which a user has to sign in again."""
    proxies: tuple[str, ...] = ()
    """Addresses or networks of reverse proxies, such as "10.0.0.2": the headers X-Forwarded-For and
    X-Forwarded-Proto are believed of them. Those of other clients never are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for each in self.proxies:
            try:
                ipaddress.ip_network(each)
            except ValueError as error:
                raise ConfigError(
                    f"proxies: {each!r} is not an address or a network: {error}; write 10.0.0.2 or "
                    "10.0.0.0/24"
                ) from error


class Kinesis(Listening, frozen=True, kw_only=True):
    """`[kinesis]`: records as Kinesis data streams. If the file has it, `onlooker run` serves them.

    Keys, certificate, limits and times are those of `[serve]`, which need not be there otherwise.
    """

    listen: Annotated[str, Meta(pattern=r"^\S+:\d{1,5}$")] = "127.0.0.1:8610"
    """Address and port; an address that other machines reach needs `[serve] keys` and
    `certificate`. Port 0 takes a free one."""


class Workers(Section, frozen=True, kw_only=True):
    """`[workers]`: where other machines may join, to analyse frames of streams and of replays."""

    listen: str | None = None
    """Such as tcp://192.168.1.5:5570; None means that no machine may join. It needs `key`."""
    key: str | None = None
    """File with this machine's key pair (`onlooker keys generate`)."""
    clients: tuple[str, ...] = ()
    """Public keys of the machines that may join; without one, none may."""

    def __post_init__(self) -> None:
        if self.listen is None:
            return
        if not re.fullmatch(r"tcp://\S+:\d{1,5}", self.listen):
            raise ConfigError(
                f"listen: {self.listen}: write tcp://, an address of this machine and a port, such "
                "as tcp://192.168.1.5:5570"
            )
        if not 1 <= int(self.listen.rpartition(":")[2]) <= 65535:
            raise ConfigError(f"listen: {self.listen}: the port must be 1 to 65535")
        if self.key is None:
            raise ConfigError("listen needs key: create one with `onlooker keys generate FILE`")


class Publish(Section, frozen=True, kw_only=True):
    """`[publish]`: where records of `[streams]` are published, and who may subscribe."""

    endpoint: str | None = None
    """Such as tcp://127.0.0.1:5555; any address that is not local needs a key."""
    key: str | None = None
    """File with the publisher's key pair (`onlooker keys generate`)."""
    clients: tuple[str, ...] = ()
    """Public keys of the clients that may subscribe; they need `key`."""

    def __post_init__(self) -> None:
        if self.clients and self.key is None:
            raise ConfigError("clients needs key: create one with `onlooker keys generate FILE`")


class Metrics(Section, frozen=True, kw_only=True):
    """`[metrics]`: Prometheus metrics of the streams, and of an API that runs beside them."""

    listen: Annotated[str, Meta(pattern=r"^\S+:\d{1,5}$")] | None = None
    """Address such as 127.0.0.1:9464; None means no metrics."""

    def __post_init__(self) -> None:
        if self.listen and not 1 <= int(self.listen.rpartition(":")[2]) <= 65535:
            raise ConfigError(f"{self.listen}: the port must be 1 to 65535")
