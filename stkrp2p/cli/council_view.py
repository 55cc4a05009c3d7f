"""A council's session as people read it: who has posted what, and what is new since the last look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from stkrp2p.cli.nodes import short
from stkrp2p.cli.output import columns, facts, moment
from stkrp2p.core.types import NodeId

HASH_CHARACTERS = 16
"""Digits of a group's hash or key that are shown."""


class _Governor(msgspec.Struct, frozen=True):
    node: str
    account: str

    @property
    def name(self) -> str:
        """The beginning of its PeerID."""
        return short(NodeId(bytes.fromhex(self.node)))


class _Sitting(msgspec.Struct, frozen=True):
    session: int
    group_hash: str | None
    starts_ms: int | None
    governors: list[_Governor]


class Session(msgspec.Struct, frozen=True):
    """A session, as `council_report` says it."""

    number: int
    kind: str
    phase: str
    phase_ends_ms: int | None
    dealers: list[_Governor]
    receivers: list[_Governor]
    receivers_threshold: int
    deals: list[str | None]
    complaints: list[list[int] | None]
    justifications: list[tuple[int, int]]
    confirmations: list[str | None]


class _Seat(msgspec.Struct, frozen=True):
    session: int
    starts_ms: int
    is_in_force: bool
    index: int | None
    has_share: bool
    governors: int
    threshold: int
    group_hash: str
    beacon_key: str
    anchor_key: str


class View(msgspec.Struct, frozen=True):
    """What a node says of the council."""

    sitting: _Sitting | None
    session: Session | None
    seats: list[_Seat]
    trouble: str
    outcome: str


def view_of(report: Mapping[str, object]) -> View:
    """Read a report.

    Raises:
        ValidationError: It is of another version.
    """
    return msgspec.convert(report, View)


def council_lines(view: View, now_ms: int, more: Sequence[tuple[str, object]] = ()) -> list[str]:
    """Return the whole state of the council, and what more is known of it, for `council status`."""
    pairs: list[tuple[str, object]] = []
    if view.sitting is not None:
        pairs.append(("council", _sitting_text(view.sitting)))
    pairs += more
    pairs += [(f"seat {i}", _seat_text(s, now_ms)) for i, s in enumerate(view.seats, 1)]
    if not view.seats:
        pairs.append(("seat", "none: this node holds no share"))
    lines = []
    if view.session is not None:
        pairs.append(("session", _session_text(view.session, now_ms)))
        lines = ["", *_table(view.session)]
    lines = [*facts(pairs), *lines]
    if view.outcome:
        lines.append(f"attention: session {_number(view)} makes no key: {view.outcome}")
    return [*lines, *([f"attention: {view.trouble}"] if view.trouble else [])]


def _number(view: View) -> int:
    return view.session.number if view.session else 0


def _sitting_text(sitting: _Sitting) -> str:
    count = len(sitting.governors)
    text = f"{_count(count)}, any {count // 2 + 1} of them sign"
    if sitting.group_hash is None:
        return f"{text}; there is no key yet"
    return f"{text}; session {sitting.session}, group {sitting.group_hash[:HASH_CHARACTERS]}…"


def _seat_text(seat: _Seat, now_ms: int) -> str:
    who = "not ours" if seat.index is None else f"governor {seat.index} of {seat.governors}"
    share = "share held" if seat.has_share else "no share"
    if seat.is_in_force:
        since = "in force"
    else:
        starts = moment(seat.starts_ms // 1000)
        since = "over" if seat.starts_ms <= now_ms else f"signs from {starts}"
    return f"session {seat.session}, {who}, {share}, {since}"


def _session_text(session: Session, now_ms: int) -> str:
    return f"{session.number}: {_purpose(session)}, phase {session.phase}{_until(session, now_ms)}"


def _purpose(session: Session) -> str:
    kind = "new shares of the same keys" if session.kind == "reshare" else "fresh keys"
    return f"{kind} for {_count(len(session.receivers))}"


def _count(governors: int) -> str:
    return "one governor" if governors == 1 else f"{governors} governors"


def _until(session: Session, now_ms: int) -> str:
    if session.phase_ends_ms is None:
        return ""
    left_s = max(0, session.phase_ends_ms - now_ms) // 1000
    return f", at most {left_s} s more"


def _table(session: Session) -> list[str]:
    """Return one line for each governor that deals or receives."""
    dealers = {g.node: i for i, g in enumerate(session.dealers)}
    receivers = {g.node: i for i, g in enumerate(session.receivers)}
    names = {g.node: g.name for g in (*session.dealers, *session.receivers)}
    rows = [
        (
            name,
            "-" if node not in dealers else _dealt(session, dealers[node]),
            "-" if node not in receivers else _responded(session, receivers[node]),
            "-" if node not in receivers else _confirmed(session, receivers[node]),
        )
        for node, name in names.items()
    ]
    return columns(("governor", "deal", "response", "confirms"), rows)


def _dealt(session: Session, dealer: int) -> str:
    if session.deals[dealer] is None:
        return "missing"
    accusers = [j for j, about in enumerate(session.complaints) if about and dealer in about]
    if not accusers:
        return "posted"
    answered = [r for d, r in session.justifications if d == dealer]
    return f"posted, {len(accusers)} complain, {len(answered)} answered"


def _responded(session: Session, receiver: int) -> str:
    about = session.complaints[receiver]
    if about is None:
        return "missing"
    return "against " + _names(session.dealers, about) if about else "no complaint"


def _names(governors: list[_Governor], places: list[int]) -> str:
    return ", ".join(governors[place].name for place in places)


def _confirmed(session: Session, receiver: int) -> str:
    group_hash = session.confirmations[receiver]
    if group_hash is None:
        return "not needed" if session.phase == "confirmed" else "missing"
    return f"{group_hash[:HASH_CHARACTERS]}…"


# ------------------------------------------------------------------------------ progress


def news(before: View | None, after: View, now_ms: int) -> list[str]:
    """Return what happened between two looks, one line each."""
    session, was = after.session, before.session if before else None
    lines: list[str] = []
    if session is not None:
        if was is None or was.number != session.number:
            was = None
            lines.append(
                f"session {session.number}: {_purpose(session)},"
                f" any {session.receivers_threshold} of whom will sign"
            )
        if was is None or was.phase != session.phase:
            lines.append(f"phase {session.phase}{_until(session, now_ms)}")
        lines += _posts(was, session)
    if after.trouble and (before is None or before.trouble != after.trouble):
        lines.append(f"waits: {after.trouble}")
    return lines


def _posts(was: Session | None, session: Session) -> list[str]:
    """Return the posts that are on the board since the last look."""
    lines = [
        f"  {session.dealers[i].name} dealt" for i in _new(was.deals if was else [], session.deals)
    ]
    lines += [
        f"  {session.receivers[j].name} responds: {_responded(session, j)}"
        for j in _new(was.complaints if was else [], session.complaints)
    ]
    lines += [
        f"  {session.dealers[d].name} reveals the shares of {session.receivers[r].name}"
        for d, r in session.justifications[len(was.justifications) if was else 0 :]
    ]
    lines += [
        f"  {session.receivers[j].name} confirms group {_confirmed(session, j)}"
        for j in _new(was.confirmations if was else [], session.confirmations)
    ]
    return lines


def _new(before: Sequence[object], after: Sequence[object]) -> list[int]:
    """Return the places that were empty and no longer are."""
    held = [*before, *([None] * (len(after) - len(before)))]
    return [
        i for i, (old, new) in enumerate(zip(held, after, strict=True)) if old is None is not new
    ]
