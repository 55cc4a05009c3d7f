"""The council's own beacon: governors make its rounds, everybody hears them, nobody has to be asked.

When a round is due, and never earlier, each governor signs its number with its share and gives that
partial to the others. Any t of them make the round, which whoever has it first gossips. What is
missing after a part of the period is asked for; what is missing when the next round is due, because
too many governors were away, is made later, oldest first, from partials asked for by the thousand.

A partial counts only if it comes from the governor itself, of the session in force when the round
fell due. Wrong ones do no harm: the combined signature is checked, and who gave a wrong partial is
checked one by one from then on. Specified in `protocols/council.md` and `protocols/beacon.md`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import structlog
import trio

from stkrp2p.core.beacon import (
    BeaconRound,
    Known,
    RoundNews,
    judge_news,
    round_message,
    verified,
)
from stkrp2p.core.council import (
    PARTIALS_MAX,
    AskPartials,
    GivePartial,
    Heard,
    PartialList,
)
from stkrp2p.core.group import (
    GovernorShare,
    Group,
    Purpose,
    are_partials,
    interpolated,
    is_partial,
    partial_sign,
)
from stkrp2p.core.reconcile import ROUNDS_MAX
from stkrp2p.core.types import Judgement, NetworkId, NodeId, ProtocolError, Round
from stkrp2p.core.wire import encode
from stkrp2p.ports import Network, Unreachable, WallClock
from stkrp2p.services.council import Council, CouncilServer, Seats
from stkrp2p.services.held import HeldRounds
from stkrp2p.services.ledger import Ledger
from stkrp2p.services.offload import offload
from stkrp2p.services.rounds import (
    GAP_ROUNDS_MAX,
    MEMBERS_PER_ROUND,
    RoundSource,
    checked,
    next_due,
)

log = structlog.get_logger()

HEARD_MAX = 64
"""Rounds heard and waiting to be written; those beyond are dropped, and come with the gaps."""

MADE_MAX = 8
"""Rounds made and waiting to be published; one that is dropped is heard from another governor."""

AHEAD_ROUNDS_MAX = 1
"""Partials of so many rounds that are not due by our clock are kept until they are."""

BEHIND_ROUNDS_MAX = 1
"""Partials of so many rounds before the last one due still count; older rounds are caught up with."""

PULL_PARTS = 4
"""Governors whose partials did not come within this part of a period are asked for them; and once
more after twice as long."""

PARTIALS_KEPT_MAX = 4 * PARTIALS_MAX
"""Own partials kept for governors that ask for the same ones."""

STRETCH_ROUNDS_MAX = ROUNDS_MAX
"""Missing rounds in a row that are asked for at once: as many as one answer of a peer holds."""

STRETCH_MS_MAX = 10_000
"""Time a governor has to answer with a stretch of partials."""


def round_topic(network: NetworkId) -> str:
    """Return the topic of a network's rounds."""
    return f"/stkr/{network.hex()[:16]}/round/1"


@dataclass(frozen=True, slots=True)
class Told:
    """A round that came by gossip, and of which beacon it is."""

    round: BeaconRound
    held: HeldRounds


@dataclass(slots=True, kw_only=True)
class RoundTopic:
    """One node's part in the topic of rounds."""

    ledger: Ledger
    network: Network
    clock: WallClock
    judged: Counter[str] = field(default_factory=Counter)
    """Messages by judgement and reason, for `status`."""

    def join(self, told: trio.MemorySendChannel[Told]) -> None:
        """Take part in the topic; rounds are held at once, and go to the channel to be written."""

        def judge_one(_forwarder: NodeId, data: bytes) -> Judgement:
            return self._judge(data, told)

        self.network.join_topic(round_topic(self.ledger.network_id), judge_one)

    def _judge(self, frame: bytes, told: trio.MemorySendChannel[Told]) -> Judgement:
        by_kind = {held.is_mixed: held for held in self.ledger.all_held()}
        known: Known = {kind: (held.beacon, held.by_number) for kind, held in by_kind.items()}
        result = judge_news(
            frame, network=self.ledger.network_id, known=known, now_ms=self.clock.unix_ms()
        )
        judgement, reason = result.judgement, result.reason
        if result.round is not None:
            judgement, reason = self._take(Told(result.round, by_kind[result.is_mixed]), told)
        self.judged[f"{judgement} {reason}".strip()] += 1
        return judgement

    def _take(self, one: Told, told: trio.MemorySendChannel[Told]) -> tuple[Judgement, str]:
        """Hold a round, unless it could not be written soon; one that we hold is passed on too."""
        if one.held.get(one.round.number) is None:
            try:
                told.send_nowait(one)
            except (trio.WouldBlock, trio.BrokenResourceError):
                return Judgement.IGNORE, "busy"
            one.held.hold(one.round)
        return Judgement.ACCEPT, ""

    async def publish(self, one: BeaconRound, held: HeldRounds) -> None:
        """Gossip a verified round."""
        news = RoundNews(
            network=self.ledger.network_id,
            is_mixed=held.is_mixed,
            number=one.number,
            signature=one.signature,
        )
        await self.network.publish(round_topic(self.ledger.network_id), encode(news))


async def run_round_writer(ledger: Ledger, told: trio.MemoryReceiveChannel[Told]) -> None:
    """Write rounds that were heard, and complete their epochs, until the channel closes."""
    async with told:
        async for one in told:
            await ledger.add_rounds([one.round], one.held)


Made = tuple[BeaconRound, HeldRounds]
"""A round that we combined, and of which beacon it is."""

Answer = tuple[int, tuple[bytes, ...]]
"""A governor's place, and its partials."""

Outbox = tuple[trio.MemorySendChannel[Made], trio.MemoryReceiveChannel[Made]]


@dataclass(slots=True)
class Ballot:
    """What one group's governors gave for one round; one partial each, the first."""

    group: Group
    number: Round
    partials: dict[int, bytes] = field(default_factory=dict)
    wrong: set[int] = field(default_factory=set)
    """Whose partial was dropped; they get no second try."""


@dataclass(slots=True, kw_only=True)
class RoundMaker:
    """One governor's part in making rounds; idle in a node that holds no share."""

    seats: Seats
    council: Council
    ledger: Ledger
    source: RoundSource
    topic: RoundTopic
    clock: WallClock
    made: int = 0
    """Rounds that we combined, for `status`."""

    dropped: Counter[str] = field(default_factory=Counter)
    """Partials that were of no use, by reason, for `status`."""

    _ballots: dict[tuple[Round, int], Ballot] = field(default_factory=dict)
    """By round and session, of the few rounds around the last one due."""

    _doubted: set[tuple[int, int]] = field(default_factory=set)
    """Session and place of the governors that gave a wrong partial."""

    _own: OrderedDict[tuple[int, Round], bytes] = field(default_factory=OrderedDict)
    _signing: trio.Lock = field(default_factory=trio.Lock)
    _fresh: Outbox = field(default_factory=lambda: trio.open_memory_channel[Made](MADE_MAX))

    def serve(self, server: CouncilServer) -> None:
        """Answer the governors' questions about rounds."""
        server.on(GivePartial, self.take_partial)
        server.on(AskPartials, self.give_partials)

    @property
    def held(self) -> HeldRounds | None:
        """The rounds of the beacon that the council makes; `None` if it makes none of ours."""
        newest = self.seats.newest
        key = newest.group.public_key(Purpose.BEACON) if newest else b""
        return next((h for h in self.ledger.all_held() if h.beacon.public_key == key), None)

    # ------------------------------------------------------------------ rounds just due

    async def make(self, held: HeldRounds, number: Round, nursery: trio.Nursery) -> None:
        """Make a round that has just fallen due; returns when it is held, or the next one is due.

        Args:
            held: Of which beacon.
            number: Which one; due by our clock.
            nursery: Where partials go on their way, so that a dead governor delays nothing.
        """
        beacon = held.beacon
        seat = self.seats.at(beacon.due_ms(number))
        if seat is None or seat.share is None or held.get(number) is not None:
            return
        signature = self._sign(seat.share, number)
        given = GivePartial(
            network=self.ledger.network_id,
            session=seat.group.session,
            round=number,
            index=seat.share.index,
            signature=signature,
        )
        for node in self.council.others(seat.group):
            nursery.start_soon(self._give, node, given, beacon.period_ms)
        self._add(held, seat.group, number, seat.share.index, signature)
        left_ms = beacon.due_ms(Round(number + 1)) - self.clock.unix_ms()
        with trio.move_on_after(max(0, left_ms) / 1000):
            pause_s = beacon.period_ms / PULL_PARTS / 1000
            while held.get(number) is None:
                with trio.move_on_after(pause_s):
                    await held.until(number)
                pause_s *= 2
                if held.get(number) is None:
                    await self._pull(held, seat.group, number)

    async def _give(self, node: NodeId, given: GivePartial, timeout_ms: int) -> None:
        try:
            await self.council.ask(node, given, Heard, timeout_ms=timeout_ms)
        except (Unreachable, ProtocolError) as error:
            log.debug("partial not taken", governor=node.hex()[:8], error=str(error))

    async def _pull(self, held: HeldRounds, group: Group, number: Round) -> None:
        """Ask those for their partials whose did not come."""
        ballot, timeout_ms = self._ballot(held, group, number), held.beacon.period_ms // PULL_PARTS
        known = ballot.partials.keys() | ballot.wrong
        lacking = [n for n in self.council.others(group) if _place_of(n, group) not in known]
        question = self._question(group, number, 1)
        async with self._answers(group, question, lacking, timeout_ms=timeout_ms) as answers:
            async for index, (signature, *_) in answers:
                self._add(held, group, number, index, signature)
                if held.get(number) is not None:
                    break

    async def take_partial(self, peer: NodeId, given: GivePartial) -> Heard:
        """Take a governor's partial of a round; answer whether it was new and of use.

        Raises:
            ProtocolError: `other-governor`: it gives another one's.
        """
        await trio.lowlevel.checkpoint()
        seat, held = self.seats.of(given.session), self.held
        if seat is None or held is None:
            return self._refused("unknown-session")
        if _place_of(peer, seat.group) != given.index:
            raise ProtocolError("other-governor")
        number, last_due = Round(given.round), held.beacon.last_due(self.clock.unix_ms())
        if number > last_due + AHEAD_ROUNDS_MAX:
            return self._refused("early")
        if number < max(1, last_due - BEHIND_ROUNDS_MAX):
            return self._refused("late")
        if seat is not self.seats.at(held.beacon.due_ms(number)):
            return self._refused("other-session")
        if held.get(number) is not None:  # made before it came, as most are
            return Heard(is_new=False)
        is_new = self._add(held, seat.group, number, given.index, given.signature)
        return Heard(is_new=is_new)

    def _refused(self, reason: str) -> Heard:
        self.dropped[reason] += 1
        return Heard(is_new=False)

    def _add(
        self, held: HeldRounds, group: Group, number: Round, index: int, signature: bytes
    ) -> bool:
        """Count a partial, and make the round if it is due and they are enough."""
        ballot = self._ballot(held, group, number)
        if index in ballot.partials or index in ballot.wrong:
            self.dropped["repeated"] += ballot.partials.get(index) != signature
            return False
        ballot.partials[index] = signature
        if (group.session, index) in self._doubted:
            self._drop_wrong(ballot, [index])
        self._try(held, ballot)
        return index not in ballot.wrong

    def _ballot(self, held: HeldRounds, group: Group, number: Round) -> Ballot:
        last_due = held.beacon.last_due(self.clock.unix_ms())
        first, last = last_due - BEHIND_ROUNDS_MAX, last_due + AHEAD_ROUNDS_MAX
        for key in [k for k in self._ballots if not first <= k[0] <= last]:
            del self._ballots[key]
        return self._ballots.setdefault((number, group.session), Ballot(group, number))

    def _try(self, held: HeldRounds, ballot: Ballot) -> None:
        """Combine a ballot if its round is due and it has enough; drop what turns out wrong."""
        number, group = ballot.number, ballot.group
        if held.beacon.due_ms(number) > self.clock.unix_ms():
            return
        while len(ballot.partials) >= group.threshold:
            signature = interpolated(group, ballot.partials) or b""
            with suppress(ProtocolError):
                self._take_made(held, verified(held.beacon, number, signature))
                return
            if not self._drop_wrong(ballot, list(ballot.partials)):
                return

    def _take_made(self, held: HeldRounds, one: BeaconRound) -> None:
        if held.get(one.number) is not None:
            return
        self.made += 1
        held.hold(one)
        try:
            self._fresh[0].send_nowait((one, held))
        except trio.WouldBlock:
            log.warning("made round not published", round=one.number)

    def _drop_wrong(self, ballot: Ballot, indices: Sequence[int]) -> bool:
        """Drop those of the partials that are wrong; tell whether there were any."""
        before = len(ballot.wrong)
        group, message = ballot.group, round_message(ballot.number)
        for index in indices:
            signature = ballot.partials[index]
            if not is_partial(group, Purpose.BEACON, index, message, signature):
                del ballot.partials[index]
                ballot.wrong.add(index)
                self._doubt(group, index)
        return len(ballot.wrong) > before

    def _doubt(self, group: Group, index: int) -> None:
        self.dropped["wrong"] += 1
        self._doubted.add((group.session, index))
        log.warning("wrong partial", governor=group.governors[index].hex()[:8])

    async def publish_made(self) -> None:
        """Gossip and write each round that we combine, until cancelled."""
        async for one, held in self._fresh[1]:
            await self.topic.publish(one, held)
            await self.ledger.add_rounds([one], held)

    # ------------------------------------------------------------------ rounds long due

    async def catch_up(self) -> int:
        """Make rounds that nobody made in time, oldest first; return how many came.

        Nothing is tried before the council makes current rounds again. What some peer has whole is
        taken from it.
        """
        held, now_ms = self.held, self.clock.unix_ms()
        seat = self.seats.at(now_ms)
        if held is None or seat is None or seat.share is None:
            return 0
        settled = Round(held.beacon.last_due(now_ms) - 1)
        if held.latest < settled:
            return 0
        wanted, count = (await self._missing(held, settled))[:GAP_ROUNDS_MAX], 0
        while wanted:
            stretch = first_stretch(wanted)
            found = await self.source.find_many(stretch[0], len(stretch), held)
            found = found or await self._make_stretch(held, seat.share, stretch)
            if not found:
                break
            await self.ledger.add_rounds(found, held)
            count += len(found)
            wanted = held.missing(wanted)
        return count

    async def _missing(self, held: HeldRounds, settled: Round) -> list[Round]:
        missing: list[Round] = []
        for epoch in self.ledger.open_epochs(self.ledger.epoch_of(settled, held)):
            await self.ledger.open(epoch)
            missing += self.ledger.missing_rounds(epoch, settled, held)
        return missing

    async def _make_stretch(
        self, held: HeldRounds, share: GovernorShare, stretch: Sequence[Round]
    ) -> list[BeaconRound]:
        """Make consecutive rounds, with the shares in force now; all of them or none."""
        first, count, group = stretch[0], len(stretch), share.group
        lists = {share.index: await self._sign_all(share, stretch)}
        found = await self._combined(held, group, stretch, lists)
        if found:
            return found
        question, others = self._question(group, first, count), self.council.others(group)
        async with self._answers(group, question, others, timeout_ms=STRETCH_MS_MAX) as answers:
            async for index, signatures in answers:
                lists[index] = signatures
                if (group.session, index) in self._doubted:
                    await self._drop_wrong_lists(group, stretch, lists, [index])
                found = await self._combined(held, group, stretch, lists)
                if found:
                    return found
        return []

    async def _combined(
        self,
        held: HeldRounds,
        group: Group,
        stretch: Sequence[Round],
        lists: dict[int, tuple[bytes, ...]],
    ) -> list[BeaconRound]:
        """Return the rounds that lists of partials make; none if they are too few, or some wrong."""
        while len(lists) >= group.threshold:
            claimed = []
            for i, number in enumerate(stretch):
                partials = {index: listed[i] for index, listed in lists.items()}
                claimed.append((number, interpolated(group, partials) or b""))
                await trio.lowlevel.checkpoint()
            with suppress(ProtocolError):
                return await checked(held.beacon, claimed)
            if not await self._drop_wrong_lists(group, stretch, lists, list(lists)):
                break
        return []

    async def _drop_wrong_lists(
        self,
        group: Group,
        stretch: Sequence[Round],
        lists: dict[int, tuple[bytes, ...]],
        indices: Sequence[int],
    ) -> bool:
        """Drop those of the lists that have a wrong partial; tell whether there were any."""
        before = len(lists)
        messages = [round_message(number) for number in stretch]
        for index in indices:
            signed = list(zip(messages, lists[index], strict=True))
            check = partial(are_partials, group, Purpose.BEACON, index, signed)
            if not await offload(check, members=MEMBERS_PER_ROUND * len(signed)):
                del lists[index]
                self._doubt(group, index)
        return len(lists) < before

    def _question(self, group: Group, first: Round, count: int) -> AskPartials:
        return AskPartials(
            network=self.ledger.network_id, session=group.session, first=first, count=count
        )

    @asynccontextmanager
    async def _answers(
        self, group: Group, question: AskPartials, nodes: Sequence[NodeId], *, timeout_ms: int
    ) -> AsyncGenerator[trio.MemoryReceiveChannel[Answer]]:
        """Ask governors for partials; give what comes, whole answers only, as it comes."""
        into, out = trio.open_memory_channel[Answer](0)

        async def ask(index: int, node: NodeId) -> None:
            try:
                listed = await self.council.ask(node, question, PartialList, timeout_ms=timeout_ms)
            except (Unreachable, ProtocolError) as error:
                log.debug("no partials", governor=node.hex()[:8], error=str(error))
                return
            whole = (question.first, index, question.count)
            if listed and (listed.first, listed.index, len(listed.signatures)) == whole:
                await into.send((index, listed.signatures))

        async def ask_all() -> None:
            async with into, trio.open_nursery() as asking:
                for node in nodes:
                    asking.start_soon(ask, group.governors.index(node), node)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_all)
            yield out
            nursery.cancel_scope.cancel()

    async def give_partials(self, _peer: NodeId, asked: AskPartials) -> PartialList | None:
        """Answer with our partials of due rounds, as many as are wanted and may be signed."""
        now_ms, held, seat = self.clock.unix_ms(), self.held, self.seats.of(asked.session)
        if held is None or seat is None or seat.share is None or asked.first < 1:
            return None
        last = min(held.beacon.last_due(now_ms), asked.first + min(asked.count, PARTIALS_MAX) - 1)
        numbers = map(Round, range(asked.first, last + 1))
        # Older shares never sign what fell due after them; those in force now may sign for earlier.
        in_force = self.seats.at(now_ms)
        due = [n for n in numbers if seat in (in_force, self.seats.at(held.beacon.due_ms(n)))]
        signatures = await self._sign_all(seat.share, due)
        return PartialList(first=asked.first, index=seat.share.index, signatures=signatures)

    async def _sign_all(self, share: GovernorShare, numbers: Sequence[Round]) -> tuple[bytes, ...]:
        signatures = []
        for number in numbers:
            # In turn with what others ask for, so that long lists hold up no short one.
            async with self._signing:
                signatures.append(self._sign(share, number))
        return tuple(signatures)

    def _sign(self, share: GovernorShare, number: Round) -> bytes:
        key = (share.group.session, number)
        signature = self._own.get(key)
        if signature is None:
            signature = partial_sign(share, Purpose.BEACON, round_message(number))
            self._own[key] = signature
            if len(self._own) > PARTIALS_KEPT_MAX:
                self._own.popitem(last=False)
        return signature


def _place_of(node: NodeId, group: Group) -> int | None:
    return group.governors.index(node) if node in group.governors else None


def first_stretch(numbers: Sequence[Round]) -> list[Round]:
    """Return the first of these rising numbers and those that follow it without a gap.

    Args:
        numbers: At least one.
    """
    first = numbers[0]
    return [n for i, n in enumerate(numbers[:STRETCH_ROUNDS_MAX]) if n == first + i]


async def run_round_maker(maker: RoundMaker) -> None:
    """Make the council's rounds as they fall due, and the missing ones after, until cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(maker.publish_made)
        nursery.start_soon(_catch_up_forever, maker)
        last = Round(0)
        while True:
            held = maker.held
            if held is None:
                await trio.sleep(maker.ledger.params.period_ms / 1000)
                continue
            # A clock that was ahead for a moment must not silence us until then; what is held is not
            # made again.
            last = await next_due(held.beacon, maker.clock, last, may_go_back=True)
            nursery.start_soon(maker.make, held, last, nursery)


async def _catch_up_forever(maker: RoundMaker) -> None:
    while True:
        count = await maker.catch_up()
        if count:
            log.info("caught up with rounds", count=count)
        await trio.sleep(maker.ledger.params.period_ms / 1000)


class LedgerRounds:
    """The rounds of one beacon that a node holds or has stored, for whoever serves them.

    Implements `adapters.drand_server.RoundBook`.
    """

    def __init__(self, ledger: Ledger, held: HeldRounds, clock: WallClock) -> None:
        """Bind the rounds.

        Args:
            ledger: The node's.
            held: Of which beacon: `ledger.rounds` or `ledger.mixed`.
            clock: Rounds that are early by it are not shown.
        """
        self._ledger = ledger
        self._held = held
        self._clock = clock

    def latest(self) -> Round:
        """Return the highest round that we hold and that is due; 0 before the first."""
        return min(self._held.latest, self._held.beacon.last_due(self._clock.unix_ms()))

    async def get(self, number: Round) -> bytes | None:
        """Return a round's signature, `None` if we lack it, or it is not due."""
        if not 1 <= number <= self.latest():
            return None
        found = await self._ledger.rounds_from(number, 1, self._held)
        return found[0].signature if found else None

    async def wait(self, number: Round) -> None:
        """Return once a round of this number or a higher one is held and due."""
        await self._held.until_latest(number)
        await next_due(self._held.beacon, self._clock, Round(number - 1))
