# ruff: noqa: D102 - the methods of a port are documented in `ports`
"""The council's bulletin board in memory: the contract's rules under a virtual clock.

For simulations and tests of ceremonies. `SimBoard` is the contract, mined into a block every so many
seconds; `SimBoardPort` is one account's way to it, with faults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from stkrp2p.adapters.chain import Rejected
from stkrp2p.core.deal import SHARES_BYTES
from stkrp2p.core.group import GOVERNORS_MAX, threshold_of
from stkrp2p.core.types import UnixMs
from stkrp2p.ports import (
    BoardSession,
    ChainUnavailable,
    Governor,
    Justification,
    Phase,
    SittingCouncil,
)

BLOCK_S = 1
PORT_S = 0.02
"""What a call to an endpoint takes."""

TIMEOUT_S = 8.0

Governors = tuple[Governor, ...]


def _bits(number: int) -> list[int]:
    return [i for i in range(GOVERNORS_MAX + 1) if number >> i & 1]


@dataclass(slots=True)
class Record:
    """One session, as the contract keeps it; times in whole seconds, 0 for not yet."""

    number: int
    is_reshare: bool
    dealers: Governors
    receivers: Governors
    opened_s: int
    phase_s: int
    dealt_s: int = 0
    responded_s: int = 0
    justified_s: int = 0
    starts_s: int = 0
    group_hash: bytes | None = None
    deals: dict[int, bytes] = field(default_factory=dict)
    complaints: dict[int, int] = field(default_factory=dict)
    justifications: list[Justification] = field(default_factory=list)
    confirmations: dict[int, bytes] = field(default_factory=dict)

    def owed(self) -> set[tuple[int, int]]:
        """Return the (dealer, receiver) whose shares are to be revealed still."""
        against: dict[int, list[int]] = {}
        for receiver, about in sorted(self.complaints.items()):
            for dealer in _bits(about):
                against.setdefault(dealer, []).append(receiver)
        answered = {(j.dealer, j.receiver) for j in self.justifications}
        return {
            (dealer, receiver)
            for dealer, receivers in against.items()
            if len(receivers) < threshold_of(len(self.receivers))
            for receiver in receivers
        } - answered

    @property
    def ends_s(self) -> dict[Phase, int]:
        """When each phase ends at the latest."""
        deal = self.dealt_s or self.opened_s + self.phase_s
        respond = self.responded_s or deal + self.phase_s
        justify = self.justified_s or respond + (self.phase_s if self.owed() else 0)
        confirm = self.starts_s - self.phase_s if self.starts_s else justify + self.phase_s
        return {
            Phase.DEAL: deal,
            Phase.RESPOND: respond,
            Phase.JUSTIFY: justify,
            Phase.CONFIRM: confirm,
        }

    def phase(self, at_s: int) -> Phase:
        """Return the phase of a block of that time."""
        if self.starts_s:
            return Phase.CONFIRMED
        for phase, end_s in self.ends_s.items():
            if at_s < end_s:
                return phase
            if phase is Phase.DEAL and len(self.deals) < threshold_of(len(self.dealers)):
                return Phase.FAILED
        return Phase.FAILED


def _clock_s() -> int:
    return int(trio.current_time()) // BLOCK_S * BLOCK_S


@dataclass(slots=True)
class SimBoard:
    """The contract; whoever has it may read and change all of it, as a reorganisation would."""

    governors: Governors
    """The list given at deployment."""

    phase_s: int
    records: list[Record] = field(default_factory=list)
    sitting: int = 0
    supported: dict[bytes, tuple[object, ...]] = field(default_factory=dict)

    @property
    def now_s(self) -> int:
        """The newest block's time."""
        return _clock_s()

    @property
    def seated(self) -> Governors:
        """Who sits."""
        return self.records[self.sitting - 1].receivers if self.sitting else self.governors

    def support(self, account: bytes, session: int, governors: Governors) -> None:
        self._require(any(g.account == account for g in self.seated), "NotGovernor")
        self._require(session == len(self.records) + 1, "NotNextSession")
        self._require(bool(self.sitting) or governors == self.seated, "NotSittingList")
        count = len(governors)
        self._require(count % 2 == 1 and count <= GOVERNORS_MAX, "BadGovernorCount")
        self._require(len({g.account for g in governors}) == count, "DuplicateAccount")
        self._require(len({g.node for g in governors}) == count, "DuplicateNodeId")
        ballot = (len(self.records), self.sitting, governors)
        self._require(self.supported.get(account) != ballot, "AlreadySupported")
        self.supported[account] = ballot
        if list(self.supported.values()).count(ballot) == threshold_of(len(self.seated)):
            self.records.append(
                Record(
                    number=len(self.records) + 1,
                    is_reshare=bool(self.sitting),
                    dealers=self.seated,
                    receivers=governors,
                    opened_s=self.now_s,
                    phase_s=self.phase_s,
                )
            )

    def post_deal(self, account: bytes, session: int, deal_hash: bytes) -> None:
        record = self._latest(session)
        dealer = self._place(record.dealers, account, "NotDealer")
        self._require(dealer not in record.deals, "AlreadyDealt")
        self._require_phase(record, Phase.DEAL)
        record.deals[dealer] = deal_hash
        if len(record.deals) == len(record.dealers):
            record.dealt_s = self.now_s

    def respond(self, account: bytes, session: int, complaints: int) -> None:
        record = self._latest(session)
        receiver = self._place(record.receivers, account, "NotReceiver")
        self._require(receiver not in record.complaints, "AlreadyResponded")
        self._require_phase(record, Phase.RESPOND)
        self._require(set(_bits(complaints)) <= set(record.deals), "NoSuchDeal")
        record.complaints[receiver] = complaints
        if len(record.complaints) == len(record.receivers):
            record.responded_s = self.now_s

    def justify(self, account: bytes, session: int, receiver: int, shares: bytes) -> None:
        record = self._latest(session)
        dealer = self._place(record.dealers, account, "NotDealer")
        is_answered = any(j[:2] == (dealer, receiver) for j in record.justifications)
        self._require(not is_answered, "AlreadyJustified")
        self._require_phase(record, Phase.JUSTIFY)
        self._require((dealer, receiver) in record.owed(), "NoSuchComplaint")
        self._require(len(shares) == SHARES_BYTES, "BadSharesLength")
        record.justifications.append(Justification(dealer, receiver, shares))
        if not record.owed():
            record.justified_s = self.now_s

    def confirm(self, account: bytes, session: int, group_hash: bytes) -> None:
        record = self._latest(session)
        receiver = self._place(record.receivers, account, "NotReceiver")
        self._require(receiver not in record.confirmations, "AlreadyConfirmed")
        self._require_phase(record, Phase.CONFIRM)
        record.confirmations[receiver] = group_hash
        agreed = list(record.confirmations.values()).count(group_hash)
        if agreed == threshold_of(len(record.receivers)):
            record.group_hash = group_hash
            record.starts_s = self.now_s + self.phase_s
            self.sitting = session

    def _latest(self, session: int) -> Record:
        self._require(0 < session == len(self.records), "NotLatestSession")
        return self.records[-1]

    def _place(self, governors: Governors, account: bytes, rule: str) -> int:
        accounts = [g.account for g in governors]
        self._require(account in accounts, rule)
        return accounts.index(account)

    def _require_phase(self, record: Record, phase: Phase) -> None:
        self._require(record.phase(self.now_s) is phase, "WrongPhase")

    def _require(self, holds: bool, rule: str) -> None:  # noqa: FBT001 - the contract's `require`
        if not holds:
            raise Rejected(rule, rule)

    def shown(self, record: Record) -> BoardSession:
        """Return a session as the newest block has it."""
        phase = record.phase(self.now_s)
        if phase not in {Phase.CONFIRMED, Phase.FAILED} and record is not self.records[-1]:
            phase = Phase.SUPERSEDED
        ends_s = record.ends_s.get(phase)
        dealers, receivers = range(len(record.dealers)), range(len(record.receivers))
        return BoardSession(
            number=record.number,
            is_reshare=record.is_reshare,
            phase=phase,
            phase_ends_ms=None if ends_s is None else UnixMs(ends_s * 1000),
            opened_ms=UnixMs(record.opened_s * 1000),
            dealers=record.dealers,
            receivers=record.receivers,
            dealers_threshold=threshold_of(len(record.dealers)),
            receivers_threshold=threshold_of(len(record.receivers)),
            deals=tuple(record.deals.get(i) for i in dealers),
            complaints=tuple(record.complaints.get(j) for j in receivers),
            justifications=tuple(record.justifications),
            confirmations=tuple(record.confirmations.get(j) for j in receivers),
            group_hash=record.group_hash,
            starts_ms=UnixMs(record.starts_s * 1000) if record.starts_s else None,
        )


@dataclass(slots=True)
class SimBoardPort:
    """One account's way to the board; implements `ports.Board`."""

    board: SimBoard
    own: bytes
    """The account's address."""

    fault: Callable[[str], str] = lambda _call: ""
    """Given a call's name returns "" for none, "down", "hanging", or "lost": done, but not told."""

    told: Callable[[str], None] = lambda _post: None
    """Called with a post's name once it is in a block, before we are told."""

    async def _call(self, name: str) -> str:
        await trio.sleep(PORT_S)
        fault = self.fault(name)
        if fault == "hanging":
            await trio.sleep(TIMEOUT_S)
        if fault in {"down", "hanging"}:
            raise ChainUnavailable(fault)
        return fault

    async def _post(self, name: str, post: Callable[[], None]) -> None:
        fault = await self._call(name)
        await trio.sleep(BLOCK_S - trio.current_time() % BLOCK_S)
        try:
            post()
        except Rejected as error:
            if not error.rule.startswith("Already"):
                raise
        self.told(name)
        if fault == "lost":
            raise ChainUnavailable("the answer was lost")

    async def account(self) -> bytes:
        return self.own

    async def session(self) -> BoardSession | None:
        await self._call("session")
        return self.board.shown(self.board.records[-1]) if self.board.records else None

    async def sitting(self) -> SittingCouncil:
        await self._call("sitting")
        board = self.board
        record = board.records[board.sitting - 1] if board.sitting else None
        return SittingCouncil(
            session=board.sitting,
            governors=board.seated,
            group_hash=record.group_hash if record else None,
            starts_ms=UnixMs(record.starts_s * 1000) if record else None,
        )

    async def support(self, session: int, governors: Sequence[Governor]) -> None:
        wanted = tuple(governors)

        def post() -> None:
            opened = self.board.records[session - 1 :][:1]
            if not opened or opened[0].receivers != wanted:
                self.board.support(self.own, session, wanted)

        await self._post("support", post)

    async def post_deal(self, session: int, deal_hash: bytes) -> None:
        await self._post("post_deal", lambda: self.board.post_deal(self.own, session, deal_hash))

    async def respond(self, session: int, complaints: int) -> None:
        await self._post("respond", lambda: self.board.respond(self.own, session, complaints))

    async def justify(self, session: int, receiver: int, shares: bytes) -> None:
        await self._post("justify", lambda: self.board.justify(self.own, session, receiver, shares))

    async def confirm(self, session: int, group_hash: bytes) -> None:
        await self._post("confirm", lambda: self.board.confirm(self.own, session, group_hash))
