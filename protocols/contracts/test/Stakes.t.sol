// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISeats} from "../src/interfaces/ISeats.sol";
import {IStakes} from "../src/interfaces/IStakes.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

contract StakesTest is CouncilKit {
    address private constant ALICE = address(0xa);
    address private constant BOB = address(0xb);

    function setUp() public {
        _deploy(_testAnkr());
    }

    // Staking.

    function testFuzz_stake_addsWhatItTakes(uint256 first, uint256 second) public {
        first = bound(first, 1, 10 ** 28);
        second = bound(second, 1, 10 ** 28);
        _stake(ALICE, first);
        require(ankr.transfer(ALICE, second), "a test token pays");
        vm.prank(ALICE);
        ankr.approve(address(council), second);
        vm.expectEmit(address(council));
        emit IStakes.Staked(ALICE, second, first + second);
        vm.prank(ALICE);
        council.stake(second);
        vm.assertEq(council.stakeOf(ALICE), first + second);
        vm.assertEq(council.totalStake(), first + second);
        vm.assertEq(ankr.balanceOf(address(council)), first + second);
    }

    function test_stake_RevertWhen_ItIsNothing() public {
        vm.expectRevert(IStakes.ZeroAmount.selector);
        council.stake(0);
    }

    function test_stake_RevertWhen_ItIsNotApproved() public {
        vm.expectRevert();
        vm.prank(ALICE);
        council.stake(1);
    }

    // Leaving.

    function testFuzz_unstake_countsNoLongerAndIsPaidAfterTheDelay(uint256 part) public {
        part = bound(part, 1, 10 ether);
        _stake(ALICE, 10 ether);
        uint48 readyAt = START + UNBOND_S;
        vm.expectEmit(address(council));
        emit IStakes.Unstaked(ALICE, part, 10 ether - part, readyAt);
        vm.prank(ALICE);
        council.unstake(part);
        vm.assertEq(council.stakeOf(ALICE), 10 ether - part);
        vm.assertEq(council.totalStake(), 10 ether - part);
        vm.assertEq(ankr.balanceOf(ALICE), 0);

        vm.warp(readyAt);
        vm.expectEmit(address(council));
        emit IStakes.Withdrawn(ALICE, part);
        vm.prank(ALICE);
        council.withdraw();
        vm.assertEq(ankr.balanceOf(ALICE), part);
        vm.assertEq(ankr.balanceOf(address(council)), 10 ether - part);
    }

    function testFuzz_withdraw_RevertWhen_TheDelayIsNotOver(uint256 time) public {
        _stake(ALICE, 2);
        vm.prank(ALICE);
        council.unstake(1);
        uint48 readyAt = START + UNBOND_S;
        vm.warp(bound(time, START, readyAt - 1));
        vm.expectRevert(abi.encodeWithSelector(IStakes.StillLeaving.selector, ALICE, readyAt));
        vm.prank(ALICE);
        council.withdraw();
    }

    function test_withdraw_paysOnce() public {
        _stake(ALICE, 2);
        vm.prank(ALICE);
        council.unstake(2);
        vm.warp(START + UNBOND_S);
        vm.prank(ALICE);
        council.withdraw();
        vm.expectRevert(abi.encodeWithSelector(IStakes.NothingLeaving.selector, ALICE));
        vm.prank(ALICE);
        council.withdraw();
    }

    function test_unstake_letsAllThatLeavesWaitTogether() public {
        _stake(ALICE, 10);
        vm.prank(ALICE);
        council.unstake(4);
        vm.warp(START + UNBOND_S - 1);
        vm.prank(ALICE);
        council.unstake(6);
        (uint208 amount, uint48 readyAt) = council.leavingOf(ALICE);
        vm.assertEq(amount, 10);
        vm.assertEq(readyAt, START + 2 * UNBOND_S - 1);
    }

    /// @dev A delay that is lengthened later holds nobody back that is leaving.
    function test_unstake_goesByTheDelayOfItsTime() public {
        _stake(ALICE, 10);
        vm.prank(ALICE);
        council.unstake(10);
        _set(Parameter.UnbondS, 365 days);
        vm.warp(START + UNBOND_S);
        vm.prank(ALICE);
        council.withdraw();
        vm.assertEq(ankr.balanceOf(ALICE), 10);
    }

    function test_unstake_RevertWhen_ItIsNothing() public {
        vm.expectRevert(IStakes.ZeroAmount.selector);
        council.unstake(0);
    }

    function testFuzz_unstake_RevertWhen_ThereIsNotSoMuch(uint256 amount) public {
        amount = bound(amount, 11, type(uint256).max);
        _stake(ALICE, 10);
        vm.expectRevert(abi.encodeWithSelector(IStakes.StakeTooSmall.selector, ALICE, 10, amount));
        vm.prank(ALICE);
        council.unstake(amount);
    }

    function test_unstake_RevertWhen_TheOwnerSits() public {
        _accept(0);
        _stake(_person(0), 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IStakes.StakeBound.selector, _person(0)));
        vm.prank(_person(0));
        council.unstake(1);
    }

    function test_unstake_RevertWhen_TheOwnerStandsInAnOpenElection() public {
        _stakeMany(10, 1);
        vm.warp(PHASE_2_AT);
        _open();
        _stand(10);
        vm.assertTrue(council.isBound(_person(10)));
        vm.expectRevert(abi.encodeWithSelector(IStakes.StakeBound.selector, _person(10)));
        vm.prank(_person(10));
        council.unstake(1);
    }

    function test_unstake_isFreeAgainForWhoLost() public {
        _stakeMany(10, N + 1);
        vm.warp(PHASE_2_AT);
        _open();
        _standMany(10, N + 1);
        _close();
        vm.assertFalse(council.isBound(_person(10)));
        vm.assertTrue(council.isBound(_person(11)));
        uint256 all = council.stakeOf(_person(10));
        vm.prank(_person(10));
        council.unstake(all);
        vm.assertEq(council.stakeOf(_person(10)), 0);
    }

    function test_unstake_isFreeAgainOnceTheTermIsOver() public {
        _acceptAll();
        _renew(20, 2 * N + 1);
        vm.assertFalse(council.isBound(_person(0)));
        vm.prank(_person(0));
        council.unstake(STAKE);
        vm.warp(block.timestamp + UNBOND_S);
        vm.prank(_person(0));
        council.withdraw();
        vm.assertEq(ankr.balanceOf(_person(0)), STAKE);
    }

    // What was staked when.

    function testFuzz_stakeAt_isWhatWasStakedAtTheEndOfThatSecond(uint8[6] memory steps) public {
        uint256[6] memory stakes;
        uint256[6] memory totals;
        for (uint256 i = 0; i < 6; ++i) {
            vm.warp(START + i);
            uint256 amount = uint256(steps[i]) + 1;
            _stake(ALICE, amount);
            _stake(BOB, 5);
            if (steps[i] % 2 == 0) {
                vm.prank(ALICE);
                council.unstake(amount);
            }
            (stakes[i], totals[i]) = (council.stakeOf(ALICE), council.totalStake());
        }
        vm.warp(START + 6);
        for (uint48 i = 0; i < 6; ++i) {
            vm.assertEq(council.stakeAt(ALICE, START + i), stakes[i]);
            vm.assertEq(council.stakeAt(BOB, START + i), 5 * (i + 1));
            vm.assertEq(council.totalStakeAt(START + i), totals[i]);
        }
        vm.assertEq(council.stakeAt(ALICE, START - 1), 0);
    }

    function test_stakeAt_RevertWhen_TheSecondIsNotOver() public {
        vm.expectRevert(abi.encodeWithSelector(IStakes.NotYetOver.selector, START));
        council.stakeAt(ALICE, START);
        vm.expectRevert(abi.encodeWithSelector(IStakes.NotYetOver.selector, START));
        council.totalStakeAt(START);
    }

    // What is slashed.

    function test_handOnSlashed_givesAllOfItToTheReceiver() public {
        _acceptAll();
        _missVotes(3);
        uint256 taken = council.slashed();
        vm.assertEq(taken, 4 * STAKE / 10);
        vm.expectEmit(address(council));
        emit IStakes.SlashedHandedOn(taken);
        council.handOnSlashed();
        vm.assertEq(ankr.balanceOf(address(rewards)), taken);
        vm.assertEq(ankr.balanceOf(address(council)), council.totalStake());
        vm.expectRevert(IStakes.NothingSlashed.selector);
        council.handOnSlashed();
    }

    function test_handOnSlashed_RevertWhen_NothingWasSlashed() public {
        vm.expectRevert(IStakes.NothingSlashed.selector);
        council.handOnSlashed();
    }

    function test_accept_RevertWhen_TheStakeIsNotEnough() public {
        _stake(_person(0), STAKE - 1);
        vm.expectRevert(
            abi.encodeWithSelector(ISeats.NotEnoughStake.selector, _person(0), STAKE - 1, STAKE)
        );
        vm.prank(_person(0));
        council.accept();
    }

    /// @dev Nobody votes on so many proposals.
    function _missVotes(uint256 count) private {
        for (uint256 i = 0; i < count; ++i) {
            uint64 proposal = _propose(0, _noCalls());
            vm.warp(council.proposalAt(proposal).closesAt);
            council.close(proposal, _noCalls());
        }
    }
}
