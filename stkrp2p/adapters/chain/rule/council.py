"""The contract `Council`: stakes, seats and elections (R13, R15-R18, R24); votes: `proposals`."""

from __future__ import annotations

from dataclasses import dataclass

from stkrp2p.adapters.chain.rule import stakes
from stkrp2p.adapters.chain.rule.actions import Action, Money
from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.core.types import NodeId, Operator
from stkrp2p.ports import Governor

CONTRACT = "Council"
KEYS = "CouncilKeys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One seat of the council."""

    account: Operator
    stake_min: int
    """With less stake it may neither propose nor vote, in 10^-18 ANKR."""

    node_id: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """By which numbers they sit."""

    number: int
    n: int
    """The list has at most 2n + 1 seats."""

    stake_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    account: Operator
    node_id: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sitting:
    group_hash: bytes
    governors: tuple[_Listed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """An election; times are Unix seconds."""

    opened_at: int
    closes_at: int
    ballot: int
    stake_min: int
    n: int
    seats_max: int
    winners_min: int
    candidates: int
    is_renewal: bool
    is_closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Somebody who stands in an election."""

    node_id: NodeId
    """Zeros if it does not stand."""

    votes: int
    """Own stake and that of its backers, in 10^-18 ANKR."""

    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """What of a stake is on its way back."""

    amount: int
    """In 10^-18 ANKR."""

    ready_at: int
    """Unix seconds."""


class Council:
    """Reads the council; prepares what stakers, candidates and anybody do.

    Each preparing call raises `Rejected` if the contract would not have it and `ChainUnavailable` if
    no endpoint could tell; each reading call raises `ChainUnavailable`.
    """

    def __init__(self, party: Party) -> None:
        """Deal with the council as a party."""
        self._party = party

    # Who sits.

    async def seats(self) -> tuple[Seat, ...]:
        """Return all seats, in order."""
        return await self._party.read(CONTRACT, "seats", shape=tuple[Seat, ...])

    async def term(self) -> Term:
        """Return the term that runs."""
        return await self._party.read(CONTRACT, "term", shape=Term)

    async def phase(self) -> int:
        """Return which phase it is: 1, 2 or 3."""
        return await self._party.read(CONTRACT, "phase", shape=int)

    async def is_governor(self, account: bytes) -> bool:
        """Tell whether an account sits in the council."""
        return await self._party.read(CONTRACT, "isGovernor", account, shape=bool)

    async def is_invited(self, account: bytes) -> bool:
        """Tell whether an account was invited at deployment."""
        return await self._party.read(CONTRACT, "isInvited", account, shape=bool)

    async def stake_min(self) -> int:
        """Return what stake a seat is taken with, in 10^-18 ANKR."""
        return await self._party.read(CONTRACT, "stakeMin", shape=int)

    # Who holds the keys.

    async def has_elected(self) -> bool:
        """Tell whether an election seated any of those who sit; else all of them were invited."""
        if (await self.term()).number:
            return True
        return not all([await self.is_invited(seat.account) for seat in await self.seats()])

    async def key_list(self) -> tuple[Governor, ...]:
        """Return who is to hold the council's keys, in the order of the seats."""
        return _governors(await self._party.read(CONTRACT, "list", shape=tuple[_Listed, ...]))

    async def key_holders(self) -> tuple[Governor, ...]:
        """Return who holds the council's keys, in the board's order; nobody before they are made."""
        board = self._party.board
        if not any(board):
            return ()
        sitting = await self._party.read(KEYS, "sitting", shape=_Sitting, at=board)
        return _governors(sitting.governors) if any(sitting.group_hash) else ()

    # Stakes.

    async def stake(self, account: bytes) -> int:
        """Return an account's stake now, in 10^-18 ANKR."""
        return await self._party.read(CONTRACT, "stakeOf", account, shape=int)

    async def total_stake(self) -> int:
        """Return all stakes now, in 10^-18 ANKR."""
        return await self._party.read(CONTRACT, "totalStake", shape=int)

    async def leaving(self, account: bytes) -> Leaving:
        """Return what of an account's stake is on its way back."""
        return await self._party.read(CONTRACT, "leavingOf", account, shape=Leaving)

    async def slashed(self) -> int:
        """Return what was slashed and waits to be handed on, in 10^-18 ANKR."""
        return await self._party.read(CONTRACT, "slashed", shape=int)

    # Elections.

    async def due_at(self) -> int:
        """Return from when on the next election may be opened, Unix seconds."""
        return await self._party.read(CONTRACT, "dueAt", shape=int)

    async def latest_election(self) -> int:
        """Return the number of the election opened last; 0 if none was."""
        return await self._party.read(CONTRACT, "latestElection", shape=int)

    async def election(self, election: int) -> Election:
        """Return an election."""
        return await self._party.read(CONTRACT, "electionAt", election, shape=Election)

    async def candidate(self, election: int, account: bytes) -> Candidate:
        """Return a candidate of an election."""
        return await self._party.read(CONTRACT, "candidateOf", election, account, shape=Candidate)

    async def standings(self, election: int) -> tuple[Operator, ...]:
        """Return who would win an election as it stands, best first; who won, once it is closed."""
        shape = tuple[Operator, ...]
        return await self._party.read(CONTRACT, "standings", election, shape=shape)

    async def weight_in(self, ballot: int, account: bytes) -> int:
        """Return with what an account has voted in a ballot, in 10^-18 ANKR; 0 if it has not."""
        return await self._party.read(CONTRACT, "weightIn", ballot, account, shape=int)

    # What stakers do.

    async def stake_to(self, stake_wei: int) -> Action:
        """Prepare to stake what is missing to a stake, in 10^-18 ANKR."""
        missing = stake_wei - await self.stake(await self._party.account())
        does = "stake in the council's elections and referenda"
        return await stakes.stake_more(self._party, CONTRACT, missing, does=does)

    async def unstake_to(self, stake_wei: int) -> Action:
        """Prepare to ask back what is staked above a stake, in 10^-18 ANKR."""
        above = await self.stake(await self._party.account()) - stake_wei
        return await stakes.unstake(self._party, CONTRACT, above)

    async def withdraw(self) -> Action:
        """Prepare to get paid what is leaving, once its time has come."""
        leaving = await self.leaving(await self._party.account())
        return await stakes.withdraw(self._party, CONTRACT, leaving.amount)

    async def back(self, election: int, candidate: bytes) -> Action:
        """Prepare to give our stake at the snapshot to a candidate, for good."""
        ballot = (await self.election(election)).ballot
        weight = await self.weight_in(ballot, await self._party.account())
        return await self._party.prepare(
            CONTRACT,
            "back",
            election,
            candidate,
            does=f"back 0x{candidate.hex()} in election {election}",
            done="the stake has voted in this election" if weight else "",
        )

    # What governors, and who wants to be one, do.

    async def accept(self) -> Action:
        """Prepare to take the seat that we were invited to."""
        is_seated = await self.is_governor(await self._party.account())
        return await self._party.prepare(
            CONTRACT,
            "accept",
            does="take the seat that the account was invited to",
            done="the account sits in the council" if is_seated else "",
        )

    async def stand(self, election: int, node: NodeId) -> Action:
        """Prepare to stand in an election with our node."""
        ours = await self.candidate(election, await self._party.account())
        return await self._party.prepare(
            CONTRACT,
            "stand",
            election,
            node,
            does=f"stand in election {election}",
            done="the account stands in this election" if ours.place else "",
        )

    # What anybody does.

    async def open_election(self) -> Action:
        """Prepare to open the election that is due."""
        latest = await self.latest_election()
        is_open = latest > 0 and not (await self.election(latest)).is_closed
        return await self._party.prepare(
            CONTRACT,
            "openElection",
            does="open the election that is due",
            done=f"election {latest} is open" if is_open else "",
        )

    async def close_election(self) -> Action:
        """Prepare to close the election whose time is over, and seat who won."""
        latest = await self.latest_election()
        is_closed = latest > 0 and (await self.election(latest)).is_closed
        return await self._party.prepare(
            CONTRACT,
            "closeElection",
            does="close the election and seat who won",
            done=f"election {latest} is closed" if is_closed else "",
        )

    async def hand_on_slashed(self) -> Action:
        """Prepare to hand what was slashed to the reward pot."""
        slashed = await self.slashed()
        return await self._party.prepare(
            CONTRACT,
            "handOnSlashed",
            does="hand what was slashed to the reward pot",
            done="" if slashed else "nothing that was slashed waits",
            gets=Money(ankr_wei=slashed),
        )


def _governors(listed: tuple[_Listed, ...]) -> tuple[Governor, ...]:
    return tuple(Governor(account=each.account, node=each.node_id) for each in listed)
