"""The rounds of one beacon in a node's memory, and a bell for whoever waits for one.

A round may come from a topic, a peer, an auditor's question, or be made by the node itself; whoever
needs it waits here and learns of it in the same instant. One that is held is verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import trio

from stkrp2p.core.beacon import Beacon, BeaconRound
from stkrp2p.core.types import Round


class HeldRounds:
    """The rounds held of one beacon.

    Attributes:
        beacon: Whose they are.
        is_mixed: Whether it is the second beacon, the one mixed into seeds.
        by_number: The rounds.
        latest: The highest number ever held; 0 before the first.
    """

    def __init__(self, beacon: Beacon, *, is_mixed: bool = False) -> None:
        """Start without rounds."""
        self.beacon = beacon
        self.is_mixed = is_mixed
        self.by_number: dict[Round, BeaconRound] = {}
        self.latest = Round(0)
        self._unwritten: set[Round] = set()
        self._came = trio.Event()

    def get(self, number: Round) -> BeaconRound | None:
        """Return a round, if it is held."""
        return self.by_number.get(number)

    def missing(self, numbers: Iterable[int]) -> list[Round]:
        """Return those of these numbers whose rounds are not held."""
        return [Round(n) for n in numbers if n not in self.by_number]

    def hold(self, one: BeaconRound, *, is_stored: bool = False) -> None:
        """Take a verified round in, and wake who waits for it.

        Args:
            one: The round.
            is_stored: Whether it comes from the store and need not be written.
        """
        if one.number in self.by_number:
            return
        self.by_number[one.number] = one
        self.latest = max(self.latest, one.number)
        if not is_stored:
            self._unwritten.add(one.number)
        came, self._came = self._came, trio.Event()
        came.set()

    def take_unwritten(self, rounds: Sequence[BeaconRound]) -> list[BeaconRound]:
        """Return those of these rounds that nobody has begun to write; the caller will."""
        fresh = [r for r in rounds if r.number in self._unwritten]
        self._unwritten -= {r.number for r in fresh}
        return fresh

    async def until(self, number: Round) -> BeaconRound:
        """Return a round as soon as it is held."""
        while number not in self.by_number:
            await self._came.wait()
        return self.by_number[number]

    async def until_latest(self, number: Round) -> None:
        """Return as soon as a round of this number or a higher one was held."""
        while self.latest < number:
            await self._came.wait()

    def forget(self, is_wanted: Callable[[Round], bool]) -> None:
        """Drop all rounds that are not wanted."""
        for number in [n for n in self.by_number if not is_wanted(n)]:
            del self.by_number[number]
            self._unwritten.discard(number)
