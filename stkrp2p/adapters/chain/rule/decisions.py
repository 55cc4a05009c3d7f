"""What the council can decide: each a call that the timelock makes once a vote has passed.

    call = decisions.set_parameter(market, Parameter.BID_BOND, 5 * 10**18)
    action = await chain.proposals.propose([call], summary="a lower bond")

`told` says in words what such a call does, for those who are to vote on it.
"""

from __future__ import annotations

from typing import Any

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.rule.policy import ProjectType
from stkrp2p.adapters.chain.rule.prices import Source
from stkrp2p.adapters.chain.rule.proposals import TimelockCall
from stkrp2p.adapters.chain.rule.providers import Tier
from stkrp2p.core.network import MarketAddresses
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import Operator


def set_parameter(market: MarketAddresses, parameter: Parameter, value: int) -> TimelockCall:
    """Set one of the policy's numbers, in the contract's unit."""
    return _call("Policy", market.policy, "set", parameter, value)


def set_project_type(market: MarketAddresses, number: int, kind: ProjectType) -> TimelockCall:
    """Set a type of project (R42)."""
    return _call("Policy", market.policy, "setProjectType", number, kind.fields())


def set_distribution(market: MarketAddresses, bps: tuple[int, int, int, int]) -> TimelockCall:
    """Set the split of the reward pool, in 1/10,000 (R54)."""
    return _call("Policy", market.policy, "setDistribution", list(bps))


def set_scoring(market: MarketAddresses, version: int, params_hash: bytes) -> TimelockCall:
    """Set by which rules members are scored (R19)."""
    return _call("Policy", market.policy, "setScoring", version, params_hash)


def set_feeds(market: MarketAddresses, ankr_usd: Source, eth_usd: Source) -> TimelockCall:
    """Replace the price feeds."""
    sources = ((source.feed, source.base) for source in (ankr_usd, eth_usd))
    return _call("Prices", market.prices, "setFeeds", *sources)


def approve_provider(
    market: MarketAddresses, account: bytes, *, name: str, tier: Tier, k_eth_wei: int
) -> TimelockCall:
    """Approve who applied under a name (R45).

    Args:
        market: Where the contracts are.
        account: Who applied.
        name: Under which name.
        tier: How far it is trusted.
        k_eth_wei: What it brings of 32 ETH for each node, in wei, as the tier asks.
    """
    return _call("Providers", market.providers, "approve", account, name, tier, k_eth_wei)


def reject_provider(market: MarketAddresses, account: bytes) -> TimelockCall:
    """Turn an application down."""
    return _call("Providers", market.providers, "reject", account)


def set_tier(
    market: MarketAddresses, account: bytes, *, tier: Tier, k_eth_wei: int
) -> TimelockCall:
    """Trust an approved provider more, or less (R29)."""
    return _call("Providers", market.providers, "setTier", account, tier, k_eth_wei)


def revoke_provider(market: MarketAddresses, account: bytes) -> TimelockCall:
    """End a provider's approval, as if it had left."""
    return _call("Providers", market.providers, "revoke", account)


def rule_failed(
    market: MarketAddresses, deal: int, *, disputed_at: int, loss_wei: int
) -> TimelockCall:
    """Rule in a dispute that the provider failed (R62).

    Args:
        market: Where the contracts are.
        deal: The disputed deal.
        disputed_at: When the dispute was raised, by the deal's record: it holds for no other.
        loss_wei: What the requester lost beside the profit it will not have, in wei.
    """
    return _call("Deals", market.deals, "rule", deal, (disputed_at, True, loss_wei))


def rule_not_failed(market: MarketAddresses, deal: int, *, disputed_at: int) -> TimelockCall:
    """Rule in a dispute, the one raised at `disputed_at`, that the deal goes on (R62)."""
    return _call("Deals", market.deals, "rule", deal, (disputed_at, False, 0))


def cancel_deal(market: MarketAddresses, deal: int) -> TimelockCall:
    """End a running deal whose provider is disqualified (Q27)."""
    return _call("Deals", market.deals, "cancel", deal)


def release_rewards(
    market: MarketAddresses, to: bytes, *, ankr_wei: int, eth_wei: int
) -> TimelockCall:
    """Send something out of the reward pot."""
    return _call("Pot", market.rewards, "release", ankr_wei, eth_wei, to)


def set_delay(market: MarketAddresses, delay_s: int) -> TimelockCall:
    """Lengthen the timelock's delay, or shorten it down to that of its deployment."""
    return _call("Timelock", market.timelock, "updateDelay", delay_s)


def told(market: MarketAddresses, call: TimelockCall) -> str:
    """Return a call as `Policy.set(13, 60)`; its data where we do not know the contract."""
    contract = _contract_of(market, call)
    said = None if contract is None else interface(contract).called(call.data)
    sends = f" with {call.value} wei" if call.value else ""
    if said is None:
        return f"0x{call.target.hex()}: 0x{call.data.hex()}{sends}"
    function, values = said
    return f"{contract}.{function}({', '.join(values)}){sends}"


def fields_of(market: MarketAddresses, call: TimelockCall) -> tuple[str, dict[str, Any]]:
    """Return a call's function, such as `Policy.set`, and its arguments by their Python names.

    Both are empty where we do not know them.
    """
    contract = _contract_of(market, call)
    said = None if contract is None else interface(contract).called_with(call.data)
    return ("", {}) if said is None else (f"{contract}.{said[0]}", said[1])


def _contract_of(market: MarketAddresses, call: TimelockCall) -> str | None:
    names = {
        market.policy: "Policy",
        market.prices: "Prices",
        market.providers: "Providers",
        market.deals: "Deals",
        market.rewards: "Pot",
        market.insurance: "Pot",
        market.timelock: "Timelock",
    }
    return names.get(call.target)


def _call(contract: str, place: bytes, function: str, *arguments: object) -> TimelockCall:
    data = interface(contract).call(function, *arguments)
    return TimelockCall(target=Operator(place), value=0, data=data)
