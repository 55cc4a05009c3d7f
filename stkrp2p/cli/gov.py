"""`stkrp2p gov`: seats, votes, elections and stakes, each over Ethereum (R13, R15-R18, R20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.cli.acting import ActingCommand, Do
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.gov_elect import elect
from stkrp2p.cli.gov_policy import delay, distribution, project_type, scoring, set_parameter
from stkrp2p.cli.gov_propose import propose
from stkrp2p.cli.gov_reading import read_motion
from stkrp2p.cli.gov_rulings import approve, cancel, reject, release, revoke, ruling, tier_of
from stkrp2p.cli.gov_view import about_lines, proposal_list, status
from stkrp2p.cli.onchain import market_of
from stkrp2p.cli.output import when
from stkrp2p.cli.staking import add_staking

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.cli.acting import Acting

STATUS = "stkrp2p gov status"
NUMBER = click.IntRange(min=1)


@click.group("gov")
def command() -> None:
    """Govern: take a seat, propose, vote, elect."""


for each in (status, proposal_list, propose, elect):
    command.add_command(each)
for each in (set_parameter, project_type, distribution, scoring, delay):
    propose.add_command(each)
for each in (approve, reject, tier_of, revoke, ruling, cancel, release):
    propose.add_command(each)


# ------------------------------------------------------------------------------- seats, stakes


@command.command("accept", cls=ActingCommand)
def accept(*, acting: Acting) -> None:
    """Take the seat that this account was invited to.

    Stakes what is missing to the least stake of a governor first. The stake is bound while it sits.
    """

    async def work(chain: RuleChain, do: Do) -> str:
        account = await chain.account()
        if not await chain.council.is_governor(account):
            await do(await chain.council.stake_to(await chain.council.stake_min()))
        await do(await chain.council.accept())
        return STATUS

    acting.run(work)


add_staking(
    command,
    lambda chain: chain.council,
    stake_help="Stake up to ANKR in all, to vote with it.",
)


@command.command("claim", cls=ActingCommand)
@click.argument("ballot", type=NUMBER)
def claim(*, acting: Acting, ballot: int) -> None:
    """Claim what voting in a ballot earned.

    Elections and referenda are ballots (Q21).
    """

    async def work(chain: RuleChain, do: Do) -> str:
        await do(await chain.voter_rewards.claim(ballot))
        return STATUS

    acting.run(work)


# ------------------------------------------------------------------------------- proposals


@command.command("vote", cls=ActingCommand)
@click.argument("proposal", type=NUMBER)
@click.argument("choice", type=click.Choice(["yes", "no", "abstain"]))
@click.option("--as-staker", is_flag=True, help="Vote in a referendum with the stake.")
def vote(*, acting: Acting, proposal: int, choice: str, as_staker: bool) -> None:
    """Vote on a proposal.

    One governor, one vote. To abstain is to vote: who misses too many votes one after the other
    loses stake.
    """
    market = market_of(acting.network())

    async def work(chain: RuleChain, do: Do) -> str:
        from stkrp2p.adapters.chain.rule.proposals import Choice  # noqa: PLC0415

        about = about_lines(await read_motion(chain, market, proposal))
        proposals, chosen = chain.proposals, Choice[choice.upper()]
        await do(
            await proposals.vote_as_staker(proposal, chosen)
            if as_staker
            else await proposals.vote(proposal, chosen),
            about=about,
        )
        return STATUS

    acting.run(work)


@command.command("close", cls=ActingCommand)
@click.argument("proposal", type=NUMBER)
def close(*, acting: Acting, proposal: int) -> None:
    """Close a proposal whose time is over.

    Anybody may. Its votes are counted. Proposals are closed in order. What passed goes to the
    timelock.
    """

    async def work(chain: RuleChain, do: Do) -> str:
        from stkrp2p.adapters.chain.rule.proposals import OperationState  # noqa: PLC0415

        await do(await chain.proposals.close(proposal))
        is_queued = await chain.proposals.operation_state(proposal) is OperationState.WAITING
        return f"stkrp2p gov execute {proposal}" if is_queued else "stkrp2p gov list"

    acting.run(work)


@command.command("execute", cls=ActingCommand)
@click.argument("proposal", type=NUMBER)
def execute(*, acting: Acting, proposal: int) -> None:
    """Carry out what has passed, once the delay is over.

    The timelock makes the proposal's calls; anybody may ask it to.
    """
    market = market_of(acting.network())

    async def work(chain: RuleChain, do: Do) -> str:
        from stkrp2p.adapters.chain.rule.proposals import OperationState  # noqa: PLC0415

        state = await chain.proposals.operation_state(proposal)
        if state in {OperationState.UNSET, OperationState.WAITING}:
            raise await _not_ready(chain, proposal, is_queued=state is OperationState.WAITING)
        about = about_lines(await read_motion(chain, market, proposal))
        await do(await chain.proposals.execute(proposal), about=about)
        return "stkrp2p gov list"

    acting.run(work)


async def _not_ready(chain: RuleChain, proposal: int, *, is_queued: bool) -> Failure:
    if not is_queued:
        return Failure(
            f"proposal {proposal} is not with the timelock",
            why="it is not closed, it did not pass, it calls nothing, or its time to be executed is over",
            hint="stkrp2p gov list",
            code=Exit.FAILED,
        )
    ready_at = await chain.proposals.ready_at(proposal)
    return Failure(
        f"proposal {proposal} cannot be executed yet",
        why=f"the timelock's delay ends {when(ready_at, await chain.now_s())}",
        hint=STATUS,
    )


# ------------------------------------------------------------------------------- prices


@command.command("poke", cls=ActingCommand)
def poke(*, acting: Acting) -> None:
    """Look at both price feeds and move the references.

    Anybody may. A price that moved too far is believed if it is found again after the policy's
    PriceConfirmS.
    """

    async def work(chain: RuleChain, do: Do) -> str:
        await do(await chain.prices.poke())
        return ""

    acting.run(work)
