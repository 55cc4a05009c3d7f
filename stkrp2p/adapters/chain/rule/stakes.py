"""Staking: alike for the council's voters and for providers, whichever contract holds the stake."""

from __future__ import annotations

from stkrp2p.adapters.chain.rule.actions import Action, Money
from stkrp2p.adapters.chain.rule.party import Party


async def stake_more(party: Party, contract: str, missing_wei: int, *, does: str) -> Action:
    """Prepare to stake what is missing, 0 or less if nothing is; in 10^-18 ANKR."""
    return await party.prepare(
        contract,
        "stake",
        max(0, missing_wei),
        does=does,
        done="" if missing_wei > 0 else "so much is staked",
        ankr_wei=max(0, missing_wei),
    )


async def unstake(party: Party, contract: str, above_wei: int) -> Action:
    """Prepare to ask back what is staked too much, 0 or less if nothing is; in 10^-18 ANKR."""
    return await party.prepare(
        contract,
        "unstake",
        max(0, above_wei),
        does="ask a part of the stake back, to withdraw it later",
        done="" if above_wei > 0 else "no more is staked",
        gets=Money(ankr_wei=max(0, above_wei)),
    )


async def withdraw(party: Party, contract: str, leaving_wei: int) -> Action:
    """Prepare to get paid what was asked back; how much that is, in 10^-18 ANKR."""
    return await party.prepare(
        contract,
        "withdraw",
        does="withdraw what was asked back of the stake",
        done="" if leaving_wei else "nothing is on its way back",
        gets=Money(ankr_wei=leaving_wei),
    )
