"""What `stkrp2p calc` prints: the deal, its split, and the gains and costs of each party."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stkrp2p.cli.amounts import shown, signed
from stkrp2p.cli.output import columns, facts
from stkrp2p.core.benefit import Item, total
from stkrp2p.core.economics import Cover, Split

Benefits = Mapping[str, tuple[Item, ...]]
"""Gains and costs by party."""

_NOTES = {
    "3.5": "the white paper's 60 / 40 / 40 / 260; it counts in USD what is ANKR here",
    "5.1": "the white paper's 3 ETH - 1,500 ANKR leave the pools out: requester, first lines",
}
_NEXT = {
    "requester": "stkrp2p request quote",
    "provider": "stkrp2p provider apply NAME",
    "governor": "stkrp2p gov status",
    "staker": "stkrp2p gov status",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """What a failed deal loses, and who pays for it."""

    after_hours: int
    loss_eth: int
    cover: Cover


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """A deal that is over, in numbers; amounts in 10^-18."""

    hours: int
    fixed_price: int
    bids: tuple[int, ...]
    """Lowest first."""

    rule: str
    paid: int
    """What the provider is paid if the deal completes."""

    expected_profit_eth: int
    profit_ankr: int
    profit_eth: int
    split: Split
    """Of a failed deal all goes back to the requester."""

    failed: Failed | None


# ------------------------------------------------------------------------------ for scripts


def document(deal: Deal, benefits: Benefits) -> dict[str, object]:
    """Return all numbers; amounts are decimal texts in the smallest unit."""
    found = deal.split
    return {
        "hours": deal.hours,
        "fixed_price_ankr_wei": str(deal.fixed_price),
        "bids_ankr_wei": [str(bid) for bid in deal.bids],
        "rule": deal.rule,
        "paid_ankr_wei": str(deal.paid),
        "expected_profit_eth_wei": str(deal.expected_profit_eth),
        "profit": _pair(deal.profit_ankr, deal.profit_eth),
        "split": {
            "provider": _pair(found.provider_ankr, 0),
            "reward_pool": _pair(found.reward_ankr, found.reward_eth),
            "insurance_pool": _pair(found.insurance_ankr, found.insurance_eth),
            "requester": _pair(found.requester_ankr, found.requester_eth),
        },
        "failed": None if deal.failed is None else _failed(deal.failed),
        "parties": {
            name: {
                "items": [{"name": i.name, **_pair(i.ankr, i.eth)} for i in items],
                "total": _pair(total(items).ankr, total(items).eth),
            }
            for name, items in benefits.items()
        },
    }


def _failed(found: Failed) -> dict[str, object]:
    cover = found.cover
    return {
        "after_hours": found.after_hours,
        "loss_eth_wei": str(found.loss_eth),
        "provider": _pair(cover.provider_ankr, cover.provider_eth),
        "insurance_eth_wei": str(cover.insurance_eth),
        "uncovered_eth_wei": str(cover.uncovered_eth),
    }


def _pair(ankr: int, eth: int) -> dict[str, str]:
    return {"ankr_wei": str(ankr), "eth_wei": str(eth)}


# ------------------------------------------------------------------------------ for people


def lines(deal: Deal, benefits: Benefits, example: str | None) -> list[str]:
    """Return the deal, its split and the parties' tables."""
    return [
        *_facts(deal, example),
        "",
        *columns(("who gets what", ">ANKR", ">ETH"), _split_rows(deal.split)),
        "",
        *columns(("party", "gains and costs", ">ANKR", ">ETH"), _benefit_rows(benefits)),
        "",
        f"next: {_NEXT[next(iter(benefits))]}",
    ]


def _facts(deal: Deal, example: str | None) -> list[str]:
    bids = ", ".join(map(shown, deal.bids)) or "none given: one at the fixed price"
    found = [
        ("length", f"{deal.hours:,} hours"),
        ("fixed price", f"{shown(deal.fixed_price)} ANKR"),
        ("bids", bids),
        ("rule", f"{deal.rule}: the lowest is paid {shown(deal.paid)} ANKR"),
        ("expected profit", f"{shown(deal.expected_profit_eth)} ETH"),
        ("profit", f"{shown(deal.profit_ankr)} ANKR and {shown(deal.profit_eth)} ETH"),
    ]
    if deal.failed is not None:
        found.append(("fails", _failed_text(deal.failed)))
    elif example is not None:
        found.append((f"example {example}", _NOTES[example]))
    return facts(found)


def _failed_text(found: Failed) -> str:
    text = f"after {found.after_hours:,} hours; the loss is {shown(found.loss_eth)} ETH"
    uncovered = found.cover.uncovered_eth
    return f"{text}, {shown(uncovered)} of it paid by nobody" if uncovered else text


def _split_rows(found: Split) -> list[tuple[str, str, str]]:
    return [
        ("provider", shown(found.provider_ankr), "0"),
        ("reward pool", shown(found.reward_ankr), shown(found.reward_eth)),
        ("insurance pool", shown(found.insurance_ankr), shown(found.insurance_eth)),
        ("requester", shown(found.requester_ankr), shown(found.requester_eth)),
    ]


def _benefit_rows(benefits: Benefits) -> list[tuple[str, str, str, str]]:
    rows = []
    for party, items in benefits.items():
        told = [item for item in items if item.ankr or item.eth]
        for place, item in enumerate((*told, total(items))):
            name = party if place == 0 else ""
            rows.append((name, item.name, signed(item.ankr), signed(item.eth)))
    return rows
