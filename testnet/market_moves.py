"""What the council and its voters do on the contracts, step by step, for stories and tests.

Whose time it is, is the caller's matter: a story waits for the chain, a test moves the chain's clock.
Every move may be made again: what the chain shows already is not sent twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from stkrp2p.adapters.chain.rule import Action, Receipt, Rejected, RuleChain
from stkrp2p.adapters.chain.rule.proposals import Choice, TimelockCall
from stkrp2p.core.draw import Auction
from stkrp2p.core.network import Genesis, MarketAddresses
from stkrp2p.core.types import Operator

TRIES = 4
"""How often an action is prepared anew because another transaction of its account came first."""

Prepare = Callable[[], Awaitable[Action]]

WaitUntil = Callable[[int], Awaitable[None]]
"""Returns once the chain's newest block is of this time or later, in Unix seconds."""


async def perform(party: RuleChain, prepare: Prepare) -> tuple[Receipt, ...]:
    """Prepare an action and send it.

    A governor's node anchors from the account that its governor votes with. If it was first with a
    number, our transaction is void and the action is prepared anew.

    Raises:
        Rejected: The contract will not have it.
        ChainUnavailable: The endpoint failed.
    """
    for _ in range(TRIES - 1):
        try:
            return await party.send(await prepare())
        except Rejected as refused:
            if refused.rule or "replaced" not in str(refused):
                raise
    return await party.send(await prepare())


async def take_seats(governors: Sequence[RuleChain], stake_wei: int) -> None:
    """Let everybody who is invited stake so much ANKR (10^-18) and take the seat (R15)."""

    async def take(governor: RuleChain) -> None:
        await perform(governor, lambda: governor.council.stake_to(stake_wei))
        await perform(governor, governor.council.accept)

    async with trio.open_nursery() as nursery:
        for governor in governors:
            nursery.start_soon(take, governor)


async def decide(
    governors: Sequence[RuleChain],
    anybody: RuleChain,
    calls: Sequence[TimelockCall],
    *,
    summary: str,
    wait_until: WaitUntil,
) -> int:
    """Let the first governor propose calls and all vote yes; anybody counts the votes.

    Returns:
        The proposal's number; the timelock has its calls.
    """
    first = governors[0]
    await perform(first, lambda: first.proposals.propose(calls, summary=summary))
    proposal = await first.proposals.latest_proposal()

    async def vote(governor: RuleChain) -> None:
        await perform(governor, lambda: governor.proposals.vote(proposal, Choice.YES))

    async with trio.open_nursery() as nursery:
        for governor in governors:
            nursery.start_soon(vote, governor)
    await wait_until((await anybody.proposals.proposal(proposal)).closes_at)
    await perform(anybody, lambda: anybody.proposals.close(proposal))
    return proposal


async def enact(anybody: RuleChain, proposal: int, *, wait_until: WaitUntil) -> None:
    """Let anybody make a decision's calls, once the timelock's delay is over."""
    await wait_until(await anybody.proposals.ready_at(proposal))
    await perform(anybody, lambda: anybody.proposals.execute(proposal))


def auction_of(genesis: Genesis, market: MarketAddresses, deal: int) -> Auction:
    """Return what a deal's auction is called in hashes."""
    return Auction(chain_id=genesis.chain_id, market=Operator(market.market), deal=deal)
