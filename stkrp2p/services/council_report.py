"""What is said of a council's session and of our seat, in JSON types: for `status` and for people."""

from __future__ import annotations

from collections.abc import Mapping

from stkrp2p.core.group import Purpose
from stkrp2p.core.types import NodeId, UnixMs
from stkrp2p.ports import BoardSession, Governor, SittingCouncil
from stkrp2p.services.ceremony import CeremonyState
from stkrp2p.services.council import Seat, Seats


def council_report(
    state: CeremonyState, seats: Seats, node: NodeId, now_ms: UnixMs
) -> Mapping[str, object]:
    """Return who governs, how far the latest session is, and what we hold.

    Args:
        state: What the board said last.
        seats: What we hold.
        node: Who we are.
        now_ms: Decides which seat is in force.
    """
    return {
        "sitting": _sitting(state.sitting),
        "session": _session(state.session),
        "seats": [_seat(seat, node, seats.at(now_ms)) for seat in seats],
        "trouble": state.trouble,
        "outcome": state.outcome,
    }


def _sitting(sitting: SittingCouncil | None) -> Mapping[str, object] | None:
    if sitting is None:
        return None
    return {
        "session": sitting.session,
        "group_hash": _hex(sitting.group_hash),
        "starts_ms": sitting.starts_ms,
        "governors": _governors(sitting.governors),
    }


def _governors(governors: tuple[Governor, ...]) -> list[Mapping[str, object]]:
    return [{"node": g.node.hex(), "account": f"0x{g.account.hex()}"} for g in governors]


def _session(session: BoardSession | None) -> Mapping[str, object] | None:
    if session is None:
        return None
    return {
        "number": session.number,
        "kind": "reshare" if session.is_reshare else "fresh",
        "phase": str(session.phase),
        "phase_ends_ms": session.phase_ends_ms,
        "opened_ms": session.opened_ms,
        "dealers": _governors(session.dealers),
        "receivers": _governors(session.receivers),
        "dealers_threshold": session.dealers_threshold,
        "receivers_threshold": session.receivers_threshold,
        "deals": [_hex(h) for h in session.deals],
        "complaints": [
            None if about is None else [d for d in range(len(session.dealers)) if about >> d & 1]
            for about in session.complaints
        ],
        "justifications": [[j.dealer, j.receiver] for j in session.justifications],
        "confirmations": [_hex(h) for h in session.confirmations],
        "group_hash": _hex(session.group_hash),
        "starts_ms": session.starts_ms,
    }


def _seat(seat: Seat, node: NodeId, in_force: Seat | None) -> Mapping[str, object]:
    group = seat.group
    return {
        "session": group.session,
        "starts_ms": seat.starts_ms,
        "is_in_force": seat is in_force,
        "index": group.governors.index(node) if node in group.governors else None,
        "has_share": seat.share is not None,
        "governors": len(group.governors),
        "threshold": group.threshold,
        "group_hash": group.hash().hex(),
        **{f"{p.name.lower()}_key": group.public_key(p).hex() for p in Purpose},
    }


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
