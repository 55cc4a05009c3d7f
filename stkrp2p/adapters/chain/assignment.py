"""Asking the `AssignmentVerifier` contract who audits whom.

The contract is told no roster: `stkrp2p.core.placement` makes the proof, and this turns it into a
call. The contract is in no genesis, for it only computes: anybody may deploy one with `network_of`,
and one that was deployed for another network refuses every proof.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from stkrp2p.adapters.chain.abi import error_of
from stkrp2p.adapters.chain.calls import view
from stkrp2p.adapters.chain.challenges import header_fields
from stkrp2p.adapters.chain.endpoint import Endpoint, Refused
from stkrp2p.adapters.chain.wallet import Rejected
from stkrp2p.core import bls
from stkrp2p.core.anchor import Header
from stkrp2p.core.beacon import BeaconRound
from stkrp2p.core.merkle import words_in
from stkrp2p.core.network import Genesis
from stkrp2p.core.placement import Membership, Placement

CONTRACT = "AssignmentVerifier"

_NOBODY = bytes(20)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedProof:
    """What the seed of an anchored epoch follows from."""

    header: Header
    """As it is anchored."""

    own: BeaconRound
    """The epoch's first round."""

    mixed: BeaconRound | None = None
    """The second beacon's round, `Genesis.mixed_round`; `None` without one."""

    def fields(self) -> tuple[object, ...]:
        """Return header and rounds as the contract takes them."""
        mixed = b"" if self.mixed is None else bls.g1_uncompressed(self.mixed.signature)
        rounds = (bls.g1_uncompressed(self.own.signature), mixed)
        return header_fields(self.header), rounds


def network_of(
    genesis: Genesis, *, beacon: bytes, mixed: bytes | None = None
) -> tuple[object, ...]:
    """Return what the contract is deployed with.

    Args:
        genesis: The network.
        beacon: Address of the `BeaconVerifier` of its beacon.
        mixed: That of its second beacon; `None` exactly if it has none.

    Raises:
        ValueError: There is a second beacon without a verifier, or the other way round.
    """
    if (genesis.mixed is None) != (mixed is None):
        raise ValueError("a second beacon and its verifier come together")
    clock = (0, 0) if genesis.mixed is None else (genesis.mixed.genesis_ms, genesis.mixed.period_ms)
    rounds = (genesis.first_round, genesis.params.rounds_per_epoch)
    committee = (genesis.params.k_aud, genesis.params.candidates)
    places = (genesis.anchor, beacon, mixed or _NOBODY)
    return (*places, genesis.network_id, *rounds, *clock, *committee)


def membership_fields(member: Membership) -> tuple[object, ...]:
    """Return a member and its proof as the contract takes them."""
    return words_in(member.leaf), list(member.proof)


def placement_fields(placement: Placement) -> tuple[object, ...]:
    """Return target, candidates and auditor as the contract takes them."""
    candidates = [membership_fields(c) for c in placement.candidates]
    return membership_fields(placement.target), candidates, placement.auditor


async def is_assigned(
    endpoint: Endpoint, verifier: bytes, seed: SeedProof, placement: Placement
) -> bool:
    """Ask the contract whether a member was an auditor of a target.

    Args:
        endpoint: Where to ask, with `Endpoints.use`.
        verifier: The contract's address.
        seed: Of the epoch.
        placement: The proof.

    Raises:
        Rejected: The proof proves nothing: `rule` says why. No other endpoint finds otherwise,
            unless it has not seen the anchor yet.
        EndpointFailed: The endpoint did not tell, or there is no such contract.
    """
    fields = (*seed.fields(), *placement_fields(placement))
    return await _told(view(endpoint, verifier, CONTRACT, "isAssigned", *fields))


async def is_candidate(
    endpoint: Endpoint,
    verifier: bytes,
    seed: SeedProof,
    *,
    target: Membership,
    auditor: Membership,
) -> bool:
    """Ask whether a member was a candidate for a target, whoever runs them; as `is_assigned`."""
    members = (membership_fields(target), membership_fields(auditor))
    return await _told(view(endpoint, verifier, CONTRACT, "isCandidate", *seed.fields(), *members))


async def _told(answer: Awaitable[Any]) -> bool:
    try:
        return bool(await answer)
    except Refused as error:
        if not error.data:
            raise
        raise Rejected(*error_of(error.data)) from None
