// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreMath} from "../src/ScoreMath.sol";
import {IDeals} from "../src/interfaces/IDeals.sol";
import {IPrices} from "../src/interfaces/IPrices.sol";
import {ScoreProof} from "../src/interfaces/IProviders.sol";
import {IScores} from "../src/interfaces/IScores.sol";
import {Deals} from "../src/market/Deals.sol";
import {Pot} from "../src/market/Pot.sol";
import {Prices} from "../src/market/Prices.sol";
import {TestFeed} from "../src/market/TestFeed.sol";
import {ProviderKit} from "./lib/ProviderKit.sol";

/// @dev R41, R59; Q15. A deal that fails by epochs which a council anchored with its signature.
contract DealsAnchoredTest is ProviderKit {
    address private constant MARKET = address(0x3a4ce7);
    address private constant REQUESTER = address(0x4e90);
    address private constant PROVIDER = address(0x940f);
    uint32 private constant LENGTH_S = 600;

    Deals private deals;
    uint256 private node;

    function setUp() public {
        address foretold = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 8);
        _deploy(foretold);
        deals = new Deals(_dealsSetup(foretold));
        vm.assertEq(address(deals), foretold);
        _provider(PROVIDER, "Ada", 16 ether);
        node = _node(PROVIDER, keccak256("node"));
        _give(MARKET, WEALTH);
        vm.deal(REQUESTER, 100 ether);
        vm.deal(PROVIDER, 100 ether);
        _run();
    }

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_fail_takesAScoreThatTheCouncilAnchored() public {
        vm.expectRevert(abi.encodeWithSelector(IDeals.EpochOutsideRun.selector, 1, 0));
        deals.fail(1, _shown(0, node));
        _score(node, 0, 0, ScoreMath.PROBATION, ScoreMath.DOWN);
        uint64 epoch = _anchorFresh();
        ScoreProof memory shown = _shown(epoch, node);
        vm.expectRevert(abi.encodeWithSelector(IScores.EpochNotFinal.selector, epoch));
        deals.fail(1, shown);
        vm.warp(anchors.finalAt(epoch));
        shown.words[ScoreMath.UPTIME_PPM] = bytes32(uint256(1));
        vm.expectRevert(abi.encodeWithSelector(IScores.NotProved.selector, epoch));
        deals.fail(1, shown);
        shown.words[ScoreMath.UPTIME_PPM] = 0;
        deals.fail(1, shown);
        vm.snapshotGasLastCall("fail");
        vm.assertEq(uint256(deals.dealOf(1).state), uint256(IDeals.State.Failed));
        vm.assertEq(providers.providerOf(PROVIDER).failures, 1);
    }

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_failSilent_takesAChallengeThatTimedOut() public {
        ankr.mint(address(this), 1_000 ether);
        ankr.approve(address(providers), 1_000 ether);
        uint256 challenge = providers.challenge(node);
        vm.expectRevert(abi.encodeWithSelector(IDeals.NotSilent.selector, 1, challenge));
        deals.failSilent(1, challenge);
        uint64 epoch = _finalEpoch();
        vm.warp(block.timestamp + 60);
        providers.timeOut(challenge, _headerOf(epoch));
        deals.failSilent(1, challenge);
        vm.snapshotGasLastCall("failSilent");
        vm.assertEq(uint256(deals.dealOf(1).state), uint256(IDeals.State.Failed));
    }

    function _dealsSetup(address foretold) private returns (IDeals.Setup memory) {
        TestFeed feed = new TestFeed(8, 1e8);
        return IDeals.Setup({
            token: ankr,
            policy: policy,
            prices: new Prices(
                TIMELOCK, policy, IPrices.Source(feed, 1 ether), IPrices.Source(feed, 1 ether)
            ),
            providers: providers,
            epochs: anchors,
            market: MARKET,
            timelock: TIMELOCK,
            insurance: new Pot(ankr, TIMELOCK, foretold),
            rewards: new Pot(ankr, TIMELOCK, address(0))
        });
    }

    function _run() private {
        vm.startPrank(MARKET);
        ankr.approve(address(deals), 110 ether);
        deals.assign(
            1,
            IDeals.Assignment({
                requester: REQUESTER,
                provider: PROVIDER,
                registration: node,
                projectType: 1,
                lengthS: LENGTH_S,
                failBelowPpm: 600_000,
                need: _need(),
                fpWei: 100 ether,
                paidWei: 60 ether,
                bondWei: 10 ether,
                ethStakeWei: 32 ether,
                expectedProfitWei: 1 ether
            })
        );
        vm.stopPrank();
        vm.prank(REQUESTER);
        deals.fund{value: 16 ether}(1);
        vm.prank(PROVIDER);
        deals.start{value: 16 ether}(1);
    }
}
