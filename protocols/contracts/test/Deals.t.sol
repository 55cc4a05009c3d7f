// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDeals} from "../src/interfaces/IDeals.sol";
import {ILedger} from "../src/interfaces/ILedger.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {IProviders} from "../src/interfaces/IProviders.sol";
import {DealsKit} from "./lib/DealsKit.sol";

/// @dev R31, R36, R40, R43, R51, R53, R55, R58, R60; Q1, Q11, Q13.
contract DealsTest is DealsKit {
    function setUp() public {
        _build();
    }

    /// @dev R40, R43, R51: the price is paid in ANKR, each brings its part of 32 ETH, and it runs.
    function test_start_letsAFundedDealRunAtOnce() public {
        uint256 deal = _assign();
        _isState(deal, IDeals.State.Assigned);
        vm.assertEq(token.balanceOf(address(deals)), FP + BOND);
        _fund(deal);
        _isState(deal, IDeals.State.Funded);
        vm.assertEq(address(deals).balance, ETH_STAKE - K_ETH);
        _start(deal);
        _isState(deal, IDeals.State.Running);
        IDeals.Deal memory held = deals.dealOf(deal);
        vm.assertEq(held.startedAt, block.timestamp);
        vm.assertEq(held.endsAt, block.timestamp + LENGTH_S);
        _isOwed(PROVIDER, BOND, 0);
        _isConserved();
    }

    /// @dev R58, Q1: FP = 100, the winner bid 60, profit 300: 60, 40, 40 and 260.
    function test_complete_splitsAsInTheWhitePaper() public {
        uint256 deal = _running();
        _addProfit(deal, 300 ether, 0);
        _complete(deal);
        _isState(deal, IDeals.State.Completed);
        _isOwed(PROVIDER, 60 ether + BOND, K_ETH);
        _isOwed(address(rewards), 40 ether, 0);
        _isOwed(address(insurance), 40 ether, 0);
        _isOwed(REQUESTER, 260 ether, ETH_STAKE - K_ETH);
        _isConserved();
    }

    /// @dev R58, Q1: the same where the second lowest bid, 70, is paid: 70, 40, 40 and 250.
    function test_complete_splitsAVickreyAuctionAsInTheWhitePaper() public {
        IDeals.Assignment memory given = _assignment();
        given.paidWei = 70 ether;
        uint256 deal = _running(given);
        _addProfit(deal, 300 ether, 0);
        _complete(deal);
        _isOwed(PROVIDER, 70 ether + BOND, K_ETH);
        _isOwed(address(rewards), 40 ether, 0);
        _isOwed(address(insurance), 40 ether, 0);
        _isOwed(REQUESTER, 250 ether, ETH_STAKE - K_ETH);
    }

    /// @dev R53, R55: of profit in ETH the pots get their shares in ETH.
    function test_complete_splitsProfitInEthInEth() public {
        uint256 deal = _running();
        _addProfit(deal, 0, 10 ether);
        _complete(deal);
        _isOwed(PROVIDER, 60 ether + BOND, K_ETH);
        _isOwed(address(rewards), 10 ether, 1 ether);
        _isOwed(address(insurance), 10 ether, 1 ether);
        _isOwed(REQUESTER, 20 ether, ETH_STAKE - K_ETH + 8 ether);
        _isConserved();
    }

    /// @dev Q11: a bid of 95 leaves 5 of the 20 that are due; 15 ANKR are 0.00015 ETH.
    function test_complete_takesWhatPotsLackOutOfTheRequestersProfit() public {
        IDeals.Assignment memory given = _assignment();
        given.paidWei = 95 ether;
        uint256 deal = _running(given);
        _addProfit(deal, 0, 10 ether);
        _complete(deal);
        _isOwed(address(rewards), 2.5 ether, 1 ether + 0.000_075 ether);
        _isOwed(address(insurance), 2.5 ether, 1 ether + 0.000_075 ether);
        _isOwed(REQUESTER, 0, ETH_STAKE - K_ETH + 8 ether - 0.000_15 ether);
        _isConserved();
    }

    /// @dev Q11, Q27: without profit the requester's stake stays whole; nobody asks for a price.
    function test_complete_neverTouchesTheStakeOfTheRequester() public {
        IDeals.Assignment memory given = _assignment();
        given.paidWei = FP;
        uint256 deal = _running(given);
        vm.warp(deals.completableAt(deal) + 365 days);
        deals.complete(deal);
        _isOwed(PROVIDER, FP + BOND, K_ETH);
        _isOwed(address(rewards), 0, 0);
        _isOwed(REQUESTER, 0, ETH_STAKE - K_ETH);
    }

    function testFuzz_complete_conservesAllMoney(
        uint256 paidWei,
        uint256 ankrProfitWei,
        uint256 ethProfitWei
    ) public {
        IDeals.Assignment memory given = _assignment();
        given.paidWei = bound(paidWei, 0, FP);
        uint256 deal = _running(given);
        ankrProfitWei = bound(ankrProfitWei, 0, 1e6 ether);
        ethProfitWei = bound(ethProfitWei, 0, 1e3 ether);
        if (ankrProfitWei + ethProfitWei > 0) _addProfit(deal, ankrProfitWei, ethProfitWei);
        _complete(deal);
        vm.assertTrue(deals.ankrOf(PROVIDER) == given.paidWei + BOND);
        vm.assertTrue(deals.ethOf(REQUESTER) >= ETH_STAKE - K_ETH);
        _isConserved();
    }

    /// @dev R27, Q13: a trusted provider brings no ETH.
    function test_start_costsATrustedProviderNothing() public {
        vm.prank(TIMELOCK);
        providers.setTier(PROVIDER, IProviders.Tier.Trusted, 0);
        uint256 deal = _assign();
        vm.prank(REQUESTER);
        deals.fund{value: ETH_STAKE}(deal);
        vm.prank(PROVIDER);
        deals.start(deal);
        _isState(deal, IDeals.State.Running);
    }

    /// @dev Q13: each node has the provider's ETH of its own.
    function test_start_asksForKEthOfEachNode() public {
        _running();
        IDeals.Assignment memory given = _assignment();
        given.registration = _node(PROVIDER);
        _running(given);
        vm.assertEq(address(deals).balance, 2 * ETH_STAKE);
        _isConserved();
    }

    /// @dev Nothing to stake: it is the provider's turn at once, and neither brings ETH.
    function test_assign_skipsARequesterThatHasNothingToStake() public {
        IDeals.Assignment memory given = _assignment();
        (given.ethStakeWei, given.expectedProfitWei) = (0, 0);
        uint256 deal = _assign(given);
        _isState(deal, IDeals.State.Funded);
        _start(deal);
        _complete(deal);
        _isOwed(PROVIDER, PAID + BOND, 0);
        _isConserved();
    }

    /// @dev Whatever governors change, a running deal goes by what it began with.
    function test_policy_neverChangesADealThatWasAssigned() public {
        uint256 deal = _funded();
        vm.startPrank(TIMELOCK);
        policy.set(Parameter.RewardBps, 0);
        policy.set(Parameter.InsuranceBps, 5_000);
        policy.set(Parameter.ReviewS, 30 days);
        policy.set(Parameter.FailBelowPpm, 950_000);
        policy.set(Parameter.StartS, 1);
        providers.setTier(PROVIDER, IProviders.Tier.Untrusted, 32 ether);
        vm.stopPrank();
        vm.warp(block.timestamp + START_WITHIN_S);
        _start(deal);
        _addProfit(deal, 300 ether, 0);
        vm.assertEq(deals.completableAt(deal), block.timestamp + LENGTH_S + REVIEW_S);
        _complete(deal);
        _isOwed(address(rewards), 40 ether, 0);
        _isOwed(address(insurance), 40 ether, 0);
        _isOwed(PROVIDER, 60 ether + BOND, K_ETH);
        IDeals.Terms memory terms = deals.dealOf(deal).terms;
        vm.assertEq(terms.failBelowPpm, FAIL_BELOW_PPM);
    }

    /// @dev R61: nobody has to bring its ETH to a provider that failed another meanwhile.
    function test_abandon_costsNothingIfTheProviderIsDisqualified() public {
        uint256 deal = _assign();
        vm.prank(address(deals));
        providers.recordFailure(PROVIDER);
        vm.warp(block.timestamp + FUND_S + 1);
        deals.abandon(deal);
        _isOwed(REQUESTER, FP, 0);
        _isOwed(PROVIDER, BOND, 0);
        _isOwed(address(rewards), 0, 0);
        _isConserved();
    }

    /// @dev A late requester pays the reward pot's share of the price; the provider loses nothing.
    function test_abandon_costsALateRequesterAShareOfThePrice() public {
        uint256 deal = _assign();
        vm.warp(block.timestamp + FUND_S + 1);
        deals.abandon(deal);
        _isState(deal, IDeals.State.Abandoned);
        _isOwed(REQUESTER, 90 ether, 0);
        _isOwed(address(rewards), 10 ether, 0);
        _isOwed(PROVIDER, BOND, 0);
        vm.assertEq(providers.providerOf(PROVIDER).failures, 0);
        _isConserved();
    }

    /// @dev R59: a late provider has failed, and its bond is the requester's.
    function test_abandon_costsALateProviderItsBond() public {
        uint256 deal = _funded();
        vm.warp(block.timestamp + START_WITHIN_S + 1);
        deals.abandon(deal);
        _isState(deal, IDeals.State.Abandoned);
        _isOwed(REQUESTER, FP + BOND, ETH_STAKE - K_ETH);
        _isOwed(PROVIDER, 0, 0);
        IProviders.Provider memory held = providers.providerOf(PROVIDER);
        vm.assertEq(held.failures, 1);
        vm.assertTrue(held.disqualifiedUntil > block.timestamp);
        _isConserved();
    }

    function test_deals_freeNodeAndStakeAtEachEnd() public {
        uint256 deal = _assign();
        _isBusy(1);
        vm.warp(block.timestamp + FUND_S + 1);
        deals.abandon(deal);
        _isBusy(0);
        _complete(_running());
        _isBusy(0);
    }

    /// @dev R31: who has staked what on a node, what it collected and when it serves.
    function test_nodeOf_tellsWhatANodeServes() public {
        vm.assertEq(deals.nodeOf(node).deal, 0);
        uint256 deal = _funded();
        IDeals.NodeRecord memory record = deals.nodeOf(node);
        vm.assertEq(record.deal, deal);
        vm.assertEq(record.provider, PROVIDER);
        vm.assertTrue(record.isServing);
        vm.assertEq(record.providerEthWei, 0);
        vm.assertEq(record.requesterEthWei, ETH_STAKE - K_ETH);
        vm.assertEq(record.startedAt, 0);
        _start(deal);
        _addProfit(deal, 3 ether, 2 ether);
        record = deals.nodeOf(node);
        vm.assertEq(record.providerEthWei, K_ETH);
        vm.assertEq(record.ankrRewardsWei, 3 ether);
        vm.assertEq(record.ethRewardsWei, 2 ether);
        vm.assertEq(record.endsAt, record.startedAt + LENGTH_S);
        vm.assertEq(abi.encode(record.inUse), abi.encode(_need()));
        _complete(deal);
        record = deals.nodeOf(node);
        vm.assertFalse(record.isServing);
        vm.assertEq(record.providerEthWei + record.requesterEthWei, 0);
        vm.assertEq(record.inUse.cpuMilli, 0);
    }

    /// @dev R36: a list of requesters, and what each has paid and staked.
    function test_requesterOf_tellsWhatARequesterPaidAndStaked() public {
        vm.assertEq(deals.requesters(0, 10).length, 0);
        _complete(_running());
        _complete(_running());
        IDeals.Assignment memory given = _assignment();
        given.requester = STRANGER;
        _assign(given);
        IDeals.Requester memory record = deals.requesterOf(REQUESTER);
        vm.assertEq(record.deals, 2);
        vm.assertEq(record.ankrWei, 2 * FP);
        vm.assertEq(record.ethWei, 2 * (ETH_STAKE - K_ETH));
        vm.assertEq(deals.requesterOf(STRANGER).ethWei, 0);
        vm.assertEq(deals.requesterCount(), 2);
        vm.assertEq(deals.requesters(0, 10)[0], REQUESTER);
        vm.assertEq(deals.requesters(1, 10)[0], STRANGER);
        vm.assertEq(deals.requesters(0, 1).length, 1);
        vm.assertEq(deals.requesters(2, type(uint256).max).length, 0);
    }

    /// @dev R5: shares are public; anybody brings them where they belong.
    function test_flush_bringsPotsTheirShares() public {
        uint256 deal = _running();
        _addProfit(deal, 300 ether, 10 ether);
        _complete(deal);
        deals.flush(address(rewards));
        deals.flush(address(insurance));
        vm.assertEq(token.balanceOf(address(rewards)), 40 ether);
        vm.assertEq(address(rewards).balance, 1 ether);
        vm.assertEq(token.balanceOf(address(insurance)), 40 ether);
        vm.assertEq(address(insurance).balance, 101 ether);
        vm.expectRevert(abi.encodeWithSelector(ILedger.NothingOwed.selector, address(rewards)));
        deals.flush(address(rewards));
        vm.expectRevert(abi.encodeWithSelector(ILedger.NotPot.selector, PROVIDER));
        deals.flush(PROVIDER);
        _isConserved();
    }

    function test_collect_paysAllThatIsOwed() public {
        _complete(_running());
        (uint256 ankrWei, uint256 ethWei) = (token.balanceOf(PROVIDER), PROVIDER.balance);
        vm.prank(PROVIDER);
        deals.collect();
        vm.assertEq(token.balanceOf(PROVIDER), ankrWei + PAID + BOND);
        vm.assertEq(PROVIDER.balance, ethWei + K_ETH);
        _isOwed(PROVIDER, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(ILedger.NothingOwed.selector, PROVIDER));
        vm.prank(PROVIDER);
        deals.collect();
        vm.prank(REQUESTER);
        deals.collectTo(address(0xcafe));
        vm.assertEq(address(0xcafe).balance, ETH_STAKE - K_ETH);
        vm.assertEq(token.balanceOf(address(0xcafe)), 20 ether);
        _isConserved();
    }

    /// @dev The node is taken and its capacity used, and the stake held, by so many deals.
    function _isBusy(uint32 count) private view {
        IProviders.Provider memory held = providers.providerOf(PROVIDER);
        vm.assertEq(held.runningDeals, count);
        vm.assertEq(held.locks, count);
        vm.assertEq(held.inUse.cpuMilli, count * _need().cpuMilli);
        vm.assertTrue(providers.isFree(PROVIDER, node) == (count == 0));
    }
}
