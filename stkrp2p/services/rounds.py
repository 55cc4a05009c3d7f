"""Fetch beacon rounds as they fall due, verify them, and pass the current one on.

Nobody draws from a round that does not verify. A late round is waited for, never replaced: when the
sources fail, the service asks peers, and fills the gaps of open epochs when it can.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
import trio

from stkrp2p.core.beacon import BeaconRound, verified
from stkrp2p.core.reconcile import (
    ROUNDS_MAX,
    SYNC_PROTOCOL,
    AskRounds,
    RoundList,
)
from stkrp2p.core.types import NodeId, ProtocolError, Round
from stkrp2p.core.wire import ANSWER_BYTES_MAX, decode, encode
from stkrp2p.ports import Beacons, BeaconUnavailable, Entropy, Network, Unreachable, WallClock
from stkrp2p.services.ledger import Ledger

log = structlog.get_logger()

PEERS_ASKED_MAX = 3
"""Peers asked for missing rounds before the sources are tried again."""

ASK_MS_MAX = 3_000
"""Time a peer has to answer."""

SOURCE_PARTS = 2
"""A source that gives nothing for this part of a period is doubted: peers are asked as well."""

RETRY_PARTS = 10
"""A round that nobody has yet is asked for again after this part of a period."""

GAP_ROUNDS_MAX = 4 * ROUNDS_MAX
"""Missing past rounds fetched in one pass."""


@dataclass(slots=True)
class BeaconState:
    """How the beacon does, for `status`."""

    last_round: int = 0
    detail: str = "no round yet"
    rejected: int = 0
    """Rounds that did not verify."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A current round, verified, and when it came by trio's clock."""

    round: BeaconRound
    at: float


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
                return verified(beacon, number, await self._beacons.fetch(number))
            self.state.detail = "the source hangs"
        except BeaconUnavailable as error:
            self.state.detail = str(error)
        except ProtocolError as error:
            self.state.rejected += 1
            self.state.detail = f"refused a forged round: {error}"
        found = await self.find_many(number, 1)
        return found[0] if found else None

    async def find_many(self, first: Round, count: int) -> list[BeaconRound]:
        """Return verified rounds from `first` on that some peer re-serves, in order."""
        for node in self._some_peers():
            try:
                found = await self._ask(node, first, count)
            except Unreachable as error:
                log.debug("no rounds from peer", peer=node.hex()[:8], error=str(error))
            except ProtocolError as error:
                self.state.rejected += 1
                log.info("false rounds from peer", peer=node.hex()[:8], error=str(error))
            else:
                if found:
                    return found
        return []

    async def _ask(self, node: NodeId, first: Round, count: int) -> list[BeaconRound]:
        question = AskRounds(
            network=self._ledger.network_id, first=first, count=min(count, ROUNDS_MAX)
        )
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
        rounds = []
        for i, signature in enumerate(listed.signatures[:count]):
            rounds.append(verified(self._ledger.genesis.beacon, Round(first + i), signature))
            await trio.lowlevel.checkpoint()
        return rounds

    def _some_peers(self) -> list[NodeId]:
        nodes = [p.node for p in self._network.peers()]
        picked: list[NodeId] = []
        while nodes and len(picked) < PEERS_ASKED_MAX:
            picked.append(nodes.pop(self._entropy.below(len(nodes))))
        return picked


async def run_rounds(
    source: RoundSource,
    ledger: Ledger,
    clock: WallClock,
    arrivals: trio.MemorySendChannel[Arrival],
) -> None:
    """Fetch each round as it falls due, until cancelled.

    A round is looked for until the next one is due. One that comes later is kept for its epoch's
    view but not passed on: its challenge is long public. A reader that falls behind misses rounds;
    the drop is logged.

    Args:
        source: Where rounds come from.
        ledger: Where they are kept.
        clock: Wall clock, asked anew for every round. Setting it back repeats no round.
        arrivals: Where current rounds go. Closed on exit.
    """
    beacon = ledger.genesis.beacon
    async with arrivals:
        last = Round(0)
        while True:
            now_ms = clock.unix_ms()
            current = beacon.last_due(now_ms)
            if current <= last:
                wait_ms = beacon.due_ms(Round(max(current, last) + 1)) - now_ms
                await trio.sleep(min(max(wait_ms, 1), beacon.period_ms) / 1000)
                continue
            last = current
            if current >= ledger.clock.first_round:
                await _take_current(source, ledger, clock, current, arrivals)


async def _take_current(
    source: RoundSource,
    ledger: Ledger,
    clock: WallClock,
    number: Round,
    arrivals: trio.MemorySendChannel[Arrival],
) -> None:
    beacon = ledger.genesis.beacon
    left_ms = beacon.due_ms(Round(number + 1)) - clock.unix_ms()
    found = ledger.round(number)
    with trio.move_on_after(max(0, left_ms) / 1000):
        while found is None:
            found = await source.find(number)
            if found is None:
                await trio.sleep(beacon.period_ms / RETRY_PARTS / 1000)
    if found is None:
        return
    ledger.hold_round(found)
    try:
        arrivals.send_nowait(Arrival(found, trio.current_time()))
    except trio.WouldBlock:
        log.warning("round dropped", round=number)
    source.state.last_round = max(source.state.last_round, number)
    source.state.detail = "ok"
    await ledger.add_rounds([found])


async def run_gap_filler(source: RoundSource, ledger: Ledger, clock: WallClock) -> None:
    """Fetch the missing rounds of open epochs, oldest first, until cancelled."""
    beacon = ledger.genesis.beacon
    while True:
        # The round just due is still on its way to everybody.
        settled = Round(beacon.last_due(clock.unix_ms()) - 1)
        current = ledger.clock.epoch_of(settled)
        for epoch in ledger.open_epochs(current):
            await ledger.open(epoch)
            missing = ledger.missing_rounds(epoch, settled)
            if missing and not await _fill(source, ledger, missing):
                break
        await trio.sleep(beacon.period_ms / 1000)


async def _fill(source: RoundSource, ledger: Ledger, missing: list[Round]) -> bool:
    """Fetch missing rounds of one epoch; tell whether all of them came."""
    wanted = set(missing[:GAP_ROUNDS_MAX])
    while wanted:
        first = min(wanted)
        found = await source.find_many(first, len(wanted))
        if not found:
            one = await source.find(first)
            found = [one] if one else []
        if not found:
            return False
        await ledger.add_rounds(found)
        wanted -= {r.number for r in found}
    return True
