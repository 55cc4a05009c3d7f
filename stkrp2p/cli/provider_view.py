"""`stkrp2p provider status`: how a provider stands, for people and for scripts (R31, R34, R35)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.cli.deal_steps import course_document
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.onchain import account_secret, ask_rule
from stkrp2p.cli.options import ReadingCommand, for_node
from stkrp2p.cli.output import columns, facts, print_json, print_lines, span, tokens, when
from stkrp2p.cli.parties import hexed, provider_called
from stkrp2p.cli.provider_reading import Provider, Trade, provider_step, read_provider
from stkrp2p.cli.resources import resources_document, resources_shown
from stkrp2p.core.types import Operator

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.adapters.chain.rule.providers import Sidecar
    from stkrp2p.config import Loaded


@click.command("status", cls=ReadingCommand)
@click.argument("provider", required=False)
def status(*, loaded: Loaded, provider: str | None, as_json: bool) -> None:
    """Show record, nodes, bids, deals, and what to do next.

    PROVIDER is an address or a brand name; this node's account if it is left out.
    """
    config = loaded.config
    network = network_of(config)
    secret = None if provider else account_secret(config, pays_for="this provider")

    async def read(chain: RuleChain) -> Provider:
        named = await provider_called(chain, provider) if provider else await chain.account()
        return await read_provider(chain, network.genesis, config, Operator(named))

    shown = ask_rule(config, network, read, account_key=secret)
    if provider and shown.record.status.name == "NONE":
        raise Failure(f"{provider} never applied as a provider", code=Exit.FAILED)
    hint = "" if provider else for_node(loaded, provider_step(shown))
    if as_json:
        print_json("provider-status/1", {**_document(shown), "next": hint})
    else:
        print_lines([*_lines(shown), *([f"next: {hint}"] if hint else [])])


# ------------------------------------------------------------------------------- for people


def _lines(shown: Provider) -> list[str]:
    record = shown.record
    lines = facts([("account", hexed(shown.account)), *_record(shown)])
    if shown.nodes:
        rows = [_node(number, sidecar) for number, sidecar in shown.nodes]
        lines += ["", *columns((">node", "blockchain node", "serves"), rows)]
    for number, challenge in shown.challenges:
        within = f"within {span(challenge.answer_s)} of the next epoch's anchor"
        lines.append(f"challenge {number} of node {challenge.registration}: answer it {within}")
    if shown.trades:
        rows = [_trade(trade) for trade in shown.trades]
        lines += ["", *columns((">deal", ">fixed price", "bid", "deal is", "next"), rows)]
    if record.status.name != "NONE":
        lines += ["", f"to collect: {_money(shown.owed.ankr_wei, shown.owed.eth_wei)}"]
    return lines


def _record(shown: Provider) -> list[tuple[str, object]]:
    record = shown.record
    if record.status.name == "NONE":
        return [("status", "never applied")]
    found: list[tuple[str, object]] = [
        ("name", record.name),
        ("status", f"{record.status.name.lower()}, {record.tier.name.lower().replace('_', '-')}"),
        ("capacity", resources_shown(record.capacity)),
        ("in use", resources_shown(record.in_use)),
        ("price", f"{tokens(record.price_wei)} ANKR"),
        ("stake", f"{tokens(record.stake)} ANKR, the least is {tokens(shown.stake_min)}"),
        ("brings", f"{tokens(record.k_eth_wei)} ETH for a node"),
        ("deals", f"{record.running_deals} running, {record.failures} failed ever"),
    ]
    if record.unbonding:
        free = when(record.unbonded_at, shown.now_s)
        found.append(("leaving", f"{tokens(record.unbonding)} ANKR, free {free}"))
    if record.disqualified_until > shown.now_s:
        found.append(("DISQUALIFIED", f"until {when(record.disqualified_until, shown.now_s)}"))
    return found


def _node(number: int, sidecar: Sidecar) -> tuple[object, ...]:
    return number, hexed(sidecar.chain_node), "a deal" if sidecar.is_busy else "nobody"


def _trade(trade: Trade) -> tuple[object, ...]:
    course = trade.course
    is_assigned = course.auction.stage.name == "ASSIGNED"
    stands = course.record.state.name if is_assigned else course.auction.stage.name
    price = f"{tokens(course.auction.fp_wei)} ANKR"
    step = trade.step.removeprefix("stkrp2p ")
    return course.deal, price, trade.bid.name.lower(), stands.lower(), step


def _money(ankr_wei: int, eth_wei: int) -> str:
    return f"{tokens(ankr_wei)} ANKR and {tokens(eth_wei)} ETH"


# ------------------------------------------------------------------------------- for scripts


def _document(shown: Provider) -> dict[str, object]:
    record = shown.record
    return {
        "account": hexed(shown.account),
        "now_s": shown.now_s,
        "status": record.status.name.lower(),
        "name": record.name,
        "tier": record.tier.name.lower(),
        "details": record.details,
        "price_wei": str(record.price_wei),
        "stake_wei": str(record.stake),
        "stake_min_wei": str(shown.stake_min),
        "unbonding_wei": str(record.unbonding),
        "unbonded_at_s": record.unbonded_at,
        "k_eth_wei": str(record.k_eth_wei),
        "capacity": resources_document(record.capacity),
        "in_use": resources_document(record.in_use),
        "running_deals": record.running_deals,
        "failures": record.failures,
        "disqualified_until_s": record.disqualified_until,
        "nodes": [
            {
                "registration": number,
                "node": sidecar.node_id.hex(),
                "chain_node": hexed(sidecar.chain_node),
                "is_busy": sidecar.is_busy,
                "challenge": sidecar.challenge or None,
            }
            for number, sidecar in shown.nodes
        ],
        "challenges": [
            {
                "challenge": number,
                "registration": challenge.registration,
                "challenged_at_s": challenge.challenged_at,
                "answer_s": challenge.answer_s,
            }
            for number, challenge in shown.challenges
        ],
        "deals": [_trade_document(trade) for trade in shown.trades],
        "owed": {"ankr_wei": str(shown.owed.ankr_wei), "eth_wei": str(shown.owed.eth_wei)},
    }


def _trade_document(trade: Trade) -> dict[str, object]:
    return {**course_document(trade.course), "bid": trade.bid.name.lower(), "next": trade.step}
