"""What `stkrp2p gov propose` can decide on providers, deals, rewards (R29, R45, R62, Q27)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.cli.amounts import amount_of
from stkrp2p.cli.errors import Failure
from stkrp2p.cli.gov_propose import Calls, Proposing, ProposingCommand
from stkrp2p.cli.output import tokens
from stkrp2p.cli.parties import address, hexed
from stkrp2p.core.policy import Parameter

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.core.types import Operator

TIERS = ("untrusted", "semi_trusted", "trusted")

_NUMBER = click.IntRange(min=1)

k_eth_option = click.option(
    "--k-eth",
    type=amount_of("ETH"),
    metavar="ETH",
    help="Of a node's 32 ETH.  [default: the policy's for an untrusted one, 0 for a trusted one]",
)


# ------------------------------------------------------------------------------- providers


@click.command("approve", cls=ProposingCommand)
@click.argument("provider", type=address)
@click.option("--tier", type=click.Choice(TIERS), default=TIERS[0], show_default=True)
@k_eth_option
def approve(*, proposing: Proposing, provider: Operator, tier: str, k_eth: int | None) -> None:
    """Approve who applied as a provider (R45).

    It holds for the name that it applied with.
    """
    _require_k_eth(tier, k_eth)

    async def decide(chain: RuleChain) -> Calls:
        from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415
        from stkrp2p.adapters.chain.rule.providers import Tier  # noqa: PLC0415

        return [
            decisions.approve_provider(
                proposing.market(),
                provider,
                name=await _applied_name(chain, provider),
                tier=Tier[tier.upper()],
                k_eth_wei=await _usual_k_eth(chain, tier) if k_eth is None else k_eth,
            )
        ]

    proposing.put_after(decide, summary=f"approve provider {hexed(provider)} as {tier}")


@click.command("reject", cls=ProposingCommand)
@click.argument("provider", type=address)
def reject(*, proposing: Proposing, provider: Operator) -> None:
    """Turn down who applied as a provider; it may apply anew."""

    async def decide(chain: RuleChain) -> Calls:
        from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

        await _applied_name(chain, provider)
        return [decisions.reject_provider(proposing.market(), provider)]

    proposing.put_after(decide, summary=f"reject provider {hexed(provider)}")


@click.command("tier", cls=ProposingCommand)
@click.argument("provider", type=address)
@click.argument("tier", type=click.Choice(TIERS))
@k_eth_option
def tier_of(*, proposing: Proposing, provider: Operator, tier: str, k_eth: int | None) -> None:
    """Trust an approved provider more, or less (R29)."""
    _require_k_eth(tier, k_eth)

    async def decide(chain: RuleChain) -> Calls:
        from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415
        from stkrp2p.adapters.chain.rule.providers import Tier  # noqa: PLC0415

        brings = await _usual_k_eth(chain, tier) if k_eth is None else k_eth
        market, named = proposing.market(), Tier[tier.upper()]
        return [decisions.set_tier(market, provider, tier=named, k_eth_wei=brings)]

    proposing.put_after(decide, summary=f"trust provider {hexed(provider)} as {tier}")


@click.command("revoke", cls=ProposingCommand)
@click.argument("provider", type=address)
def revoke(*, proposing: Proposing, provider: Operator) -> None:
    """End a provider's approval, as if it had left."""
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

    calls = [decisions.revoke_provider(proposing.market(), provider)]
    proposing.put(calls, summary=f"revoke provider {hexed(provider)}")


async def _applied_name(chain: RuleChain, provider: Operator) -> str:
    from stkrp2p.adapters.chain.rule.providers import Status  # noqa: PLC0415

    record = await chain.providers.provider(provider)
    if record.status is not Status.APPLIED:
        raise Failure(
            f"{hexed(provider)} has no open application",
            why=f"its status is {record.status.name.lower()}",
            hint=f"stkrp2p provider status {hexed(provider)}",
        )
    return record.name


async def _usual_k_eth(chain: RuleChain, tier: str) -> int:
    return 0 if tier == "trusted" else await chain.policy.get(Parameter.K_ETH_UNTRUSTED)


def _require_k_eth(tier: str, k_eth: int | None) -> None:
    if k_eth is None and tier == "semi_trusted":
        raise click.UsageError("a semi-trusted provider brings some ETH: --k-eth")


# ------------------------------------------------------------------------------- deals, the pot


@click.command("ruling", cls=ProposingCommand)
@click.argument("deal", type=_NUMBER)
@click.option("--failed/--not-failed", "is_failed", default=None, required=True)
@click.option(
    "--loss",
    type=amount_of("ETH"),
    default="0",
    metavar="ETH",
    help="What the requester lost beside the profit it will not have.",
)
def ruling(*, proposing: Proposing, deal: int, is_failed: bool, loss: int) -> None:
    """Rule in a disputed deal (R62).

    Either the provider failed, or it did not and the deal goes on. It holds for the latest dispute.
    """
    if loss and not is_failed:
        raise click.UsageError("a loss is for --failed")

    async def decide(chain: RuleChain) -> Calls:
        from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

        market, at = proposing.market(), (await chain.deals.deal(deal)).disputed_at
        if is_failed:
            return [decisions.rule_failed(market, deal, disputed_at=at, loss_wei=loss)]
        return [decisions.rule_not_failed(market, deal, disputed_at=at)]

    said = f"failed, loss {tokens(loss)} ETH" if is_failed else "did not fail"
    proposing.put_after(decide, summary=f"rule in deal {deal}: the provider {said}")


@click.command("cancel", cls=ProposingCommand)
@click.argument("deal", type=_NUMBER)
def cancel(*, proposing: Proposing, deal: int) -> None:
    """End a running deal whose provider is disqualified (Q27)."""
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

    proposing.put([decisions.cancel_deal(proposing.market(), deal)], summary=f"cancel deal {deal}")


@click.command("release", cls=ProposingCommand)
@click.argument("to", type=address)
@click.option("--ankr", type=amount_of("ANKR"), default="0", metavar="ANKR", help="How much.")
@click.option("--eth", type=amount_of("ETH"), default="0", metavar="ETH", help="How much.")
def release(*, proposing: Proposing, to: Operator, ankr: int, eth: int) -> None:
    """Send something out of the reward pot to an address."""
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

    if not (ankr or eth):
        raise click.UsageError("missing --ankr or --eth")
    calls = [decisions.release_rewards(proposing.market(), to, ankr_wei=ankr, eth_wei=eth)]
    said = f"{tokens(ankr)} ANKR and {tokens(eth)} ETH"
    proposing.put(calls, summary=f"release {said} of the rewards to {hexed(to)}")
