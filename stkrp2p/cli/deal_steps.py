"""What a deal needs next, and until when: decided from its records alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stkrp2p.cli.errors import Failure
from stkrp2p.cli.output import when
from stkrp2p.core.draw import Rule
from stkrp2p.core.types import Operator, Round

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.adapters.chain.rule.auctions import AuctionRecord
    from stkrp2p.adapters.chain.rule.deals import DealRecord
    from stkrp2p.core.network import Genesis

OVER = frozenset({"COMPLETED", "FAILED", "CANCELLED", "ABANDONED"})
"""States of a deal that is over."""

_MS_PER_S = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """An auction and, once it is assigned, its deal; times are Unix seconds."""

    deal: int
    now_s: int
    auction: AuctionRecord
    record: DealRecord
    draw_due_s: int
    completable_at: int
    owed: frozenset[Operator]
    """Who of the two has something to collect, of this deal or another, once this one is over."""


async def read_course(chain: RuleChain, genesis: Genesis, deal: int) -> Course:
    """Return how a deal stands.

    Raises:
        Failure: There is none of this number.
        ChainUnavailable: No endpoint could tell.
    """
    from stkrp2p.adapters.chain.rule.auctions import Stage  # noqa: PLC0415
    from stkrp2p.adapters.chain.rule.deals import State  # noqa: PLC0415

    auction = await chain.market.auction(deal)
    if auction.stage is Stage.NONE:
        latest = await chain.market.latest()
        raise Failure(
            f"there is no deal {deal}",
            why=f"the latest is {latest}" if latest else "none was opened yet",
            hint="stkrp2p request status",
        )
    record = await chain.deals.deal(deal)
    is_running = record.state is State.RUNNING
    is_over = auction.stage is Stage.CLOSED or record.state > State.RUNNING
    parties = {auction.requester, record.provider} if is_over else set()
    return Course(
        deal=deal,
        now_s=await chain.now_s(),
        auction=auction,
        record=record,
        draw_due_s=-(-genesis.beacon.due_ms(Round(auction.draw_round)) // _MS_PER_S),
        completable_at=await chain.deals.completable_at(deal) if is_running else 0,
        owed=frozenset([account for account in parties if await _is_owed(chain, account)]),
    )


async def _is_owed(chain: RuleChain, account: Operator) -> bool:
    owed = await chain.deals.owed(account)
    return bool(owed.ankr_wei or owed.eth_wei or await chain.market.owed(account))


def next_step(course: Course, account: Operator | None) -> str:
    """Return what a party, or anybody, does next; "" if nothing is left to do.

    Args:
        course: How the deal stands.
        account: Whose next step; `None` for the requester's.
    """
    stage = course.auction.stage.name
    if stage == "OPEN":
        return _auction_step(course)
    is_provider = account == course.record.provider
    if stage == "CLOSED" or course.record.state.name in OVER:
        return _last_step(course, is_provider=is_provider)
    return _deal_step(course, account or course.auction.requester)


def _auction_step(course: Course) -> str:
    auction, now_s, deal = course.auction, course.now_s, course.deal
    if now_s < auction.commit_until_s:
        return f"wait: bids are sealed until {when(auction.commit_until_s, now_s)}"
    if now_s < auction.reveal_until_s and auction.committed:
        return f"wait: bids are opened until {when(auction.reveal_until_s, now_s)}"
    if not auction.revealed or now_s >= auction.draw_until_s:
        return f"stkrp2p request close {deal}"
    if auction.rule is Rule.REQUESTER_CHOICE and now_s < auction.choose_until_s:
        return f"stkrp2p request choose {deal} PROVIDER"
    if now_s < course.draw_due_s:
        return f"wait: round {auction.draw_round} draws, {when(course.draw_due_s, now_s)}"
    return f"stkrp2p request draw {deal}"


def _deal_step(course: Course, account: Operator) -> str:
    record, now_s, deal = course.record, course.now_s, course.deal
    settle = f"stkrp2p request settle {deal}"
    state = record.state.name
    if state in {"ASSIGNED", "FUNDED"}:
        if now_s > record.due_at:
            return settle
        until = when(record.due_at, now_s)
        if state == "ASSIGNED":
            wait = f"wait: the requester puts its ETH in until {until}"
            return f"stkrp2p request fund {deal}" if account == record.requester else wait
        wait = f"wait: the provider starts until {until}"
        return f"stkrp2p provider start {deal}" if account == record.provider else wait
    return settle if now_s >= course.completable_at else _running_step(course)


def _last_step(course: Course, *, is_provider: bool) -> str:
    record = course.record
    is_failed = record.state.name == "FAILED"
    if is_failed and (record.owed_wei or not record.is_compensated):
        return f"stkrp2p request settle {course.deal}"
    if is_provider:
        return "stkrp2p provider collect" if record.provider in course.owed else ""
    is_owed = course.auction.requester in course.owed
    return f"stkrp2p request settle {course.deal}" if is_owed else ""


def _running_step(course: Course) -> str:
    record, now_s = course.record, course.now_s
    if record.frozen_until > now_s:
        until = when(record.frozen_until, now_s)
        return f"wait: it is disputed; the governors rule by {until}"
    if record.ends_at > now_s:
        return f"wait: it runs until {when(record.ends_at, now_s)}"
    return f"wait: it is in review until {when(course.completable_at, now_s)}"


def course_document(course: Course) -> dict[str, object]:
    """Return how a deal stands, for scripts."""
    auction, record = course.auction, course.record
    return {
        "deal": course.deal,
        "auction": auction.stage.name.lower(),
        "state": record.state.name.lower(),
        "requester": f"0x{auction.requester.hex()}",
        "provider": f"0x{record.provider.hex()}" if any(record.provider) else None,
        "fp_wei": str(auction.fp_wei),
        "paid_wei": str(record.paid_wei),
        "bond_wei": str(auction.bond_wei),
        "eth_stake_wei": str(auction.eth_stake_wei),
        "k_eth_wei": str(record.k_eth_wei),
        "expected_profit_wei": str(auction.expected_profit_wei),
        "rule": auction.rule.name.lower(),
        "draw_round": auction.draw_round,
        "commit_until_s": auction.commit_until_s,
        "reveal_until_s": auction.reveal_until_s,
        "choose_until_s": auction.choose_until_s,
        "draw_due_s": course.draw_due_s,
        "draw_until_s": auction.draw_until_s,
        "bids": {"sealed": auction.committed, "opened": auction.revealed},
        "due_at_s": record.due_at,
        "started_at_s": record.started_at,
        "ends_at_s": record.ends_at,
        "frozen_until_s": record.frozen_until,
        "owed_wei": str(record.owed_wei),
    }
