"""The contract `VoterRewards`: what stakers earn by voting (R13, Q21)."""

from __future__ import annotations

from stkrp2p.adapters.chain.rule.actions import Action, Money
from stkrp2p.adapters.chain.rule.party import Party

CONTRACT = "VoterRewards"


class VoterRewards:
    """Reads and prepares rewards of ballots; raises as the other contracts' classes do."""

    def __init__(self, party: Party) -> None:
        """Deal with the rewards as a party."""
        self._party = party

    async def funded(self, ballot: int) -> int:
        """Return all that was put into a ballot, in 10^-18 ANKR."""
        return await self._party.read(CONTRACT, "fundedOf", ballot, shape=int)

    async def claimable(self, ballot: int, account: bytes) -> int:
        """Return what an account can claim of a ballot now, in 10^-18 ANKR."""
        return await self._party.read(CONTRACT, "claimableOf", ballot, account, shape=int)

    async def fund_to(self, ballot: int, reward_wei: int) -> Action:
        """Prepare to put in what a ballot's reward lacks, in 10^-18 ANKR."""
        missing = reward_wei - await self.funded(ballot)
        return await self._party.prepare(
            CONTRACT,
            "fund",
            ballot,
            max(0, missing),
            does=f"put a reward into ballot {ballot}",
            done="" if missing > 0 else "so much was put in",
            ankr_wei=max(0, missing),
        )

    async def claim(self, ballot: int) -> Action:
        """Prepare to take our share of a ballot that is over."""
        claimable = await self.claimable(ballot, await self._party.account())
        return await self._party.prepare(
            CONTRACT,
            "claim",
            ballot,
            does=f"claim what voting in ballot {ballot} earned",
            done="" if claimable else "there is nothing to claim",
            gets=Money(ankr_wei=claimable),
        )

    async def reclaim(self, ballot: int) -> Action:
        """Prepare to get back what we put into a ballot in which nobody voted."""
        return await self._party.prepare(
            CONTRACT, "reclaim", ballot, does=f"get back what was put into ballot {ballot}"
        )
