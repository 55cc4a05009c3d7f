"""A small network whose epochs were played, batch by batch, into one node's store.

Everything is real: keys, claims, beacon rounds, batches, folds and the council's signature. Only the
network between the nodes is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from stkrp2p.adapters.keys import write_secret_file
from stkrp2p.adapters.store import SqliteStore
from stkrp2p.config import dump_config, dump_network
from stkrp2p.core import bls
from stkrp2p.core.anchor import (
    ClosedEpoch,
    SealedAnchor,
    anchor_message,
    by_member,
    close_epoch,
)
from stkrp2p.core.batch import VERSION, Batch, BatchBody, EpochView, Row, sign_batch
from stkrp2p.core.beacon import Beacon, BeaconRound, round_message, verified
from stkrp2p.core.challenge import Status, challenge_of, receipt_of, receipts_tree, sign_answer
from stkrp2p.core.crypto import node_id_of, sha256
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MINIMAL
from stkrp2p.core.roster import Profile, Registration, roster_of, sign_claim
from stkrp2p.core.types import Epoch, Kind, NodeId, Operator, Outcome, Ppm, Round, UnixMs
from stkrp2p.core.wire import encode
from stkrp2p.ports import Observation, RegistrySnapshot, StoredEpoch
from stkrp2p.services.views import build_view

GENESIS_MS = UnixMs(1_700_000_000_000)
BEACON_SECRET = 0xBEAC04
COUNCIL_SECRET = 0xC0C11
PARAMS = replace(MINIMAL, rounds_per_epoch=6, draw_ppm=Ppm(700_000))

See = Callable[[Epoch, Round, NodeId, NodeId], Outcome]
"""(epoch, round, auditor, target) -> what the auditor saw."""


def healthy(epoch: Epoch, number: Round, auditor: NodeId, target: NodeId) -> Outcome:
    return Outcome.OK


def all_down(epoch: Epoch, number: Round, auditor: NodeId, target: NodeId) -> Outcome:
    return Outcome.UNREACHABLE


@dataclass
class World:
    """Members 0 … full-1 are full, the rest light; member 0 owns the store."""

    full: int = 6
    light: int = 1
    see: See = healthy
    silent: frozenset[tuple[int, int]] = frozenset()
    """(epoch, member) whose batch never came."""

    deployed: Genesis | None = None
    """A network with real contracts, under `BEACON_SECRET` and `COUNCIL_SECRET`."""

    secrets: list[bytes] = field(init=False)
    genesis: Genesis = field(init=False)
    closed: list[ClosedEpoch] = field(default_factory=list)
    down: NodeId = field(init=False)
    wrong: NodeId = field(init=False)

    def __post_init__(self) -> None:
        self.secrets = [sha256(b"member", bytes([i])) for i in range(self.full + self.light)]
        self.genesis = self.deployed or Genesis(
            name="played",
            params=PARAMS,
            beacon=Beacon(
                public_key=bls.public_key_of(BEACON_SECRET), genesis_ms=GENESIS_MS, period_ms=1000
            ),
            first_round=Round(11),
            chain_id=31337,
            registry=bytes([1]) * 20,
            anchor=bytes([2]) * 20,
            council=bytes(20),
            council_key=bls.public_key_of(COUNCIL_SECRET),
        )

    def node(self, member: int) -> NodeId:
        return node_id_of(self.secrets[member])

    def secret_of(self, node: NodeId) -> bytes:
        return next(s for s in self.secrets if node_id_of(s) == node)

    def registrations(self) -> tuple[Registration, ...]:
        network = self.genesis.network_id
        entries = []
        for i, secret in enumerate(self.secrets):
            operator, node = Operator(bytes([0xA0 + i]) * 20), node_id_of(secret)
            is_full = i < self.full
            profile = Profile(
                version=1,
                workload=f"http:{8000 + i}" if is_full else "none",
                addresses=(f"/ip4/127.0.0.{i + 1}/tcp/4001",),
            )
            entries.append(
                Registration(
                    index=i,
                    node=node,
                    operator=operator,
                    nonce=0,
                    kind=Kind.FULL if is_full else Kind.LIGHT,
                    stakes=((Epoch(0), (1000 + i) * 10**18),),
                    claim=sign_claim(secret, network, operator, node, 0),
                    profile=encode(profile),
                )
            )
        return tuple(entries)

    def round(self, number: Round) -> BeaconRound:
        signature = bls.sign(BEACON_SECRET, round_message(number), bls.ROUND_DST)
        return verified(self.genesis.beacon, number, signature)

    def view(self, epoch: Epoch) -> EpochView:
        rounds = {Round(r): self.round(Round(r)) for r in self.genesis.clock.rounds(epoch)}
        roster = roster_of(self.genesis.network_id, epoch, self.registrations())
        view = build_view(self.genesis, roster, rounds, epoch)
        assert view is not None
        return view

    def observations(self, view: EpochView, auditor: NodeId) -> list[Observation]:
        seen = []
        for target in view.assignment.targets(auditor):
            for number in view.drawn[target]:
                outcome = self.see(view.epoch, number, auditor, target)
                seen.append(self._observation(number, auditor, target, outcome))
        return [o for o in seen if o.outcome is not Outcome.NOT_PROBED]

    def _observation(self, number, auditor, target, outcome):
        receipt = None
        if outcome in {Outcome.OK, Outcome.SLOW, Outcome.WRONG}:
            network = self.genesis.network_id
            challenge = challenge_of(self.round(number).randomness, auditor, target)
            answer = sign_answer(
                self.secret_of(target),
                network=network,
                number=number,
                challenge=challenge,
                status=Status.FAILED if outcome is Outcome.WRONG else Status.SERVED,
                report=b"report",
            )
            receipt = receipt_of(
                network=network,
                number=number,
                challenge=challenge,
                auditor=auditor,
                target=target,
                answer=answer,
            )
            assert receipt is not None
        return Observation(
            round=number, target=target, outcome=outcome, latency_ms=7, receipt=receipt
        )

    def batch(self, view: EpochView, auditor: NodeId) -> Batch:
        member = view.roster.get(auditor)
        assert member is not None
        receipts = [o.receipt for o in self.observations(view, auditor) if o.receipt]
        rows = tuple(
            Row(
                target=target,
                outcomes=bytes(
                    self.see(view.epoch, r, auditor, target) for r in view.drawn[target]
                ),
                median_ms=0,
            )
            for target in view.assignment.targets(auditor)
        )
        body = BatchBody(
            version=VERSION,
            network=view.network,
            epoch=view.epoch,
            auditor=auditor,
            nonce=member.nonce,
            seed=view.seed,
            rows=rows,
            receipts_root=receipts_tree(receipts).root,
        )
        return sign_batch(self.secret_of(auditor), body)

    async def play(self, folder: Path, epochs: int) -> None:
        """Fold so many epochs and leave a data directory behind, as a node would."""
        async with SqliteStore.open(folder) as store:
            await store.put_registry(
                RegistrySnapshot(
                    registrations=self.registrations(), block=123, block_ms=UnixMs(GENESIS_MS + 1)
                )
            )
            before: dict = {}
            for epoch in map(Epoch, range(epochs)):
                before = await self._play_epoch(store, epoch, before)

    async def _play_epoch(self, store, epoch, before):
        view = self.view(epoch)
        numbers = self.genesis.clock.rounds(epoch)
        await store.put_rounds([self.round(Round(r)) for r in numbers])
        batches = [
            self.batch(view, self.node(i))
            for i in range(len(self.secrets))
            if (epoch, i) not in self.silent
        ]
        await store.put_batches(epoch, batches)
        await store.put_observations(self.observations(view, self.node(0)))
        included = {b.auditor: b for b in Evidence(batches)}
        closed = close_epoch(view, included, frozenset(), before)
        self.closed.append(closed)
        stored = StoredEpoch.of(self.sealed(closed), is_anchored=True)
        await store.put_epoch(stored, closed.scores)
        return by_member(closed.scores)

    def sealed(self, closed: ClosedEpoch) -> SealedAnchor:
        message = anchor_message(self.genesis, closed.header, 0)
        signature = bls.sign(COUNCIL_SECRET, message, bls.ANCHOR_DST)
        return SealedAnchor(
            header=closed.header, proposal=closed.proposal, voids=0, signature=signature
        )


def make_node(world: World, folder: Path, *, epochs: int, **settings: object) -> Path:
    """Play epochs into `folder` and return the configuration file of the node that owns it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    trio.run(world.play, folder, epochs)
    write_secret_file(folder / "node.key", world.secrets[0].hex().encode())
    (folder / "network.toml").write_text(dump_network(world.genesis))
    values = {"data_dir": ".", "network": "./network.toml", "listen": ("/ip4/127.0.0.1/tcp/4001",)}
    path = folder / "config.toml"
    path.write_text(dump_config(values | settings))
    return path
