"""Network files: the facts all members of a network agree on, and where to find its first peers.

`dump_network` and `read_network` are each other's inverse. A file names a preset, or gives every
number in `[params]`; with both, the numbers given replace the preset's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from stkrp2p.config.faults import fault_of_peer
from stkrp2p.config.files import (
    PEERS_MAX,
    ConfigError,
    Line,
    did_you_mean,
    is_path,
    read_toml,
    refuse_unknown,
    toml_value,
)
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.network import Genesis, MarketAddresses
from stkrp2p.core.params import PRESETS, Params
from stkrp2p.core.types import Round, UnixMs
from stkrp2p.core.wire import INTEGER_MAX

TEMPLATE_NAME = "example"
"""Name of the network in the template; no real network may have it."""


class NetworkFile(NamedTuple):
    """A network file's content."""

    genesis: Genesis
    peers: tuple[str, ...]
    """First peers, as multiaddrs that end in `/p2p/<PeerID>`."""

    deploy_block: int
    """Block the contracts were deployed in: nothing of theirs is older."""

    market: MarketAddresses | None = None
    """Where rule and market are; `None` for a network without."""


Whole = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]


class _BeaconTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    public_key: str
    genesis_ms: Whole
    period_ms: Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]
    first_round: Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]


class _ChainTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    chain_id: Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]
    registry: str
    anchor: str
    council: str
    council_key: str
    deploy_block: Whole = 0


class _MixedTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    public_key: str
    genesis_ms: Whole
    period_ms: Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]


class _MarketTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    beacon_verifier: str
    timelock: str
    policy: str
    council: str
    voter_rewards: str
    prices: str
    insurance: str
    rewards: str
    providers: str
    market: str
    deals: str


class _NetworkTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[\x20-\x7e]+$")]
    beacon: _BeaconTable
    chain: _ChainTable
    mixed: _MixedTable | None = None
    market: _MarketTable | None = None
    preset: str = ""
    params: dict[str, Whole] = {}
    peers: Annotated[tuple[Line, ...], msgspec.Meta(max_length=PEERS_MAX)] = ()


def read_network(path_or_name: str | Path) -> NetworkFile:
    """Return what a network file says.

    Args:
        path_or_name: Path of the file (it holds a `/` or ends in `.toml`), or the name of a network
            that ships with stkrp2p.

    Raises:
        ConfigError: No such file or network, the template, or something in it is wrong.
    """
    path = network_path(path_or_name)
    table = read_toml(path)
    _refuse_template(table, path)
    shape = _NetworkTable
    for name, part, known in (
        ("", table, shape.__struct_fields__),
        ("beacon.", table.get("beacon"), _BeaconTable.__struct_fields__),
        ("chain.", table.get("chain"), _ChainTable.__struct_fields__),
        ("mixed.", table.get("mixed"), _MixedTable.__struct_fields__),
        ("market.", table.get("market"), _MarketTable.__struct_fields__),
        ("params.", table.get("params"), _PARAM_NAMES),
    ):
        for key in part if isinstance(part, dict) else ():
            refuse_unknown(key, known, f"in {path}" + (f" [{name[:-1]}]" if name else ""))
    try:
        read = msgspec.convert(table, shape)
        return _network_of(read)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"{path} does not describe a network", str(error), f"edit {path}"
        ) from error


_PARAM_NAMES = tuple(f.name for f in fields(Params))


def _refuse_template(table: Mapping[str, object], path: Path) -> None:
    if table.get("name") == TEMPLATE_NAME:
        raise ConfigError(
            f"{path} is a template, not a network",
            f'a network may not be named "{TEMPLATE_NAME}"',
            f"copy {path}, fill in your network's values, give it a name",
        )


def _network_of(table: _NetworkTable) -> NetworkFile:
    genesis = Genesis(
        name=table.name,
        params=_params_of(table),
        beacon=_beacon_of("beacon", table.beacon),
        mixed=None if table.mixed is None else _beacon_of("mixed", table.mixed),
        first_round=Round(table.beacon.first_round),
        chain_id=table.chain.chain_id,
        registry=_unhex("chain.registry", table.chain.registry, 20),
        anchor=_unhex("chain.anchor", table.chain.anchor, 20),
        council=_unhex("chain.council", table.chain.council, 20),
        council_key=_unhex("chain.council_key", table.chain.council_key, 96),
    )
    for peer in table.peers:
        if fault_of_peer(peer):
            raise ValueError(f"peers: {fault_of_peer(peer)}")
    market = None if table.market is None else _market_of(table.market)
    return NetworkFile(genesis, table.peers, table.chain.deploy_block, market)


def _market_of(table: _MarketTable) -> MarketAddresses:
    addresses = msgspec.structs.asdict(table)
    read = {name: _unhex(f"market.{name}", text, 20) for name, text in addresses.items()}
    for name, address in read.items():
        if not any(address):
            raise ValueError(f"market.{name} must not be the zero address")
    if len(set(read.values())) < len(read):
        raise ValueError("market: two contracts have one address")
    return MarketAddresses(**read)


def _beacon_of(name: str, table: _BeaconTable | _MixedTable) -> Beacon:
    return Beacon(
        public_key=_unhex(f"{name}.public_key", table.public_key, 96),
        genesis_ms=UnixMs(table.genesis_ms),
        period_ms=table.period_ms,
    )


def _params_of(table: _NetworkTable) -> Params:
    """Return the preset with the table's numbers in place of its own; without one, all are needed."""
    if table.preset:
        if table.preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {table.preset!r}")
        return replace(PRESETS[table.preset], **table.params)  # type: ignore[arg-type]  # ints
    missing = [name for name in _PARAM_NAMES if name not in table.params]
    if missing:
        raise ValueError(f"name a preset, or give all of [params]; missing: {', '.join(missing)}")
    return Params(**table.params)  # type: ignore[arg-type]  # Ppm is an int


def _unhex(name: str, text: str, length_bytes: int) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != length_bytes:
        raise ValueError(f"{name} must be {length_bytes} bytes in hex")
    return value


def network_path(path_or_name: str | Path) -> Path:
    """Return the file of a network given by path or by name.

    Raises:
        ConfigError: No network is named, or none of that name ships with stkrp2p.
    """
    if path_or_name == "":
        raise ConfigError(
            "no network is named",
            'a node needs the setting "network": a network file, or the name of a known network',
            "stkrp2p init --network FILE",
        )
    if isinstance(path_or_name, Path) or is_path(path_or_name):
        return Path(path_or_name).expanduser()
    known = known_networks()
    if path_or_name not in known:
        names = [name for name in known if name != TEMPLATE_NAME]
        why = did_you_mean(path_or_name, names) or (
            f"known are {', '.join(names)}" if names else "no network ships with this version yet"
        )
        raise ConfigError(
            f'there is no network "{path_or_name}"', why, "stkrp2p init --network FILE"
        )
    return known[path_or_name]


def known_networks() -> dict[str, Path]:
    """Return the network files that ship with stkrp2p, by name; the template is among them."""
    installed = Path(str(resources.files("stkrp2p"))) / "networks"
    checkout = Path(__file__).resolve().parents[2] / "bootstrap" / "networks"
    folder = installed if installed.is_dir() else checkout
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def dump_network(
    genesis: Genesis,
    peers: Sequence[str] = (),
    *,
    deploy_block: int = 0,
    market: MarketAddresses | None = None,
) -> str:
    """Return a network file's text; `read_network` gives the same values back."""
    preset = next((name for name, params in PRESETS.items() if params == genesis.params), "")
    lines = [f"name = {toml_value(genesis.name)}"]
    lines += [f"preset = {toml_value(preset)}"] if preset else []
    lines += ["peers = ["] + [f"    {toml_value(peer)}," for peer in peers] + ["]"]
    if not preset:
        lines += ["", "[params]"]
        lines += [f"{name} = {value}" for name, value in asdict(genesis.params).items()]
    chain = genesis
    lines += ["", "[beacon]", *_beacon_lines(genesis.beacon)]
    lines += [f"first_round = {genesis.first_round}"]
    if genesis.mixed is not None:
        lines += ["", "[mixed]", *_beacon_lines(genesis.mixed)]
    lines += [
        "",
        "[chain]",
        f"chain_id = {chain.chain_id}",
        f"registry = {toml_value('0x' + chain.registry.hex())}",
        f"anchor = {toml_value('0x' + chain.anchor.hex())}",
        f"council = {toml_value('0x' + chain.council.hex())}",
        f"deploy_block = {deploy_block}",
        f"council_key = {toml_value(chain.council_key.hex())}",
    ]
    if market is not None:
        addresses = asdict(market).items()
        lines += ["", "[market]"]
        lines += [f"{name} = {toml_value('0x' + address.hex())}" for name, address in addresses]
    return "\n".join(lines) + "\n"


def _beacon_lines(beacon: Beacon) -> list[str]:
    return [
        f"public_key = {toml_value(beacon.public_key.hex())}",
        f"genesis_ms = {beacon.genesis_ms}",
        f"period_ms = {beacon.period_ms}",
    ]
