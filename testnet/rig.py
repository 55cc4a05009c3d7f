"""A network of its own inside this machine, which can lose packets and be cut in two.

    with rig.built(hosts=6) as net:
        async with running(plan, folder, say, site=net.site): ...
            net.cut(net.hosts[:3], net.hosts[3:])
            net.heal()

Each host is a network namespace with one address; a further namespace holds the switch they all hang
on, and with them the machine itself, which keeps the chain and the beacon:

    machine 10.79.x.1 ---[ switch ]--- host 10.79.x.10
                              |------- host 10.79.x.11 ...

What is cut or lost vanishes in the switch without a word, as on a real network: nobody is told that
a host is unreachable. It needs root, `ip` (iproute2) and `nft` (nftables). Names tell which process
built a rig, so that what a killed run left is found and taken down by the next.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testnet import manifest
from testnet.cluster import Site

HOSTS_MAX = 200
"""Addresses of one rig's hosts: 10.79.x.10 and up."""

SUBNETS = 256
"""Rigs that fit on one machine at once: 10.79.0.0/24 to 10.79.255.0/24."""

_TOOLS = {"ip": "Debian's iproute2", "nft": "Debian's nftables"}
_PREFIX = "stkrp2p"
_MACHINE_PORT = "machine"
_FIRST_HOST = 10


class RigRefused(Exception):
    """This machine does not let us build one; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host on the switch."""

    namespace: str
    """Name for `ip netns exec`."""

    address: str
    port: str
    """Its port on the switch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A switch and its hosts."""

    switch: str
    """The switch's namespace."""

    machine: str
    """Address of the machine itself on the switch."""

    hosts: tuple[Host, ...]

    @property
    def site(self) -> Site:
        """Where a local network lives on this rig: a host for each node, the rest on the machine."""
        return Site(
            shared_host=self.machine,
            hosts=[h.address for h in self.hosts],
            namespaces=[h.namespace for h in self.hosts],
        )

    def cut(self, left: Sequence[Host], right: Sequence[Host]) -> None:
        """Drop every IP packet between two groups of hosts; both still reach the machine."""
        a, b = (", ".join(h.port for h in group) for group in (left, right))
        self._filter(
            f"iifname {{ {a} }} oifname {{ {b} }} ether type ip drop",
            f"iifname {{ {b} }} oifname {{ {a} }} ether type ip drop",
        )

    def lose(self, percent: int) -> None:
        """Drop this share of the IP packets between hosts, at random, in either direction."""
        self._filter(
            f"iifname != {_MACHINE_PORT} oifname != {_MACHINE_PORT} ether type ip"
            f" numgen random mod 100 < {percent} drop"
        )

    def heal(self) -> None:
        """Drop nothing any more."""
        self._filter()

    def _filter(self, *rules: str) -> None:
        """Replace the switch's rules, all at once."""
        lines = [f"add rule bridge rig forward {rule}" for rule in rules]
        _set_rules(self.switch, ["flush chain bridge rig forward", *lines])


@contextmanager
def built(*, hosts: int) -> Iterator[Rig]:
    """Build a rig for a `with` block; nothing of it is left afterwards. One at a time in a process.

    Args:
        hosts: How many, at most `HOSTS_MAX`.

    Raises:
        RigRefused: We are not root, a tool is missing, or the kernel refuses.
        ValueError: Too many hosts.
    """
    if not 0 < hosts <= HOSTS_MAX:
        raise ValueError(f"a rig has from 1 to {HOSTS_MAX} hosts, got {hosts}")
    _check_machine()
    remove_leftovers()
    owner = _owner(os.getpid())
    try:
        yield _build(f"{_PREFIX}-{owner}", hosts)
    finally:
        _take_down(owner)


def _check_machine() -> None:
    missing = [f"{tool} ({package})" for tool, package in _TOOLS.items() if not shutil.which(tool)]
    if missing:
        raise RigRefused(f"a network of namespaces needs {' and '.join(missing)}")
    if os.geteuid() != 0:
        raise RigRefused("only root may make network namespaces")


def _build(prefix: str, count: int) -> Rig:
    switch = f"{prefix}-switch"
    _run(["ip", "netns", "add", switch])
    subnet = _plug_machine_in(switch)
    hosts = tuple(
        Host(
            namespace=f"{prefix}-{i}", address=f"10.79.{subnet}.{_FIRST_HOST + i}", port=f"host{i}"
        )
        for i in range(count)
    )
    lines = ["link add switch type bridge", "link set switch up"]
    lines += [f"link set {_MACHINE_PORT} master switch up"]
    for host in hosts:
        _run(["ip", "netns", "add", host.namespace])
        lines += [f"link add {host.port} type veth peer name eth0 netns {host.namespace}"]
        lines += [f"link set {host.port} master switch up"]
    _batch(switch, lines)
    for host in hosts:
        lines = ["link set lo up", f"addr add {host.address}/24 dev eth0", "link set eth0 up"]
        _batch(host.namespace, lines)
    chain = "add chain bridge rig forward { type filter hook forward priority 0 ; }"
    _set_rules(switch, ["add table bridge rig", chain])
    return Rig(switch=switch, machine=f"10.79.{subnet}.1", hosts=hosts)


def _plug_machine_in(switch: str) -> int:
    """Connect the machine with the switch, on the first free subnet; return which.

    The interface is named for the subnet, so two rigs built at once cannot choose the same.
    """
    used = _run(["ip", "-4", "-o", "address"])
    for subnet in range(SUBNETS):
        name = f"stkr{subnet}"
        if f" 10.79.{subnet}." in used:
            continue
        end = ["peer", "name", _MACHINE_PORT, "netns", switch]
        try:
            _run(["ip", "link", "add", name, "type", "veth", *end])
        except RigRefused as error:
            if "File exists" in str(error):
                continue
            raise
        _run(["ip", "address", "add", f"10.79.{subnet}.1/24", "dev", name])
        _run(["ip", "link", "set", name, "up"])
        return subnet
    raise RigRefused("no 10.79.x.0/24 is free")


# ---------------------------------------------------------------- taking down


def remove_leftovers() -> None:
    """Take down the rigs of processes that no longer run."""
    for owner in {_owner_of(name) for name in namespaces()}:
        if owner != _owner(int(owner.partition("-")[0])):
            _take_down(owner)


def namespaces() -> list[str]:
    """Return the namespaces of all rigs on this machine."""
    names = [line.split()[0] for line in _run(["ip", "netns", "list"]).splitlines()]
    return [name for name in names if name.startswith(f"{_PREFIX}-")]


def _owner(pid: int) -> str:
    """Return what tells a running process from all others there ever were: pid and start time."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return f"{pid}-{stat.rpartition(')')[2].split()[19]}"


def _owner_of(name: str) -> str:
    """Return the owner that a namespace's name tells."""
    return name.removeprefix(f"{_PREFIX}-").rpartition("-")[0]


def _take_down(owner: str) -> None:
    """Kill what lives in an owner's namespaces and delete them; the links go with them."""
    for name in [n for n in namespaces() if _owner_of(n) == owner]:
        for pid in _run(["ip", "netns", "pids", name]).split():
            manifest.kill(int(pid))
        _run(["ip", "netns", "delete", name])


def _batch(namespace: str, lines: Sequence[str]) -> None:
    _run(["ip", "-n", namespace, "-batch", "-"], "\n".join([*lines, ""]))


def _set_rules(switch: str, lines: Sequence[str]) -> None:
    _run(["ip", "netns", "exec", switch, "nft", "-f", "-"], "\n".join([*lines, ""]))


def _run(command: Sequence[str], text: str = "") -> str:
    """Run a tool and return what it prints.

    Raises:
        RigRefused: It failed; the message has its words.
    """
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RigRefused(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
