"""Fetch beacon rounds as they fall due, verify them, and pass the current one on.

Nobody draws from a round that does not verify. A late round is waited for, never replaced: when the
sources fail, the service asks peers, and fills the gaps of open epochs when it can. A round that
comes another way meanwhile, by gossip or made by the council this node sits in, ends the search in
the same instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
import trio

from stkrp2p.core.beacon import Beacon, BeaconRound, verified, verified_many
from stkrp2p.core.reconcile import (
    ROUNDS_MAX,
    SYNC_PROTOCOL,
    AskMixed,
    AskRounds,
    RoundList,
)
from stkrp2p.core.types import NodeId, ProtocolError, Round
from stkrp2p.core.wire import ANSWER_BYTES_MAX, decode, encode
from stkrp2p.ports import Beacons, BeaconUnavailable, Entropy, Network, Unreachable, WallClock
from stkrp2p.services.held import HeldRounds
from stkrp2p.services.ledger import Ledger
from stkrp2p.services.offload import offload

log = structlog.get_logger()

PEERS_ASKED_MAX = 3
"""Peers asked for missing rounds before the sources are tried again."""

ASK_MS_MAX = 3_000
"""Time a peer has to answer."""

SOURCE_PARTS = 2
"""A source that gives nothing for this part of a period is doubted: peers are asked as well."""

HEARD_PARTS = 3
"""A round that is not heard within this part of a period is asked for."""

RETRY_PARTS = 10
"""A round that nobody has yet is asked for again after this part of a period."""

GAP_ROUNDS_MAX = 4 * ROUNDS_MAX
"""Missing past rounds fetched in one pass."""

LATE_KEPT_MAX = 128
"""Rounds of which is remembered how late they came."""

MEMBERS_PER_ROUND = 2
"""A round checked among many costs as much as so many members do in `offload`."""


@dataclass(slots=True)
class BeaconState:
    """How the beacon does, for `status`."""

    last_round: int = 0
    detail: str = "no round yet"
    rejected: int = 0
    """Rounds that did not verify."""

    late_ms: dict[Round, int] = field(default_factory=dict)
    """How long after they were due the last rounds were here, verified; none that the next overtook."""

    def note(self, number: Round, late_ms: int) -> None:
        """Remember when a round came."""
        self.late_ms[number] = late_ms
        if len(self.late_ms) > LATE_KEPT_MAX:
            del self.late_ms[next(iter(self.late_ms))]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A current round, verified, and when it came by trio's clock."""

    round: BeaconRound
    at: float


class HeardRounds:
    """Implements `ports.Beacons` where gossip is the only source: waits to hear a round."""

    def __init__(self, held: HeldRounds, clock: WallClock) -> None:
        """Bind the ports.

        Args:
            held: Where the rounds go that are heard.
            clock: For when a round is due.
        """
        self._held = held
        self._clock = clock

    async def fetch(self, number: Round) -> bytes:
        """Return a round's signature as soon as it is heard.

        Raises:
            BeaconUnavailable: Its time is over by more than a part of a period.
        """
        beacon = self._held.beacon
        until_ms = beacon.due_ms(number) + beacon.period_ms // HEARD_PARTS
        with trio.move_on_after(max(0, until_ms - self._clock.unix_ms()) / 1000):
            return (await self._held.until(number)).signature
        raise BeaconUnavailable(f"round {number} was not heard")


class RoundSource:
    """Finds a verified round: from the configured sources first, then from peers."""

    def __init__(
        self, ledger: Ledger, beacons: Beacons, network: Network, entropy: Entropy
    ) -> None:
        """Bind the ports."""
        self._ledger = ledger
        self._beacons = beacons
        self._network = network
        self._entropy = entropy
        self.state = BeaconState()

    async def find(self, number: Round) -> BeaconRound | None:
        """Return a verified round, or `None` if neither sources nor peers have it now.

        A source that hangs delays the question to peers by a part of a period, no more.
        """
        beacon = self._ledger.genesis.beacon
        try:
            with trio.move_on_after(beacon.period_ms / SOURCE_PARTS / 1000):
                signature = await self._beacons.fetch(number)
                return self._ledger.round(number) or verified(beacon, number, signature)
            self.state.detail = "the source hangs"
        except BeaconUnavailable as error:
            self.state.detail = str(error)
        except ProtocolError as error:
            self.state.rejected += 1
            self.state.detail = f"refused a forged round: {error}"
        found = await self.find_many(number, 1)
        return found[0] if found else None

    async def find_many(
        self, first: Round, count: int, held: HeldRounds | None = None
    ) -> list[BeaconRound]:
        """Return verified rounds from `first` on that some peer re-serves, in order.

        Args:
            first: Number of the first one.
            count: How many are wanted.
            held: Of which beacon; the one that epochs go by if not given.
        """
        for node in self._some_peers():
            try:
                found = await self._ask(node, first, count, held or self._ledger.rounds)
            except Unreachable as error:
                log.debug("no rounds from peer", peer=node.hex()[:8], error=str(error))
            except ProtocolError as error:
                self.state.rejected += 1
                log.info("false rounds from peer", peer=node.hex()[:8], error=str(error))
            else:
                if found:
                    return found
        return []

    async def _ask(
        self, node: NodeId, first: Round, count: int, held: HeldRounds
    ) -> list[BeaconRound]:
        kind = AskMixed if held.is_mixed else AskRounds
        question = kind(network=self._ledger.network_id, first=first, count=min(count, ROUNDS_MAX))
        answer = await self._network.ask(
            node,
            SYNC_PROTOCOL,
            encode(question),
            timeout_ms=ASK_MS_MAX,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )
        if not answer:
            return []
        listed = decode(answer, RoundList, bytes_max=ANSWER_BYTES_MAX)
        if listed.first != first:
            raise ProtocolError("other-rounds")
        signatures = listed.signatures[:count]
        return await checked(held.beacon, [(Round(first + i), s) for i, s in enumerate(signatures)])

    def _some_peers(self) -> list[NodeId]:
        nodes = [p.node for p in self._network.peers()]
        picked: list[NodeId] = []
        while nodes and len(picked) < PEERS_ASKED_MAX:
            picked.append(nodes.pop(self._entropy.below(len(nodes))))
        return picked


async def checked(beacon: Beacon, rounds: Sequence[tuple[Round, bytes]]) -> list[BeaconRound]:
    """Return rounds, all checked at once; many of them in a worker thread.

    Raises:
        ProtocolError: `bad-round`: one of them is not the beacon's.
    """
    work = partial(verified_many, beacon, rounds)
    return await offload(work, members=MEMBERS_PER_ROUND * len(rounds))


async def next_due(
    beacon: Beacon, clock: WallClock, last: Round, *, may_go_back: bool = False
) -> Round:
    """Return the last round due, as soon as it is one after `last`, and never earlier.

    Args:
        beacon: Whose rounds.
        clock: Wall clock, asked anew at least once a period. Setting it back repeats no round.
        last: The round that was returned before; 0 for none.
        may_go_back: Return one before `last` too, once the clock says so.
    """
    while True:
        now_ms = clock.unix_ms()
        current = beacon.last_due(now_ms)
        if current > last or (may_go_back and 0 < current < last):
            return current
        wait_ms = beacon.due_ms(Round(current + 1)) - now_ms
        await trio.sleep(min(max(wait_ms, 1), beacon.period_ms) / 1000)


async def run_rounds(
    source: RoundSource,
    ledger: Ledger,
    clock: WallClock,
    arrivals: trio.MemorySendChannel[Arrival],
) -> None:
    """Find each round as it falls due, until cancelled.

    A round is looked for until the next one is due. One that comes later is kept for its epoch's
    view but not passed on: its challenge is long public. A reader that falls behind misses rounds;
    the drop is logged.

    Args:
        source: Where rounds come from that nobody brings.
        ledger: Where they are kept.
        clock: Wall clock, asked anew for every round. Setting it back repeats no round.
        arrivals: Where current rounds go. Closed on exit.
    """
    async with arrivals:
        last = Round(0)
        while True:
            last = await next_due(ledger.genesis.beacon, clock, last)
            if last >= ledger.clock.first_round:
                await _take_current(source, ledger, clock, last, arrivals)


async def _take_current(
    source: RoundSource,
    ledger: Ledger,
    clock: WallClock,
    number: Round,
    arrivals: trio.MemorySendChannel[Arrival],
) -> None:
    found = await _look_for(source, ledger, clock, number)
    if found is None:
        return
    source.state.note(number, clock.unix_ms() - ledger.genesis.beacon.due_ms(number))
    await _until_seeded(ledger, number)
    try:
        arrivals.send_nowait(Arrival(found, trio.current_time()))
    except trio.WouldBlock:
        log.warning("round dropped", round=number)
    source.state.last_round = max(source.state.last_round, number)
    source.state.detail = "ok"
    await ledger.add_rounds([found])


async def _until_seeded(ledger: Ledger, number: Round) -> None:
    """Wait a little for an epoch's round of the second beacon: without it nobody can be audited.

    As long as this round's audits still end before the next round is due, and no longer.
    """
    epoch, params = ledger.clock.epoch_of(number), ledger.params
    if ledger.mixed is not None and ledger.assignment(epoch) is None:
        with trio.move_on_after(max(0, params.period_ms - params.probe_window_ms) / 1000):
            await ledger.mixed.until(ledger.genesis.mixed_round(epoch))


async def _look_for(
    source: RoundSource, ledger: Ledger, clock: WallClock, number: Round
) -> BeaconRound | None:
    """Return a round as soon as it is held, looking for it meanwhile; `None` when the next is due."""
    beacon, found = ledger.genesis.beacon, ledger.round(number)
    left_ms = beacon.due_ms(Round(number + 1)) - clock.unix_ms()

    async def look() -> None:
        while True:
            one = await source.find(number)
            if one is not None:
                ledger.hold_round(one)
                return
            await trio.sleep(beacon.period_ms / RETRY_PARTS / 1000)

    with trio.move_on_after(max(0, left_ms) / 1000):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            found = await ledger.rounds.until(number)
            nursery.cancel_scope.cancel()
    return found


async def run_mixed_rounds(source: RoundSource, ledger: Ledger, clock: WallClock) -> None:
    """Ask peers for a seed's round of the second beacon that is not heard in time, until cancelled.

    Returns at once if the network has no second beacon. What is missed here comes with the gaps.
    """
    held, last = ledger.mixed, Round(0)
    while held is not None:
        beacon = held.beacon
        last = await next_due(beacon, clock, last)
        if last != ledger.genesis.mixed_round(ledger.epoch_of(last, held)):
            continue
        left_ms = beacon.due_ms(Round(last + 1)) - clock.unix_ms()
        with trio.move_on_after(max(0, left_ms) / 1000):
            with trio.move_on_after(beacon.period_ms / HEARD_PARTS / 1000):
                await held.until(last)
            while held.get(last) is None:
                await ledger.add_rounds(await source.find_many(last, 1, held), held)
                await trio.sleep(beacon.period_ms / RETRY_PARTS / 1000)


async def run_gap_filler(source: RoundSource, ledger: Ledger, clock: WallClock) -> None:
    """Fetch the missing rounds of open epochs, oldest first, until cancelled."""
    beacon = ledger.genesis.beacon
    while True:
        for held in ledger.all_held():
            # The round just due is still on its way to everybody.
            settled = Round(held.beacon.last_due(clock.unix_ms()) - 1)
            current = ledger.epoch_of(settled, held)
            for epoch in ledger.open_epochs(current):
                await ledger.open(epoch)
                missing = ledger.needed_rounds(epoch, settled, held)
                if missing and not await _fill(source, ledger, held, missing):
                    break
        await trio.sleep(beacon.period_ms / 1000)


async def _fill(
    source: RoundSource, ledger: Ledger, held: HeldRounds, missing: list[Round]
) -> bool:
    """Fetch missing rounds of one epoch; tell whether all of them came."""
    wanted = set(missing[:GAP_ROUNDS_MAX])
    while wanted:
        first = min(wanted)
        found = await source.find_many(first, len(wanted), held)
        if not found and not held.is_mixed:
            one = await source.find(first)
            found = [one] if one else []
        if not found:
            return False
        await ledger.add_rounds(found, held)
        wanted -= {r.number for r in found}
    return True
