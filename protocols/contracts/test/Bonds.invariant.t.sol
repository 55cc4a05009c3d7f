// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReputationAnchor} from "../src/ReputationAnchor.sol";
import {TestAnkr} from "../src/TestAnkr.sol";
import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {ChallengeKit} from "./lib/ChallengeKit.sol";

/// @dev Governors come, bond, leave and unbond; a watcher challenges right scores and wrong ones.
contract Governors is ChallengeKit {
    uint160 private constant COUNT = 5;

    /// @notice What went into the contract and out of it.
    uint256 public paidIn;
    uint256 public paidOut;

    /// @notice Whether something happened that must not.
    bool public isBroken;

    bytes private _challenge;

    constructor() {
        _warpToSettled(1);
    }

    modifier counted() {
        uint256 before = ankr.balanceOf(address(anchors));
        _;
        uint256 afterwards = ankr.balanceOf(address(anchors));
        if (afterwards > before) paidIn += afterwards - before;
        else paidOut += before - afterwards;
    }

    function bond(uint160 who, uint256 amount) external counted {
        address account = governor(who);
        amount = bound(amount, 0, 10 ** 24);
        if (amount % 4 != 0) council.seat(account);
        _approve(account, amount);
        vm.prank(account);
        anchors.bond(amount);
        if (!council.isGovernor(account)) isBroken = true;
    }

    /// @dev Mostly long after it left.
    function unbond(uint160 who, uint64 ago) external counted {
        address account = governor(who);
        if (ago % 4 != 0) {
            council.unseat(account, uint64(block.timestamp) - ago % (4 * CHALLENGE_S));
        }
        uint256 worth = anchors.bondOf(account);
        uint256 before = ankr.balanceOf(account);
        vm.prank(account);
        anchors.unbond();
        if (ankr.balanceOf(account) != before + worth) isBroken = true;
        if (block.timestamp < uint256(council.satUntil(account)) + CHALLENGE_S) isBroken = true;
    }

    /// @dev Anchors epoch 1 if need be, mostly with one score too high, and challenges that score.
    function challenge(uint8 luck) external counted {
        bool isWrong = anchors.nextEpoch() < 2 && luck % 4 != 0;
        if (anchors.nextEpoch() < 2) _anchorEpochs(isWrong);
        _approve(WATCHER, DEPOSIT);
        uint64 voids = anchors.voids();
        vm.prank(WATCHER);
        anchors.challenge(abi.decode(_challenge, (IChallenges.Challenge)));
        if (anchors.voids() != voids + (isWrong ? 1 : 0)) isBroken = true;
        if (anchors.nextEpoch() != (isWrong ? 1 : 2)) isBroken = true;
    }

    function wait(uint256 timeS) external {
        vm.warp(block.timestamp + timeS % 60);
    }

    function kept() external view returns (ReputationAnchor, TestAnkr) {
        return (anchors, ankr);
    }

    function governor(uint160 index) public pure returns (address) {
        return address(0x60e4 + index % COUNT);
    }

    function _anchorEpochs(bool isWrong) private {
        World memory w = _world();
        if (isWrong) w.scores[ALICE][14] = bytes32(uint256(1_000_000));
        _root(w);
        if (anchors.nextEpoch() == 0) _anchor(w.before);
        _anchor(w.header);
        _challenge = abi.encode(_against(w, ALICE));
    }

    function _approve(address who, uint256 amount) private {
        _give(who, amount);
        vm.prank(who);
        ankr.approve(address(anchors), amount);
    }
}

contract BondsInvariantTest is ChallengeKit {
    Governors private governors;

    function setUp() public {
        governors = new Governors();
        (anchors, ankr) = governors.kept();
        targetContract(address(governors));
    }

    function invariant_theContractHoldsThePoolAndNothingElse() public view {
        vm.assertEq(ankr.balanceOf(address(anchors)), anchors.pool());
        vm.assertEq(governors.paidIn() - governors.paidOut(), anchors.pool());
    }

    function invariant_allBondsTogetherAreNeverMoreThanThePool() public view {
        uint256 sum = 0;
        for (uint160 i = 0; i < 5; ++i) {
            sum += anchors.bondOf(governors.governor(i));
        }
        vm.assertTrue(sum <= anchors.pool());
    }

    function invariant_onlyGovernorsBondAndNobodyUnbondsEarly() public view {
        vm.assertFalse(governors.isBroken());
    }
}
