"""`stkrp2p gov propose`: what a governor can put to the vote, in words instead of calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.acting import ActingCommand, Do
from stkrp2p.cli.amounts import amount_of
from stkrp2p.cli.errors import Failure
from stkrp2p.cli.gov_values import parameter, percent_of, value_of
from stkrp2p.cli.onchain import market_of
from stkrp2p.cli.output import tokens
from stkrp2p.cli.parties import address, data, hexed
from stkrp2p.cli.resources import (
    Given,
    bandwidth_option,
    cpu_option,
    ram_option,
    storage_option,
    whole,
)
from stkrp2p.core.policy import Parameter, Unit

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.adapters.chain.rule.proposals import TimelockCall
    from stkrp2p.cli.acting import Acting
    from stkrp2p.config import Loaded
    from stkrp2p.core.network import MarketAddresses
    from stkrp2p.core.types import Operator

Calls = Sequence["TimelockCall"]
Decide = Callable[["RuleChain"], Awaitable[Calls]]
"""Makes the calls that are proposed."""

TIERS = ("untrusted", "semi_trusted", "trusted")
RULES = ("first_price", "vickrey", "requester_choice")

NODE_WEI = 32 * 10**18
"""What a blockchain node stakes."""

_NUMBER = click.IntRange(min=1)


def _ppm(text: str) -> int:
    return percent_of(Unit.PPM, text)


@click.group("propose")
def propose() -> None:
    """Put something to the vote of the governors, or of the stakers too.

    A proposal that passes goes to the timelock and is executed after its delay. A governor has one
    open proposal at a time.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposing:
    """How to propose what a command names."""

    acting: Acting
    is_referendum: bool
    summary: str | None

    def put(self, calls: Calls, *, summary: str) -> None:
        """Propose calls; `summary` is what voters read unless another one is given."""

        async def decide(chain: RuleChain) -> Calls:  # noqa: ARG001  - these are known before
            return calls

        self.put_after(decide, summary=summary)

    def put_after(self, decide: Decide, *, summary: str) -> None:
        """Propose calls that depend on what the chain says."""

        async def work(chain: RuleChain, do: Do) -> str:
            calls, said = await decide(chain), self.summary or summary
            is_referendum = self.is_referendum
            await do(
                await chain.proposals.propose(calls, summary=said, is_referendum=is_referendum)
            )
            return f"stkrp2p gov vote {await chain.proposals.latest_proposal()} yes"

        self.acting.run(work)

    def market(self) -> MarketAddresses:
        """Return where rule and market are; raises `Failure` if the network has none."""
        return market_of(self.acting.network())


class ProposingCommand(ActingCommand):
    """A command that proposes: its function is called with `proposing`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters with those of all proposals."""
        referendum = click.Option(
            ["--referendum", "is_referendum"],
            is_flag=True,
            help="Let the stakers vote too; it passes if both say yes.",
        )
        summary = click.Option(["--summary"], help="What voters read.  [default: what it does]")
        *others, help_option = super().get_params(ctx)
        return [*others, referendum, summary, help_option]

    def give(self, ctx: click.Context, loaded: Loaded) -> None:
        """Give the function one value for how to propose."""
        super().give(ctx, loaded)
        ctx.params["proposing"] = Proposing(
            acting=ctx.params.pop("acting"),
            is_referendum=ctx.params.pop("is_referendum"),
            summary=ctx.params.pop("summary"),
        )


# ------------------------------------------------------------------------------- the policy


@propose.command("parameter", cls=ProposingCommand)
@click.argument("name", type=parameter)
@click.argument("value")
def set_parameter(*, proposing: Proposing, name: Parameter, value: str) -> None:
    """Set the policy's number NAME, such as BidBond, to VALUE.

    VALUE is in the units that `stkrp2p policy show` uses: 12.5 (ANKR, ETH, USD an hour), 10%, 15min.
    """
    number = value_of(name, value)
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

    calls = [decisions.set_parameter(proposing.market(), name, number)]
    proposing.put(calls, summary=f"set {name.label} to {value}")


@propose.command("project-type", cls=ProposingCommand)
@click.argument("number", type=_NUMBER)
@click.option("--rule", type=click.Choice(RULES), default=RULES[0], show_default=True)
@click.option("--shortlist", type=_NUMBER, default=3, show_default=True, help="Bids in the draw.")
@click.option("--reliability", "reliability_ppm", type=_ppm, required=True, metavar="%")
@click.option("--uptime", "uptime_ppm", type=_ppm, required=True, metavar="%")
@click.option("--failures", type=click.IntRange(min=0), default=0, help="Most failures.")
@click.option("--no-eth", is_flag=True, help="A node stakes no ETH; else 32 together.")
@click.option("--closed", is_flag=True, help="Take no more projects of this type.")
@cpu_option
@ram_option
@storage_option
@bandwidth_option
def project_type(
    *,
    proposing: Proposing,
    number: int,
    rule: str,
    shortlist: int,
    reliability_ppm: int,
    uptime_ppm: int,
    failures: int,
    no_eth: bool,
    closed: bool,
    **need: Given,
) -> None:
    """Set type NUMBER of projects: who may serve it, how one is chosen, what a node needs (R42)."""
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415
    from stkrp2p.adapters.chain.rule.policy import ProjectType  # noqa: PLC0415
    from stkrp2p.core.draw import Rule  # noqa: PLC0415

    kind = ProjectType(
        is_open=not closed,
        rule=Rule[rule.upper()],
        shortlist=shortlist,
        reliability_ppm_min=reliability_ppm,
        uptime_ppm_min=uptime_ppm,
        failures_max=failures,
        eth_stake_wei=0 if no_eth else NODE_WEI,
        need=whole(need),
    )
    calls = [decisions.set_project_type(proposing.market(), number, kind)]
    proposing.put(calls, summary=f"set type {number} of projects: {rule}, {shortlist} in the draw")


# ------------------------------------------------------------------------------- providers


@propose.command("approve", cls=ProposingCommand)
@click.argument("provider", type=address)
@click.option("--tier", type=click.Choice(TIERS), default=TIERS[0], show_default=True)
@click.option(
    "--k-eth",
    type=amount_of("ETH"),
    metavar="ETH",
    help="Of a node's 32 ETH.  [default: the policy's for an untrusted one, 0 for a trusted one]",
)
def approve(*, proposing: Proposing, provider: Operator, tier: str, k_eth: int | None) -> None:
    """Approve who applied as a provider, under the name it applied with (R45)."""
    if k_eth is None and tier == "semi_trusted":
        raise click.UsageError("a semi-trusted provider brings some ETH: --k-eth")

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


@propose.command("reject", cls=ProposingCommand)
@click.argument("provider", type=address)
def reject(*, proposing: Proposing, provider: Operator) -> None:
    """Turn down who applied as a provider; it may apply anew."""

    async def decide(chain: RuleChain) -> Calls:
        from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

        await _applied_name(chain, provider)
        return [decisions.reject_provider(proposing.market(), provider)]

    proposing.put_after(decide, summary=f"reject provider {hexed(provider)}")


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


# ------------------------------------------------------------------------------- deals, calls


@propose.command("ruling", cls=ProposingCommand)
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
    """Rule in a disputed deal that the provider failed, or did not (R62)."""
    if loss and not is_failed:
        raise click.UsageError("a loss is for --failed")

    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

    market = proposing.market()
    ruled = (
        decisions.rule_failed(market, deal, loss_wei=loss)
        if is_failed
        else decisions.rule_not_failed(market, deal)
    )
    said = f"failed, loss {tokens(loss)} ETH" if is_failed else "did not fail"
    proposing.put([ruled], summary=f"rule in deal {deal}: the provider {said}")


@propose.command("cancel", cls=ProposingCommand)
@click.argument("deal", type=_NUMBER)
def cancel(*, proposing: Proposing, deal: int) -> None:
    """End a running deal whose provider is disqualified (Q27)."""
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

    proposing.put([decisions.cancel_deal(proposing.market(), deal)], summary=f"cancel deal {deal}")


@propose.command("call", cls=ProposingCommand)
@click.argument("target", type=address)
@click.argument("calldata", type=data)
@click.option("--value", type=amount_of("ETH"), default="0", metavar="ETH", help="Goes with it.")
def call(*, proposing: Proposing, target: Operator, calldata: bytes, value: int) -> None:
    """Let the timelock call TARGET with CALLDATA: whatever has no command of its own."""
    from stkrp2p.adapters.chain.rule.proposals import TimelockCall  # noqa: PLC0415

    calls = [TimelockCall(target=target, value=value, data=calldata)]
    proposing.put(calls, summary=f"call {hexed(target)} with {len(calldata)} bytes")


@propose.command("matter", cls=ProposingCommand)
@click.argument("text")
def matter(*, proposing: Proposing, text: str) -> None:
    """Vote on TEXT alone, such as `shall we meet twice a year?`; nothing is executed."""
    proposing.put([], summary=text)
