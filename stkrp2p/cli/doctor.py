"""`stkrp2p doctor`: looks for what keeps a node from working, and says what to do about it."""

from __future__ import annotations

import errno
import shutil
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import msgspec
import trio

from stkrp2p.adapters.libp2p.identity import tcp_endpoint
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.findings import Finding, Health, bad, ok, skipped, warning
from stkrp2p.cli.keys import KeyFact, key_facts
from stkrp2p.cli.live import ask_if_running, ask_node
from stkrp2p.cli.options import ReadingCommand, again
from stkrp2p.cli.output import print_json, print_lines
from stkrp2p.cli.outside import check_outside
from stkrp2p.cli.peers import Peers
from stkrp2p.cli.status import troubles_of
from stkrp2p.config import ConfigError, NodeConfig, read_network

if TYPE_CHECKING:
    from stkrp2p.config import Loaded

DISK_BYTES_MIN = 1024**3
"""Free space below which the disk is a worry."""


@click.command("doctor", cls=ReadingCommand)
@click.pass_context
def command(ctx: click.Context, *, loaded: Loaded, as_json: bool) -> None:
    """Look for what keeps the node from working.

    Checks the data directory, keys, disk, ports, the beacon and the clock by it, Ethereum, and the
    registration. Works while the node runs and while it is down. Exits with 3 if something is bad.
    """
    findings = examine(loaded)
    is_well = all(f.health is not Health.BAD for f in findings)
    if as_json:
        print_json("doctor/1", {"is_well": is_well, "findings": [asdict(f) for f in findings]})
    else:
        print_lines(line for f in findings for line in _lines(f))
    if not is_well:
        ctx.exit(Exit.NOT_RUNNING)


def _lines(finding: Finding) -> list[str]:
    first = f"{finding.health.value:<8} {finding.check:<13} {finding.detail}"
    return [first, f"{'':<22} next: {finding.next}"] if finding.next else [first]


def examine(loaded: Loaded) -> list[Finding]:
    """Return what all checks found, in a fixed order."""
    config = loaded.config
    findings = [check_data_dir(loaded), check_disk(config), *map(_key_finding, key_facts(config))]
    try:
        network = read_network(config.network)
    except ConfigError as error:
        return [*findings, bad("network", str(error), error.hint)]
    genesis = network.genesis
    findings.append(ok("network", f"{genesis.name} {genesis.network_id.hex()[:16]}"))
    is_running, finding = check_process(loaded)
    findings.append(finding)
    findings += [check_inbound(config)] if is_running else check_ports(config)
    return findings + trio.run(check_outside, loaded, network)


# ------------------------------------------------------------------------------ this machine


def check_data_dir(loaded: Loaded) -> Finding:
    """Check that the data directory exists and is private."""
    directory = loaded.config.data_dir
    if not directory.is_dir():
        return bad("data dir", f"{directory} does not exist", again(loaded, "init"))
    mode = directory.stat().st_mode & 0o777
    if mode & 0o022:
        hint = f"chmod 700 {directory}"
        return bad("data dir", f"others may write in {directory} (mode {mode:04o})", hint)
    return ok("data dir", str(directory))


def check_disk(config: NodeConfig) -> Finding:
    """Check that the data directory's disk has room."""
    place = next(p for p in (config.data_dir, *config.data_dir.parents) if p.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / 1024**3:.1f} GiB free"
    if free < DISK_BYTES_MIN:
        return warning("disk", detail, "free some space: a full disk stops signing")
    return ok("disk", detail)


def _key_finding(key: KeyFact) -> Finding:
    check = f"{key.kind} key"
    if not key.trouble:
        return ok(check, key.public[:64])
    what, _, hint = key.trouble.partition("; run: ")
    return bad(check, what, hint or ("stkrp2p init" if not key.mode else f"look at {key.path}"))


def check_process(loaded: Loaded) -> tuple[bool, Finding]:
    """Tell whether the node runs, and how it says it does."""
    try:
        live = ask_if_running(loaded.config, "status")
    except Failure as failure:
        return True, bad("node", f"{failure.message}: {failure.why}", "look at the node's log")
    if live is None:
        return False, warning("node", "does not run", again(loaded, "run"))
    troubles = troubles_of(live)
    if troubles:
        return True, bad("node", "; ".join(troubles), again(loaded, "status"))
    return True, ok("node", "runs and is well")


def check_ports(config: NodeConfig) -> list[Finding]:
    """Check that the node could listen where it is told to."""
    return [_port_finding(address) for address in config.listen]


def _port_finding(address: str) -> Finding:
    try:
        host, port = tcp_endpoint(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
    except ValueError as error:
        return bad("port", str(error), "change listen")
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else error.strerror or "refused"
        return bad("port", f"{address}: {why}", "stop it, or change listen")
    return ok("port", f"{address} is free")


def check_inbound(config: NodeConfig) -> Finding:
    """Check that others reach the running node: some have connected to it by themselves."""
    try:
        peers = msgspec.convert(ask_node(config, "peers"), Peers).peers
    except (Failure, msgspec.ValidationError) as error:
        return skipped("reachable", f"the node does not tell: {error}")
    inbound = sum(p.is_inbound for p in peers)
    if not inbound:
        hint = "open the port in firewall and router, and set announce"
        return warning("reachable", "no peer has connected to this node yet", hint)
    return ok("reachable", f"{inbound} of {len(peers)} peers connected to this node")
