"""`stkrp2p beacon`: rounds of the network's beacon, and whether a signature is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.options import DefaultGroup, ReadingCommand
from stkrp2p.cli.output import facts, moment, print_json

if TYPE_CHECKING:
    from stkrp2p.adapters.store import StoreReader
    from stkrp2p.config import Loaded, NodeConfig
    from stkrp2p.core.beacon import Beacon, BeaconRound
    from stkrp2p.core.types import Round

LOOKED_MAX = 64
"""How many of the last due rounds are looked up in the store."""

FETCH_S_MAX = 5.0
"""How long endpoints may take; a node waits longer, for a round that is just due."""

ROUND = click.IntRange(min=1, max=(1 << 63) - 1)


@dataclass(frozen=True, slots=True)
class Shown:
    """A round and where it was found; the round is verified."""

    value: BeaconRound
    source: str
    """`store` or `drand endpoint`."""


@click.group("beacon", cls=DefaultGroup)
def command() -> None:
    """Show rounds of the network's beacon, or verify one.

    Without a subcommand it is `stkrp2p beacon show`, with its options.
    """


@command.command("show", cls=ReadingCommand)
@click.argument("number", metavar="[ROUND]", type=ROUND, required=False)
def show(*, loaded: Loaded, number: int | None, as_json: bool) -> None:
    """Show a round, the newest unless a number is given.

    Looks in this node's store, then asks the drand endpoints that are set. Whatever is shown is
    verified under the network's beacon key.
    """
    beacon = _beacon(loaded)
    found = find_round(loaded.config, beacon, number)
    if as_json:
        print_json("beacon-round/1", {**_document(beacon, found.value), "source": found.source})
        return
    value, due = found.value, moment(beacon.due_ms(found.value.number) // 1000)
    pairs = [
        ("round", f"{value.number}, due {due}"),
        ("signature", value.signature.hex()),
        ("randomness", value.randomness.hex()),
        ("source", found.source),
    ]
    click.echo("\n".join([*facts(pairs), "verified"]))  # not cut: a signature is copied


@command.command("verify", cls=ReadingCommand)
@click.argument("number", metavar="ROUND", type=ROUND)
@click.argument("signature")
@click.pass_context
def verify(
    ctx: click.Context, *, loaded: Loaded, number: int, signature: str, as_json: bool
) -> None:
    """Tell whether a signature (96 hex digits) is the beacon's of a round.

    Needs no network: the key is in the network file. Exits with 1 if it is not.
    """
    from stkrp2p.core.beacon import verified  # noqa: PLC0415
    from stkrp2p.core.types import ProtocolError, Round  # noqa: PLC0415

    beacon = _beacon(loaded)
    try:
        value = verified(beacon, Round(number), bytes.fromhex(signature.removeprefix("0x")))
    except (ProtocolError, ValueError) as error:
        why = f"{error}" if isinstance(error, ProtocolError) else "no hex digits"
        if as_json:
            print_json("beacon-verify/1", {"round": number, "is_true": False, "why": why})
        else:
            click.echo(f"false: not the beacon's signature of round {number} ({why})")
        ctx.exit(Exit.FAILED)
    if as_json:
        print_json("beacon-verify/1", {**_document(beacon, value), "is_true": True, "why": ""})
    else:
        click.echo(f"true: round {number}, randomness {value.randomness.hex()}")


def _beacon(loaded: Loaded) -> Beacon:
    return network_of(loaded.config).genesis.beacon


def _document(beacon: Beacon, value: BeaconRound) -> dict[str, object]:
    return {
        "round": value.number,
        "due_ms": beacon.due_ms(value.number),
        "signature": value.signature.hex(),
        "randomness": value.randomness.hex(),
    }


def find_round(config: NodeConfig, beacon: Beacon, number: int | None) -> Shown:
    """Return a round, verified.

    Args:
        config: Where the store is, and which endpoints there are.
        beacon: Whose round.
        number: Which one; `None` for the newest there is.

    Raises:
        Failure: It is not due, nobody has it, or what an endpoint gives is false.
    """
    from stkrp2p.adapters.clock import SystemClock  # noqa: PLC0415
    from stkrp2p.core.types import Round  # noqa: PLC0415

    if number is not None:
        held = _in_store(config, beacon, Round(number), Round(number))
        if held is not None:
            return Shown(held, "store")
    due = beacon.last_due(SystemClock().unix_ms())
    if due < 1 or (number is not None and number > due):
        first = moment(beacon.due_ms(Round(number or 1)) // 1000)
        raise Failure(f"round {number or 1} is not due yet", why=f"it is on {first}")
    if number is None:
        found = _in_store(config, beacon, Round(max(1, due - LOOKED_MAX + 1)), Round(due))
    else:
        found = None
    if config.beacons and (found is None or found.number != due):
        return _from_endpoints(config, beacon, Round(number or due), found)
    if found is not None:
        return Shown(found, "store")
    raise Failure(
        f"nobody here has round {number or due}",
        why='it is not in the store, and the setting "beacons" is empty',
        hint="set beacons to drand endpoints of the network's chain",
    )


def _in_store(config: NodeConfig, beacon: Beacon, first: Round, last: Round) -> BeaconRound | None:
    """Return the newest round in the store within these numbers."""
    from stkrp2p.cli.stored import read_store  # noqa: PLC0415
    from stkrp2p.config.settings import STORE_FILE  # noqa: PLC0415
    from stkrp2p.core.beacon import verified  # noqa: PLC0415
    from stkrp2p.core.types import ProtocolError  # noqa: PLC0415

    if not (config.data_dir / STORE_FILE).exists():
        return None

    async def read(store: StoreReader) -> BeaconRound | None:
        held = await store.rounds(first, last)
        return held[-1] if held else None

    found = read_store(config, read)
    if found is None:
        return None
    try:
        return verified(beacon, found.number, found.signature)
    except ProtocolError as error:
        raise Failure(
            f"the stored round {found.number} is false",
            why="the beacon did not sign it; the store is damaged",
            hint="stkrp2p doctor",
        ) from error


def _from_endpoints(
    config: NodeConfig, beacon: Beacon, number: Round, held: BeaconRound | None
) -> Shown:
    """Return a round from the drand endpoints, or what the store holds if they give none.

    Raises:
        Failure: Neither has one.
    """
    import httpx  # noqa: PLC0415  - half a second
    import trio  # noqa: PLC0415

    from stkrp2p.adapters.clock import SystemClock  # noqa: PLC0415
    from stkrp2p.adapters.drand import DrandBeacons  # noqa: PLC0415
    from stkrp2p.core.beacon import verified  # noqa: PLC0415
    from stkrp2p.core.types import ProtocolError  # noqa: PLC0415
    from stkrp2p.ports import BeaconUnavailable  # noqa: PLC0415

    async def fetch() -> bytes:
        async with httpx.AsyncClient() as client:
            drand = DrandBeacons(beacon, config.beacons, client=client, clock=SystemClock())
            with trio.move_on_after(FETCH_S_MAX):
                return await drand.fetch(number)
        raise BeaconUnavailable(f"no answer in {FETCH_S_MAX:g} s")

    try:
        return Shown(verified(beacon, number, trio.run(fetch)), "drand endpoint")
    except (BeaconUnavailable, ProtocolError) as error:
        if held is not None:
            return Shown(held, "store")
        raise Failure(
            f"no endpoint gives round {number}",
            why=str(error),
            hint="stkrp2p doctor",
            code=Exit.NOT_RUNNING,
        ) from error
