"""Where the market's story plays: the network, its people, its clock, and who tells what happens."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from stkrp2p.adapters.chain.rule.proofs import ProvedScore
from stkrp2p.core.network import MarketAddresses
from stkrp2p.core.types import Epoch, NodeId
from testnet.cluster import Cluster
from testnet.finding import Finding
from testnet.market_cast import POLL_S, Cast, market_of
from testnet.market_proofs import score_in

T = TypeVar("T")


async def until_some(ask: Callable[[], Awaitable[T | None]]) -> T:
    """Ask again and again until there is an answer; who asks limits the time."""
    while (answer := await ask()) is None:  # noqa: ASYNC110 - other processes ring no bell
        await trio.sleep(POLL_S)
    return answer


@dataclass(kw_only=True)
class Scene:
    """All that the story's steps share."""

    cluster: Cluster
    cast: Cast
    say: Callable[[str], None]
    began_s: float = field(default_factory=time.monotonic)
    findings: list[Finding] = field(default_factory=list)

    @property
    def market(self) -> MarketAddresses:
        """Where rule and market are."""
        return market_of(self.cluster)

    def tell(self, who: str, what: str) -> None:
        """Tell one thing that happened, and when."""
        self.say(f"{time.monotonic() - self.began_s:6.1f} s  {who:<10} {what}")

    def find(self, promise: str, detail: str, *, held: bool) -> None:
        """Note whether a promise was kept."""
        self.findings.append(Finding(promise=promise, held=held, detail=detail))

    async def wait_until(self, time_s: int) -> None:
        """Return once the chain's newest block is of this time or later, Unix seconds."""
        now_s = self.cast.anybody.chain.now_s
        while (left_s := time_s - await now_s()) > 0:  # noqa: ASYNC110 - nor do blocks
            await trio.sleep(max(POLL_S, left_s / 2))

    async def until_final(self, epoch: Epoch) -> None:
        """Return once an epoch is anchored and nobody can challenge it any more."""
        chain = self.cluster.chain
        final_ms = await until_some(lambda: chain.final_ms(epoch))
        await self.wait_until(-(-final_ms // 1000))

    async def latest_final(self) -> Epoch:
        """Return the latest epoch that nobody can challenge any more, once there is one."""
        await self.until_final(Epoch(0))
        epoch, now_ms = Epoch(0), 1000 * await self.cast.anybody.chain.now_s()
        while True:
            final_ms = await self.cluster.chain.final_ms(Epoch(epoch + 1))
            if final_ms is None or final_ms > now_ms:
                return epoch
            epoch = Epoch(epoch + 1)

    async def score(self, node: NodeId, epoch: Epoch) -> ProvedScore:
        """Return a node's anchored score out of the witness's store, once it is there."""
        return await until_some(lambda: score_in(self.cast.witness, node, epoch))
