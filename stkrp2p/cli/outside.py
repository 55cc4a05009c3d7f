"""Checks of `stkrp2p doctor` over the network: all at once, each within `CHECK_S_MAX`."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
import trio

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.cli.findings import Finding, bad, ok, skipped, warning
from stkrp2p.cli.keys import key_facts
from stkrp2p.cli.nodes import node_from_text
from stkrp2p.cli.options import again
from stkrp2p.config import NetworkFile, NodeConfig
from stkrp2p.core.types import NodeId
from stkrp2p.ports import ChainUnavailable

if TYPE_CHECKING:
    from stkrp2p.config import Loaded

CHECK_S_MAX = 10.0
"""Time each check has."""

CLOCK_MS_MAX = 1_000
"""How far the clock may be off before rounds are seen too early or too late."""


async def check_outside(loaded: Loaded, network: NetworkFile) -> list[Finding]:
    """Run the checks that need the network at once; their findings come in a fixed order."""
    checks: tuple[tuple[str, Callable[[], Awaitable[list[Finding]]]], ...] = (
        ("beacon", lambda: _check_beacon(loaded.config, network)),
        ("Ethereum", lambda: _check_chain(loaded, network)),
        ("first peers", lambda: _check_first_peers(loaded.config, network)),
    )
    found: dict[str, list[Finding]] = {}

    async def run(name: str, check: Callable[[], Awaitable[list[Finding]]]) -> None:
        found[name] = [bad(name, f"no answer in {CHECK_S_MAX:g} s", "check the network")]
        with trio.move_on_after(CHECK_S_MAX):
            found[name] = await check()

    async with trio.open_nursery() as nursery:
        for name, check in checks:
            nursery.start_soon(run, name, check)
    return [finding for name, _ in checks for finding in found[name]]


async def _check_beacon(config: NodeConfig, network: NetworkFile) -> list[Finding]:
    """Check that the beacon endpoints serve our chain, and the clock by its newest round."""
    import httpx  # noqa: PLC0415  - half a second

    from stkrp2p.adapters.drand import DrandBeacons, ForeignBeacon  # noqa: PLC0415
    from stkrp2p.core.beacon import verified  # noqa: PLC0415
    from stkrp2p.core.types import ProtocolError, Round  # noqa: PLC0415
    from stkrp2p.ports import BeaconUnavailable  # noqa: PLC0415

    if not config.beacons:
        return [skipped("beacon", "no endpoint is set: rounds come from peers")]
    beacon, clock = network.genesis.beacon, SystemClock()
    due = beacon.last_due(clock.unix_ms())
    if due < 1:
        return [warning("beacon", f"its first round is due in {_until(network)}")]
    async with httpx.AsyncClient() as client:
        drand = DrandBeacons(beacon, config.beacons, client=client, clock=clock)
        try:
            await drand.check_info()
            verified(beacon, Round(due), await drand.fetch(Round(due)))
        except ForeignBeacon as error:
            return [bad("beacon", str(error), "change beacons")]
        except BeaconUnavailable as error:
            hint = "check beacons, and that the clock is right"
            return [bad("beacon", f"round {due}: {error}", hint)]
        except ProtocolError as error:
            return [bad("beacon", f"round {due} is false: {error}", "change beacons")]
    return [ok("beacon", f"round {due} is true and in time"), *await _check_clock(network, config)]


def _until(network: NetworkFile) -> str:
    left_ms = network.genesis.beacon.genesis_ms - SystemClock().unix_ms()
    return f"{max(0, left_ms) // 1000} s"


async def _check_clock(network: NetworkFile, config: NodeConfig) -> list[Finding]:
    """Check the clock against a beacon endpoint's `Date`, to its whole second."""
    import email.utils  # noqa: PLC0415

    import httpx  # noqa: PLC0415

    clock = SystemClock()
    async with httpx.AsyncClient() as client:
        try:
            before_ms = clock.unix_ms()
            answer = await client.get(f"{config.beacons[0].rstrip('/')}/info")
            after_ms = clock.unix_ms()
            told = email.utils.parsedate_to_datetime(answer.headers["date"])
        except (httpx.HTTPError, KeyError, ValueError):
            return [skipped("clock", "the beacon endpoint does not tell the time")]
    told_ms = int(told.timestamp() * 1000)
    # The header is cut to the second, so the true time then was up to a second later.
    off_ms = max(told_ms - after_ms, before_ms - (told_ms + 1000), 0)
    if off_ms > CLOCK_MS_MAX:
        hint = "set the clock: run an NTP service"
        return [bad("clock", f"about {off_ms / 1000:.1f} s off the beacon endpoint's", hint)]
    return [ok("clock", f"agrees with the beacon endpoint's; a round is {_period(network)}")]


def _period(network: NetworkFile) -> str:
    return f"{network.genesis.beacon.period_ms / 1000:g} s"


async def _check_chain(loaded: Loaded, network: NetworkFile) -> list[Finding]:
    """Check that Ethereum answers, is the right chain, and knows this node."""
    config = loaded.config
    if not config.rpc:
        return [bad("Ethereum", "no endpoint is set", "set rpc")]
    from stkrp2p.adapters.chain import Web3Chain  # noqa: PLC0415  - over a second

    chain = Web3Chain(network.genesis, config.rpc, deploy_block=network.deploy_block)
    try:
        snapshot = await chain.registry()
    except ChainUnavailable as error:
        return [bad("Ethereum", f"{chain.state.value}: {error}", "check rpc")]
    finally:
        chain.close()
    found = [ok("Ethereum", f"chain {network.genesis.chain_id}, final block {snapshot.block}")]
    node = _own_id(config)
    if node is None:
        return [*found, skipped("registered", "there is no node key")]
    mine = [r for r in snapshot.registrations if r.node == node and r.exit_epoch is None]
    if not mine:
        hint = again(loaded, "register")
        return [*found, bad("registered", "not as of the last final block", hint)]
    first = mine[-1].first_epoch
    return [*found, ok("registered", f"as number {mine[-1].index}, from epoch {first} on")]


def _own_id(config: NodeConfig) -> NodeId | None:
    public = next((k.public for k in key_facts(_only_node(config)) if k.kind == "node"), "")
    return node_from_text(public)


def _only_node(config: NodeConfig) -> NodeConfig:
    return msgspec.structs.replace(config, account_key=None)


async def _check_first_peers(config: NodeConfig, network: NetworkFile) -> list[Finding]:
    """Check that first peers answer on their ports."""
    peers = dict.fromkeys((*config.peers, *network.peers))
    if not peers:
        return [skipped("first peers", "none are named; the registry tells of them")]
    answered = 0

    async def dial(address: str) -> None:
        nonlocal answered
        match address.split("/"):
            case ["", _, host, "tcp", port, *_]:
                with contextlib.suppress(OSError):
                    await (await trio.open_tcp_stream(host, int(port))).aclose()
                    answered += 1
            case _:
                return

    with trio.move_on_after(CHECK_S_MAX / 2):
        async with trio.open_nursery() as nursery:
            for address in peers:
                nursery.start_soon(dial, address)
    detail = f"{answered} of {len(peers)} first peers answer"
    if not answered:
        return [warning("first peers", detail, "check the network and its file's peers")]
    return [ok("first peers", detail)]
