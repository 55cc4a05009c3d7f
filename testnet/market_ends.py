"""How the story's deals end: the first in its split, the second in its provider's failure."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from functools import partial

from stkrp2p.adapters.chain.rule import Rejected, reason_of
from stkrp2p.adapters.chain.rule.deals import DealRecord, State as DealState
from stkrp2p.adapters.chain.rule.proofs import ProvedScore
from stkrp2p.cli.output import percent
from stkrp2p.core.score import State
from stkrp2p.core.types import Epoch, NodeId
from testnet.market_amounts import ankr, eth
from testnet.market_cast import Provider
from testnet.market_money import (
    Sums,
    compared,
    completed_credits,
    completed_gains,
    cover_of,
    credits_of,
    failed_credits,
    failed_gains,
    gained,
    split_of,
)
from testnet.market_plan import LENGTH_S, PROFIT_ANKR, PROFIT_ETH
from testnet.market_scene import Scene
from testnet.market_trade import ask_quote, open_auction, seal_bid
from testnet.plan import Role

REFUSED_RULE = "NotEligible"
"""How the market refuses a bid of who is disqualified."""


# ------------------------------------------------------------------------------- all goes well


async def earn(scene: Scene, deal: int) -> None:
    """Let the running project bring something."""
    anybody = scene.cast.anybody
    add = partial(anybody.chain.deals.add_profit, deal, ankr_wei=PROFIT_ANKR, eth_wei=PROFIT_ETH)
    await anybody.do(add)
    scene.tell("deals", f"deal {deal} brings {ankr(PROFIT_ANKR)} and {eth(PROFIT_ETH)}")


async def complete(scene: Scene, deal: int, provider: Provider) -> Sums:
    """Settle a project after its review (R55); return what it brings everybody in the end."""
    anybody = scene.cast.anybody
    await scene.wait_until(await anybody.chain.deals.completable_at(deal))
    before = await credits_of(scene)
    price = await anybody.chain.prices.ankr_per_eth()
    await anybody.do(partial(anybody.chain.deals.complete, deal))
    record = await anybody.chain.deals.deal(deal)
    to = split_of(record, price)
    scene.tell("deals", f"deal {deal} is settled: {provider.name} gets {ankr(to.provider_ankr)},")
    pools = f"the pools {ankr(to.reward_ankr)} and {ankr(to.insurance_ankr)}"
    scene.tell("", f"{pools}, the requester {ankr(to.requester_ankr)}")
    scene.findings.append(
        compared(
            f"deal {deal}: its money is split as the core computes it, to the wei",
            gained(await credits_of(scene), before),
            completed_credits(record, provider.name, to),
        )
    )
    return completed_gains(record, provider.name, to)


# ------------------------------------------------------------------------------- the provider fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How deal two failed."""

    gains: Sums
    """What it brings everybody in the end."""

    detection_s: float
    """From the kill until the failure was on chain."""


def kill(scene: Scene, provider: Provider) -> float:
    """Kill a provider's node with -9; return when, in monotonic seconds."""
    scene.cluster.signal_node(provider.member, signal.SIGKILL)
    provider.member.entry.role = Role.DOWN
    scene.cluster.manifest.save()
    scene.tell(provider.name, f"loses {provider.member.entry.name}: killed with -9")
    return time.monotonic()


async def fail(scene: Scene, record: DealRecord, deal: int, provider: Provider) -> Failure:
    """Kill the node of a running deal, and let anybody show its failure (R59, Q15)."""
    killed_s, before = kill(scene, provider), await credits_of(scene)
    anybody = scene.cast.anybody
    stake_wei = (await anybody.chain.providers.provider(provider.account)).stake
    shown = await _failing_score(scene, record, provider.node)
    price = await anybody.chain.prices.ankr_per_eth()
    await anybody.do(partial(anybody.chain.deals.fail, deal, shown))
    detection_s = time.monotonic() - killed_s
    failed_at_s = scene.cluster.genesis.start_ms(Epoch(shown.header.epoch)) // 1000
    paid = cover_of(record, failed_at_s, stake_wei, price)
    scene.tell("deals", f"deal {deal} failed by that proof, {detection_s:.1f} s after the kill;")
    loss = eth(paid.provider_eth) if paid.provider_eth else ankr(paid.provider_ankr)
    scene.tell("", f"{provider.name} pays the loss, {loss}")
    scene.findings.append(
        compared(
            f"deal {deal}: its provider pays and the requester gets its money back, to the wei",
            gained(await credits_of(scene), before),
            failed_credits(record, provider.name, paid),
        )
    )
    await _judge_record(scene, deal, provider, stake_wei - paid.provider_ankr)
    return Failure(gains=failed_gains(provider.name, paid), detection_s=detection_s)


async def _failing_score(scene: Scene, record: DealRecord, node: NodeId) -> ProvedScore:
    """Return a node's first final score that shows that it failed, of an epoch within the run."""
    genesis = scene.cluster.genesis
    epoch = Epoch(0)
    while genesis.start_ms(epoch) < 1000 * record.started_at:
        epoch = Epoch(epoch + 1)
    while True:
        shown = await scene.score(node, epoch)
        uptime = f"epoch {epoch} is anchored, uptime {percent(shown.score.uptime_ppm)}"
        is_low = shown.score.uptime_ppm < record.terms.fail_below_ppm
        if not shown.header.is_void and (is_low or shown.score.state == State.SUSPENDED):
            scene.tell("audit", f"{uptime}: below {percent(record.terms.fail_below_ppm)}")
            await scene.until_final(epoch)
            return shown
        scene.tell("audit", uptime)
        epoch = Epoch(epoch + 1)


async def _judge_record(scene: Scene, deal: int, provider: Provider, stake_wei: int) -> None:
    chain = scene.cast.anybody.chain
    record, state = await chain.providers.provider(provider.account), await chain.deals.deal(deal)
    now_s = await chain.now_s()
    held = (
        state.state is DealState.FAILED
        and (record.failures, record.stake) == (1, stake_wei)
        and record.disqualified_until > now_s
    )
    scene.find(
        f"deal {deal}: the failure stands in the provider's record, and it is disqualified",
        f"{provider.name}: {record.failures} failure, stake {ankr(record.stake)}, "
        f"disqualified for {record.disqualified_until - now_s} s more",
        held=held,
    )


async def refuse(scene: Scene, provider: Provider) -> None:
    """Open one more auction, in which the disqualified provider bids; then take it back."""
    requester = scene.cast.requester
    deal = await open_auction(scene, LENGTH_S, await ask_quote(scene, LENGTH_S))
    rule = said = ""
    try:
        await seal_bid(scene, deal, provider)
    except Rejected as refused:
        rule, said = refused.rule, reason_of(refused)
    scene.tell(provider.name, f"bids on deal {deal}, and is refused: {rule or 'NO'}")
    scene.find(
        "the disqualified provider's next bid is refused",
        said or "it was taken",
        held=rule == REFUSED_RULE,
    )
    await requester.do(partial(requester.chain.market.close, deal))
