"""`stkrp2p register`: the node's claim, the stake's approval and the registration, on chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stkrp2p.adapters.keys import load_node_key
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.cli.amounts import amount_of
from stkrp2p.cli.errors import Exit, Failure, key_failures
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.onchain import account_secret, ask_chain, need_rpc
from stkrp2p.cli.options import ReadingCommand
from stkrp2p.cli.output import facts, print_json, print_lines, tokens
from stkrp2p.config import NetworkFile, NodeConfig
from stkrp2p.core.roster import PROFILE_BYTES_MAX, Profile, Registration, sign_claim
from stkrp2p.core.types import Kind, NodeId, Operator
from stkrp2p.core.wire import encode

if TYPE_CHECKING:
    from stkrp2p.adapters.chain import Preview, Web3Chain
    from stkrp2p.config import Loaded

_NOWHERE = ("/ip4/0.0.0.0/", "/ip6/::/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What shall stand in the registry."""

    network: NetworkFile
    node: NodeId
    node_secret: bytes
    kind: Kind
    profile: bytes
    stake_wei: int | None
    """`None` for the least that is allowed."""

    is_dry: bool
    is_minting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One transaction: sent, or only previewed."""

    what: str
    gas: int | None
    """Most gas it may use; `None` where that cannot be known before the step before it."""

    cost_wei_max: int | None
    transaction: str
    """Hash, 0x-hex; empty if it was not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of it."""

    operator: Operator
    stake_wei: int
    registration: int | None
    """Its number, if it stood in the registry before."""

    steps: tuple[Step, ...]


@click.command("register", cls=ReadingCommand)
@click.option(
    "--stake",
    type=amount_of("ANKR", least=1),
    metavar="ANKR",
    help="How much to stake.  [default: the least allowed]",
)
@click.option("--dry-run", is_flag=True, help="Say what would be sent and cost; send nothing.")
@click.option("--mint", is_flag=True, help="Mint what is missing; test networks only.")
def command(*, loaded: Loaded, stake: int | None, dry_run: bool, mint: bool, as_json: bool) -> None:
    """Register this node on chain, with its stake.

    Lets the registry take the stake, and registers the node with a claim that its key signs. If the
    node is registered already, only a changed workload or address is sent. It takes part from three
    epochs later on; before the network's start, from epoch 0 on.
    """
    config = loaded.config
    network = network_of(config)
    need_rpc(config)
    with key_failures():
        account = account_secret(config, pays_for="the registration")
        key = load_node_key(config.node_key)
    wish = Wish(
        network=network,
        node=key.node,
        node_secret=key.secret.reveal(),
        kind=Kind.LIGHT if config.mode == "light" else Kind.FULL,
        profile=profile_of(config),
        stake_wei=stake,
        is_dry=dry_run,
        is_minting=mint,
    )
    done = ask_chain(config, network, lambda c: fulfil(c, wish), account_key=account)
    if as_json:
        print_json("register/1", _document(wish, done))
    else:
        print_lines(_lines(wish, done))


def profile_of(config: NodeConfig) -> bytes:
    """Return what the registration says of the node: its workload and addresses, encoded.

    Raises:
        Failure: A full node has no address that others could use, or the profile is too long.
    """
    addresses = config.announce or tuple(
        a for a in config.listen if not a.startswith(_NOWHERE) and not a.endswith("/tcp/0")
    )
    if not addresses and config.mode == "full":
        raise Failure(
            "others would not find this node",
            why=f"it listens on {', '.join(config.listen)}, which is no address to dial",
            hint='set announce, such as ["/ip4/192.0.2.7/tcp/4001"]',
            code=Exit.USAGE,
        )
    profile = encode(Profile(version=1, workload=config.workload, addresses=addresses[:4]))
    if len(profile) > PROFILE_BYTES_MAX:
        raise Failure(
            "the node's profile is too long",
            why=f"workload and addresses take {len(profile)} of {PROFILE_BYTES_MAX} bytes",
            hint="announce fewer addresses",
            code=Exit.USAGE,
        )
    return profile


async def fulfil(chain: Web3Chain, wish: Wish) -> Done:
    """Send what is missing for the wish, or only preview it.

    Raises:
        Failure: The account has too little ANKR.
        ChainUnavailable: No endpoint works, or the contract refuses.
    """
    operator = await chain.operator()
    held = [
        r
        for r in (await chain.registry()).registrations
        if r.node == wish.node and r.operator == operator and r.exit_epoch is None
    ]
    if held:
        return await _update(chain, wish, operator, held[-1])
    least = await chain.min_stake(wish.kind)
    stake = least if wish.stake_wei is None else wish.stake_wei
    if stake < least:
        raise Failure(
            f"a stake of {tokens(stake)} ANKR is too low",
            why=f"a {wish.kind.name.lower()} node stakes at least {tokens(least)} ANKR",
            hint=f"stkrp2p register --stake {tokens(least).replace(',', '')}",
            code=Exit.USAGE,
        )
    is_ready = await _is_ready(chain, wish, operator, stake)
    steps = [] if is_ready else await _fund(chain, wish, operator, stake)
    if wish.is_dry and steps:
        # A preview runs the transaction, and this one reverts until the others are mined.
        steps.append(Step(what="Registry.register", gas=None, cost_wei_max=None, transaction=""))
    else:
        steps.append(await _take(chain, wish, await _preview(chain, wish, operator, stake)))
    return Done(operator=operator, stake_wei=stake, registration=None, steps=tuple(steps))


async def _preview(chain: Web3Chain, wish: Wish, operator: Operator, stake: int) -> Preview:
    nonce = await chain.next_nonce(operator)
    network_id = wish.network.genesis.network_id
    claim = sign_claim(wish.node_secret, network_id, operator, wish.node, nonce)
    return await chain.register(
        node=wish.node, kind=wish.kind, stake=stake, claim=claim, profile=wish.profile
    )


async def _is_ready(chain: Web3Chain, wish: Wish, operator: Operator, stake: int) -> bool:
    """Tell whether registering would succeed as things are, tokens and approval included.

    Raises:
        Rejected: The node is registered already, in a block that is not final.
    """
    from stkrp2p.adapters.chain import Rejected  # noqa: PLC0415

    try:
        await _preview(chain, wish, operator, stake)
    except Rejected as refusal:
        if refusal.rule == "AlreadyRegistered":
            raise
        return False
    return True


async def _update(chain: Web3Chain, wish: Wish, operator: Operator, held: Registration) -> Done:
    steps = []
    if held.profile != wish.profile:
        preview = await chain.set_addresses(held.index, wish.profile)
        steps.append(await _take(chain, wish, preview))
    return Done(
        operator=operator,
        stake_wei=held.stakes[-1][1],
        registration=held.index,
        steps=tuple(steps),
    )


async def _fund(chain: Web3Chain, wish: Wish, operator: Operator, stake: int) -> list[Step]:
    """Mint (if asked to) and approve what the stake still needs."""
    steps = []
    balance = await chain.token_balance(operator)
    if balance < stake and wish.is_minting:
        steps.append(await _take(chain, wish, await chain.mint(stake - balance)))
    elif balance < stake:
        raise Failure(
            "the account has too little ANKR",
            why=f"0x{operator.hex()} has {tokens(balance)}, the stake is {tokens(stake)}",
            hint=f"send {tokens(stake - balance)} ANKR to it, then: stkrp2p register",
        )
    if await chain.allowance(operator) < stake:
        steps.append(await _take(chain, wish, await chain.approve(stake)))
    return steps


async def _take(chain: Web3Chain, wish: Wish, preview: Preview) -> Step:
    if not wish.is_dry and preview.balance_wei < preview.cost_wei_max:
        raise Failure(
            "the account has too little ether for gas",
            why=f"{preview.what} may cost {tokens(preview.cost_wei_max)} ETH, it has "
            f"{tokens(preview.balance_wei)}",
            hint="send ether to it, then: stkrp2p register",
        )
    sent = "" if wish.is_dry else (await chain.send(preview)).transaction
    return Step(
        what=preview.what, gas=preview.gas, cost_wei_max=preview.cost_wei_max, transaction=sent
    )


def _document(wish: Wish, done: Done) -> dict[str, object]:
    return {
        "node": wish.node.hex(),
        "peer_id": peer_id_text(wish.node),
        "operator": f"0x{done.operator.hex()}",
        "kind": wish.kind.name.lower(),
        "stake_wei": str(done.stake_wei),
        "is_dry_run": wish.is_dry,
        "was_registered": done.registration is not None,
        "transactions": [
            {
                "what": s.what,
                "gas_max": s.gas,
                "cost_wei_max": None if s.cost_wei_max is None else str(s.cost_wei_max),
                "transaction": s.transaction or None,
            }
            for s in done.steps
        ],
    }


def _lines(wish: Wish, done: Done) -> list[str]:
    stake = f"{tokens(done.stake_wei)} ANKR"
    lines = facts(
        [
            ("node", f"{peer_id_text(wish.node)} ({wish.kind.name.lower()})"),
            ("operator", f"0x{done.operator.hex()}"),
        ]
    )
    lines += [_step_line(step) for step in done.steps]
    if done.registration is not None and not done.steps:
        return [*lines, f"registered already as number {done.registration} with {stake}"]
    if wish.is_dry:
        return [*lines, f"nothing was sent; it would stake {stake}"]
    word = "updated" if done.registration is not None else "registered"
    return [*lines, f"{word}, stake {stake}; next: stkrp2p run"]


def _step_line(step: Step) -> str:
    if step.gas is None or step.cost_wei_max is None:
        return f"  {step.what}: its cost is known once the steps before it are mined"
    cost = f"at most {step.gas:,} gas, {tokens(step.cost_wei_max)} ETH"
    return f"  {step.what}: {step.transaction or cost}"
