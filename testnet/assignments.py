"""Who audits whom, proved on a real anvil: a roster anchored, and the contract that takes proofs.

For tests and measurements. The beacon's key is the made-up council's; a second beacon has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stkrp2p.adapters.chain.assignment import (
    SeedProof,
    membership_fields,
    network_of,
    placement_fields,
)
from stkrp2p.core import bls
from stkrp2p.core.assignment import seed_of
from stkrp2p.core.beacon import Beacon, BeaconRound, round_message, verified
from stkrp2p.core.crypto import sha256
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import Params
from stkrp2p.core.placement import Placement, membership_of, placement_of
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.types import Digest, Epoch, Kind, NodeId, Operator, Round, UnixMs
from testnet.contracts import SECRET, Anchors, header_of

if TYPE_CHECKING:
    from web3.contract import Contract
    from web3.contract.contract import ContractFunction

MIXED_SECRET = 0xC0FFEE2
"""The made-up second beacon's key."""

MIXED_PERIOD_MS = 700


@dataclass(frozen=True, slots=True)
class Proved:
    """One anchored epoch, and whom its roster makes audit whom."""

    contract: Contract
    roster: Roster
    params: Params
    seed: Digest
    seed_proof: SeedProof

    def placement(self, target: NodeId, auditor: NodeId) -> Placement:
        """Return the proof of whether one is an auditor of the other."""
        return placement_of(self.seed, self.roster, self.params, target=target, auditor=auditor)

    def assigned_fields(self, placement: Placement) -> tuple[object, ...]:
        """Return what `isAssigned` is asked with."""
        return *self.seed_proof.fields(), *placement_fields(placement)

    def candidate_fields(self, target: NodeId, auditor: NodeId) -> tuple[object, ...]:
        """Return what `isCandidate` is asked with."""
        members = (membership_fields(membership_of(self.roster, n)) for n in (target, auditor))
        return *self.seed_proof.fields(), *members

    def assigned(self, placement: Placement) -> ContractFunction:
        """Return the call that asks about an assignment."""
        return self.contract.functions.isAssigned(*self.assigned_fields(placement))

    def candidate(self, target: NodeId, auditor: NodeId) -> ContractFunction:
        """Return the call that asks about a candidate."""
        return self.contract.functions.isCandidate(*self.candidate_fields(target, auditor))


@dataclass(frozen=True, slots=True)
class Assignments:
    """The contract that takes proofs, beside the one that anchors."""

    anchors: Anchors
    contract: Contract
    verifiers: Sequence[Contract]
    """Of the beacon, and of the second one if there is one."""

    genesis: Genesis

    def rounds(self, epoch: Epoch) -> tuple[BeaconRound, BeaconRound | None]:
        """Return the rounds that an epoch's seed needs."""
        genesis = self.genesis
        own = _round(genesis.beacon, SECRET, genesis.clock.first(epoch))
        if genesis.mixed is None:
            return own, None
        return own, _round(genesis.mixed, MIXED_SECRET, genesis.mixed_round(epoch))

    def prove(self, epoch: Epoch, roster: Roster) -> Proved:
        """Anchor an epoch with this roster: the next one, whose time comes."""
        self.anchors.settle(epoch)
        header = header_of(epoch, roster_root=roster.root)
        self.anchors.anchor(header)
        own, mixed = self.rounds(epoch)
        seed = seed_of(
            self.genesis.network_id,
            epoch,
            own.randomness,
            roster.root,
            mixed=mixed.randomness if mixed else None,
        )
        proof = SeedProof(header=header, own=own, mixed=mixed)
        return Proved(self.contract, roster, self.genesis.params, seed, proof)


def deploy_assignments(anchors: Anchors, params: Params, *, is_mixed: bool = False) -> Assignments:
    """Deploy the contract for the anchors' network, with the committees of `params`."""
    own = anchors.genesis.params
    own = replace(own, k_aud=params.k_aud, candidates=params.candidates)
    genesis = replace(anchors.genesis, params=own)
    keys = [SECRET]
    if is_mixed:
        keys.append(MIXED_SECRET)
        genesis_ms = UnixMs(genesis.beacon.genesis_ms + 123)
        key = bls.public_key_of(MIXED_SECRET)
        mixed = Beacon(public_key=key, genesis_ms=genesis_ms, period_ms=MIXED_PERIOD_MS)
        genesis = replace(genesis, mixed=mixed)
    verifiers = [
        anchors.chain.deploy("BeaconVerifier", bls.g2_uncompressed(bls.public_key_of(key)))
        for key in keys
    ]
    at = [bytes.fromhex(v.address[2:]) for v in verifiers]
    network = network_of(genesis, beacon=at[0], mixed=at[1] if is_mixed else None)
    contract = anchors.chain.deploy("AssignmentVerifier", network)
    return Assignments(anchors, contract, verifiers, genesis)


def made_up_roster(full: int, light: int, operators: int) -> Roster:
    """Return a roster whose members share so many operators."""
    members = (
        Member(
            node=NodeId(sha256(b"node %d" % i)),
            nonce=i % 3,
            operator=Operator(sha256(b"operator %d" % (i % operators))[:20]),
            kind=Kind.FULL if i < full else Kind.LIGHT,
            stake=10**20 + i,
        )
        for i in range(full + light)
    )
    return Roster(tuple(sorted(members)))


def _round(beacon: Beacon, secret: int, number: Round) -> BeaconRound:
    return verified(beacon, number, bls.sign(secret, round_message(number), bls.ROUND_DST))
