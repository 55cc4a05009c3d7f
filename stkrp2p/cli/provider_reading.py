"""What `stkrp2p provider status` knows: record, nodes, bids, deals, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stkrp2p.cli.deal_steps import Course, next_step, read_course
from stkrp2p.cli.output import when
from stkrp2p.cli.provider_bid import bid_store
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import Operator

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import Money, RuleChain
    from stkrp2p.adapters.chain.rule.auctions import BidState
    from stkrp2p.adapters.chain.rule.liveness import LivenessChallenge
    from stkrp2p.adapters.chain.rule.providers import ProviderRecord, Sidecar
    from stkrp2p.config import NodeConfig
    from stkrp2p.core.network import Genesis

LOOKED_MAX = 20
"""Deals looked at, the latest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A deal that the provider bids on, has, or could bid on."""

    course: Course
    bid: BidState
    step: str
    """What the provider does next; "" if nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """All that `provider status` shows; amounts are in 10^-18."""

    account: Operator
    now_s: int
    record: ProviderRecord
    stake_min: int
    nodes: tuple[tuple[int, Sidecar], ...]
    challenges: tuple[tuple[int, LivenessChallenge], ...]
    """Those of its nodes that are open, by their numbers."""

    trades: tuple[Trade, ...]
    """The latest first."""

    owed: Money
    """By deals, and in ANKR also by the market and by challenges."""


async def read_provider(
    chain: RuleChain, genesis: Genesis, config: NodeConfig, account: Operator
) -> Provider:
    """Return how a provider stands; raises `ChainUnavailable`."""
    nodes = await chain.providers.nodes(account)
    return Provider(
        account=account,
        now_s=await chain.now_s(),
        record=await chain.providers.provider(account),
        stake_min=await chain.policy.get(Parameter.STAKE_MIN),
        nodes=tuple([(n, await chain.providers.sidecar(n)) for n in nodes]),
        challenges=await _open_challenges(chain, nodes),
        trades=await _trades(chain, genesis, config, account),
        owed=await read_owed(chain, account),
    )


async def _open_challenges(
    chain: RuleChain, nodes: tuple[int, ...]
) -> tuple[tuple[int, LivenessChallenge], ...]:
    found = [each for n in nodes for each in (await chain.liveness.of_node(n)).items()]
    return tuple((number, c) for number, c in found if c.state.name == "OPEN")


async def read_owed(chain: RuleChain, account: Operator) -> Money:
    """Return all that an account can collect; raises `ChainUnavailable`."""
    from stkrp2p.adapters.chain.rule import Money  # noqa: PLC0415

    owed = await chain.deals.owed(account)
    others = await chain.market.owed(account) + await chain.liveness.owed(account)
    return Money(ankr_wei=owed.ankr_wei + others, eth_wei=owed.eth_wei)


async def _trades(
    chain: RuleChain, genesis: Genesis, config: NodeConfig, account: Operator
) -> tuple[Trade, ...]:
    latest = await chain.market.latest()
    recent = range(max(1, latest - LOOKED_MAX + 1), latest + 1)
    kept = [deal for deal in bid_store(config).deals() if deal <= latest][-LOOKED_MAX:]
    trades = [await _trade(chain, genesis, account, deal) for deal in sorted({*recent, *kept})]
    return tuple(trade for trade in reversed(trades) if _concerns(trade, account))


async def _trade(chain: RuleChain, genesis: Genesis, account: Operator, deal: int) -> Trade:
    course = await read_course(chain, genesis, deal)
    bid = (await chain.market.bid(deal, account)).state
    return Trade(course=course, bid=bid, step=bid_step(course, bid, account))


def _concerns(trade: Trade, account: Operator) -> bool:
    is_open = trade.course.now_s < trade.course.auction.commit_until_s
    is_ours = bool(trade.bid) or trade.course.record.provider == account
    return is_ours or (is_open and trade.course.auction.stage.name == "OPEN")


def bid_step(course: Course, bid: BidState, account: Operator) -> str:
    """Return what a provider does next about a deal; "" if nothing."""
    auction, deal = course.auction, course.deal
    is_open = auction.stage.name == "OPEN"
    is_early = course.now_s < auction.commit_until_s
    match bid.name:
        case "NONE":
            return f"stkrp2p provider bid {deal} ANKR" if is_open and is_early else ""
        case "COMMITTED":
            return _reveal_step(course)
        case "REVEALED" if not is_open:
            return f"stkrp2p provider reclaim {deal}"
        case "FORFEITED":
            return ""
        case _:
            return next_step(course, account) if is_open or _is_its(course, account) else ""


def _reveal_step(course: Course) -> str:
    auction, now_s = course.auction, course.now_s
    if now_s < auction.commit_until_s:
        return f"wait: bids are opened {when(auction.commit_until_s, now_s)}"
    return f"stkrp2p provider reveal {course.deal}" if now_s < auction.reveal_until_s else ""


def _is_its(course: Course, account: Operator) -> bool:
    return course.record.provider == account


def provider_step(shown: Provider) -> str:
    """Return the most urgent thing for a provider to do."""
    status = shown.record.status.name
    if status == "NONE":
        return "stkrp2p provider apply NAME"
    if status == "APPLIED":
        return "wait: the governors vote on the application, stkrp2p gov status"
    if shown.challenges:
        return f"stkrp2p provider answer {shown.challenges[0][0]}"
    if shown.owed.ankr_wei or shown.owed.eth_wei:
        return "stkrp2p provider collect"
    if shown.record.unbonding and shown.record.unbonded_at <= shown.now_s:
        return "stkrp2p provider withdraw"
    return "" if status == "LEAVING" else _serving_step(shown)


def _serving_step(shown: Provider) -> str:
    if shown.record.stake < shown.stake_min:
        return f"stkrp2p provider stake {shown.stake_min // 10**18}"
    if not shown.nodes:
        return "stkrp2p provider node add CHAIN_NODE"
    steps = [trade.step for trade in shown.trades if trade.step]
    urgent = [step for step in steps if step.startswith("stkrp2p") and " bid " not in step]
    return (urgent or steps or ["wait: for a deal to bid on, stkrp2p provider status"])[0]
