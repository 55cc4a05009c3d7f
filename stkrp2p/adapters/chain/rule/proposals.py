"""How the council decides, and the timelock that carries it out (R15, R20, R62, Q8, Q21)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from enum import IntEnum

from stkrp2p.adapters.chain.rule.actions import Action
from stkrp2p.adapters.chain.rule.council import CONTRACT, Council
from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.core.types import Operator

TIMELOCK = "Timelock"

_ANY_PREDECESSOR = bytes(32)


class Choice(IntEnum):
    """What one votes; the numbers are the contract's."""

    ABSTAIN = 0
    YES = 1
    NO = 2


class Outcome(IntEnum):
    """What became of a proposal; the numbers are the contract's."""

    OPEN = 0
    PASSED = 1
    """The timelock has its calls, if any."""

    REJECTED = 2
    LAPSED = 3
    """The term was over first."""


class OperationState(IntEnum):
    """How far the timelock has come with a decision; the numbers are OpenZeppelin's."""

    UNSET = 0
    """It has none, or had one for too long."""

    WAITING = 1
    READY = 2
    DONE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelockCall:
    """A call that the timelock is to make."""

    target: Operator
    value: int
    """ETH that goes with it, in wei."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal; times are Unix seconds."""

    proposer: Operator
    opened_at: int
    closes_at: int
    operation: bytes
    """Its number at the timelock."""

    voted: int
    """Bit i is set if the governor in seat i voted."""

    term: int
    ballot: int
    """The stakers' ballot; 0 unless it is a referendum."""

    seat_count: int
    votes_min: int
    yes: int
    no: int
    abstain: int
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What was proposed, in the words and calls of its proposer."""

    proposal: int
    calls: tuple[TimelockCall, ...]
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What stakers said in a referendum, in 10^-18 ANKR."""

    yes: int
    no: int


class Proposals:
    """Reads proposals; prepares what governors, stakers and anybody do with them.

    Each preparing call raises `Rejected` if the contract would not have it and `ChainUnavailable` if
    no endpoint could tell; each reading call raises `ChainUnavailable`.
    """

    def __init__(self, party: Party) -> None:
        """Deal with proposals as a party."""
        self._party = party
        self._council = Council(party)

    # Reading.

    async def latest_proposal(self) -> int:
        """Return the number of the latest proposal; 0 if there is none."""
        return await self._party.read(CONTRACT, "latestProposal", shape=int)

    async def next_to_close(self) -> int:
        """Return the number of the proposal that is closed next."""
        return await self._party.read(CONTRACT, "nextToClose", shape=int)

    async def proposal(self, proposal: int) -> Proposal:
        """Return a proposal; `Rejected` if there is none of this number."""
        return await self._party.read(CONTRACT, "proposalAt", proposal, shape=Proposal)

    async def proposed(self, proposal: int) -> Proposed:
        """Return what was proposed; `ValueError` if there is no proposal of this number."""
        found = await self._party.events(CONTRACT, "Proposed", shape=Proposed, proposal=proposal)
        if not found:
            raise ValueError(f"there is no proposal {proposal}")
        return found[-1]

    async def tally(self, proposal: int) -> Tally:
        """Return what stakers said in a referendum so far."""
        return await self._party.read(CONTRACT, "tallyOf", proposal, shape=Tally)

    async def missed(self, account: bytes) -> int:
        """Return how many votes an account missed one after the other."""
        return await self._party.read(CONTRACT, "missedOf", account, shape=int)

    async def operation_state(self, proposal: int) -> OperationState:
        """Return how far the timelock has come with a proposal's calls."""
        operation = (await self.proposal(proposal)).operation
        shape = OperationState
        return await self._party.read(TIMELOCK, "getOperationState", operation, shape=shape)

    async def ready_at(self, proposal: int) -> int:
        """Return when a proposal's calls may be made, Unix seconds; 0 if they are not queued."""
        operation = (await self.proposal(proposal)).operation
        return await self._party.read(TIMELOCK, "getTimestamp", operation, shape=int)

    # What governors and stakers do.

    async def propose(
        self, calls: Sequence[TimelockCall], *, summary: str, is_referendum: bool = False
    ) -> Action:
        """Prepare to propose calls to the timelock; none for an open vote on any matter.

        It is done if our open proposal says the same.
        """
        ours = await self._open_proposal(tuple(calls), summary)
        kind = "a referendum" if is_referendum else "a proposal"
        return await self._party.prepare(
            CONTRACT,
            "propose",
            [astuple(call) for call in calls],
            is_referendum,
            summary,
            does=f"open {kind}: {summary}",
            done=f"proposal {ours} is open and says the same" if ours else "",
        )

    async def vote(self, proposal: int, choice: Choice) -> Action:
        """Prepare to vote on a proposal as a governor; to abstain is to vote (Q8)."""
        has_voted = await self._has_voted(proposal)
        return await self._party.prepare(
            CONTRACT,
            "vote",
            proposal,
            choice,
            does=f"vote {choice.name.lower()} on proposal {proposal}",
            done="the governor has voted on it" if has_voted else "",
        )

    async def vote_as_staker(self, proposal: int, choice: Choice) -> Action:
        """Prepare to vote in a referendum with our stake at its snapshot (Q21)."""
        ballot = (await self.proposal(proposal)).ballot
        weight = await self._council.weight_in(ballot, await self._party.account()) if ballot else 0
        return await self._party.prepare(
            CONTRACT,
            "voteAsStaker",
            proposal,
            choice,
            does=f"vote {choice.name.lower()} in referendum {proposal} as a staker",
            done="the stake has voted in this referendum" if weight else "",
        )

    # What anybody does.

    async def close(self, proposal: int) -> Action:
        """Prepare to close the next proposal once its time is over; what passed goes to the timelock."""
        outcome = (await self.proposal(proposal)).outcome
        calls = (await self.proposed(proposal)).calls
        return await self._party.prepare(
            CONTRACT,
            "close",
            proposal,
            [astuple(call) for call in calls],
            does=f"close proposal {proposal} and count its votes",
            done=f"proposal {proposal} has {outcome.name.lower()}" if outcome else "",
        )

    async def execute(self, proposal: int) -> Action:
        """Prepare to let the timelock make a passed proposal's calls, once its delay is over."""
        state = await self.operation_state(proposal)
        calls = (await self.proposed(proposal)).calls
        return await self._party.prepare(
            TIMELOCK,
            "executeBatch",
            [call.target for call in calls],
            [call.value for call in calls],
            [call.data for call in calls],
            _ANY_PREDECESSOR,
            proposal.to_bytes(32, "big"),
            does=f"make the calls of proposal {proposal}",
            done="its calls were made" if state is OperationState.DONE else "",
        )

    async def _open_proposal(self, calls: tuple[TimelockCall, ...], summary: str) -> int:
        """Return the number of our open proposal that says this; 0 if there is none."""
        account = await self._party.account()
        for number in range(await self.next_to_close(), await self.latest_proposal() + 1):
            if (await self.proposal(number)).proposer == account:
                said = await self.proposed(number)
                return number if (said.calls, said.summary) == (calls, summary) else 0
        return 0

    async def _has_voted(self, proposal: int) -> bool:
        account = Operator(await self._party.account())
        accounts = [seat.account for seat in await self._council.seats()]
        voted = (await self.proposal(proposal)).voted
        return account in accounts and bool(voted >> accounts.index(account) & 1)
