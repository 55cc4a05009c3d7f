"""How an auditor asks: retries before blame, in virtual time."""

from __future__ import annotations

import pytest
import trio

from stkrp2p.core.types import Epoch, NodeId, Outcome, Round
from testnet.sim import SimNetwork, SimWorkload
from tests.sim.kit import simulate


class SlowWorkload(SimWorkload):
    """Answers rightly, but takes its time."""

    delay_s = 0.0

    async def answer(self, challenge: bytes) -> bytes:
        await trio.sleep(self.delay_s)
        return await super().answer(challenge)


async def outcomes_of(network: SimNetwork, target: NodeId) -> set[Outcome]:
    """Return what everybody saw of a target in epoch 0."""
    clock = network.genesis.clock
    first, last = Round(clock.first(Epoch(0))), Round(clock.last(Epoch(0)))
    seen = [o for m in network.nodes for o in await m.store.observations(first, last)]
    return {o.outcome for o in seen if o.target == target}


@pytest.mark.parametrize(
    ("delay_s", "expected"),
    [
        (0.0, {Outcome.OK}),
        (0.5, {Outcome.SLOW}),  # later than a third of the window: the first question is answered
        (2.0, {Outcome.UNREACHABLE}),
    ],
)
def test_an_answer_counts_whichever_question_of_the_window_it_is_to(
    delay_s: float, expected: set[Outcome]
) -> None:
    def prepare(network: SimNetwork) -> None:
        network.nodes[3].workload = SlowWorkload()
        network.nodes[3].workload.delay_s = delay_s

    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        seen = await outcomes_of(network, network.nodes[3].id)
        assert seen == expected

    simulate(3, story, prepare=prepare)
