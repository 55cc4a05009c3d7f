"""`stkrp2p gov propose`: how a governor puts something to the vote, whatever it is.

What it can be stands in `gov_policy` and `gov_rulings`, each in words instead of a call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.acting import ActingCommand, Do
from stkrp2p.cli.amounts import amount_of
from stkrp2p.cli.onchain import market_of
from stkrp2p.cli.parties import address, data, hexed

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


@click.group("propose")
def propose() -> None:
    """Put something to the vote.

    The governors vote, and the stakers too in a referendum. What passes goes to the timelock and is
    executed after its delay. A governor has one open proposal at a time.
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


@propose.command("call", cls=ProposingCommand)
@click.argument("target", type=address)
@click.argument("calldata", type=data)
@click.option("--value", type=amount_of("ETH"), default="0", metavar="ETH", help="Goes with it.")
def call(*, proposing: Proposing, target: Operator, calldata: bytes, value: int) -> None:
    """Let the timelock call TARGET with CALLDATA."""
    from stkrp2p.adapters.chain.rule.proposals import TimelockCall  # noqa: PLC0415

    calls = [TimelockCall(target=target, value=value, data=calldata)]
    proposing.put(calls, summary=f"call {hexed(target)} with {len(calldata)} bytes")


@propose.command("matter", cls=ProposingCommand)
@click.argument("text")
def matter(*, proposing: Proposing, text: str) -> None:
    """Vote on a TEXT alone; nothing is executed."""
    proposing.put([], summary=text)
