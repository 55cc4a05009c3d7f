"""What a proposal's calls do, with names and units in place of the contracts' numbers.

    Policy.set(BidBond, 5 ANKR)

What has no words here, or values that its contract does not know, is told as it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import msgspec

from stkrp2p.adapters.chain.rule.decisions import fields_of, told
from stkrp2p.adapters.chain.rule.policy import ProjectType
from stkrp2p.adapters.chain.rule.proposals import TimelockCall
from stkrp2p.adapters.chain.rule.providers import Tier
from stkrp2p.cli.output import percent, span, tokens
from stkrp2p.cli.parties import hexed
from stkrp2p.cli.policy import SHARES, amount
from stkrp2p.cli.resources import resources_shown
from stkrp2p.core.network import MarketAddresses
from stkrp2p.core.policy import SPECS, Parameter, Unit
from stkrp2p.core.types import Operator


class _Said(Protocol):
    def words(self) -> tuple[str, ...]:
        """Return the arguments for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    parameter: Parameter
    value: int

    def words(self) -> tuple[str, ...]:
        return self.parameter.label, amount(self.value, SPECS[self.parameter].unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SetProjectType:
    id: int
    given: ProjectType

    def words(self) -> tuple[str, ...]:
        kind = self.given
        return (
            str(self.id),
            "taken" if kind.is_open else "not taken",
            f"{kind.rule.name.lower()} of the {kind.shortlist} lowest",
            f"reliability {percent(kind.reliability_ppm_min)}",
            f"uptime {percent(kind.uptime_ppm_min)}",
            f"failures {kind.failures_max}",
            f"stake {tokens(kind.eth_stake_wei)} ETH",
            f"needs {resources_shown(kind.need)}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SetDistribution:
    bps: tuple[int, int, int, int]

    def words(self) -> tuple[str, ...]:
        shares = zip(SHARES, self.bps, strict=True)
        return tuple(f"{amount(share, Unit.BPS)} {name}" for name, share in shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SetTier:
    account: Operator
    tier: Tier
    k_eth_wei: int

    def words(self) -> tuple[str, ...]:
        return hexed(self.account), *_trust(self.tier, self.k_eth_wei)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Approve:
    account: Operator
    name: str
    tier: Tier
    k_eth_wei: int

    def words(self) -> tuple[str, ...]:
        return hexed(self.account), f'"{self.name}"', *_trust(self.tier, self.k_eth_wei)


def _trust(tier: Tier, k_eth_wei: int) -> tuple[str, str]:
    return tier.name.lower().replace("_", "-"), f"{tokens(k_eth_wei)} ETH"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ruling:
    disputed_at: int
    is_failed: bool
    loss_wei: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    deal: int
    ruling: _Ruling

    def words(self) -> tuple[str, ...]:
        said = self.ruling
        loss = f"failed, loss {tokens(said.loss_wei)} ETH" if said.is_failed else "not failed"
        return str(self.deal), f"disputed at {said.disputed_at}", loss


@dataclass(frozen=True, slots=True, kw_only=True)
class _Release:
    ankr: int
    eth_wei: int
    to: Operator

    def words(self) -> tuple[str, ...]:
        return f"{tokens(self.ankr)} ANKR", f"{tokens(self.eth_wei)} ETH", hexed(self.to)


@dataclass(frozen=True, slots=True, kw_only=True)
class _UpdateDelay:
    new_delay: int

    def words(self) -> tuple[str, ...]:
        return (span(self.new_delay),)


_CALLS: Mapping[str, type[_Said]] = MappingProxyType(
    {
        "Policy.set": _Set,
        "Policy.setProjectType": _SetProjectType,
        "Policy.setDistribution": _SetDistribution,
        "Providers.approve": _Approve,
        "Providers.setTier": _SetTier,
        "Deals.rule": _Rule,
        "Pot.release": _Release,
        "Timelock.updateDelay": _UpdateDelay,
    }
)


def in_words(market: MarketAddresses, call: TimelockCall) -> str:
    """Return what a call does, for people."""
    function, fields = fields_of(market, call)
    if function not in _CALLS:
        return told(market, call)
    try:
        said = msgspec.convert(fields, type=_CALLS[function])
    except msgspec.ValidationError:
        return told(market, call)
    sends = f" with {tokens(call.value)} ETH" if call.value else ""
    return f"{function}({', '.join(said.words())}){sends}"
