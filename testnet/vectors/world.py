"""A small network with everything in it: the world the vectors play in.

Nine full and three light members of seven operators, a beacon of one key, three epochs of rounds.
Secrets are hashes of names, so that anybody can make them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from stkrp2p.core import bls
from stkrp2p.core.assignment import seed_of
from stkrp2p.core.batch import (
    VERSION,
    Batch,
    BatchBody,
    EpochView,
    Row,
    drawn_rounds,
    sign_batch,
)
from stkrp2p.core.beacon import Beacon, BeaconRound, round_message
from stkrp2p.core.challenge import (
    Answer,
    Receipt,
    Status,
    challenge_of,
    receipt_of,
    receipts_tree,
    sign_answer,
)
from stkrp2p.core.crypto import node_id_of, sha256
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MINIMAL
from stkrp2p.core.roster import Profile, Registration, roster_of, sign_claim
from stkrp2p.core.types import Digest, Epoch, Kind, NodeId, Operator, Outcome, Round, UnixMs
from stkrp2p.core.wire import encode

FULL_COUNT = 9
LIGHT_COUNT = 3
EPOCHS = 3
FIRST_ROUND = Round(1001)
"""Not 1, so that nobody mistakes a network's rounds for a beacon's."""

OPERATOR_OF = (0, 0, 1, 2, 3, 4, 5, 5, 6, 0, 2, 6)
"""Operator of each member: some run several nodes, so that the operator rule strikes."""

Observed = Mapping[tuple[NodeId, NodeId, Round], Outcome]
"""(auditor, target, round) -> what was seen; OK where nothing is said."""


def secret_of(name: str) -> bytes:
    """Return the 32-byte Ed25519 secret that belongs to a name: SHA-256 of "stkr vector NAME"."""
    return sha256(b"stkr vector " + name.encode())


def bls_secret_of(name: str) -> int:
    """Return the BLS secret of a name: two hashes, read as a number, modulo the group's order."""
    entropy = secret_of(name + " 1") + secret_of(name + " 2")
    return bls.secret_of(entropy)


@cache
def secret_for(node: NodeId) -> bytes:
    """Return the secret of one of the world's nodes."""
    return next(s for s in map(secret_of, WORLD.names) if node_id_of(s) == node)


@dataclass(frozen=True)
class World:
    """The network, and what happens in it."""

    names: tuple[str, ...] = tuple(f"node {i}" for i in range(FULL_COUNT + LIGHT_COUNT))

    @cached_property
    def beacon_secret(self) -> int:
        """The beacon's key."""
        return bls_secret_of("beacon")

    @cached_property
    def council_secret(self) -> int:
        """The council's key."""
        return bls_secret_of("council")

    @cached_property
    def genesis(self) -> Genesis:
        """The facts the network starts with."""
        key = bls.public_key_of(self.beacon_secret)
        beacon = Beacon(
            public_key=key, genesis_ms=UnixMs(1_700_000_000_000), period_ms=MINIMAL.period_ms
        )
        return Genesis(
            name="vectors",
            params=MINIMAL,
            beacon=beacon,
            first_round=FIRST_ROUND,
            chain_id=31337,
            registry=secret_of("registry")[:20],
            anchor=secret_of("anchor")[:20],
            council=secret_of("council")[:20],
            council_key=bls.public_key_of(self.council_secret),
        )

    @cached_property
    def registry(self) -> tuple[Registration, ...]:
        """What the registry contract holds: everybody from epoch 0 on."""
        entries = []
        nonces: dict[int, int] = {}
        for index, name in enumerate(self.names):
            number = OPERATOR_OF[index]
            nonce = nonces.get(number, 0)
            nonces[number] = nonce + 1
            is_full = index < FULL_COUNT
            entries.append(self.registration(name, index, number, nonce, is_full=is_full))
        return tuple(entries)

    def registration(
        self, name: str, index: int, operator: int, nonce: int, *, is_full: bool
    ) -> Registration:
        """Return a registration with a true claim, from epoch 0 on."""
        secret = secret_of(name)
        node = node_id_of(secret)
        owner = operator_of(operator)
        profile = Profile(
            version=1,
            workload="tcp:30303" if is_full else "none",
            addresses=(f"/ip4/192.0.2.{index + 1}/tcp/4001",),
        )
        return Registration(
            index=index,
            node=node,
            operator=owner,
            nonce=nonce,
            kind=Kind.FULL if is_full else Kind.LIGHT,
            stakes=((Epoch(0), (index + 1) * 10**21),),
            claim=sign_claim(secret, self.genesis.network_id, owner, node, nonce),
            profile=encode(profile),
        )

    @cache  # noqa: B019  - one world, for the process's life
    def round(self, number: Round) -> BeaconRound:
        """Return a round of the beacon."""
        signature = bls.sign(self.beacon_secret, round_message(number), bls.ROUND_DST)
        return BeaconRound(number, signature)

    def randomness(self, epoch: Epoch) -> dict[Round, Digest]:
        """Return the randomness of every round of an epoch."""
        rounds = self.genesis.clock.rounds(epoch)
        return {Round(r): self.round(Round(r)).randomness for r in rounds}

    @cache  # noqa: B019
    def view(self, epoch: Epoch) -> EpochView:
        """Return the complete view of an epoch."""
        network = self.genesis.network_id
        roster = roster_of(network, epoch, self.registry)
        randomness = self.randomness(epoch)
        first = randomness[self.genesis.clock.first(epoch)]
        return EpochView(
            network=network,
            epoch=epoch,
            seed=seed_of(network, epoch, first, roster.root),
            roster=roster,
            params=self.genesis.params,
            drawn=drawn_rounds((m.node for m in roster.full), randomness, self.genesis.params),
        )

    def receipt(self, auditor: NodeId, target: NodeId, number: Round, status: Status) -> Receipt:
        """Return the receipt of an exchange; the report is "up"."""
        report = b"up" if status is Status.SERVED else b""
        return self.exchange(auditor, target, number, status, report)[1]

    def exchange(
        self, auditor: NodeId, target: NodeId, number: Round, status: Status, report: bytes
    ) -> tuple[Answer, Receipt]:
        """Return what a target answers with this report, and the receipt that it makes."""
        network = self.genesis.network_id
        challenge = challenge_of(self.round(number).randomness, auditor, target)
        answer = sign_answer(
            secret_for(target),
            network=network,
            number=number,
            challenge=challenge,
            status=status,
            report=report,
        )
        receipt = receipt_of(
            network=network,
            number=number,
            challenge=challenge,
            auditor=auditor,
            target=target,
            answer=answer,
        )
        if receipt is None:
            raise AssertionError("the world's receipts are signed")
        return answer, receipt

    def receipts(self, epoch: Epoch, auditor: NodeId, observed: Observed) -> list[Receipt]:
        """Return the receipts of all of an auditor's answered observations of an epoch."""
        view = self.view(epoch)
        statuses = {
            Outcome.OK: Status.SERVED,
            Outcome.SLOW: Status.SERVED,
            Outcome.WRONG: Status.FAILED,
            Outcome.DECLARED: Status.DECLARED,
        }
        found = []
        for target in view.assignment.targets(auditor):
            for number in view.drawn[target]:
                status = statuses.get(observed.get((auditor, target, number), Outcome.OK))
                if status is not None:
                    found.append(self.receipt(auditor, target, number, status))
        return found

    def body(self, epoch: Epoch, auditor: NodeId, observed: Observed | None = None) -> BatchBody:
        """Return what an auditor's batch of an epoch says."""
        seen = observed or {}
        view = self.view(epoch)
        member = view.roster.get(auditor)
        if member is None:
            raise AssertionError("only members sign batches")
        rows = tuple(
            _row(auditor, target, view.drawn[target], seen)
            for target in view.assignment.targets(auditor)
        )
        return BatchBody(
            version=VERSION,
            network=view.network,
            epoch=epoch,
            auditor=auditor,
            nonce=member.nonce,
            seed=view.seed,
            rows=rows,
            receipts_root=receipts_tree(self.receipts(epoch, auditor, seen)).root,
        )

    def batch(self, epoch: Epoch, auditor: NodeId, observed: Observed | None = None) -> Batch:
        """Return an auditor's signed batch of an epoch."""
        return sign_batch(secret_for(auditor), self.body(epoch, auditor, observed))


def _row(auditor: NodeId, target: NodeId, drawn: tuple[Round, ...], seen: Observed) -> Row:
    outcomes = bytes(seen.get((auditor, target, r), Outcome.OK) for r in drawn)
    is_timely = any(o in {Outcome.OK, Outcome.SLOW} for o in outcomes)
    return Row(target=target, outcomes=outcomes, median_ms=25 if is_timely else 0)


def operator_of(number: int) -> Operator:
    """Return an operator's address: the first 20 bytes of a name's hash."""
    return Operator(secret_of(f"operator {number}")[:20])


WORLD = World()
