"""`stkrp2p request status`: how a deal, or all deals of this account, stand (R36, R48)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.deal_steps import Course, course_document, next_step, read_course
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.onchain import account_secret, ask_rule
from stkrp2p.cli.options import ReadingCommand, for_node
from stkrp2p.cli.output import columns, facts, percent, print_json, print_lines, span, tokens, when
from stkrp2p.cli.parties import hexed
from stkrp2p.cli.provider_reading import read_owed
from stkrp2p.core.types import Operator

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import Money, RuleChain
    from stkrp2p.adapters.chain.rule.auctions import Shortlist
    from stkrp2p.adapters.chain.rule.deals import RequesterRecord
    from stkrp2p.config import Loaded, NetworkFile

LOOKED_MAX = 20
"""Deals shown, the latest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """All that `request status` shows of an account."""

    account: bytes
    record: RequesterRecord
    courses: tuple[Course, ...]
    """The latest first."""

    owed: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """All that `request status DEAL` shows."""

    course: Course
    shortlist: Shortlist
    names: dict[Operator, str]
    """Brand names of those in the shortlist."""


@click.command("status", cls=ReadingCommand)
@click.argument("deal", type=click.IntRange(min=1), required=False)
def status(*, loaded: Loaded, deal: int | None, as_json: bool) -> None:
    """Show a DEAL and what it needs next, or all of them.

    All are those that this account requested.
    """
    network = network_of(loaded.config)
    if deal is None:
        _show_all(loaded, network, as_json=as_json)
    else:
        _show_one(loaded, network, deal, as_json=as_json)


def _show_all(loaded: Loaded, network: NetworkFile, *, as_json: bool) -> None:
    secret = account_secret(loaded.config, pays_for="these requests")

    async def read(chain: RuleChain) -> Requester:
        account = Operator(await chain.account())
        opened = (await chain.market.opened_by(account))[-LOOKED_MAX:]
        courses = [await read_course(chain, network.genesis, o.deal) for o in reversed(opened)]
        return Requester(
            account=account,
            record=await chain.deals.requester(account),
            courses=tuple(courses),
            owed=await read_owed(chain, account),
        )

    shown = ask_rule(loaded.config, network, read, account_key=secret)
    hint = for_node(loaded, _hint(shown))
    if as_json:
        print_json("request-list/1", {**_list_document(shown), "next": hint})
    else:
        print_lines([*_list_lines(shown), f"next: {hint}"])


def _show_one(loaded: Loaded, network: NetworkFile, deal: int, *, as_json: bool) -> None:
    async def read(chain: RuleChain) -> Deal:
        course = await read_course(chain, network.genesis, deal)
        shortlist = await chain.market.shortlist(deal)
        accounts = [entry.provider for entry in shortlist.entries]
        names = {account: (await chain.providers.provider(account)).name for account in accounts}
        return Deal(course=course, shortlist=shortlist, names=names)

    shown = ask_rule(loaded.config, network, read)
    hint = for_node(loaded, next_step(shown.course, None))
    if as_json:
        print_json("request-status/1", {**_document(shown), "next": hint})
    else:
        print_lines([*_lines(shown), f"next: {hint or 'nothing is left to do'}"])


def _hint(shown: Requester) -> str:
    steps = [step for course in shown.courses if (step := next_step(course, None))]
    if shown.owed.ankr_wei or shown.owed.eth_wei:
        steps.append("stkrp2p provider collect")
    urgent = [step for step in steps if step.startswith("stkrp2p")]
    return (urgent or steps or ["stkrp2p request quote"])[0]


# ------------------------------------------------------------------------------- for people


def _list_lines(shown: Requester) -> list[str]:
    record = shown.record
    spent = f"{tokens(record.ankr_wei)} ANKR and {tokens(record.eth_wei)} ETH"
    owed = f"{tokens(shown.owed.ankr_wei)} ANKR and {tokens(shown.owed.eth_wei)} ETH"
    lines = facts(
        [
            ("account", hexed(shown.account)),
            ("deals", f"{record.deals} so far, {spent}"),
            ("to collect", owed),
        ]
    )
    if not shown.courses:
        return [*lines, "this account has opened no auction yet"]
    rows = [
        (
            course.deal,
            f"{tokens(course.auction.fp_wei)} ANKR",
            _stands(course),
            next_step(course, None).removeprefix("stkrp2p "),
        )
        for course in shown.courses
    ]
    return [*lines, "", *columns((">deal", ">fixed price", "is", "next"), rows)]


def _stands(course: Course) -> str:
    stage = course.auction.stage.name
    return (course.record.state.name if stage == "ASSIGNED" else stage).lower()


def _lines(shown: Deal) -> list[str]:
    course, auction, record = shown.course, shown.course.auction, shown.course.record
    pairs: list[tuple[str, object]] = [
        ("deal", f"{course.deal}, {_stands(course)}, {span(auction.length_s)} long"),
        ("requester", hexed(auction.requester)),
        ("fixed price", f"{tokens(auction.fp_wei)} ANKR, bond of a bid {tokens(auction.bond_wei)}"),
        (
            "ETH",
            f"{tokens(auction.eth_stake_wei)}, staked by both together",
        ),
        ("rule", f"{auction.rule.name.lower()} of the {auction.shortlist} lowest"),
        ("bids", f"{auction.committed} sealed, {auction.revealed} opened"),
        ("sealed until", when(auction.commit_until_s, course.now_s)),
        ("opened until", when(auction.reveal_until_s, course.now_s)),
        *_choice(course),
        ("drawn by", f"round {auction.draw_round}, due {when(course.draw_due_s, course.now_s)}"),
        ("drawn until", when(auction.draw_until_s, course.now_s)),
    ]
    if any(record.provider):
        brings = f"for {tokens(record.paid_wei)} ANKR, brings {tokens(record.k_eth_wei)} ETH"
        pairs.append(("provider", f"{hexed(record.provider)}, {brings}"))
    if record.started_at:
        pairs.append(("ends", when(record.ends_at, course.now_s)))
    if record.owed_wei:
        pairs.append(("loss open", f"{tokens(record.owed_wei)} ETH"))
    return [*facts(pairs), *_shortlist_lines(shown)]


def _choice(course: Course) -> list[tuple[str, object]]:
    """Return until when the requester may choose, where the rule lets it."""
    if course.auction.rule.name != "REQUESTER_CHOICE":
        return []
    return [("chosen until", when(course.auction.choose_until_s, course.now_s))]


def _shortlist_lines(shown: Deal) -> list[str]:
    if not shown.shortlist.entries:
        return []
    total = sum(shown.shortlist.weights)
    rows = [
        (
            shown.names[entry.provider],
            hexed(entry.provider),
            f"{tokens(entry.price_wei)} ANKR",
            percent(entry.reliability_ppm),
            percent(weight * 1_000_000 // total if total else 0),
        )
        for entry, weight in zip(shown.shortlist.entries, shown.shortlist.weights, strict=True)
    ]
    return ["", *columns(("shortlist", "account", ">price", ">reliability", ">chance"), rows)]


# ------------------------------------------------------------------------------- for scripts


def _list_document(shown: Requester) -> dict[str, object]:
    record = shown.record
    return {
        "account": hexed(shown.account),
        "deals_so_far": record.deals,
        "ankr_wei": str(record.ankr_wei),
        "eth_wei": str(record.eth_wei),
        "owed": {"ankr_wei": str(shown.owed.ankr_wei), "eth_wei": str(shown.owed.eth_wei)},
        "deals": [{**course_document(c), "next": next_step(c, None)} for c in shown.courses],
    }


def _document(shown: Deal) -> dict[str, object]:
    return {
        **course_document(shown.course),
        "shortlist": [
            {
                "provider": hexed(entry.provider),
                "name": shown.names[entry.provider],
                "registration": entry.registration,
                "price_wei": str(entry.price_wei),
                "stake_wei": str(entry.stake_wei),
                "uptime_ppm": entry.uptime_ppm,
                "reliability_ppm": entry.reliability_ppm,
                "weight": str(weight),
            }
            for entry, weight in zip(shown.shortlist.entries, shown.shortlist.weights, strict=True)
        ],
    }
