"""Two machines on this one: network namespaces, with a cable between them that can be pulled.

It needs root, and `ip`, `unshare` and `nsenter` (Debian: iproute2, util-linux). The process that
makes a `Cable` should be in a namespace of its own: see `enter`.
"""

import os
import shutil
import subprocess
import sys
from contextlib import suppress

HUB, MACHINE = "10.254.0.1", "10.254.0.2"
"""Addresses of the two ends; no packet leaves the two namespaces."""
NOBODY = "02:00:00:00:00:99"
"""A hardware address that no end has."""
INSIDE = "ONLOOKER_INSIDE_NAMESPACE"


def enter() -> None:
    """Run this program again in a network namespace of its own, unless it is in one."""
    if os.environ.get(INSIDE):
        return
    if missing := [name for name in ("ip", "unshare", "nsenter") if shutil.which(name) is None]:
        sys.exit(f"there is no {missing[0]}; on Debian: apt install iproute2 util-linux")
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    arguments = [sys.executable, "-m", *_module(), *sys.argv[1:]]
    os.execvpe("unshare", ["unshare", "-n", *arguments], {**os.environ, INSIDE: "1"})


def _module() -> list[str]:
    spec = sys.modules["__main__"].__spec__
    assert spec is not None, "run it with python -m"
    return [spec.name]


class Cable:
    """A network of two machines, with the interface of `tests.support.machines.Network`.

    `cut` pulls the cable: no packet passes, and neither end is told. `freeze` makes the connection
    half-open: packets of one end are lost, those of the other arrive; the two take turns.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.host = HUB
        self._freezes = 0
        self._frozen: str | None = None
        self._holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        pid = str(self._holder.pid)
        self.prefix = ("nsenter", "-t", pid, "-n")
        """Begins the commands of the other machine."""
        while os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            assert self._holder.poll() is None, "unshare -n has ended"
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "hub", "type", "veth", "peer", "name", "machine", "netns", pid)
        _ip("address", "add", f"{HUB}/24", "dev", "hub")
        _ip("link", "set", "hub", "up")
        self._there("link", "set", "lo", "up")
        self._there("address", "add", f"{MACHINE}/24", "dev", "machine")
        self._there("link", "set", "machine", "up")

    @property
    def endpoint(self) -> str:
        return f"tcp://{HUB}:{self.target}"

    def cut(self) -> None:
        self._there("link", "set", "machine", "down")

    def freeze(self) -> None:
        self._freezes += 1
        self._frozen = "machine" if self._freezes % 2 else "hub"
        self._neighbour("replace", "lladdr", NOBODY, "nud", "permanent")

    def mend(self) -> None:
        if self._frozen is not None:
            self._neighbour("del")
            self._frozen = None
        self._there("link", "set", "machine", "up")

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        with suppress(subprocess.CalledProcessError):  # it goes with the other end, too
            _ip("link", "delete", "hub")

    def _neighbour(self, change: str, *how: str) -> None:
        """Change the hardware address to which the frozen end sends."""
        if self._frozen == "machine":
            self._there("neighbour", change, HUB, "dev", "machine", *how)
        else:
            _ip("neighbour", change, MACHINE, "dev", "hub", *how)

    def _there(self, *arguments: str) -> None:
        _ip(*arguments, prefix=self.prefix)


def _ip(*arguments: str, prefix: tuple[str, ...] = ()) -> None:
    subprocess.run([*prefix, "ip", *arguments], check=True, stderr=subprocess.DEVNULL)
