"""The contract `Deals`: from the draw to the last payment (R31, R36, R43, R51, R55, R58-R62)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from stkrp2p.adapters.chain.rule.actions import NOTHING, Action, Money
from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.adapters.chain.rule.proofs import ProvedScore
from stkrp2p.core.economics import Resources
from stkrp2p.core.types import Operator

CONTRACT = "Deals"


class State(IntEnum):
    """Where a deal stands; the numbers are the contract's."""

    NONE = 0
    ASSIGNED = 1
    """Waits for the requester's ETH."""

    FUNDED = 2
    """Waits for the provider to start, with its ETH."""

    RUNNING = 3
    """Runs, or ran and is in review."""

    COMPLETED = 4
    """Its money was split."""

    FAILED = 5
    """The provider failed; the requester got its money back."""

    CANCELLED = 6
    """The governors ended it, because the provider is disqualified."""

    ABANDONED = 7
    """One of the two did not put its ETH in, in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a deal goes by of the policy, as it was when it was assigned."""

    reward_bps: int
    insurance_bps: int
    fail_below_ppm: int
    start_s: int
    review_s: int
    dispute_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DealRecord:
    """A deal; times are Unix seconds and 0 for never, amounts as in `IDeals.Deal`."""

    requester: Operator
    provider: Operator
    state: State
    project_type: int
    length_s: int
    registration: int
    """The node that serves."""

    need: Resources
    terms: Terms
    due_at: int
    """Until when the next one has to put its ETH in, before it runs."""

    started_at: int
    ends_at: int
    disputes: int
    """1 if the requester has disputed it, plus 2 if the provider has."""

    disputed_at: int
    frozen_until: int
    fp_wei: int
    paid_wei: int
    """What the provider is paid at completion, in 10^-18 ANKR."""

    bond_wei: int
    eth_stake_wei: int
    """What both stake together, in wei."""

    k_eth_wei: int
    """The provider's part of that, in wei."""

    expected_profit_wei: int
    ankr_profit_wei: int
    eth_profit_wei: int
    owed_wei: int
    """What of the requester's loss is not covered yet, in wei."""

    is_compensated: bool
    """Whether the provider has nothing more to give for that."""

    @property
    def requester_wei(self) -> int:
        """What the requester stakes, in wei."""
        return self.eth_stake_wei - self.k_eth_wei


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """What a node is doing (R31)."""

    deal: int
    """The deal it serves or served last; 0 if none."""

    provider: Operator
    is_serving: bool
    provider_eth_wei: int
    requester_eth_wei: int
    ankr_rewards_wei: int
    eth_rewards_wei: int
    in_use: Resources
    started_at: int
    ends_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequesterRecord:
    """What a requester has done so far (R36)."""

    deals: int
    ankr_wei: int
    eth_wei: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """A deal that a requester and a provider have."""

    deal: int
    requester: Operator
    provider: Operator


class Deals:
    """Reads deals; prepares what their parties and anybody do with them.

    Each preparing call raises `Rejected` if the contract would not have it and `ChainUnavailable` if
    no endpoint could tell; each reading call raises `ChainUnavailable`.
    """

    def __init__(self, party: Party) -> None:
        """Deal with the deals as a party."""
        self._party = party

    # Reading.

    async def deal(self, deal: int) -> DealRecord:
        """Return a deal; its state is `NONE` if there is none of this number."""
        return await self._party.read(CONTRACT, "dealOf", deal, shape=DealRecord)

    async def completable_at(self, deal: int) -> int:
        """Return from when on a running deal may be completed, Unix seconds."""
        return await self._party.read(CONTRACT, "completableAt", deal, shape=int)

    async def node(self, registration: int) -> NodeRecord:
        """Return a node's record."""
        return await self._party.read(CONTRACT, "nodeOf", registration, shape=NodeRecord)

    async def requester(self, account: bytes) -> RequesterRecord:
        """Return a requester's record."""
        return await self._party.read(CONTRACT, "requesterOf", account, shape=RequesterRecord)

    async def requesters(self, *, first: int, count: int) -> tuple[Operator, ...]:
        """Return requesters in the order of their first deals, `count` at most from `first` on."""
        shape = tuple[Operator, ...]
        return await self._party.read(CONTRACT, "requesters", first, count, shape=shape)

    async def owed(self, account: bytes) -> Money:
        """Return what an account can collect."""
        return Money(
            ankr_wei=await self._party.read(CONTRACT, "ankrOf", account, shape=int),
            eth_wei=await self._party.read(CONTRACT, "ethOf", account, shape=int),
        )

    async def of_requester(self, account: bytes) -> tuple[Assigned, ...]:
        """Return all deals of a requester, the oldest first."""
        return await self._party.events(CONTRACT, "Assigned", shape=Assigned, requester=account)

    async def of_provider(self, account: bytes) -> tuple[Assigned, ...]:
        """Return all deals of a provider, the oldest first."""
        return await self._party.events(CONTRACT, "Assigned", shape=Assigned, provider=account)

    # What the parties do.

    async def fund(self, deal: int) -> Action:
        """Prepare to put the requester's ETH in: what the provider's part leaves."""
        record = await self.deal(deal)
        return await self._party.prepare(
            CONTRACT,
            "fund",
            deal,
            does=f"put the requester's ETH into deal {deal}",
            done=_since(record, State.FUNDED),
            value_wei=record.requester_wei,
        )

    async def start(self, deal: int) -> Action:
        """Prepare to start the project, with the provider's ETH."""
        record = await self.deal(deal)
        return await self._party.prepare(
            CONTRACT,
            "start",
            deal,
            does=f"start deal {deal} with the provider's ETH",
            done=_since(record, State.RUNNING),
            value_wei=record.k_eth_wei,
        )

    async def add_profit(self, deal: int, *, ankr_wei: int = 0, eth_wei: int = 0) -> Action:
        """Prepare to add what a running project brought. Sent twice, it is added twice."""
        return await self._party.prepare(
            CONTRACT,
            "addProfit",
            deal,
            ankr_wei,
            does=f"add profit to deal {deal}",
            ankr_wei=ankr_wei,
            value_wei=eth_wei,
        )

    async def dispute(self, deal: int, evidence: str) -> Action:
        """Prepare to dispute a running deal: it is frozen until the governors rule (R62).

        Args:
            deal: Which.
            evidence: What we say, or where that is.
        """
        record = await self.deal(deal)
        bit = 1 if await self._party.account() == record.requester else 2
        return await self._party.prepare(
            CONTRACT,
            "dispute",
            deal,
            evidence,
            does=f"dispute deal {deal}",
            done="the account has disputed it" if record.disputes & bit else "",
        )

    async def collect(self) -> Action:
        """Prepare to collect all that the deals owe us."""
        owed = await self.owed(await self._party.account())
        return await self._party.prepare(
            CONTRACT,
            "collect",
            does="collect what deals owe the account",
            done="deals owe the account nothing" if owed == NOTHING else "",
            gets=owed,
        )

    # What anybody does.

    async def abandon(self, deal: int) -> Action:
        """Prepare to end a deal whose next party did not put its ETH in, in time."""
        return await self._end(deal, "abandon", does=f"end deal {deal}: its time to start is over")

    async def complete(self, deal: int) -> Action:
        """Prepare to split the money of a project after its end and review (R55)."""
        return await self._end(deal, "complete", does=f"split the money of deal {deal}")

    async def fail(self, deal: int, score: ProvedScore) -> Action:
        """Prepare to show by an anchored score that the provider failed (R59)."""
        does = f"show by a score that the provider failed deal {deal}"
        return await self._end(deal, "fail", score.fields(), does=does)

    async def fail_silent(self, deal: int, challenge: int) -> Action:
        """Prepare to show by a challenge that the deal's node was silent (R41)."""
        does = f"show by challenge {challenge} that the provider failed deal {deal}"
        return await self._end(deal, "failSilent", challenge, does=does)

    async def compensate(self, deal: int) -> Action:
        """Prepare to pay for a failure out of the provider's ANKR, at a fresh price."""
        record = await self.deal(deal)
        return await self._party.prepare(
            CONTRACT,
            "compensate",
            deal,
            does=f"pay for the failure of deal {deal} out of the provider's ANKR",
            done="the provider has nothing more to give for it" if record.is_compensated else "",
        )

    async def insure(self, deal: int) -> Action:
        """Prepare to let the insurance pay what the provider could not."""
        record = await self.deal(deal)
        return await self._party.prepare(
            CONTRACT,
            "insure",
            deal,
            does=f"let the insurance pay for deal {deal}",
            done="" if record.owed_wei else "nothing of a loss is open",
        )

    async def flush(self, pot: bytes) -> Action:
        """Prepare to hand a pot what it is owed; `pot` is its address."""
        owed = await self.owed(pot)
        return await self._party.prepare(
            CONTRACT,
            "flush",
            pot,
            does=f"hand the pot 0x{pot.hex()} what it is owed",
            done="the pot is owed nothing" if owed == NOTHING else "",
            gets=owed,
        )

    async def _end(self, deal: int, function: str, *more: object, does: str) -> Action:
        record = await self.deal(deal)
        return await self._party.prepare(
            CONTRACT,
            function,
            deal,
            *more,
            does=does,
            done=_since(record, State.COMPLETED),
        )


def _since(record: DealRecord, state: State) -> str:
    """Say where a deal stands if it stands there or is past it."""
    return f"the deal is {record.state.name.lower()}" if record.state >= state else ""
