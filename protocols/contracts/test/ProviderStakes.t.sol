// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Parameter} from "../src/interfaces/IPolicy.sol";
import {IProviders} from "../src/interfaces/IProviders.sol";
import {IProviderStakes} from "../src/interfaces/IProviderStakes.sol";
import {ProviderKit} from "./lib/ProviderKit.sol";

/// @dev R45, R46, R59, Q13: what providers answer with, and how it comes back.
contract ProviderStakesTest is ProviderKit {
    address private constant DEALS = address(0xdea15);
    address private constant ALICE = address(0xa11ce);
    address private constant VICTIM = address(0x71c71);

    uint256 private stakeMin;
    uint256 private stakeMax;

    function setUp() public {
        _deploy(DEALS);
        stakeMin = policy.get(Parameter.StakeMin);
        stakeMax = policy.get(Parameter.StakeMax);
        _approve(ALICE, "Alice", IProviders.Tier.Trusted, 0);
    }

    function testFuzz_stake_takesUpToTheMaximum(uint256 first, uint256 second) public {
        first = bound(first, 1, stakeMax);
        second = bound(second, 1, 2 * stakeMax);
        vm.expectEmit(address(providers));
        emit IProviderStakes.Staked(ALICE, first, first);
        _stakes(first);
        bool isTooMuch = first + second > stakeMax;
        if (isTooMuch) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IProviderStakes.StakeTooHigh.selector, first + second, stakeMax
                )
            );
        }
        _stakes(second);
        uint256 staked = isTooMuch ? first : first + second;
        vm.assertEq(providers.providerOf(ALICE).stake, staked);
        _holds(staked);
        vm.assertEq(ankr.balanceOf(ALICE), WEALTH - staked);
    }

    function test_stake_RevertWhen_ItIsNothing() public {
        vm.expectRevert(IProviderStakes.ZeroAmount.selector);
        _stakes(0);
    }

    function test_stake_RevertWhen_NotApproved() public {
        vm.expectRevert(
            abi.encodeWithSelector(IProviders.WrongStatus.selector, VICTIM, IProviders.Status.None)
        );
        vm.prank(VICTIM);
        providers.stake(1);
    }

    function testFuzz_unstake_leavesTheMinimum(uint256 amount) public {
        _stakes(stakeMax);
        amount = bound(amount, 1, 2 * stakeMax);
        uint256 left = amount > stakeMax ? 0 : stakeMax - amount;
        if (left < stakeMin) {
            vm.expectRevert(
                abi.encodeWithSelector(IProviderStakes.StakeTooLow.selector, left, stakeMin)
            );
        }
        vm.prank(ALICE);
        providers.unstake(amount);
        if (left < stakeMin) return;
        vm.assertEq(providers.providerOf(ALICE).stake, left);
        vm.assertEq(providers.providerOf(ALICE).unbonding, amount);
        vm.assertTrue(providers.isEligible(ALICE, _need(), 0));
        _holds(stakeMax);
    }

    function test_unstake_RevertWhen_ItIsNothing() public {
        vm.expectRevert(IProviderStakes.ZeroAmount.selector);
        vm.prank(ALICE);
        providers.unstake(0);
    }

    function test_withdraw_paysNotBeforeTheTimeHasCome() public {
        _stakes(stakeMax);
        vm.startPrank(ALICE);
        providers.unstake(1 ether);
        uint256 untilS = block.timestamp + policy.get(Parameter.UnbondS);
        vm.warp(untilS - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IProviderStakes.StillUnbonding.selector, ALICE, untilS)
        );
        providers.withdraw();
        vm.warp(untilS);
        vm.expectEmit(address(providers));
        emit IProviderStakes.Withdrawn(ALICE, 1 ether);
        providers.withdraw();
        vm.stopPrank();
        vm.assertEq(ankr.balanceOf(ALICE), WEALTH - stakeMax + 1 ether);
        _holds(stakeMax - 1 ether);
    }

    function test_withdraw_paysOnce() public {
        _stakes(stakeMax);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IProviderStakes.NothingUnbonding.selector, ALICE));
        providers.withdraw();
        providers.unstake(1 ether);
        vm.warp(providers.providerOf(ALICE).unbondedAt);
        providers.withdraw();
        vm.expectRevert(abi.encodeWithSelector(IProviderStakes.NothingUnbonding.selector, ALICE));
        providers.withdraw();
        vm.stopPrank();
    }

    function test_unstake_beginsTheTimeAnewForAll() public {
        _stakes(stakeMax);
        uint256 unbondS = policy.get(Parameter.UnbondS);
        vm.startPrank(ALICE);
        providers.unstake(1 ether);
        vm.warp(block.timestamp + unbondS);
        providers.unstake(2 ether);
        vm.stopPrank();
        vm.assertEq(providers.providerOf(ALICE).unbondedAt, block.timestamp + unbondS);
        vm.assertEq(providers.providerOf(ALICE).unbonding, 3 ether);
    }

    function test_resign_bringsTheWholeStakeBack() public {
        _stakes(stakeMax);
        vm.startPrank(ALICE);
        providers.unstake(1 ether);
        vm.expectEmit(address(providers));
        emit IProviders.Left(ALICE, false);
        providers.resign();
        vm.warp(providers.providerOf(ALICE).unbondedAt);
        providers.withdraw();
        vm.stopPrank();
        vm.assertEq(ankr.balanceOf(ALICE), WEALTH);
        vm.assertEq(uint256(providers.providerOf(ALICE).status), uint256(IProviders.Status.None));
        _holds(0);
    }

    function test_resign_letsWhoStakedNothingGoAsWell() public {
        vm.startPrank(ALICE);
        providers.resign();
        vm.warp(providers.providerOf(ALICE).unbondedAt);
        providers.withdraw();
        vm.stopPrank();
        vm.assertEq(uint256(providers.providerOf(ALICE).status), uint256(IProviders.Status.None));
    }

    function test_withdraw_RevertWhen_TheStakeIsLocked() public {
        _stakes(stakeMin);
        _deals(abi.encodeCall(providers.lock, (ALICE)));
        _deals(abi.encodeCall(providers.lock, (ALICE)));
        vm.prank(ALICE);
        providers.resign();
        vm.warp(block.timestamp + 365 days);
        for (uint256 locks = 2; locks != 0; --locks) {
            vm.expectRevert(
                abi.encodeWithSelector(IProviderStakes.StakeLocked.selector, ALICE, locks, 0)
            );
            vm.prank(ALICE);
            providers.withdraw();
            _deals(abi.encodeCall(providers.unlock, (ALICE)));
        }
        vm.prank(ALICE);
        providers.withdraw();
        vm.assertEq(ankr.balanceOf(ALICE), WEALTH);
    }

    function test_unlock_RevertWhen_NothingIsLocked() public {
        vm.expectRevert(abi.encodeWithSelector(IProviderStakes.NotLocked.selector, ALICE));
        vm.prank(DEALS);
        providers.unlock(ALICE);
    }

    /// @dev R59: from proof only, never more than there is, and what is leaving goes first.
    function testFuzz_seize_paysAtMostWhatThereIs(uint256 staked, uint256 leaving, uint256 wanted)
        public
    {
        staked = bound(staked, stakeMin, stakeMax);
        leaving = bound(leaving, 0, staked - stakeMin);
        wanted = bound(wanted, 0, 2 * stakeMax);
        _stakes(staked);
        if (leaving != 0) {
            vm.prank(ALICE);
            providers.unstake(leaving);
        }
        uint256 expected = wanted < staked ? wanted : staked;
        vm.expectEmit(address(providers));
        emit IProviderStakes.Seized(ALICE, wanted, expected, VICTIM);
        vm.prank(DEALS);
        vm.assertEq(providers.seize(ALICE, wanted, VICTIM), expected);
        vm.assertEq(ankr.balanceOf(VICTIM), expected);
        _holds(staked - expected);
        IProviders.Provider memory held = providers.providerOf(ALICE);
        vm.assertEq(uint256(held.stake) + held.unbonding, staked - expected);
        vm.assertEq(held.unbonding, wanted < leaving ? leaving - wanted : 0);
    }

    function test_seize_takesOfAStakeThatIsLeaving() public {
        _stakes(stakeMin);
        _deals(abi.encodeCall(providers.lock, (ALICE)));
        vm.startPrank(ALICE);
        providers.resign();
        vm.warp(block.timestamp + 365 days);
        vm.stopPrank();
        _deals(abi.encodeCall(providers.seize, (ALICE, stakeMin, VICTIM)));
        _deals(abi.encodeCall(providers.unlock, (ALICE)));
        vm.prank(ALICE);
        providers.withdraw();
        vm.assertEq(ankr.balanceOf(VICTIM), stakeMin);
        vm.assertEq(ankr.balanceOf(ALICE), WEALTH - stakeMin);
        _holds(0);
    }

    function testFuzz_whatDealsDo_RevertWhen_AnyoneElseDoes(address caller) public {
        vm.assume(caller != DEALS);
        bytes[6] memory calls = [
            abi.encodeCall(providers.lock, (ALICE)),
            abi.encodeCall(providers.unlock, (ALICE)),
            abi.encodeCall(providers.seize, (ALICE, 1, caller)),
            abi.encodeCall(providers.occupy, (ALICE, 0, _need())),
            abi.encodeCall(providers.release, (ALICE, 0, _need())),
            abi.encodeCall(providers.recordFailure, (ALICE))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(caller);
            (bool ok, bytes memory answer) = address(providers).call(calls[i]);
            vm.assertFalse(ok);
            vm.assertEq(answer, abi.encodeWithSelector(IProviderStakes.NotDeals.selector, caller));
        }
    }

    function _stakes(uint256 amount) private {
        vm.prank(ALICE);
        providers.stake(amount);
    }

    function _deals(bytes memory call) private {
        vm.prank(DEALS);
        (bool ok, bytes memory answer) = address(providers).call(call);
        if (!ok) revert(string(answer));
    }

    function _holds(uint256 amount) private view {
        vm.assertEq(ankr.balanceOf(address(providers)), amount);
    }
}
