"""Answer audits: check that the question is due, ask the workload, sign what it says.

An auditor may ask again, because answers get lost; it gets the answer it was given, so that asking
costs the workload once. A failure is not kept: the workload may be back.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import trio

from stkrp2p.core.assignment import draw_of
from stkrp2p.core.beacon import BeaconRound, verified
from stkrp2p.core.challenge import (
    REPORT_BYTES_MAX,
    VERSION,
    Question,
    Status,
    challenge_of,
    sign_answer,
)
from stkrp2p.core.types import NodeId, ProtocolError, Round
from stkrp2p.core.wire import decode, encode
from stkrp2p.ports import WallClock, Workload, WorkloadError
from stkrp2p.services.ledger import Ledger

WORKLOAD_CALLS_MAX = 16
"""Questions the workload answers at once; further ones wait their turn."""

AHEAD_ROUNDS_MAX = 1
"""How far an auditor's clock may be ahead of ours."""

BEHIND_ROUNDS_MAX = 2
"""How late a question may come."""


ANSWERS_KEPT_MAX = 64
"""Answers kept for auditors that ask again; more than one round's auditors, at most 3 MiB."""


@dataclass(slots=True, kw_only=True)
class Responder:
    """The side of a node that is audited."""

    node: NodeId
    secret: bytes = field(repr=False)
    ledger: Ledger
    workload: Workload
    clock: WallClock
    is_in_maintenance: bool = False
    answered: int = 0
    """Questions answered since the start, for `status`."""

    _given: OrderedDict[tuple[Round, NodeId], bytes] = field(
        default_factory=OrderedDict, repr=False
    )
    _turns: trio.CapacityLimiter = field(
        default_factory=lambda: trio.CapacityLimiter(WORKLOAD_CALLS_MAX), repr=False
    )

    async def answer(self, auditor: NodeId, frame: bytes) -> bytes:
        """Return the signed answer to one audit question.

        Raises:
            ProtocolError: Who asks is not our auditor, or the round is not due, not verified, or we
                are not drawn in it.
        """
        question = decode(frame, Question)
        if question.version != VERSION:
            raise ProtocolError("unknown-version")
        if question.network != self.ledger.network_id:
            raise ProtocolError("foreign-network")
        number = Round(question.round)
        self._check_due(number)
        if self.ledger.roster(self.ledger.clock.epoch_of(number)).get(auditor) is None:
            raise ProtocolError("not-member")
        given = self._given.get((number, auditor))
        if given is not None:
            return given
        one = self.ledger.round(number) or verified(
            self.ledger.genesis.beacon, number, question.round_signature
        )
        self._check_turn(auditor, one)
        return await self._serve(auditor, one)

    async def _serve(self, auditor: NodeId, one: BeaconRound) -> bytes:
        challenge = challenge_of(one.randomness, auditor, self.node)
        status, report = await self._report(challenge)
        signed = sign_answer(
            self.secret,
            network=self.ledger.network_id,
            number=one.number,
            challenge=challenge,
            status=status,
            report=report,
        )
        self.answered += 1
        answer = encode(signed)
        if status is Status.SERVED:
            self._given[(one.number, auditor)] = answer
            if len(self._given) > ANSWERS_KEPT_MAX:
                self._given.popitem(last=False)
        return answer

    def _check_due(self, number: Round) -> None:
        now = self.ledger.genesis.beacon.last_due(self.clock.unix_ms())
        if not now - BEHIND_ROUNDS_MAX <= number <= now + AHEAD_ROUNDS_MAX:
            raise ProtocolError("not-due", f"round {number}, it is {now}")

    def _check_turn(self, auditor: NodeId, one: BeaconRound) -> None:
        epoch = self.ledger.clock.epoch_of(one.number)
        # With a provisional roster our assignment may be the wrong one: then any member is served.
        assignment = self.ledger.assignment(epoch) if self.ledger.is_roster_final(epoch) else None
        if assignment is not None and auditor not in assignment.auditors(self.node):
            raise ProtocolError("unassigned")
        if not draw_of(one.randomness, self.ledger.params.draw_ppm)(self.node):
            raise ProtocolError("not-drawn")

    async def _report(self, challenge: bytes) -> tuple[Status, bytes]:
        if self.is_in_maintenance:
            return Status.DECLARED, b""
        try:
            with trio.fail_after(self.ledger.params.probe_window_ms / 1000):
                async with self._turns:
                    report = await self.workload.answer(challenge)
        except WorkloadError as error:
            return Status.FAILED, str(error).encode()[:256]
        except trio.TooSlowError:
            return Status.FAILED, b"the workload took too long"
        if len(report) > REPORT_BYTES_MAX:
            return Status.FAILED, b"the workload's report is too long"
        return Status.SERVED, report
