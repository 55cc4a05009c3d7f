// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDeals} from "../src/interfaces/IDeals.sol";
import {ILedger} from "../src/interfaces/ILedger.sol";
import {IPrices} from "../src/interfaces/IPrices.sol";
import {IProviders, ScoreProof} from "../src/interfaces/IProviders.sol";
import {IProviderStakes} from "../src/interfaces/IProviderStakes.sol";
import {IScores} from "../src/interfaces/IScores.sol";
import {DealsKit} from "./lib/DealsKit.sol";

/// @dev What somebody may try to get more than its own, or to keep others from theirs. R52, R59;
///      Q10, Q15. Re-entrancy stands in `DealsReentry.t.sol`.
contract DealsHostileTest is DealsKit {
    function setUp() public {
        _build();
    }

    function test_replayedFailureProof_failsNoDealTwice() public {
        uint256 deal = _running();
        uint64 epoch = _firstEpoch(deal);
        _fail(deal);
        ScoreProof memory shown = _shown(node, epoch, FAIL_BELOW_PPM - 1, ACTIVE);
        vm.expectRevert(_wrongState(deal, IDeals.State.Failed));
        deals.fail(deal, shown);
        uint256 later = _running();
        vm.warp(block.timestamp + 10 * EPOCH_S);
        vm.expectRevert(abi.encodeWithSelector(IDeals.EpochOutsideRun.selector, later, epoch));
        deals.fail(later, shown);
    }

    /// @dev Q15: before the start, across it, across the end, and an epoch that is not over yet.
    function test_failureProofOfAnEpochOutsideTheRun_isRefused() public {
        vm.warp(_startOf(10) + 5);
        uint256 deal = _running();
        uint64 last = anchor.epochAt(deals.dealOf(deal).endsAt);
        ScoreProof memory shown = _shown(node, 12, 0, ACTIVE);
        vm.warp(_startOf(13) - 1);
        vm.expectRevert(abi.encodeWithSelector(IDeals.EpochOutsideRun.selector, deal, 12));
        deals.fail(deal, shown);
        vm.warp(_startOf(last + 2));
        uint64[4] memory outside = [uint64(9), 10, last, last + 1];
        for (uint256 i = 0; i < outside.length; ++i) {
            ScoreProof memory other = _shown(node, outside[i], 0, ACTIVE);
            vm.expectRevert(
                abi.encodeWithSelector(IDeals.EpochOutsideRun.selector, deal, outside[i])
            );
            deals.fail(deal, other);
        }
        deals.fail(deal, shown);
    }

    function test_failureProofOfAnotherNode_isRefused() public {
        uint256 other = _node(PROVIDER);
        uint256 deal = _running();
        uint64 epoch = _firstEpoch(deal);
        vm.warp(_startOf(epoch + 1));
        ScoreProof memory shown = _shown(other, epoch, 0, SUSPENDED);
        vm.expectRevert(
            abi.encodeWithSelector(IScores.OtherNode.selector, shown.words[0], shown.words[1])
        );
        deals.fail(deal, shown);
    }

    function test_forgedFailureProof_isRefused() public {
        uint256 deal = _running();
        uint64 epoch = _firstEpoch(deal);
        vm.warp(_startOf(epoch + 1));
        ScoreProof memory shown = _shown(node, epoch, 1_000_000, ACTIVE);
        shown.words[12] = 0;
        vm.expectRevert(abi.encodeWithSelector(IScores.NotProved.selector, epoch));
        deals.fail(deal, shown);
    }

    /// @dev R41: made before the run, of another node, so late that no whole epoch came after it, or
    ///      not timed out.
    function test_silenceOutsideTheRun_isRefused() public {
        uint256 early = _silent(block.timestamp);
        uint256 deal = _running();
        _isNotSilent(deal, early);
        vm.warp(deals.dealOf(deal).endsAt - EPOCH_S);
        uint256 late = _silent(block.timestamp);
        _isNotSilent(deal, late);
        IDeals.Assignment memory given = _assignment();
        given.registration = _node(PROVIDER);
        uint256 other = _running(given);
        uint256 challenge = _silent(block.timestamp);
        _isNotSilent(other, challenge);
        vm.prank(STRANGER);
        uint256 open = providers.challenge(given.registration);
        _isNotSilent(other, open);
    }

    /// @dev Q10: a price that moved too far is refused; claim and stake wait until it is confirmed.
    function test_manipulatedPrice_isRefusedAndTheClaimWaits() public {
        uint256 deal = _trusted();
        ethFeed.set(ETH_USD / 2);
        _fail(deal);
        vm.assertEq(providers.providerOf(PROVIDER).stake, STAKE);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPrices.PriceMoved.selector, address(ethFeed), 1_000 ether, 2_000 ether
            )
        );
        deals.compensate(deal);
        vm.assertEq(providers.providerOf(PROVIDER).locks, 1);
        _refreshPrices();
        deals.compensate(deal);
        _isOwed(REQUESTER, FP + STAKE, ETH_STAKE);
    }

    /// @dev Q10: neither is a project settled at such a price, if its pots need one.
    function test_manipulatedPrice_settlesNoProject() public {
        IDeals.Assignment memory given = _assignment();
        given.paidWei = FP;
        uint256 deal = _running(given);
        _addProfit(deal, 0, 10 ether);
        vm.warp(deals.completableAt(deal));
        ankrFeed.set(ANKR_USD * 3);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPrices.PriceMoved.selector, address(ankrFeed), 0.06 ether, 0.02 ether
            )
        );
        deals.complete(deal);
        _complete(deal);
        _isConserved();
    }

    /// @dev A feed that takes all the gas there is only makes the claim wait.
    function test_greedyFeed_losesNoClaim() public {
        uint256 deal = _trusted();
        bytes memory code = address(ethFeed).code;
        vm.etch(address(ethFeed), hex"fe");
        uint64 epoch = _firstEpoch(deal);
        vm.warp(_startOf(epoch + 1));
        ScoreProof memory shown = _shown(node, epoch, 0, ACTIVE);
        deals.fail{gas: 3_000_000}(deal, shown);
        vm.etch(address(ethFeed), code);
        vm.assertEq(providers.providerOf(PROVIDER).locks, 1);
        deals.compensate(deal);
        _isOwed(REQUESTER, FP + STAKE, ETH_STAKE);
    }

    /// @dev However much gas who fails a deal allows: where there is a price, the provider pays at once
    ///      or nothing happens.
    function testFuzz_starvedFailure_neverPutsOffWhatIsOwed(uint256 gasLimit) public {
        uint256 deal = _trusted();
        uint64 epoch = _firstEpoch(deal);
        vm.warp(_startOf(epoch + 1));
        _refreshPrices();
        ScoreProof memory shown = _shown(node, epoch, 0, ACTIVE);
        try deals.fail{gas: bound(gasLimit, 50_000, 700_000)}(deal, shown) {
            vm.assertTrue(deals.dealOf(deal).isCompensated);
        } catch {
            _isState(deal, IDeals.State.Running);
        }
    }

    /// @dev R52: a provider and a requester that are one gain nothing from the insurance before all
    ///      of the provider's collateral is gone, and then at most the profit expected. Here 16 nodes
    ///      at once: the insurance pays at most 16 * L - 0.1 ETH, and each L <= EXPECTED.
    function test_insuranceDrainByCollusion_isBoundedByTheExpectedProfit() public {
        vm.prank(TIMELOCK);
        providers.setTier(PROVIDER, IProviders.Tier.Trusted, 0);
        for (uint256 i = 0; i < 16; ++i) {
            IDeals.Assignment memory given = _assignment();
            if (i > 0) given.registration = _node(PROVIDER);
            _running(given);
        }
        uint256 lossWei = 0;
        for (uint256 deal = 1; deal <= 16; ++deal) {
            _fail(deal);
            if (deals.dealOf(deal).owedWei > 0) deals.insure(deal);
            lossWei += EXPECTED;
        }
        uint256 drainedWei = 100 ether - address(insurance).balance;
        vm.assertTrue(drainedWei > 0);
        vm.assertTrue(drainedWei <= lossWei - STAKE * 1 ether / ANKR_PER_ETH);
        _isConserved();
    }

    /// @dev With its own ETH in the deal, worth more than the loss, it gains nothing at all.
    function test_insuranceDrainByCollusion_gainsNothingBehindKEth() public {
        uint256 deal = _running();
        _fail(deal);
        vm.expectRevert(abi.encodeWithSelector(IDeals.NothingLost.selector, deal));
        deals.insure(deal);
        vm.assertEq(address(insurance).balance, 100 ether);
    }

    /// @dev A wei of profit changes nothing that anybody is due; where it makes a price needed, the
    ///      project waits for one at most.
    function test_dustProfit_changesNobodysShare() public {
        uint256 deal = _running();
        _addProfit(deal, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IDeals.NoProfit.selector, deal));
        _addProfit(deal, 0, 0);
        _complete(deal);
        _isOwed(PROVIDER, PAID + BOND, K_ETH);
        _isOwed(address(rewards), 10 ether, 0);
        _isOwed(REQUESTER, 20 ether + 1, ETH_STAKE - K_ETH + 1);
        IDeals.Assignment memory given = _assignment();
        given.paidWei = FP;
        deal = _running(given);
        _addProfit(deal, 0, 1);
        _complete(deal);
        _isOwed(address(insurance), 10 ether, 1);
        _isConserved();
    }

    /// @dev The stake stays until the deal has ended, also if the provider resigns meanwhile.
    function test_providerFleeingWithItsStake_isHeld() public {
        uint256 deal = _trusted();
        vm.prank(PROVIDER);
        providers.resign();
        vm.warp(block.timestamp + 30 days);
        vm.expectRevert(
            abi.encodeWithSelector(IProviderStakes.StakeLocked.selector, PROVIDER, 1, 1)
        );
        vm.prank(PROVIDER);
        providers.withdraw();
        _refreshPrices();
        deals.fail(deal, _shown(node, _firstEpoch(deal), 0, ACTIVE));
        _isOwed(REQUESTER, FP + STAKE, ETH_STAKE);
    }

    /// @dev R62: a provider disputes first, is found right, and lets nobody carry that out. Kept for
    ///      later, it does not end the dispute that its requester raises when there is something wrong.
    function test_staleRuling_endsNoOtherDispute() public {
        uint256 deal = _running();
        IDeals.Ruling memory ruling = IDeals.Ruling(_disputed(deal, PROVIDER), false, 0);
        vm.warp(block.timestamp + DISPUTE_S);
        uint64 disputedAt = _disputed(deal, REQUESTER);
        vm.expectRevert(abi.encodeWithSelector(IDeals.OtherDispute.selector, deal, disputedAt));
        vm.prank(TIMELOCK);
        deals.rule(deal, ruling);
        vm.assertEq(deals.dealOf(deal).frozenUntil, block.timestamp + DISPUTE_S);
        ruling = IDeals.Ruling(disputedAt, true, 0);
        vm.prank(TIMELOCK);
        deals.rule(deal, ruling);
        _isState(deal, IDeals.State.Failed);
    }

    function _disputed(uint256 deal, address by) private returns (uint64) {
        vm.prank(by);
        deals.dispute(deal, "");
        return deals.dealOf(deal).disputedAt;
    }

    /// @dev A broken insurance or pot keeps nobody from anything else.
    function test_brokenPots_holdNobodyUp() public {
        uint256 deal = _trusted();
        vm.etch(address(insurance), hex"fe");
        vm.etch(address(rewards), hex"00");
        _fail(deal);
        vm.expectRevert();
        deals.insure(deal);
        vm.prank(REQUESTER);
        deals.collect();
        vm.warp(block.timestamp + 1 days);
        _refreshPrices();
        IDeals.Assignment memory given = _assignment();
        given.registration = _node(PROVIDER);
        _complete(_running(given));
        vm.prank(PROVIDER);
        deals.collect();
        vm.expectRevert(
            abi.encodeWithSelector(ILedger.NotTaken.selector, address(rewards), 10 ether)
        );
        deals.flush(address(rewards));
        vm.expectRevert();
        deals.flush(address(insurance));
        _isOwed(address(rewards), 10 ether, 0);
        _isConserved();
    }

    function _isNotSilent(uint256 deal, uint256 challenge) private {
        vm.expectRevert(abi.encodeWithSelector(IDeals.NotSilent.selector, deal, challenge));
        deals.failSilent(deal, challenge);
    }

    function _wrongState(uint256 deal, IDeals.State state) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IDeals.WrongState.selector, deal, state);
    }
}
