"""Taking part in the council's key generations and resharings, by itself and over restarts.

The bulletin board on chain says who deals to whom, what phase a session is in, and what everybody
has posted. We look at it again and again, and do what the phase asks of us and the board does not
show yet: deal, respond, justify, confirm, and at last take our seat. Nothing else is remembered but
what the safe keeps, so a node that was killed goes on where the board stands; what is too late for a
phase is not posted. A chain, a peer or a disk that fails is asked again at the next look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog
import trio

from stkrp2p.core import dkg
from stkrp2p.core.council import AskDeal, AskGroup
from stkrp2p.core.crypto import Secret
from stkrp2p.core.deal import (
    Ceremony,
    Deal,
    Dealer,
    Receiver,
    deal_of,
    hash_of_deal,
    justification_of,
)
from stkrp2p.core.group import GovernorShare, Group
from stkrp2p.core.types import NetworkId, NodeId, ProtocolError, UnixMs
from stkrp2p.core.wire import encode
from stkrp2p.ports import (
    Board,
    BoardSession,
    ChainUnavailable,
    Governor,
    Phase,
    Safe,
    SafeError,
    SittingCouncil,
    Unreachable,
    WallClock,
)
from stkrp2p.services.council import Council, CouncilServer, Seat, Seats
from stkrp2p.services.deals import GATHER_S_MAX, Deals
from stkrp2p.services.offload import offload

log = structlog.get_logger()

LOOK_MS_MIN = 500
LOOK_MS_MAX = 12_000
"""Least and most time from one look at the board to the next; the most is a block of Ethereum."""

LOOKS_A_PHASE = 20
"""Looks at the board in what is left of a phase, within these limits."""


GROUP_ASKED_MAX = 4
"""Dealers asked for their group at one look."""


@dataclass(slots=True)
class CeremonyState:
    """What the last look at the board gave, for `status` and for people."""

    sitting: SittingCouncil | None = None
    session: BoardSession | None = None
    trouble: str = ""
    """What keeps us from doing our part, "" if nothing."""

    outcome: str = ""
    """Why the latest session makes no group, as everybody finds; "" as long as it may."""


class _Concluded(NamedTuple):
    """What follows from a session's posts and its deals."""

    posts: dkg.Posts
    group: Group
    share: GovernorShare | None


@dataclass(slots=True, kw_only=True)
class _Part:
    """Our part in one session, as far as this process has come."""

    ceremony: Ceremony
    deals: Deals
    dealer: int | None = None
    """Our place among the dealers, `None` if we do not deal."""

    receiver: int | None = None
    give_up_ms: int = 0
    """When we respond without the deals that we still lack."""

    respond_ends_ms: UnixMs | None = None
    """End of the phase that this is half of; another one after a reorganisation."""

    concluded: _Concluded | None = None
    is_doubted: bool = False
    """Whether the group that is reshared may be false: with it we do not come to what was confirmed."""

    @property
    def work(self) -> int:
        """How much there is to compute, in shares."""
        return len(self.ceremony.dealers) * len(self.ceremony.receivers)


@dataclass(slots=True, kw_only=True)
class Ceremonies:
    """One node's part in the ceremonies of one board."""

    secret: Secret
    """The node's Ed25519 seed."""

    chain_id: int
    contract: bytes
    """The board's address, 20 bytes."""

    network_id: NetworkId | None
    """`None` before the network exists; there is nothing to reshare then."""

    board: Board
    safe: Safe
    seats: Seats
    council: Council
    clock: WallClock
    look_ms: int = LOOK_MS_MAX
    """Time from look to look while no session runs."""

    state: CeremonyState = field(default_factory=CeremonyState)
    """As of the last look that is over."""

    _seen: CeremonyState = field(default_factory=CeremonyState)
    """Of the look under way."""

    _has_posted: bool = False
    """Whether something was posted in the last look."""

    _part: _Part | None = None
    _forgotten: int = 0
    """The session before which nothing secret is left."""

    _sought: tuple[bytes | None, UnixMs] | None = None
    """The group that was sought in the safe, and its start."""

    _turn: int = 0

    @property
    def node(self) -> NodeId:
        """Who we are."""
        return self.council.node

    def serve(self, server: CouncilServer) -> None:
        """Give deals to the participants of the session that we take part in."""
        # Receivers of a session need not be governors yet; `give` looks who asks.
        server.on(AskDeal, self._give_deal, is_open=True)

    async def _give_deal(self, peer: NodeId, question: AskDeal) -> Deal | None:
        part = self._part
        if part is None or part.ceremony.id != question.ceremony:
            return None
        return part.deals.give(peer, question.dealer)

    # --------------------------------------------------------------------------- looking

    async def look(self) -> int:
        """Look at the board and do what there is to do; return the time to the next look, ms."""
        seen, self._has_posted = CeremonyState(), False
        self._seen = seen
        try:
            seen.sitting = await self.board.sitting()
            seen.session = await self.board.session()
            await self._keep_seats(seen.sitting)
            if seen.session is not None:
                await self._take_part(seen.session, seen.sitting)
        except (ChainUnavailable, SafeError) as error:
            if not await self._has_moved_on(seen.session):
                seen.trouble = str(error)
        self._tell_news(self.state, seen)
        self.state = seen
        return self._wait_ms()

    async def _has_moved_on(self, session: BoardSession | None) -> bool:
        """Tell whether a post may have failed because its phase, or its session, was over by then."""
        try:
            return session is not None and _stage(await self.board.session()) != _stage(session)
        except ChainUnavailable:
            return False

    def _tell_news(self, before: CeremonyState, seen: CeremonyState) -> None:
        seen.sitting = seen.sitting or before.sitting
        seen.session = session = seen.session or before.session
        if session is not None and _stage(session) != _stage(before.session):
            log.info("council session", session=session.number, phase=str(session.phase))
        if seen.trouble and seen.trouble != before.trouble:
            log.warning("council session waits", trouble=seen.trouble)
        if seen.outcome and seen.outcome != before.outcome:
            log.warning("council session failed", reason=seen.outcome)

    def _wait_ms(self) -> int:
        if self._has_posted:
            return 0  # what we posted may have ended the phase
        session = self.state.session
        if session is None or session.phase_ends_ms is None:
            return self.look_ms
        left_ms = session.phase_ends_ms - self.clock.unix_ms()
        return max(LOOK_MS_MIN, min(left_ms // LOOKS_A_PHASE, self.look_ms))

    async def _take_part(self, session: BoardSession, sitting: SittingCouncil) -> None:
        part = await self._part_in(session, sitting)
        if part is None:
            return
        part.deals.is_dealt = session.phase is not Phase.DEAL
        match session.phase:
            case Phase.DEAL:
                await self._deal(part, session)
            case Phase.RESPOND:
                await self._respond(part, session)
            case Phase.JUSTIFY:
                await self._justify(part, session)  # first: nobody's silence must make us late
                await self._gather(part, session)
            case Phase.CONFIRM:
                await self._gather(part, session)
                await self._confirm(part, session)
            case Phase.CONFIRMED:
                await self._take_seat(part, session)
            case Phase.FAILED | Phase.SUPERSEDED:
                await self._find_reason(part, session)

    # --------------------------------------------------------------------------- whose part

    async def _part_in(self, session: BoardSession, sitting: SittingCouncil) -> _Part | None:
        """Return our part in a session; `None` if we have none, or cannot take it yet.

        Raises:
            ChainUnavailable, SafeError: What it takes could not be read.
        """
        dealers, receivers = _nodes(session.dealers), _nodes(session.receivers)
        if self.node not in dealers and self.node not in receivers:
            return None
        old = await self._old_group(session, sitting) if session.is_reshare else None
        if session.is_reshare and old is None:
            self._seen.trouble = f"nobody gives us the group that session {session.number} reshares"
            return None
        ceremony = Ceremony(
            chain_id=self.chain_id,
            contract=self.contract,
            session=session.number,
            dealers=dealers,
            receivers=receivers,
            old=old,
        )
        part = self._part
        if part is None or part.ceremony != ceremony:
            bodies = dict(await self.safe.deals(ceremony.session))
            deals = Deals(ceremony=ceremony, council=self.council, safe=self.safe, bodies=bodies)
            part = self._part = _Part(ceremony=ceremony, deals=deals)
        part.dealer = await self._place(session.dealers)
        part.receiver = await self._place(session.receivers)
        return part

    async def _place(self, governors: tuple[Governor, ...]) -> int | None:
        """Return our place in a list, `None` if we are not in it or another account posts for us."""
        account = await self.board.account()
        for index, governor in enumerate(governors):
            if governor.node == self.node and governor.account == account:
                return index
            if governor.node == self.node:
                self._seen.trouble = (
                    f"the board wants account 0x{governor.account.hex()} to post for this node,"
                    f" ours is 0x{account.hex()}"
                )
        return None

    async def _old_group(self, session: BoardSession, sitting: SittingCouncil) -> Group | None:
        """Return the group that a session reshares: the one we hold, or what a dealer gives us.

        Once the session is confirmed the board no longer names the old group. A wrong one is harmless
        then: with it nothing comes to the confirmed group, and another dealer is asked.
        """
        dealers = _nodes(session.dealers)
        wanted = sitting.group_hash if sitting.session < session.number else None

        def is_it(group: Group) -> bool:
            is_earlier = group.session < session.number and group.governors == dealers
            return is_earlier and wanted in {None, group.hash()}

        seat, part = self.seats.before(session.number), self._part
        held = [seat.group] if seat else []
        if part is not None and part.ceremony.session == session.number and not part.is_doubted:
            held += [part.ceremony.old] if part.ceremony.old else []
        found = next(filter(is_it, held), None)
        if found is None:
            found = await self._asked_group(session, is_it)
            if found is not None and wanted and sitting.starts_ms is not None:
                await self._sit(found, None, sitting.starts_ms)
        return found

    async def _asked_group(
        self, session: BoardSession, is_it: Callable[[Group], bool]
    ) -> Group | None:
        if self.network_id is None:
            return None
        question = AskGroup(network=self.network_id, before=session.number)
        dealers = [n for n in _nodes(session.dealers) if n != self.node]
        self._turn += 1
        for i in range(min(len(dealers), GROUP_ASKED_MAX)):
            node = dealers[(self._turn + i) % len(dealers)]
            try:
                group = await self.council.ask(node, question, Group)
            except (Unreachable, ProtocolError) as error:
                log.debug("no group", asked=node.hex()[:8], error=str(error))
                continue
            if group is not None and is_it(group):
                return group
        return None

    # --------------------------------------------------------------------------- dealing

    async def _own_dealer(self, part: _Part) -> Dealer | None:
        """Return what we deal with; `None` if we do not deal, or lost what we hand on."""
        if part.dealer is None:
            return None
        old, share = part.ceremony.old, None
        if old is not None:
            seat = self.seats.of(old.session)
            share = seat.share if seat is not None and seat.group == old else None
            if share is None:
                self._seen.trouble = f"we hold no share of session {old.session} to hand on"
                return None
        seed = await self.safe.seed(part.ceremony.session)
        return Dealer(ceremony=part.ceremony, index=part.dealer, seed=seed, old=share)

    async def _deal(self, part: _Part, session: BoardSession) -> None:
        if part.dealer is None or session.deals[part.dealer] is not None:
            return
        dealer = await self._own_dealer(part)
        if dealer is not None:
            body = await offload(lambda: encode(deal_of(dealer)), members=part.work)
            await part.deals.put(dealer.index, body)
            await self.board.post_deal(session.number, hash_of_deal(body))
            self._has_posted = True

    async def _justify(self, part: _Part, session: BoardSession) -> None:
        posts = posts_of(session)
        if part.dealer is None:
            return
        to_answer = [
            receiver
            for receiver in dkg.to_justify(part.ceremony, posts, part.dealer)
            if (part.dealer, receiver) not in posts.justifications
        ]
        dealer = await self._own_dealer(part) if to_answer else None
        if dealer is None:
            return
        if hash_of_deal(encode(deal_of(dealer))) != posts.deals[dealer.index]:
            self._seen.trouble = "our deal on the board is not of the seed that we keep"
            return
        for receiver in to_answer:
            shares = justification_of(dealer, receiver)
            await self.board.justify(session.number, receiver, shares)
            self._has_posted = True

    # --------------------------------------------------------------------------- receiving

    async def _gather(
        self, part: _Part, session: BoardSession, within_s: float = GATHER_S_MAX
    ) -> None:
        """Look for the deals that we lack, of those dealers that are not out."""
        posts = posts_of(session)
        missing = dkg.lacking(part.ceremony, posts, part.deals.bodies)
        if missing:
            wanted = {dealer: posts.deals[dealer] for dealer in missing}
            await part.deals.gather(wanted, within_s=within_s)

    async def _respond(self, part: _Part, session: BoardSession) -> None:
        """Respond once all deals are here, or half of the phase's rest was spent looking for them."""
        now_ms = self.clock.unix_ms()
        if part.respond_ends_ms != session.phase_ends_ms:
            part.respond_ends_ms = session.phase_ends_ms
            left_ms = max(0, (session.phase_ends_ms or now_ms) - now_ms)
            part.give_up_ms = now_ms + left_ms // 2
        left_ms = part.give_up_ms - now_ms
        await self._gather(part, session, left_ms / 1000 if left_ms > 0 else GATHER_S_MAX)
        if part.receiver is None or session.complaints[part.receiver] is not None:
            return
        posts = posts_of(session)
        missing = part.deals.missing(posts.deals)
        if missing and self.clock.unix_ms() < part.give_up_ms:
            self._seen.trouble = f"deals are missing, of dealers {_listed(missing)}"
            return
        receiver, bodies = self._receiver(part), dict(part.deals.bodies)
        complaints = await offload(
            lambda: dkg.complaints_of(receiver, posts, bodies), members=part.work
        )
        if complaints is None:
            self._seen.trouble = (
                f"we seem cut off: most deals are bad, or missing: {_listed(missing)}"
            )
            return
        await self.board.respond(session.number, complaints)
        self._has_posted = True

    def _receiver(self, part: _Part) -> Receiver:
        return Receiver(ceremony=part.ceremony, secret=self.secret)

    async def _conclude(self, part: _Part, session: BoardSession) -> _Concluded | None:
        """Return what the session makes, kept in the safe; `None` if it makes nothing, or not yet.

        Raises:
            SafeError: It could not be kept.
        """
        posts, bodies = posts_of(session), dict(part.deals.bodies)
        if part.concluded is not None and part.concluded.posts == posts:
            return part.concluded
        missing = dkg.lacking(part.ceremony, posts, bodies)
        receiver = self._receiver(part) if self.node in part.ceremony.receivers else None

        def work() -> _Concluded:
            made = dkg.conclude(part.ceremony, posts, bodies)
            share = dkg.own_share(receiver, posts, made) if receiver else None
            return _Concluded(posts, made.group, share)

        try:
            concluded = await offload(work, members=part.work)
        except dkg.DkgFailed as failure:
            self._seen.outcome = failure.reason
            return None
        except ValueError:
            if not missing:
                raise
            self._seen.trouble = f"deals are missing, of dealers {_listed(missing)}"
            return None
        await self.safe.put_group(concluded.group, concluded.share)
        part.concluded = concluded
        return concluded

    async def _confirm(self, part: _Part, session: BoardSession) -> None:
        concluded = await self._conclude(part, session)
        if concluded is None or part.receiver is None:
            return
        if session.confirmations[part.receiver] is not None:
            return
        if concluded.share is None:
            self._seen.trouble = "a deal that counts has a wrong share for us"
            return
        await self.board.confirm(session.number, concluded.group.hash())
        self._has_posted = True

    async def _find_reason(self, part: _Part, session: BoardSession) -> None:
        await self._gather(part, session)
        await self._conclude(part, session)
        self._seen.outcome = self._seen.outcome or "too-few-confirmations"

    # --------------------------------------------------------------------------- seats

    async def _take_seat(self, part: _Part, session: BoardSession) -> None:
        seat = self.seats.of(session.number)
        if session.starts_ms is None or (seat and seat.group.hash() == session.group_hash):
            return  # `_keep_seats` follows a start that moves
        await self._gather(part, session)
        concluded = await self._conclude(part, session)
        if concluded is not None and concluded.group.hash() == session.group_hash:
            await self._sit(concluded.group, concluded.share, session.starts_ms)
            return
        part.is_doubted = True
        if concluded is not None or self._seen.outcome:
            self._seen.outcome = ""  # the session has made a group, if not to us
            self._seen.trouble = "the board's deals make another group than was confirmed"

    async def _sit(self, group: Group, share: GovernorShare | None, starts_ms: UnixMs) -> None:
        await self.safe.put_group(group, share)
        await self.safe.put_start(group.session, starts_ms)
        self.seats.add(Seat(group=group, share=share, starts_ms=starts_ms))
        log.info(
            "council seat", session=group.session, starts_ms=starts_ms, shares=share is not None
        )

    async def _keep_seats(self, sitting: SittingCouncil) -> None:
        """Make our seats those that the board confirmed, and forget what they have replaced.

        Raises:
            SafeError: A group could not be read, or an old one not be forgotten.
        """
        now_ms, newest = self.clock.unix_ms(), self.seats.newest
        is_later = newest is not None and newest.group.session > sitting.session
        if newest is not None and is_later and newest.starts_ms > now_ms:
            self.seats.drop(newest.group.session)  # a reorganisation took it back
            self._sought = None
        if sitting.starts_ms is None:
            return
        seat = self.seats.of(sitting.session)
        if seat is None or seat.starts_ms != sitting.starts_ms:
            await self._find_seat(sitting, sitting.starts_ms)
        elif seat.starts_ms <= now_ms and self._forgotten < sitting.session:
            await self.safe.forget(sitting.session)
            self.seats.forget_before(sitting.session)
            self._forgotten = sitting.session

    async def _find_seat(self, sitting: SittingCouncil, starts_ms: UnixMs) -> None:
        """Take the seat that we kept of the session that seated the council, if we did."""
        if self._sought == (sitting.group_hash, starts_ms):
            return  # opening keystores takes time
        for kept in await self.safe.groups():
            if kept.group.hash() == sitting.group_hash:
                await self._sit(kept.group, kept.share, starts_ms)
        self._sought = (sitting.group_hash, starts_ms)


async def load_seats(safe: Safe, seats: Seats, sitting: SittingCouncil | None = None) -> None:
    """Take the seats that were confirmed before this process started.

    Args:
        safe: Where they are.
        seats: Where they go.
        sitting: Who governs by the board, if it was asked: a group may have been confirmed while we
            were away.

    Raises:
        SafeError: A kept group cannot be read.
    """
    for group, share, noted_ms in await safe.groups():
        is_sitting = sitting is not None and group.hash() == sitting.group_hash
        starts_ms = sitting.starts_ms if sitting is not None and is_sitting else noted_ms
        if starts_ms is not None:
            seats.add(Seat(group=group, share=share, starts_ms=starts_ms))


async def run_ceremonies(
    ceremonies: Ceremonies, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Take part in all sessions that this node is in, until cancelled.

    Args:
        ceremonies: Our part; its seats are loaded.
        task_status: Started after the first look.
    """
    wait_ms = await ceremonies.look()
    task_status.started()
    while True:
        await trio.sleep(wait_ms / 1000)
        wait_ms = await ceremonies.look()


def posts_of(session: BoardSession) -> dkg.Posts:
    """Return a session's posts as the core takes them."""
    return dkg.Posts(
        deals={i: h for i, h in enumerate(session.deals) if h is not None},
        complaints={j: c for j, c in enumerate(session.complaints) if c is not None},
        justifications={(j.dealer, j.receiver): j.shares for j in session.justifications},
    )


def _stage(session: BoardSession | None) -> tuple[int, Phase] | None:
    return (session.number, session.phase) if session else None


def _nodes(governors: tuple[Governor, ...]) -> tuple[NodeId, ...]:
    return tuple(governor.node for governor in governors)


def _listed(places: Iterable[int]) -> str:
    return ", ".join(map(str, places))
