"""`stkrp2p request quote` and `providers`: what a project costs and brings, who would serve it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.gov_values import seconds
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.onchain import ask_rule
from stkrp2p.cli.options import ReadingCommand, again
from stkrp2p.cli.output import columns, facts, percent, print_json, print_lines, span, tokens
from stkrp2p.cli.parties import hexed
from stkrp2p.cli.resources import (
    Given,
    bandwidth_option,
    cpu_option,
    options_of,
    over,
    ram_option,
    resources_document,
    resources_shown,
    storage_option,
)
from stkrp2p.cli.store_proofs import latest_final, scores_of
from stkrp2p.core.economics import YEAR_S
from stkrp2p.core.types import Epoch

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.adapters.chain.rule.auctions import Quote
    from stkrp2p.adapters.chain.rule.offers import Offer
    from stkrp2p.adapters.chain.rule.policy import ProjectType
    from stkrp2p.config import Loaded
    from stkrp2p.core.economics import Resources
    from stkrp2p.core.score import Score

type_option = click.option(
    "--type",
    "number",
    type=click.IntRange(min=1),
    help="Number of the project's type.  [default: the first that is taken]",
)


def project_length(text: str) -> int:
    """Return a project's length in seconds; raises `click.BadParameter` for more than a year."""
    length_s = seconds(text)
    if not 0 < length_s <= YEAR_S:  # the contract's LENGTH_S_MAX
        raise click.BadParameter(f"a project lasts from 1 s to {span(YEAR_S)}")
    return length_s


length_option = click.option(
    "--length",
    "length_s",
    type=project_length,
    metavar="TIME",
    default="30d",
    show_default=True,
    help="How long it runs, such as 3600s or 72h.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project as the policy would take it, and its quote."""

    number: int
    """Of its type."""

    kind: ProjectType
    need: Resources
    length_s: int
    quote: Quote


async def read_project(
    chain: RuleChain, number: int | None, length_s: int, given: Mapping[str, Given]
) -> Project:
    """Return a project with its quote.

    Raises:
        Failure: No type of project is taken.
        Rejected: The contract would not quote this one.
        ChainUnavailable: No endpoint could tell.
    """
    if number is None:
        types = await chain.policy.project_types()
        number = next((n for n, kind in types.items() if kind.is_open), None)
    if number is None:
        raise Failure(
            "no projects are taken yet",
            why="the governors have opened no type of project",
            hint="stkrp2p policy show",
            code=Exit.FAILED,
        )
    kind = await chain.policy.project_type(number)
    need = over(kind.need, given)
    quote = await chain.market.quote(project_type=number, need=need, length_s=length_s)
    return Project(number=number, kind=kind, need=need, length_s=length_s, quote=quote)


@click.command("quote", cls=ReadingCommand)
@type_option
@length_option
@cpu_option
@ram_option
@storage_option
@bandwidth_option
def quote(
    *, loaded: Loaded, number: int | None, length_s: int, as_json: bool, **given: Given
) -> None:
    """Show a project's fixed price and expected profit (R47).

    The price follows from the policy's prices of resources; what is not given is the least that the
    type asks for.
    """
    network = network_of(loaded.config)
    shown = ask_rule(
        loaded.config, network, lambda chain: read_project(chain, number, length_s, given)
    )
    options = f"--type {shown.number} --length {shown.length_s}s{options_of(given)}"
    hint = f"{again(loaded, 'request open')} {options}"
    if as_json:
        print_json("request-quote/1", {**project_document(shown), "next": hint})
    else:
        print_lines([*project_lines(shown), f"next: {hint}"])


def project_lines(shown: Project) -> list[str]:
    """Return a project and its quote for people."""
    kind, found = shown.kind, shown.quote
    return facts(
        [
            ("type", f"{shown.number}, {kind.rule.name.lower()} of the {kind.shortlist} lowest"),
            ("length", span(shown.length_s)),
            ("needs", resources_shown(shown.need)),
            ("fixed price", f"{tokens(found.fp_wei)} ANKR, the most it can cost"),
            ("ETH", f"{tokens(found.eth_stake_wei)} staked by provider and requester together"),
            ("expected profit", f"{tokens(found.expected_profit_wei)} ETH"),
        ]
    )


def project_document(shown: Project) -> dict[str, object]:
    """Return a project and its quote for scripts."""
    return {
        "type": shown.number,
        "length_s": shown.length_s,
        "need": resources_document(shown.need),
        "rule": shown.kind.rule.name.lower(),
        "shortlist": shown.kind.shortlist,
        "fp_wei": str(shown.quote.fp_wei),
        "eth_stake_wei": str(shown.quote.eth_stake_wei),
        "expected_profit_wei": str(shown.quote.expected_profit_wei),
    }


# ------------------------------------------------------------------------------- who would serve


@click.command("providers", cls=ReadingCommand)
@type_option
@length_option
@cpu_option
@ram_option
@storage_option
@bandwidth_option
def providers(
    *, loaded: Loaded, number: int | None, length_s: int, as_json: bool, **given: Given
) -> None:
    """Show who may bid on a project, and their scores (R48).

    Capacity, price, expected return, uptime and reliability. Records are the chain's; scores are
    those of the latest final epoch, from this node's store.
    """
    network = network_of(loaded.config)

    async def read(chain: RuleChain) -> tuple[Project, Epoch, tuple[Offer, ...]]:
        from stkrp2p.adapters.chain.rule.offers import offers  # noqa: PLC0415

        project = await read_project(chain, number, length_s, given)
        epoch = await latest_final(chain)
        found = await offers(
            chain.providers,
            need=project.need,
            failures_max=project.kind.failures_max,
            scores=await scores_of(loaded.config, epoch),
        )
        return project, epoch, found

    project, epoch, found = ask_rule(loaded.config, network, read)
    if as_json:
        body = {**project_document(project), "epoch": epoch}
        print_json("request-providers/1", {**body, "providers": [_document(o) for o in found]})
    else:
        print_lines(_lines(project, epoch, found))


def _lines(project: Project, epoch: Epoch, found: tuple[Offer, ...]) -> list[str]:
    lines = [*project_lines(project), ""]
    if not found:
        return [*lines, "no provider may bid on this now"]
    for offer in found:
        record = offer.provider
        tier = record.tier.name.lower().replace("_", "-")
        lines += [
            f"{record.name}  {hexed(offer.account)}",
            f"  {tier}, asks {tokens(record.price_wei)} ANKR, {record.failures} failed ever",
            f"  has {resources_shown(record.capacity)}",
        ]
        rows = [
            (node.registration, "serves" if node.is_busy else "free", *_score(node.score))
            for node in offer.nodes
        ]
        head = ("  node", "is", ">uptime", ">reliability")
        lines += columns(head, [(f"  {number}", *rest) for number, *rest in rows])
    profit = tokens(project.quote.expected_profit_wei)
    return [*lines, "", f"expected return: {profit} ETH, less the winner's price; epoch {epoch}"]


def _score(score: Score | None) -> tuple[str, str]:
    if score is None:
        return "unknown", "unknown"
    return percent(score.uptime_ppm), percent(score.reliability_ppm)


def _document(offer: Offer) -> dict[str, object]:
    record = offer.provider
    return {
        "account": hexed(offer.account),
        "name": record.name,
        "tier": record.tier.name.lower(),
        "price_wei": str(record.price_wei),
        "stake_wei": str(record.stake),
        "failures": record.failures,
        "capacity": resources_document(record.capacity),
        "in_use": resources_document(record.in_use),
        "details": record.details,
        "nodes": [
            {
                "registration": node.registration,
                "node": node.node.hex(),
                "is_busy": node.is_busy,
                "uptime_ppm": None if node.score is None else node.score.uptime_ppm,
                "reliability_ppm": None if node.score is None else node.score.reliability_ppm,
            }
            for node in offer.nodes
        ],
    }
