// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ScoreMath} from "../src/ScoreMath.sol";
import {IDeals} from "../src/interfaces/IDeals.sol";
import {IMarket} from "../src/interfaces/IMarket.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {Call, IProposals} from "../src/interfaces/IProposals.sol";
import {ScoreProof} from "../src/interfaces/IProviders.sol";
import {SystemKit} from "./lib/SystemKit.sol";

/// @dev Rule and market together: what governors decide reaches deals, and nothing else does.
contract SystemTest is SystemKit {
    uint256 private constant LENGTH_S = 3_600;

    /// @dev What the third bidder asks, and its node. It is trusted: it brings no ETH.
    uint256 private constant TRUSTED = 2;
    uint256 private constant NODE = TRUSTED * NODES;

    function setUp() public {
        _begin();
    }

    function test_R62_GovernorsRuleInADisputeByVoteAndTimelock() public {
        uint256 deal = _running();
        vm.warp(block.timestamp + 600);
        uint256 disputedAt = block.timestamp;
        vm.prank(RITA);
        deals.dispute(deal, "it never served a block");
        IDeals.Ruling memory ruling = IDeals.Ruling({
            disputedAt: SafeCast.toUint64(disputedAt), isFailed: true, lossWei: 1 ether
        });
        _freshPrices();
        _decide(_one(address(deals), abi.encodeCall(IDeals.rule, (deal, ruling))));

        IDeals.Deal memory held = deals.dealOf(deal);
        vm.assertTrue(held.state == IDeals.State.Failed);
        vm.assertTrue(block.timestamp >= disputedAt + VOTING_S + DELAY_S);
        // Fixed price and ETH come back, and the provider's whole stake pays, as it is worth less.
        vm.assertEq(deals.ankrOf(RITA), uint256(held.fpWei) + 2_000 ether);
        vm.assertEq(deals.ethOf(RITA), held.ethStakeWei);
        vm.assertEq(providers.providerOf(_bidder(TRUSTED)).stake, 0);
        // 2,000 ANKR are worth 0.02 ETH at 100,000 ANKR for one.
        uint256 unservedS = LENGTH_S - 600;
        uint256 lossWei = 1 ether + held.expectedProfitWei * unservedS / LENGTH_S;
        vm.assertEq(held.owedWei, lossWei - 0.02 ether);
        deals.insure(deal);
        vm.assertEq(deals.ethOf(RITA), held.ethStakeWei + lossWei - 0.02 ether);
    }

    function test_R62_ARulingNeedsTheWholeDelay() public {
        uint256 deal = _running();
        vm.prank(_bidder(TRUSTED));
        deals.dispute(deal, "");
        bytes memory data = abi.encodeCall(
            IDeals.rule, (deal, IDeals.Ruling(SafeCast.toUint64(block.timestamp), false, 0))
        );
        Call[] memory calls = _one(address(deals), data);
        uint64 proposal = _propose(0, calls);
        _voteYes(proposal, INVITED);
        council.close(proposal, calls);
        vm.warp(block.timestamp + DELAY_S - 1);
        vm.expectRevert();
        this.execute(proposal, calls);
        vm.warp(block.timestamp + 1);
        this.execute(proposal, calls);
        vm.assertEq(deals.dealOf(deal).frozenUntil, block.timestamp);
    }

    function test_R62_ARejectedRulingChangesNothing() public {
        uint256 deal = _running();
        vm.prank(RITA);
        deals.dispute(deal, "");
        bytes memory data = abi.encodeCall(
            IDeals.rule, (deal, IDeals.Ruling(SafeCast.toUint64(block.timestamp), true, 0))
        );
        Call[] memory calls = _one(address(deals), data);
        uint64 proposal = _propose(0, calls);
        for (uint256 i = 0; i < INVITED; ++i) {
            _vote(i, proposal, IProposals.Choice.No);
        }
        vm.assertTrue(_closeProposal(proposal, calls) == IProposals.Outcome.Rejected);
        vm.warp(block.timestamp + DELAY_S);
        vm.expectRevert();
        this.execute(proposal, calls);
        vm.warp(deals.completableAt(deal));
        _freshPrices();
        deals.complete(deal);
        vm.assertTrue(deals.dealOf(deal).state == IDeals.State.Completed);
    }

    function test_Q27_GovernorsCancelTheDealOfADisqualifiedProvider() public {
        uint256 deal = _running();
        vm.warp(block.timestamp + 600);
        uint64 epoch = anchor.epochAt(block.timestamp) - 1;
        providers.disqualify(NODE, _shown(NODE, epoch, 0, ScoreMath.SUSPENDED));
        _decide(_one(address(deals), abi.encodeCall(IDeals.cancel, (deal))));

        IDeals.Deal memory held = deals.dealOf(deal);
        vm.assertTrue(held.state == IDeals.State.Cancelled);
        vm.assertEq(deals.ankrOf(RITA), held.fpWei);
        vm.assertEq(deals.ethOf(RITA), held.ethStakeWei);
        vm.assertEq(providers.providerOf(_bidder(TRUSTED)).stake, 2_000 ether);
        vm.assertEq(providers.providerOf(_bidder(TRUSTED)).runningDeals, 0);
    }

    /// @dev R59: a score good enough to bid with does not fail the deal, whatever the type asks.
    function test_R59_NobodyGetsADealThatItsOwnScoreWouldFail() public {
        uint256 failBelowPpm = policy.get(Parameter.FailBelowPpm);
        vm.assertTrue(policy.projectType(1).uptimePpmMin < failBelowPpm);
        uint256 deal = _openAuction(1, 3_600);
        vm.assertEq(market.auctionOf(deal).uptimePpmMin, failBelowPpm);
        _commit(deal, TRUSTED, NODE, 1 ether);
        vm.warp(market.auctionOf(deal).commitUntilS);
        uint64 epoch = market.auctionOf(deal).scoreEpoch;
        ScoreProof memory shown = _shown(NODE, epoch, failBelowPpm - 1, ScoreMath.ACTIVE);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMarket.ScoreTooLow.selector, failBelowPpm - 1, failBelowPpm - 1, ScoreMath.ACTIVE
            )
        );
        vm.prank(_bidder(TRUSTED));
        market.reveal(deal, NODE, 1 ether, bytes32(TRUSTED), shown);
    }

    /// @dev R59: nor does a bar that is raised between the opening and the draw.
    function test_R59_ABarRaisedAfterTheOpeningFailsNobodyWhoBid() public {
        uint256 deal = _openAuction(1, 3_600);
        _commit(deal, TRUSTED, NODE, 1 ether);
        vm.warp(market.auctionOf(deal).commitUntilS);
        uint64 epoch = market.auctionOf(deal).scoreEpoch;
        ScoreProof memory shown = _shown(NODE, epoch, 800_000, ScoreMath.ACTIVE);
        vm.prank(_bidder(TRUSTED));
        market.reveal(deal, NODE, 1 ether, bytes32(TRUSTED), shown);
        _set(Parameter.FailBelowPpm, 900_000);
        _draw(deal);
        _fund(deal);
        _start(deal);
        vm.warp(block.timestamp + 600);
        epoch = anchor.epochAt(block.timestamp) - 1;
        shown = _shown(NODE, epoch, 800_000, ScoreMath.ACTIVE);
        vm.expectRevert(
            abi.encodeWithSelector(IDeals.NotFailing.selector, deal, 800_000, ScoreMath.ACTIVE)
        );
        deals.fail(deal, shown);
    }

    /// @notice For expected reverts, which are looked for in the next call.
    function execute(uint64 proposal, Call[] calldata calls) external {
        _execute(proposal, calls);
    }

    function _running() private returns (uint256 deal) {
        deal = _openAuction(1, 3_600);
        _commit(deal, TRUSTED, NODE, 1 ether);
        vm.warp(market.auctionOf(deal).commitUntilS);
        _reveal(deal, TRUSTED, NODE, 1 ether);
        vm.warp(market.auctionOf(deal).revealUntilS);
        _draw(deal);
        _fund(deal);
        _start(deal);
    }
}
