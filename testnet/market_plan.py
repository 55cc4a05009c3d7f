"""The numbers of the market's story: the preset's where it can, shorter ones where it must hurry.

Deal one's money is that of the white paper's example (section 3.5): 100 ANKR in, 300 earned, and if
the lowest bidder is drawn, 60 for it, 40 and 40 for the pools, 260 for the requester.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stkrp2p.adapters.chain.rule.policy import ProjectType
from stkrp2p.adapters.chain.rule.providers import Tier
from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.adapters.deploy_market import Feed, MarketPlan
from stkrp2p.core.draw import Rule
from stkrp2p.core.economics import UNIT, YEAR_S, Resources
from stkrp2p.core.policy import MINIMAL, Parameter
from stkrp2p.core.types import Operator
from testnet.cluster import Member
from testnet.plan import Plan, Role

CHALLENGE_S = 10
"""Time to challenge an anchor; the story waits for it twice, for a real network it is far too short."""

GOVERNORS = 3
"""The council's n + 1 first members; each runs a node that signs rounds and anchors."""

ETHER = UNIT

DELAY_S = 2
"""From a decision to its execution."""

POLICY = replace(
    MINIMAL,
    parameters={
        **MINIMAL.parameters,
        Parameter.COUNCIL_N: GOVERNORS - 1,
        # An hour's price for eight seconds: 4 cores, 16 GB, 1 TB and 100 Mbps are 900 USD an hour.
        Parameter.USD_PER_CORE_HOUR: 150 * UNIT,
        Parameter.USD_PER_RAM_GB_HOUR: 10 * UNIT,
        Parameter.USD_PER_STORAGE_GB_HOUR: UNIT // 10,
        Parameter.USD_PER_MBPS_HOUR: UNIT * 4 // 10,
        Parameter.COMMIT_S: 6,
        Parameter.REVEAL_S: 6,
        # A failure in a project's last second can be shown: the epoch is sealed and anchored within
        # 5 s, is final CHALLENGE_S later, and there is time for the transaction.
        Parameter.REVIEW_S: CHALLENGE_S + 8,
        # One dead epoch is enough, however many good ones there were before.
        Parameter.FAIL_BELOW_PPM: 900_000,
    },
)
"""The local preset's numbers, but for those."""

VALUES = POLICY.parameters

ANKR_USD = UNIT // 50
ETH_USD = 2_000 * UNIT
"""Prices that the test feeds answer, in 10^-18 USD: 1 ETH is 100,000 ANKR."""

NEED = Resources(cpu_milli=4_000, ram_mb=16_000, storage_gb=1_000, bandwidth_mbps=100)
CAPACITY = Resources(cpu_milli=8_000, ram_mb=32_000, storage_gb=2_000, bandwidth_mbps=200)

KIND = 1
"""The policy's number of the only type of projects."""

PROJECT_TYPE = ProjectType(
    is_open=True,
    rule=Rule.FIRST_PRICE,
    shortlist=3,
    reliability_ppm_min=50_000,
    uptime_ppm_min=500_000,
    failures_max=0,
    eth_stake_wei=32 * ETHER,
    need=NEED,
)
"""Reliability is low while nodes are young, so little is asked of it (`core.score`). Of a bid's uptime an
auction asks what keeps a deal from failing, which is more; the dead provider still finds an auction to
be refused in."""

LENGTH_S = 8
"""Of deal one, in which all goes well."""

FAILING_LENGTH_S = 120
"""Of deal two, whose provider dies: its failure is shown long before the end."""

PROFIT_ANKR = 300 * ANKR
PROFIT_ETH = ETHER // 100
"""What deal one brings, and what of it in ether."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A provider of the story."""

    name: str
    tier: Tier
    k_eth_wei: int
    """What it brings of 32 ETH, in wei."""

    stake_wei: int
    """In 10^-18 ANKR."""

    bid_percent: int
    """What it asks, of the fixed price."""

    def told(self) -> str:
        """Say who it is and how far it is trusted."""
        tier = self.tier.name.lower().replace("_", "-")
        return f"{self.name} ({tier}, {self.k_eth_wei // ETHER} of 32 ETH)"


PROVIDERS = (
    Terms(
        name="Alder",
        tier=Tier.UNTRUSTED,
        k_eth_wei=VALUES[Parameter.K_ETH_UNTRUSTED],
        stake_wei=1_500 * ANKR,
        bid_percent=60,
    ),
    Terms(
        name="Birch",
        tier=Tier.SEMI_TRUSTED,
        k_eth_wei=4 * ETHER,
        stake_wei=2_000 * ANKR,
        bid_percent=70,
    ),
    Terms(name="Cedar", tier=Tier.TRUSTED, k_eth_wei=0, stake_wei=3_000 * ANKR, bid_percent=80),
)

PLAN = Plan(
    nodes=GOVERNORS + len(PROVIDERS),
    light=0,
    council=GOVERNORS,
    down=0,
    flaky=0,
    spare_s=2,
    challenge_s=CHALLENGE_S,
)
"""The fewest nodes that have a council of three and three providers; one dead of six voids no epoch.
Before round 1 rule and market are deployed."""


def market_plan(members: Sequence[Member]) -> MarketPlan:
    """Return rule and market of the story, whose council is the network's."""
    now_s = SystemClock().unix_ms() // 1000
    return MarketPlan(
        policy=POLICY,
        invited=[(Operator(m.operator), m.node) for m in members if m.entry.role is Role.COUNCIL],
        phase_2_at=now_s + YEAR_S,
        phase_3_at=now_s + 2 * YEAR_S,
        term_s=YEAR_S,
        delay_s=DELAY_S,
        ankr_usd=Feed(base=ANKR_USD),
        eth_usd=Feed(base=ETH_USD),
    )
