"""A market on a running network, from the first vote to a failed provider's last payment.

    the council takes its seats and lets three providers in            (`market_rule`)
    deal one: quote, three sealed bids, the draw, work, the split      (`market_trade`, `market_ends`)
    deal two: the same, but whoever is drawn loses its node            (`market_ends`)
    every party's money, to the wei                                    (`market_money`)

All waiting is for the chain, so a slow machine only takes longer. What can wait together does:
governors vote while the first epoch is anchored, deal two's bids are sealed in deal one's review, and
deal one's money is fetched while deal two waits for its round.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import trio
from rich.console import Console  # noqa: TC002 - as everywhere else

from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import Epoch
from testnet.cluster import Cluster, running
from testnet.finding import Finding
from testnet.market_cast import casting
from testnet.market_ends import Failure, complete, earn, fail, refuse
from testnet.market_money import collect_all, compared, gained, purses, total
from testnet.market_plan import FAILING_LENGTH_S, LENGTH_S, PLAN, VALUES, market_plan
from testnet.market_rule import bind_nodes, open_market
from testnet.market_scene import Scene
from testnet.market_trade import ask_quote, draw, open_auction, open_bids, seal_bids, start
from testnet.story import point_latest_at

CHECK_S = 1.0
"""How often it is looked whether a process ended that should run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a story came to."""

    findings: tuple[Finding, ...]
    duration_s: float
    """Of all of it, starting the network included and ending it not."""

    detection_s: float
    """From the kill of a provider's node until its failure was on chain (Q15)."""


async def tell_market(folder: Path, console: Console, *, keep: bool, story_s_max: float) -> Told:
    """Start a network with a market, tell its story, and return what held.

    Args:
        folder: Where everything lands; made.
        console: Where the story is told.
        keep: Leave the network running.
        story_s_max: How long it may take once the network runs.

    Raises:
        ClusterFailed: It did not start, or a process ended by itself.
        ChainUnavailable: A step of the story was refused, or the chain failed.
        trio.TooSlowError: It took longer than `story_s_max`.
    """
    point_latest_at(folder)
    began_s = time.monotonic()

    def say(line: str) -> None:
        console.print(line, markup=False)

    async with running(PLAN, folder, say, keep=keep, market=market_plan) as cluster:
        say(f"files      {folder}\n")
        with trio.fail_after(story_s_max):
            async with casting(cluster) as cast, trio.open_nursery() as nursery:
                nursery.start_soon(_watch, cluster)
                scene = Scene(cluster=cluster, cast=cast, say=say, began_s=began_s)
                detection_s = await _play(scene)
                duration_s = time.monotonic() - began_s
                nursery.cancel_scope.cancel()
    return Told(findings=tuple(scene.findings), duration_s=duration_s, detection_s=detection_s)


async def _watch(cluster: Cluster) -> None:
    while True:
        cluster.check()
        await trio.sleep(CHECK_S)


async def _play(scene: Scene) -> float:
    """Play all; return how long the failure took to be on chain, in seconds."""
    await open_market(scene)
    had = await purses(scene)
    quote = await ask_quote(scene, LENGTH_S)
    await bind_nodes(scene)

    one = await open_auction(scene, LENGTH_S, quote)
    await seal_bids(scene, one)
    await open_bids(scene, one)
    provider = await draw(scene, one)
    await start(scene, one, provider)
    await earn(scene, one)
    two = await _open_second(scene, one)
    gains = await complete(scene, one, provider)
    failure = await _fail_second(scene, one, two)

    scene.findings.append(
        compared(
            "over both deals everybody has, to the wei, what it should, and the contracts keep nothing",
            gained(await purses(scene), had),
            total(gains, failure.gains),
        )
    )
    await _judge_epochs(scene)
    return failure.detection_s


async def _open_second(scene: Scene, one: int) -> int:
    """Open deal two, and let all bid, so late in deal one's review that its node is free again."""
    completable_at = await scene.cast.anybody.chain.deals.completable_at(one)
    await scene.wait_until(completable_at - VALUES[Parameter.COMMIT_S])
    quote = await ask_quote(scene, FAILING_LENGTH_S)
    two = await open_auction(scene, FAILING_LENGTH_S, quote)
    await seal_bids(scene, two)
    return two


async def _fail_second(scene: Scene, one: int, two: int) -> Failure:
    """Draw deal two's provider, kill its node, let it pay, and refuse its next bid."""
    await open_bids(scene, two)
    await collect_all(scene, one)
    provider = await draw(scene, two)
    record = await start(scene, two, provider)
    failure = await fail(scene, record, two, provider)
    await refuse(scene, provider)
    await collect_all(scene, two)
    return failure


async def _judge_epochs(scene: Scene) -> None:
    headers = [r.header for r in await scene.cluster.chain.anchors(Epoch(0))]
    void = [str(h.epoch) for h in headers if h.is_void]
    scene.find(
        "every epoch is anchored in order, and one dead node of six voids none",
        f"{len(headers)} epochs, void: {', '.join(void) or 'none'}",
        held=[h.epoch for h in headers] == list(range(len(headers))) and not void,
    )
