"""From beacon rounds to an epoch's view, a round at a time.

An epoch of 1,200 rounds and 10,000 members has twelve million draws. So each round is drawn when it
comes, and a complete view only collects what was found.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from stkrp2p.core.assignment import Assignment, draw_of, seed_of
from stkrp2p.core.batch import EpochView, drawn_rounds
from stkrp2p.core.beacon import BeaconRound
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import Params
from stkrp2p.core.roster import Roster
from stkrp2p.core.types import Digest, Epoch, NodeId, Round
from stkrp2p.ports import History


def epoch_seed(
    genesis: Genesis,
    epoch: Epoch,
    roster: Roster,
    first: BeaconRound | None,
    mixed: BeaconRound | None,
) -> Digest | None:
    """Return an epoch's seed, or `None` as long as a round that it needs is unknown.

    Args:
        genesis: The network's.
        epoch: Which one.
        roster: Its roster.
        first: The epoch's first round.
        mixed: The second beacon's round, `Genesis.mixed_round`; `None` without a second beacon.
    """
    if first is None or (genesis.mixed is not None and mixed is None):
        return None
    return seed_of(
        genesis.network_id,
        epoch,
        first.randomness,
        roster.root,
        mixed=None if mixed is None else mixed.randomness,
    )


def build_view(
    genesis: Genesis,
    roster: Roster,
    rounds: Mapping[Round, BeaconRound],
    epoch: Epoch,
    mixed: BeaconRound | None = None,
) -> EpochView | None:
    """Return an epoch's view, or `None` as long as a round that it needs is unknown.

    Args:
        genesis: The network's.
        roster: The epoch's.
        rounds: Those of the epoch that are known.
        epoch: Which one.
        mixed: The second beacon's round that its seed needs, if there is a second beacon.
    """
    numbers = [Round(r) for r in genesis.clock.rounds(epoch)]
    seed = epoch_seed(genesis, epoch, roster, rounds.get(numbers[0]), mixed)
    if seed is None or any(r not in rounds for r in numbers):
        return None
    randomness = {r: rounds[r].randomness for r in numbers}
    return EpochView(
        network=genesis.network_id,
        epoch=epoch,
        seed=seed,
        roster=roster,
        params=genesis.params,
        drawn=drawn_rounds((m.node for m in roster.full), randomness, genesis.params),
    )


async def mixed_round_of(genesis: Genesis, store: History, epoch: Epoch) -> BeaconRound | None:
    """Return the stored round of the second beacon that an epoch's seed needs, if there is one."""
    if genesis.mixed is None:
        return None
    number = genesis.mixed_round(epoch)
    return next(iter(await store.mixed_rounds(number, number)), None)


class Draws:
    """Who of one roster was drawn in which round, as far as it was computed."""

    def __init__(self, roster: Roster) -> None:
        """Start without rounds."""
        self.roster = roster
        self._by_round: dict[Round, tuple[NodeId, ...]] = {}

    def missing(self, rounds: Collection[BeaconRound]) -> list[BeaconRound]:
        """Return those of these rounds that were not drawn yet."""
        return [r for r in rounds if r.number not in self._by_round]

    def draw(self, rounds: Collection[BeaconRound], params: Params) -> None:
        """Find out who is drawn in these rounds."""
        nodes = [m.node for m in self.roster.full]
        for one in rounds:
            is_drawn = draw_of(one.randomness, params.draw_ppm)
            self._by_round[one.number] = tuple(filter(is_drawn, nodes))

    def rounds_of_all(self) -> dict[NodeId, tuple[Round, ...]]:
        """Return the rounds each full member is drawn in, in order."""
        drawn: dict[NodeId, list[Round]] = {m.node: [] for m in self.roster.full}
        for number in sorted(self._by_round):
            for node in self._by_round[number]:
                drawn[node].append(number)
        return {node: tuple(rounds) for node, rounds in drawn.items()}

    def view(
        self, genesis: Genesis, epoch: Epoch, seed: Digest, assignment: Assignment
    ) -> EpochView:
        """Return the view of an epoch whose rounds were all drawn.

        Args:
            genesis: The network's.
            epoch: Which one.
            seed: Its seed.
            assignment: That follows from the seed; the view shares what it has found already.
        """
        view = EpochView(
            network=genesis.network_id,
            epoch=epoch,
            seed=seed,
            roster=self.roster,
            params=genesis.params,
            drawn=self.rounds_of_all(),
        )
        view.assignment = assignment
        view.prepare()
        return view
