"""What `stkrp2p gov status` knows: who sits, what is up for decision, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stkrp2p.cli.elected import HAND_ON, Elected, read_elected
from stkrp2p.cli.output import tokens, when
from stkrp2p.core.types import Operator

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.adapters.chain.rule.council import Election, Leaving, Seat, Term
    from stkrp2p.adapters.chain.rule.proposals import OperationState, Proposal, Tally
    from stkrp2p.core.network import MarketAddresses

SHOWN_MAX = 20
"""Proposals looked at, the latest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """A proposal with all that tells how it stands."""

    number: int
    record: Proposal
    summary: str
    calls: tuple[str, ...]
    """What it would do, as the contracts are called."""

    words: tuple[str, ...]
    """The same in names and units, for people."""

    operation: OperationState
    ready_at: int
    tally: Tally | None
    """The stakers' votes, of a referendum."""

    def state(self, now_s: int) -> str:
        """Return how it stands: open, over, queued, ready, executed, expired or its outcome."""
        if self.record.outcome == 0:
            return "open" if now_s < self.record.closes_at else "over"
        words = ("expired" if self.ready_at else "", "queued", "ready", "executed")
        return words[self.operation] or self.record.outcome.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What our account is to the council."""

    account: Operator
    is_governor: bool
    is_invited: bool
    stake: int
    leaving: Leaving


@dataclass(frozen=True, slots=True, kw_only=True)
class Council:
    """All that `gov status` shows; times are Unix seconds."""

    now_s: int
    phase: int
    term: Term
    seats: tuple[tuple[Seat, int, int], ...]
    """Each with its stake and how many votes it missed one after the other."""

    due_at: int
    election: tuple[int, Election] | None
    """The open one, with its number."""

    elected: Elected
    """Who is to hold the keys, and who holds them."""

    motions: tuple[Motion, ...]
    """The open ones and those that wait for the timelock, oldest first."""

    next_to_close: int
    ours: Ours | None
    """`None` if no account is set."""


# ------------------------------------------------------------------------------- reading


async def read_motions(chain: RuleChain, market: MarketAddresses) -> tuple[Motion, ...]:
    """Return the latest proposals, oldest first; raises `ChainUnavailable`."""
    latest = await chain.proposals.latest_proposal()
    first = max(1, latest - SHOWN_MAX + 1)
    return tuple([await read_motion(chain, market, n) for n in range(first, latest + 1)])


async def read_motion(chain: RuleChain, market: MarketAddresses, number: int) -> Motion:
    """Return a proposal; raises `Rejected` if there is none of this number."""
    from stkrp2p.adapters.chain.rule.decisions import told  # noqa: PLC0415
    from stkrp2p.cli.gov_words import in_words  # noqa: PLC0415

    record = await chain.proposals.proposal(number)
    said = await chain.proposals.proposed(number)
    return Motion(
        number=number,
        record=record,
        summary=said.summary,
        calls=tuple(told(market, call) for call in said.calls),
        words=tuple(in_words(market, call) for call in said.calls),
        operation=await chain.proposals.operation_state(number),
        ready_at=await chain.proposals.ready_at(number),
        tally=await chain.proposals.tally(number) if record.ballot else None,
    )


async def read_council(chain: RuleChain, market: MarketAddresses, *, has_account: bool) -> Council:
    """Return how the council stands; raises `ChainUnavailable`."""
    council, now_s = chain.council, await chain.now_s()
    motions = await read_motions(chain, market)
    return Council(
        now_s=now_s,
        phase=await council.phase(),
        term=await council.term(),
        seats=tuple(
            [
                (
                    seat,
                    await council.stake(seat.account),
                    await chain.proposals.missed(seat.account),
                )
                for seat in await council.seats()
            ]
        ),
        due_at=await council.due_at(),
        election=await _open_election(chain),
        elected=await read_elected(chain),
        motions=tuple(m for m in motions if m.state(now_s) in {"open", "over", "queued", "ready"}),
        next_to_close=await chain.proposals.next_to_close(),
        ours=await _ours(chain) if has_account else None,
    )


async def _open_election(chain: RuleChain) -> tuple[int, Election] | None:
    latest = await chain.council.latest_election()
    if latest == 0:
        return None
    election = await chain.council.election(latest)
    return None if election.is_closed else (latest, election)


async def _ours(chain: RuleChain) -> Ours:
    account = Operator(await chain.account())
    return Ours(
        account=account,
        is_governor=await chain.council.is_governor(account),
        is_invited=await chain.council.is_invited(account),
        stake=await chain.council.stake(account),
        leaving=await chain.council.leaving(account),
    )


# ------------------------------------------------------------------------------- what next


def next_step(shown: Council) -> str:
    """Return the most urgent thing that our account, or anybody, can do."""
    return (
        _vote_step(shown)
        or _hand_on_step(shown)
        or _chore(shown)
        or _election_step(shown)
        or _wait(shown)
    )


def _vote_step(shown: Council) -> str:
    ours = shown.ours
    if ours is None:
        return ""
    if ours.is_invited and not ours.is_governor and shown.term.number == 0:
        return "stkrp2p gov accept"
    accounts = [seat.account for seat, _, _ in shown.seats]
    if ours.account not in accounts:
        return ""
    place = accounts.index(ours.account)
    seat, stake, _ = shown.seats[place]
    if stake < seat.stake_min:
        return f"stkrp2p gov stake {tokens(seat.stake_min).replace(',', '')}"
    for motion in shown.motions:
        has_voted = motion.record.voted >> place & 1 or place >= motion.record.seat_count
        if motion.state(shown.now_s) == "open" and not has_voted:
            return f"stkrp2p gov vote {motion.number} CHOICE"
    return ""


def _hand_on_step(shown: Council) -> str:
    is_ours = shown.ours is not None and shown.elected.is_due_by(shown.ours.account)
    return f"stkrp2p {HAND_ON}" if is_ours else ""


def _chore(shown: Council) -> str:
    for motion in shown.motions:
        state = motion.state(shown.now_s)
        if state == "ready":
            return f"stkrp2p gov execute {motion.number}"
        if state == "over" and motion.number == shown.next_to_close:
            return f"stkrp2p gov close {motion.number}"
    return ""


def _election_step(shown: Council) -> str:
    if shown.election is None:
        return "stkrp2p gov elect open" if shown.due_at <= shown.now_s else ""
    number, election = shown.election
    if election.closes_at <= shown.now_s:
        return "stkrp2p gov elect close"
    ends = when(election.closes_at, shown.now_s)
    return f"wait: election {number} ends {ends}; gov elect stand, or back"


def _wait(shown: Council) -> str:
    dates = [("an election is due", shown.due_at)]
    dates += [
        (f"the vote on proposal {m.number} ends", m.record.closes_at)
        for m in shown.motions
        if m.state(shown.now_s) == "open"
    ]
    dates += [
        (f"proposal {m.number} can be executed", m.ready_at)
        for m in shown.motions
        if m.state(shown.now_s) == "queued"
    ]
    what, at_s = min(dates, key=lambda each: each[1])
    return f"wait: {what} {when(at_s, shown.now_s)}"
