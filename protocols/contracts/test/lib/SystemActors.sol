// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ScoreMath} from "../../src/ScoreMath.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {IElections} from "../../src/interfaces/IElections.sol";
import {IPolicy, Parameter} from "../../src/interfaces/IPolicy.sol";
import {IPot} from "../../src/interfaces/IPot.sol";
import {IPrices} from "../../src/interfaces/IPrices.sol";
import {IProviders} from "../../src/interfaces/IProviders.sol";
import {Call} from "../../src/interfaces/IProposals.sol";
import {SystemTraders} from "./SystemTraders.sol";

/// @dev Governors, stakers and strangers beside the traders.
contract SystemActors is SystemTraders {
    /// @notice How often something was done that depends on much else.
    uint256 public rulings;
    uint256 public cancels;
    uint256 public elections;

    constructor() {
        _begin();
        for (uint256 i = INVITED; i < PEOPLE; ++i) {
            _stake(_person(i), STAKE + i * 1 ether);
        }
        _noteHolders();
    }

    /// @dev R62: a party disputes, and governors rule.
    function dispute(uint256 seed, uint256 lossWei, uint256 priced) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        IDeals.Deal memory held = deals.dealOf(deal);
        bool isByRequester = seed % 2 == 0;
        bool isTime =
            block.timestamp >= held.frozenUntil && block.timestamp < deals.completableAt(deal);
        if (!isTime || held.disputes & (isByRequester ? 1 : 2) != 0) return;
        vm.prank(isByRequester ? held.requester : held.provider);
        deals.dispute(deal, "");
        if (seed % 3 == 0) return;
        bool isFailed = seed % 3 == 1;
        lossWei = isFailed ? bound(lossWei, 0, held.ethStakeWei) : 0;
        _setPrices(priced % 4 != 0);
        IDeals.Ruling memory ruling =
            IDeals.Ruling(deals.dealOf(deal).disputedAt, isFailed, lossWei);
        _decide(_one(address(deals), abi.encodeCall(IDeals.rule, (deal, ruling))), seed % INVITED);
        ++rulings;
    }

    /// @dev Q27: a provider is disqualified, and governors end its deal.
    function cancel(uint256 seed) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        uint256 node = deals.dealOf(deal).registration;
        uint64 epoch = anchor.epochAt(block.timestamp) - 1;
        try providers.disqualify(node, _shown(node, epoch, 0, ScoreMath.SUSPENDED)) {}
        catch {
            return;
        }
        _decide(_one(address(deals), abi.encodeCall(IDeals.cancel, (deal))));
        ++cancels;
    }

    /// @dev Governors set a number of what a deal costs; one of them may be absent.
    function govern(uint256 seed, uint256 value) external {
        Parameter[4] memory some = [
            Parameter.RewardBps,
            Parameter.InsuranceBps,
            Parameter.BidBond,
            Parameter.ProfitBpsPerYear
        ];
        Parameter parameter = some[seed % 4];
        (,, uint256 least, uint256 most) = policy.specOf(parameter);
        if (seed % 4 < 2) most = 2_500;
        if (parameter == Parameter.BidBond && most > 1_000 ether) most = 1_000 ether;
        bytes memory data = abi.encodeCall(IPolicy.set, (parameter, bound(value, least, most)));
        _decide(_one(address(policy), data), seed % 8);
    }

    /// @dev Governors set the collateral of the second bidder.
    function setTier(uint256 kEthWei) external {
        uint128 bounded = SafeCast.toUint128(bound(kEthWei, 1, 32 ether));
        _decide(
            _one(
                address(providers),
                abi.encodeCall(
                    IProviders.setTier, (_bidder(1), IProviders.Tier.SemiTrusted, bounded)
                )
            )
        );
    }

    /// @dev An election that is due, or is waited for.
    function elect(uint256 seed) external {
        uint48 dueAt = council.dueAt();
        if (block.timestamp < dueAt) {
            if (seed % 4 != 0) return;
            vm.warp(dueAt);
        }
        uint64 election = council.openElection();
        for (uint256 i = 0; i < PEOPLE; ++i) {
            if ((seed >> i) & 3 == 0) continue;
            vm.prank(_person(i));
            // Some were invited or have too little.
            try council.stand(election, _node(i)) {} catch {}
        }
        address[] memory best = council.standings(election);
        if (best.length != 0 && council.stakeOf(_person(INVITED)) != 0) {
            vm.prank(_person(INVITED));
            try council.back(election, best[seed % best.length]) {} catch {}
        }
        IElections.Election memory opened = council.electionAt(election);
        if (block.timestamp < opened.closesAt) vm.warp(opened.closesAt);
        council.closeElection();
        ++elections;
    }

    /// @dev People stake, leave, and withdraw what they are due.
    function restakeInCouncil(uint256 seed) external {
        address who = _person(seed % PEOPLE);
        (uint208 leaving, uint48 readyAt) = council.leavingOf(who);
        if (leaving != 0 && block.timestamp >= readyAt) {
            uint256 before = ankr.balanceOf(who);
            vm.prank(who);
            council.withdraw();
            vm.assertEq(ankr.balanceOf(who), before + leaving);
        } else if (council.isBound(who) || council.stakeOf(who) < 2 * STAKE) {
            _stake(who, bound(seed, 1, STAKE));
        } else {
            vm.prank(who);
            council.unstake(bound(seed, 1, STAKE));
        }
    }

    function handOn() external {
        if (council.slashed() != 0) council.handOnSlashed();
    }

    function wait(uint256 timeS) external {
        vm.warp(block.timestamp + bound(timeS, 1, 3 days));
    }

    /// @dev Nothing that has ended pays again, whoever tries what.
    function tryAgain(uint256 seed) external {
        uint256 deal = _pick(IDeals.State(bound(seed, 4, 7)), seed);
        if (deal == 0) return;
        IDeals.Deal memory held = deals.dealOf(deal);
        uint64 epoch = anchor.epochAt(held.startedAt + EPOCH_S - 1);
        bytes[8] memory calls = [
            abi.encodeCall(IDeals.complete, (deal)),
            abi.encodeCall(IDeals.fail, (deal, _shown(held.registration, epoch, 0, 3))),
            abi.encodeCall(IDeals.failSilent, (deal, challengeCount)),
            abi.encodeCall(IDeals.abandon, (deal)),
            abi.encodeCall(IDeals.fund, (deal)),
            abi.encodeCall(IDeals.start, (deal)),
            abi.encodeCall(IDeals.cancel, (deal)),
            abi.encodeCall(IDeals.rule, (deal, IDeals.Ruling(held.disputedAt, true, 0)))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            _isRefused(i < 6 ? held.requester : address(timelock), address(deals), calls[i]);
        }
    }

    /// @dev Nobody but the timelock governs, and nobody but the contracts themselves moves stakes.
    function trespass(uint256 seed) external {
        address[4] memory some = [STRANGER, RITA, _bidder(0), _person(seed % PEOPLE)];
        address who = some[seed % 4];
        address target = address(providers);
        _isRefused(who, target, abi.encodeCall(providers.seize, (_bidder(0), 1, who)));
        _isRefused(who, target, abi.encodeCall(IProviders.recordFailure, (_bidder(1))));
        _isRefused(who, target, abi.encodeCall(IProviders.revoke, (_bidder(2))));
        _isRefused(who, target, abi.encodeCall(IProviders.occupy, (_bidder(2), 4, _need())));
        target = address(policy);
        _isRefused(who, target, abi.encodeCall(IPolicy.set, (Parameter.RewardBps, 1)));
        _isRefused(who, address(rewards), abi.encodeCall(IPot.release, (1, 0, who)));
        _isRefused(who, address(insurance), abi.encodeCall(insurance.cover, (who, 1)));
        _isRefused(who, address(deals), abi.encodeCall(IDeals.cancel, (1)));
        IPrices.Source memory source = prices.sourceOf(IPrices.Asset.Ankr);
        _isRefused(who, address(prices), abi.encodeCall(IPrices.setFeeds, (source, source)));
        bytes memory queueing = abi.encodeCall(
            timelock.schedule, (address(deals), 0, "", bytes32(0), bytes32(0), DELAY_S)
        );
        _isRefused(who, address(timelock), queueing);
    }

    /// @notice How many deals are in each state.
    function countByState() external view returns (uint256[8] memory counts) {
        for (uint256 deal = 1; deal <= market.deals(); ++deal) {
            ++counts[uint256(deals.dealOf(deal).state)];
        }
    }

    /// @notice ANKR and ETH that the insurance has paid out or got.
    function potOf() external view returns (uint256 ankrWei, uint256 ethWei, uint256 slashedWei) {
        (slashedWei,) = rewards.broughtBy(address(council));
        return (ankr.balanceOf(address(insurance)), address(insurance).balance, slashedWei);
    }

    function _isRefused(address who, address target, bytes memory data) private {
        vm.prank(who);
        (bool isDone,) = target.call(data);
        vm.assertFalse(isDone);
    }
}
