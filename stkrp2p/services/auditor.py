"""Audit: in each round, question the drawn targets the epoch's assignment gave us.

All of a round's probes start at once, so a target's auditors see one instant. A target is blamed only
after `probe_tries` questions, and only for what we could examine; if most of our probes fail
together, it is our own view that is sick, and we report nothing. What was seen is on disk before the
next round, and nothing is recorded once the epoch's batch is being signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
import trio

from stkrp2p.core.assignment import draw_of
from stkrp2p.core.beacon import BeaconRound
from stkrp2p.core.challenge import (
    AUDIT_PROTOCOL,
    VERSION,
    Answer,
    Question,
    Receipt,
    Status,
    challenge_of,
    outcome_of,
    receipt_of,
)
from stkrp2p.core.types import ONE_PPM, NodeId, Outcome, ProtocolError
from stkrp2p.core.wire import FRAME_BYTES_MAX, decode, encode
from stkrp2p.ports import (
    CANNOT_EXAMINE,
    Examiner,
    Network,
    NoSpace,
    Observation,
    Store,
    Unreachable,
    WallClock,
)
from stkrp2p.services.ledger import Ledger
from stkrp2p.services.rounds import Arrival

log = structlog.get_logger()

SICK_PROBES_MIN = 4
"""Fewer probes than this say nothing about our own view."""

PROBES_MAX = 256
"""Most targets probed in one round."""


NOT_EXAMINED = "not-examined"
"""What is said of a report whose check took too long."""

EXAMINED_BY_PPM = 950_000
"""Share of a round's period by which its reports must be examined."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A signed answer, and when it came."""

    receipt: Receipt
    report: bytes
    latency_ms: int
    """From the round's arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """One node's auditing: what it needs of the world."""

    node: NodeId
    ledger: Ledger
    network: Network
    examiner: Examiner
    clock: WallClock
    store: Store

    def drawn_targets(self, one: BeaconRound) -> tuple[NodeId, ...]:
        """Return our targets that are audited in a round; none while the roster is unknown."""
        if not self.ledger.rosters.is_known:
            return ()
        assignment = self.ledger.assignment(self.ledger.clock.epoch_of(one.number))
        if assignment is None:
            return ()
        is_drawn = draw_of(one.randomness, self.ledger.params.draw_ppm)
        return tuple(t for t in assignment.targets(self.node) if is_drawn(t))[:PROBES_MAX]

    async def audit_round(self, arrival: Arrival) -> None:
        """Probe all of a round's targets and record what was seen."""
        targets = self.drawn_targets(arrival.round)
        seen: list[Observation] = []
        self.ledger.audited = arrival.round.number
        try:
            async with trio.open_nursery() as nursery:
                for target in targets:
                    nursery.start_soon(self._probe, arrival, target, seen)
            await self._record(arrival.round, seen)
        finally:
            self.ledger.audited = None

    async def _record(self, one: BeaconRound, seen: Sequence[Observation]) -> None:
        if is_own_view_sick(seen, connected=len(self.network.peers())):
            log.warning("own view is sick", round=one.number, probes=len(seen))
            return
        # No await between this look and the write: what the batch says must be what we keep.
        if not self.ledger.is_recording(self.ledger.clock.epoch_of(one.number)):
            log.warning("observations too late for the batch", round=one.number)
            return
        try:
            await self.store.put_observations(seen)
        except NoSpace as error:
            self.ledger.note_full_disk(error)

    async def _probe(self, arrival: Arrival, target: NodeId, seen: list[Observation]) -> None:
        answered = await self._first_answer(arrival, target)
        if answered is not None:
            seen.append(await self._weigh(arrival, answered))
            return
        nothing = Observation(
            round=arrival.round.number,
            target=target,
            outcome=Outcome.UNREACHABLE,
            latency_ms=0,
            receipt=None,
        )
        seen.append(nothing)

    async def _first_answer(self, arrival: Arrival, target: NodeId) -> Answered | None:
        """Ask until a signed answer comes or the window ends.

        The tries are spread over the window; a later one does not give up on those before it, so a
        slow answer counts whichever question it is to.
        """
        params, answers = self.ledger.params, list[Answered]()
        window_s = params.probe_window_ms / 1000
        with trio.move_on_at(arrival.at + window_s):
            async with trio.open_nursery() as nursery:
                for i in range(params.probe_tries):
                    nursery.start_soon(self._try, arrival, target, answers, nursery.cancel_scope)
                    await trio.sleep_until(arrival.at + window_s * (i + 1) / params.probe_tries)
        return answers[0] if answers else None

    async def _try(
        self, arrival: Arrival, target: NodeId, answers: list[Answered], done: trio.CancelScope
    ) -> None:
        """Ask once; a signed answer ends the probe."""
        one = arrival.round
        question = Question(
            version=VERSION,
            network=self.ledger.network_id,
            round=one.number,
            round_signature=one.signature,
        )
        try:
            raw = await self.network.ask(
                target,
                AUDIT_PROTOCOL,
                encode(question),
                timeout_ms=self.ledger.params.probe_window_ms,
                answer_bytes_max=FRAME_BYTES_MAX,
            )
            answer = decode(raw, Answer)
        except (Unreachable, ProtocolError) as error:
            log.debug("probe failed", target=target.hex()[:8], error=str(error))
            return
        latency_ms = int((trio.current_time() - arrival.at) * 1000)
        receipt = receipt_of(
            network=self.ledger.network_id,
            number=one.number,
            challenge=challenge_of(one.randomness, self.node, target),
            auditor=self.node,
            target=target,
            answer=answer,
        )
        if receipt is not None:
            answers.append(Answered(receipt, answer.report, latency_ms))
            done.cancel()

    async def _weigh(self, arrival: Arrival, answered: Answered) -> Observation:
        """Judge a signed answer; one that cannot be examined before the next round blames nobody."""
        params, receipt = self.ledger.params, answered.receipt
        fault = NOT_EXAMINED
        with trio.move_on_at(arrival.at + params.period_ms * EXAMINED_BY_PPM / 1000 / ONE_PPM):
            fault = await self._examine(arrival.round, answered)
        outcome = outcome_of(
            Status(receipt.status), fault, answered.latency_ms, params.probe_window_ms
        )
        if fault in CANNOT_EXAMINE or fault == NOT_EXAMINED:
            outcome = Outcome.NOT_PROBED
        return Observation(
            round=arrival.round.number,
            target=NodeId(receipt.target),
            outcome=outcome,
            latency_ms=answered.latency_ms,
            receipt=receipt,
        )

    async def _examine(self, one: BeaconRound, answered: Answered) -> str:
        receipt = answered.receipt
        if Status(receipt.status) is not Status.SERVED:
            return ""
        target = NodeId(receipt.target)
        epoch = self.ledger.clock.epoch_of(one.number)
        fault = await self.examiner.fault(
            descriptor=self.ledger.rosters.profile(epoch, target).workload,
            host=self._host_of(target),
            challenge=receipt.challenge,
            report=answered.report,
            now_ms=self.clock.unix_ms(),
        )
        if fault:
            log.info("wrong report", target=target.hex()[:8], round=one.number, fault=fault)
        return fault

    def _host_of(self, target: NodeId) -> str:
        """Return the IP address the target is connected from, empty if it no longer is."""
        address = next((p.address for p in self.network.peers() if p.node == target), "")
        match address.split("/"):
            case ["", "ip4" | "ip6", host, *_]:
                return host
            case _:
                return ""


def is_own_view_sick(seen: Sequence[Observation], *, connected: int) -> bool:
    """Tell whether a round's failures say more about us than about our targets."""
    failed = sum(o.outcome is Outcome.UNREACHABLE for o in seen)
    if connected == 0:
        return failed > 0
    return len(seen) >= SICK_PROBES_MIN and 2 * failed > len(seen)


async def run_auditor(auditor: Auditor, arrivals: trio.MemoryReceiveChannel[Arrival]) -> None:
    """Audit each round that arrives, until the channel closes.

    A round's probes end within its probe window, before the next round comes; a node too slow for
    that misses rounds, which count as not probed.
    """
    async with arrivals:
        async for arrival in arrivals:
            await auditor.audit_round(arrival)
