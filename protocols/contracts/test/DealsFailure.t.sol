// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreMath} from "../src/ScoreMath.sol";
import {IDeals} from "../src/interfaces/IDeals.sol";
import {IProviders, ScoreProof} from "../src/interfaces/IProviders.sol";
import {DealsKit} from "./lib/DealsKit.sol";

/// @dev R30, R41, R52, R59, R61, R62; Q12, Q15, Q27.
contract DealsFailureTest is DealsKit {
    /// @dev When a dispute was raised last.
    uint64 private disputedAt;

    function setUp() public {
        _build();
    }

    /// @dev R59: the requester gets all it put in and the profit so far, and its loss at once; the
    ///      rest of the provider's ETH returns; the failure is recorded; the provider is out (R61).
    function test_fail_paysTheLossAtOnceOutOfTheProvidersEth() public {
        uint256 deal = _running();
        _addProfit(deal, 3 ether, 1 ether);
        uint256 lossWei = _lossFrom(deal, _startOf(_firstEpoch(deal)));
        vm.assertTrue(lossWei > 1.9 ether && lossWei <= EXPECTED);
        _fail(deal);
        _isState(deal, IDeals.State.Failed);
        _isOwed(REQUESTER, FP + 3 ether, ETH_STAKE - K_ETH + 1 ether + lossWei);
        _isOwed(PROVIDER, BOND, K_ETH - lossWei);
        IProviders.Provider memory held = providers.providerOf(PROVIDER);
        vm.assertEq(held.failures, 1);
        vm.assertTrue(held.disqualifiedUntil > block.timestamp);
        vm.assertEq(held.locks, 0);
        vm.assertEq(held.stake, STAKE);
        vm.assertTrue(providers.isFree(PROVIDER, node));
        _isConserved();
    }

    /// @dev Q15: a verdict of a later epoch costs only what was not served from then on.
    function test_fail_countsTheTimeFromTheFailingEpochOn() public {
        uint256 deal = _running();
        IDeals.Deal memory held = deals.dealOf(deal);
        uint64 last = anchor.epochAt(held.endsAt) - 1;
        vm.warp(held.endsAt + REVIEW_S);
        deals.fail(deal, _shown(node, last, 0, ACTIVE));
        uint256 lossWei = _lossFrom(deal, _startOf(last));
        vm.assertTrue(lossWei <= 2 * EPOCH_S * EXPECTED / LENGTH_S);
        _isOwed(PROVIDER, BOND, K_ETH - lossWei);
    }

    /// @dev Suspended is failing, whatever the uptime; so much uptime and no less is not.
    function test_fail_goesByUptimeAndState() public {
        uint256 deal = _running();
        uint64 epoch = _firstEpoch(deal);
        vm.warp(_startOf(epoch + 1));
        ScoreProof memory shown = _shown(node, epoch, FAIL_BELOW_PPM, ACTIVE);
        vm.expectRevert(_notFailing(deal, FAIL_BELOW_PPM, ACTIVE));
        deals.fail(deal, shown);
        deals.fail(deal, _shown(node, epoch, 1_000_000, SUSPENDED));
        _isState(deal, IDeals.State.Failed);
    }

    /// @dev Of a node that nobody was to look at, and in a void epoch, nothing new is known.
    function test_fail_needsThatSomethingWasSeen() public {
        uint256 deal = _running();
        ScoreProof memory shown;
        shown.header.epoch = _firstEpoch(deal);
        shown.words[ScoreMath.NODE] = registry.registrationAt(node).nodeId;
        vm.warp(_startOf(shown.header.epoch + 1));
        anchor.tell(shown.header, shown.words);
        vm.expectRevert(_notFailing(deal, 0, 0));
        deals.fail(deal, shown);
        shown.words[ScoreMath.N] = bytes32(uint256(1));
        shown.header.isVoid = true;
        anchor.tell(shown.header, shown.words);
        vm.expectRevert(_notFailing(deal, 0, 0));
        deals.fail(deal, shown);
    }

    /// @dev R41: a node that answers no challenge has failed from the challenge on.
    function test_failSilent_costsWhatANodeDidNotServe() public {
        uint256 deal = _running();
        uint256 challengedAt = block.timestamp + 30;
        uint256 challenge = _silent(challengedAt);
        uint256 lossWei = _lossFrom(deal, challengedAt);
        vm.assertEq(lossWei, EXPECTED * (LENGTH_S - 30) / LENGTH_S);
        deals.failSilent(deal, challenge);
        _isOwed(REQUESTER, FP, ETH_STAKE - K_ETH + lossWei);
        _isConserved();
    }

    /// @dev Q12, R30: no ETH of the provider's: its ANKR pays at the oracle's price, all it has, then
    ///      the insurance. 10,000 ANKR are 0.1 ETH.
    function test_fail_takesAnkrAndThenTheInsurance() public {
        uint256 deal = _trusted();
        uint256 lossWei = _lossFrom(deal, _startOf(_firstEpoch(deal)));
        _refreshPrices();
        _fail(deal);
        vm.assertTrue(deals.dealOf(deal).isCompensated);
        vm.assertEq(deals.dealOf(deal).owedWei, lossWei - 0.1 ether);
        vm.assertEq(providers.providerOf(PROVIDER).stake, 0);
        deals.insure(deal);
        _isOwed(REQUESTER, FP + STAKE, ETH_STAKE + lossWei - 0.1 ether);
        vm.assertEq(address(insurance).balance, 100 ether - (lossWei - 0.1 ether));
        vm.assertEq(deals.dealOf(deal).owedWei, 0);
        _isConserved();
        vm.expectRevert(_error(IDeals.NothingLost.selector, deal));
        deals.insure(deal);
    }

    /// @dev Q12: where the ANKR suffices, no more than the loss is taken, rounded up.
    function test_fail_takesNoMoreAnkrThanTheLoss() public {
        IDeals.Assignment memory given = _assignment();
        given.expectedProfitWei = 0.05 ether;
        vm.prank(TIMELOCK);
        providers.setTier(PROVIDER, IProviders.Tier.Trusted, 0);
        uint256 deal = _running(given);
        uint256 lossWei = _lossFrom(deal, _startOf(_firstEpoch(deal)));
        _fail(deal);
        uint256 ankrWei = (lossWei * ANKR_PER_ETH + 1 ether - 1) / 1 ether;
        _isOwed(REQUESTER, FP + ankrWei, ETH_STAKE);
        vm.assertEq(providers.providerOf(PROVIDER).stake, STAKE - ankrWei);
        vm.expectRevert(_error(IDeals.NothingLost.selector, deal));
        deals.insure(deal);
    }

    /// @dev Q10: without a price the claim waits, and with it the stake; then it is paid.
    function test_compensate_waitsForAFreshPriceWithTheStakeLocked() public {
        uint256 deal = _trusted();
        ethFeed.set(0);
        _fail(deal);
        vm.assertFalse(deals.dealOf(deal).isCompensated);
        vm.assertEq(providers.providerOf(PROVIDER).locks, 1);
        vm.expectRevert(_error(IDeals.NothingLost.selector, deal));
        deals.insure(deal);
        vm.expectRevert();
        deals.compensate(deal);
        _refreshPrices();
        deals.compensate(deal);
        vm.assertEq(providers.providerOf(PROVIDER).locks, 0);
        _isOwed(REQUESTER, FP + STAKE, ETH_STAKE);
        vm.expectRevert(_error(IDeals.NothingLost.selector, deal));
        deals.compensate(deal);
    }

    /// @dev Q12, Q25: the insurance pays what it has, and what stays open may be asked for again.
    function test_insure_paysAsFarAsItHasIt() public {
        uint256 deal = _trusted();
        _fail(deal);
        uint256 openWei = deals.dealOf(deal).owedWei;
        vm.deal(address(insurance), 1 ether);
        deals.insure(deal);
        _isOwed(REQUESTER, FP + STAKE, ETH_STAKE + 1 ether);
        vm.expectRevert(_error(IDeals.InsuranceEmpty.selector, deal));
        deals.insure(deal);
        vm.deal(address(insurance), 9 ether);
        deals.insure(deal);
        _isOwed(REQUESTER, FP + STAKE, ETH_STAKE + openWei);
        _isConserved();
    }

    /// @dev R52, R62: governors find that all 32 ETH were lost: k_eth pays 16, its ANKR 0.1, and the
    ///      insurance the rest.
    function test_rule_makesGoodAWholeSlash() public {
        uint256 deal = _running();
        _dispute(deal, REQUESTER);
        uint256 lossWei = _lossFrom(deal, block.timestamp) + 32 ether;
        _rule(deal, true, 32 ether);
        _isState(deal, IDeals.State.Failed);
        _isOwed(PROVIDER, BOND, 0);
        deals.insure(deal);
        _isOwed(REQUESTER, FP + STAKE, ETH_STAKE - K_ETH + lossWei - 0.1 ether);
        vm.assertEq(address(insurance).balance, 100 ether - (lossWei - 16 ether - 0.1 ether));
        _isConserved();
    }

    /// @dev R62: a ruling for the provider lets the deal go on, with a whole review after it.
    function test_rule_letsADealGoOn() public {
        uint256 deal = _running();
        vm.warp(deals.dealOf(deal).endsAt + REVIEW_S - 1);
        _dispute(deal, PROVIDER);
        vm.warp(block.timestamp + 10);
        _rule(deal, false, 0);
        vm.assertEq(deals.completableAt(deal), block.timestamp + REVIEW_S);
        _complete(deal);
        _isState(deal, IDeals.State.Completed);
    }

    /// @dev R62: governors that do not rule in time hold nothing up.
    function test_dispute_endsByItself() public {
        uint256 deal = _running();
        _dispute(deal, REQUESTER);
        uint256 untilS = block.timestamp + DISPUTE_S;
        ScoreProof memory shown = _shown(node, _firstEpoch(deal), 0, ACTIVE);
        vm.warp(untilS - 1);
        vm.expectRevert(abi.encodeWithSelector(IDeals.Frozen.selector, deal, untilS));
        deals.fail(deal, shown);
        vm.expectRevert(abi.encodeWithSelector(IDeals.Frozen.selector, deal, untilS));
        deals.failSilent(deal, 1);
        vm.warp(untilS);
        vm.expectRevert(_error(IDeals.NotDisputed.selector, deal));
        _rule(deal, true, 0);
        deals.fail(deal, shown);
        _isState(deal, IDeals.State.Failed);
    }

    function test_dispute_isForEachPartyOnceAndInTime() public {
        uint256 deal = _running();
        vm.expectRevert(abi.encodeWithSelector(IDeals.NotParty.selector, deal, STRANGER));
        _dispute(deal, STRANGER);
        _dispute(deal, REQUESTER);
        vm.expectRevert(
            abi.encodeWithSelector(IDeals.Frozen.selector, deal, block.timestamp + DISPUTE_S)
        );
        _dispute(deal, PROVIDER);
        vm.warp(block.timestamp + DISPUTE_S);
        vm.expectRevert(abi.encodeWithSelector(IDeals.AlreadyDisputed.selector, deal, REQUESTER));
        _dispute(deal, REQUESTER);
        _dispute(deal, PROVIDER);
        uint256 untilS = deals.completableAt(deal);
        vm.warp(untilS);
        vm.expectRevert(abi.encodeWithSelector(IDeals.TooLate.selector, deal, untilS));
        _dispute(deal, PROVIDER);
    }

    /// @dev A ruling gives at most what was staked, and nothing against a provider that did not fail.
    function test_rule_isBounded() public {
        uint256 deal = _running();
        _dispute(deal, REQUESTER);
        vm.expectRevert(
            abi.encodeWithSelector(IDeals.LossTooLarge.selector, ETH_STAKE + 1, ETH_STAKE)
        );
        _rule(deal, true, ETH_STAKE + 1);
        vm.expectRevert(abi.encodeWithSelector(IDeals.LossTooLarge.selector, 1, 0));
        _rule(deal, false, 1);
    }

    /// @dev Q27: only if the provider is disqualified; everybody gets back what it put in.
    function test_cancel_endsADealOfADisqualifiedProvider() public {
        uint256 deal = _running();
        IDeals.Assignment memory given = _assignment();
        given.registration = _node(PROVIDER);
        uint256 other = _running(given);
        _addProfit(other, 5 ether, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IDeals.NotDisqualified.selector, PROVIDER));
        vm.prank(TIMELOCK);
        deals.cancel(other);
        _fail(deal);
        (uint256 ankrWei, uint256 ethWei) = (deals.ankrOf(REQUESTER), deals.ethOf(REQUESTER));
        uint256 providerWei = deals.ethOf(PROVIDER);
        vm.prank(TIMELOCK);
        deals.cancel(other);
        _isState(other, IDeals.State.Cancelled);
        _isOwed(REQUESTER, ankrWei + FP + 5 ether, ethWei + ETH_STAKE - K_ETH + 1 ether);
        _isOwed(PROVIDER, 2 * BOND, providerWei + K_ETH);
        vm.assertEq(providers.providerOf(PROVIDER).failures, 1);
        vm.assertEq(providers.providerOf(PROVIDER).locks, 0);
        _isConserved();
    }

    function _lossFrom(uint256 deal, uint256 failedAtS) private view returns (uint256) {
        IDeals.Deal memory held = deals.dealOf(deal);
        return uint256(held.expectedProfitWei) * (held.endsAt - failedAtS) / LENGTH_S;
    }

    function _dispute(uint256 deal, address by) private {
        vm.prank(by);
        deals.dispute(deal, "");
        disputedAt = deals.dealOf(deal).disputedAt;
    }

    function _rule(uint256 deal, bool isFailed, uint256 lossWei) private {
        vm.prank(TIMELOCK);
        deals.rule(deal, IDeals.Ruling(disputedAt, isFailed, lossWei));
    }

    function _error(bytes4 selector, uint256 deal) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, deal);
    }

    function _notFailing(uint256 deal, uint256 uptimePpm, uint8 state)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IDeals.NotFailing.selector, deal, uptimePpm, state);
    }
}
