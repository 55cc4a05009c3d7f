"""Rule and market, from Python: everything that a party can ask or do on chain.

A command, a service or a web page that deals with policy, council, providers, market or deals is
built on these calls; none of them prints or reads a setting.

    chain = RuleChain(network.genesis, network.market, ["http://127.0.0.1:8545"], account_key=key)
    quote = await chain.market.quote(project_type=1, need=need, length_s=3_600)
    action = await chain.market.open(request, fp_wei_max=quote.fp_wei)
    print(action.does, action.ankr_wei, action.cost_wei_max)   # before anything is signed
    receipts = await chain.send(action)

- **Reading** (`await chain.deals.deal(7)`) returns frozen records. Amounts are in 10^-18 ANKR or wei,
  times in Unix seconds, shares in ppm or 1/10,000, as their names say.
- **Preparing** (`await chain.market.commit(bid)`) sends nothing. It returns an `Action`: what it will
  do, the ANKR and ETH that it takes, and what its gas may cost; or it raises `Rejected` for what the
  contract would refuse. If a contract takes ANKR, it is allowed exactly that much, in a step before.
- **Repeating is safe.** An action whose result the chain shows already `is_done`, says so in `done`,
  and sends nothing. Amounts that add up (stakes, rewards) are therefore given as the sum to reach.
  Only `deals.add_profit` and `voter_rewards.reclaim` have no such mark.
- **Offers.** `offers.offers(chain.providers, …)` is what a requester sees of each provider (R48).
- **Votes.** `decisions` builds the calls that a proposal can make, and tells them in words.
- **Refusals.** `reason_of(rejected)` is a sentence that names the rule and says what to do next;
  `advice_of` parts the command from it.
- **Sealed bids** come from `adapters.bids.BidStore`, which has them on the disk before they are sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from stkrp2p.adapters.chain.rule.actions import Action, Money, Step
from stkrp2p.adapters.chain.rule.council import Council
from stkrp2p.adapters.chain.rule.deals import Deals
from stkrp2p.adapters.chain.rule.epochs import Epochs
from stkrp2p.adapters.chain.rule.liveness import Liveness
from stkrp2p.adapters.chain.rule.market import Market
from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.adapters.chain.rule.policy import PolicyContract
from stkrp2p.adapters.chain.rule.prices import Prices
from stkrp2p.adapters.chain.rule.proposals import Proposals
from stkrp2p.adapters.chain.rule.providers import Providers
from stkrp2p.adapters.chain.rule.reasons import advice_of, reason_of
from stkrp2p.adapters.chain.rule.voter_rewards import VoterRewards
from stkrp2p.adapters.chain.wallet import FEE_WEI_MAX, Receipt, Rejected
from stkrp2p.core.network import Genesis, MarketAddresses

__all__ = ["Action", "Money", "Receipt", "Rejected", "RuleChain", "Step", "advice_of", "reason_of"]


class RuleChain:
    """All contracts of rule and market of one network, for one account or none."""

    def __init__(
        self,
        genesis: Genesis,
        market: MarketAddresses,
        endpoints: Sequence[str],
        *,
        account_key: bytes | None = None,
        deploy_block: int = 0,
        fee_wei_max: int = FEE_WEI_MAX,
    ) -> None:
        """Set up; nothing is loaded or sent before the first call.

        Args:
            genesis: Names the chain, the registry and the anchors' contract.
            market: Where the other contracts are (`config.read_network(…).market`).
            endpoints: http(s) addresses, the preferred one first.
            account_key: secp256k1 secret of the account that pays, 32 bytes; `None` only reads.
            deploy_block: No event of the contracts is in an earlier block.
            fee_wei_max: Most to offer for a unit of gas.

        Raises:
            ValueError: An endpoint is no http(s) address, or there are too many.
        """
        party = Party(
            genesis,
            market,
            endpoints,
            account_key=account_key,
            deploy_block=deploy_block,
            fee_wei_max=fee_wei_max,
        )
        self._party = party
        self.policy = PolicyContract(party)
        self.council = Council(party)
        self.proposals = Proposals(party)
        self.voter_rewards = VoterRewards(party)
        self.prices = Prices(party)
        self.providers = Providers(party)
        self.liveness = Liveness(party)
        self.epochs = Epochs(party)
        self.market = Market(party)
        self.deals = Deals(party)

    def close(self) -> None:
        """Close all connections; call it when nobody uses the chain any more."""
        self._party.close()

    async def account(self) -> bytes:
        """Return our account's address; raises `ChainUnavailable` if there is none."""
        return await self._party.account()

    async def ankr(self, account: bytes) -> int:
        """Return an account's ANKR, in 10^-18; raises `ChainUnavailable`."""
        return await self._party.ankr_of(account)

    async def now_s(self) -> int:
        """Return the newest block's time, Unix seconds; raises `ChainUnavailable`."""
        return await self._party.now_s()

    async def send(self, action: Action) -> tuple[Receipt, ...]:
        """Send an action's transactions, each once the one before is in a block; none if it is done.

        Raises:
            Rejected: One reverted, or would by now, or another took its place.
            ChainUnavailable: Not mined in time; it may still be.
        """
        return await self._party.send(action)
