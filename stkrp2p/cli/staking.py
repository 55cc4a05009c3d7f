"""`stake`, `unstake` and `withdraw`: alike for all who stake, whichever contract holds the stake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import click

from stkrp2p.cli.acting import ActingCommand, Do
from stkrp2p.cli.amounts import amount_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from stkrp2p.adapters.chain.rule import Action, RuleChain
    from stkrp2p.cli.acting import Acting

_ANKR = amount_of("ANKR")


class Stakes(Protocol):
    """A contract that holds stakes; amounts are in 10^-18 ANKR."""

    async def stake_to(self, stake_wei: int) -> Action:
        """Prepare to stake up to this in all."""
        ...

    async def unstake_to(self, stake_wei: int) -> Action:
        """Prepare to ask back what is staked above this."""
        ...

    async def withdraw(self) -> Action:
        """Prepare to be paid what was asked back."""
        ...


def add_staking(
    group: click.Group, stakes: Callable[[RuleChain], Stakes], *, stake_help: str
) -> None:
    """Add the commands of a stake to a group.

    Args:
        group: Where they go; it has a command `status`, which they name as the next step.
        stakes: Picks the contract that holds the stake.
        stake_help: What staking is for here.
    """
    status, paid = f"stkrp2p {group.name} status", f"{group.name} withdraw"

    @group.command("stake", cls=ActingCommand, help=stake_help)
    @click.argument("ankr", metavar="ANKR", type=_ANKR)
    def stake(*, acting: Acting, ankr: int) -> None:
        async def work(chain: RuleChain, do: Do) -> str:
            await do(await stakes(chain).stake_to(ankr))
            return status

        acting.run(work)

    asked_help = (
        f"Ask back what is staked above ANKR.\n\n`{paid}` pays it after the policy's UnbondS."
    )

    @group.command("unstake", cls=ActingCommand, help=asked_help)
    @click.argument("ankr", metavar="ANKR", type=_ANKR)
    def unstake(*, acting: Acting, ankr: int) -> None:
        async def work(chain: RuleChain, do: Do) -> str:
            await do(await stakes(chain).unstake_to(ankr))
            return f"stkrp2p {paid}"

        acting.run(work)

    @group.command("withdraw", cls=ActingCommand)
    def withdraw(*, acting: Acting) -> None:
        """Get paid what was asked back, once its time has come."""

        async def work(chain: RuleChain, do: Do) -> str:
            await do(await stakes(chain).withdraw())
            return status

        acting.run(work)
