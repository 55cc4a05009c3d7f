"""A motion is its proposer's and binds its proposal, or it is refused with a reason."""

from __future__ import annotations

import msgspec
import pytest

from stkrp2p.core.anchor import Header, Proposal
from stkrp2p.core.council import (
    Echo,
    Motion,
    check_motion,
    echo_of,
    id_of,
    is_moved_by,
    sign_motion,
)
from stkrp2p.core.crypto import node_id_of, sha256
from stkrp2p.core.types import ProtocolError
from stkrp2p.core.wire import encode

SECRET = sha256(b"proposer")
PROPOSER = node_id_of(SECRET)
OTHER = node_id_of(sha256(b"other"))

PROPOSAL = Proposal(
    version=1,
    network=bytes(32),
    epoch=3,
    seed=bytes(32),
    included=b"\1",
    tainted=b"\0",
    ids_digest=bytes(32),
)
HEADER = Header(
    epoch=3,
    roster_root=bytes(32),
    proposal_hash=sha256(encode(PROPOSAL)),
    evidence_root=bytes(32),
    score_root=bytes(32),
    median_ppm=0,
    is_void=False,
)


def motion(header: Header = HEADER, slot: int = 2, voids: int = 1) -> Motion:
    return sign_motion(
        SECRET, network=bytes(32), slot=slot, voids=voids, header=header, proposal=PROPOSAL
    )


def echo() -> Echo:
    return echo_of(motion())


def test_a_motion_that_its_proposer_signed_is_its() -> None:
    check_motion(motion(), PROPOSER)
    assert is_moved_by(PROPOSER, echo())
    assert not is_moved_by(OTHER, echo())


@pytest.mark.parametrize(
    "changes", [{"epoch": 4}, {"slot": 3}, {"network": b"n" * 32}, {"motion_id": b"m" * 32}]
)
def test_a_motion_is_not_echoed_as_one_of_another_slot(changes: dict[str, object]) -> None:
    assert not is_moved_by(PROPOSER, msgspec.structs.replace(echo(), **changes))


def test_a_motion_that_somebody_else_signed_is_refused() -> None:
    with pytest.raises(ProtocolError, match="bad-signature"):
        check_motion(motion(), OTHER)


@pytest.mark.parametrize("field", ["slot", "voids"])
def test_a_motion_changed_after_it_was_signed_is_refused(field: str) -> None:
    changed = msgspec.structs.replace(motion(), **{field: 9})
    with pytest.raises(ProtocolError, match="bad-signature"):
        check_motion(changed, PROPOSER)


def test_a_motion_with_another_proposal_than_its_headers_is_refused() -> None:
    header = msgspec.structs.replace(HEADER, proposal_hash=sha256(b"another"))
    with pytest.raises(ProtocolError, match="other-proposal"):
        check_motion(motion(header), PROPOSER)


def test_a_motions_id_changes_with_its_slot_its_voids_and_its_header() -> None:
    header = msgspec.structs.replace(HEADER, median_ppm=1)
    ids = {id_of(motion()), id_of(motion(slot=3)), id_of(motion(voids=2)), id_of(motion(header))}
    assert len(ids) == 4
