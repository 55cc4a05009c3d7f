// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Bonds} from "../src/Bonds.sol";
import {IBonds} from "../src/interfaces/IBonds.sol";
import {ICouncilKeys} from "../src/interfaces/ICouncilKeys.sol";
import {AnchorKit} from "./lib/AnchorKit.sol";

/// @dev Bonds whose pool anyone slashes or feeds.
contract OpenBonds is Bonds {
    constructor(ICouncilKeys council, IERC20 token, Policy memory given)
        Bonds(council, token, given)
    {}

    function slash(address challenger) external {
        _slash(challenger);
    }

    function loseDeposit() external {
        _takeDeposit(msg.sender);
    }
}

contract BondsTest is AnchorKit {
    uint256 private constant BOND = 100_000 ether;
    address private constant ALICE = address(0xa);
    address private constant BOB = address(0xb);
    address private constant CAROL = address(0xc);

    OpenBonds private bonds;

    function setUp() public {
        vm.warp(1_000_000);
        bonds = _bonds(_policy());
        council.seat(ALICE);
        council.seat(BOB);
    }

    // Bonding.

    function testFuzz_bond_takesTheAmountIntoThePool(uint256 amount) public {
        amount = bound(amount, 1, 10 ** 30);
        _fund(ALICE, amount);
        vm.expectEmit(address(bonds));
        emit IBonds.Bonded(ALICE, amount, amount * 10 ** 6);
        vm.prank(ALICE);
        bonds.bond(amount);
        vm.assertEq(bonds.pool(), amount);
        vm.assertEq(bonds.bondOf(ALICE), amount);
        vm.assertEq(ankr.balanceOf(address(bonds)), amount);
    }

    function testFuzz_bond_isWorthWhatWasPaidAndNoMore(uint256[5] memory amounts) public {
        uint256 pool = 0;
        for (uint160 i = 0; i < 5; ++i) {
            amounts[i] = bound(amounts[i], 1, 10 ** 27);
            council.seat(address(0x100 + i));
            _bond(address(0x100 + i), amounts[i]);
            pool += amounts[i];
        }
        vm.assertEq(bonds.pool(), pool);
        for (uint160 i = 0; i < 5; ++i) {
            vm.assertEq(bonds.bondOf(address(0x100 + i)), amounts[i]);
        }
    }

    function test_bond_RevertWhen_TheCallerDoesNotSit() public {
        _fund(CAROL, BOND);
        vm.expectRevert(abi.encodeWithSelector(IBonds.NotGovernor.selector, CAROL));
        vm.prank(CAROL);
        bonds.bond(BOND);
    }

    function test_bond_RevertWhen_ItIsNotWorthAShare() public {
        vm.expectRevert(abi.encodeWithSelector(IBonds.BondTooSmall.selector, 0));
        vm.prank(ALICE);
        bonds.bond(0);
    }

    function test_bond_RevertWhen_ItIsNotApproved() public {
        vm.expectRevert();
        vm.prank(ALICE);
        bonds.bond(1);
    }

    // Unbonding.

    function test_unbond_paysBackWhenNothingSignedCanBeChallenged() public {
        _bond(ALICE, BOND);
        council.unseat(ALICE, 2_000_000);
        vm.warp(2_000_000 + CHALLENGE_S);
        vm.expectEmit(address(bonds));
        emit IBonds.Unbonded(ALICE, BOND);
        vm.prank(ALICE);
        bonds.unbond();
        vm.assertEq(ankr.balanceOf(ALICE), BOND);
        vm.assertEq(bonds.bondOf(ALICE), 0);
        vm.assertEq(bonds.pool(), 0);
    }

    function testFuzz_unbond_RevertWhen_ItIsTooEarly(uint256 timestamp) public {
        _bond(ALICE, BOND);
        council.unseat(ALICE, 2_000_000);
        uint256 untilS = 2_000_000 + CHALLENGE_S;
        vm.warp(bound(timestamp, 1_000_000, untilS - 1));
        vm.expectRevert(abi.encodeWithSelector(IBonds.StillLiable.selector, ALICE, untilS));
        vm.prank(ALICE);
        bonds.unbond();
    }

    function test_unbond_RevertWhen_TheCallerSitsAgain() public {
        _bond(ALICE, BOND);
        council.unseat(ALICE, 1_000_000);
        vm.warp(3_000_000);
        council.seat(ALICE);
        uint256 untilS = uint256(type(uint64).max) + CHALLENGE_S;
        vm.expectRevert(abi.encodeWithSelector(IBonds.StillLiable.selector, ALICE, untilS));
        vm.prank(ALICE);
        bonds.unbond();
    }

    function test_unbond_RevertWhen_ThereIsNoBondOrNoMore() public {
        _bond(ALICE, BOND);
        council.unseat(ALICE, 1);
        vm.expectRevert(abi.encodeWithSelector(IBonds.NoBond.selector, BOB));
        vm.prank(BOB);
        bonds.unbond();
        vm.prank(ALICE);
        bonds.unbond();
        vm.expectRevert(abi.encodeWithSelector(IBonds.NoBond.selector, ALICE));
        vm.prank(ALICE);
        bonds.unbond();
    }

    // Slashing.

    function testFuzz_slash_splitsItsPartOfThePool(uint256 amount) public {
        amount = bound(amount, 1, 10 ** 27);
        _bond(ALICE, amount);
        uint256 cut = amount * SLASH_BPS / 10_000;
        uint256 reward = cut * REWARD_BPS / 10_000;
        vm.expectEmit(address(bonds));
        emit IBonds.Slashed(cut, reward);
        bonds.slash(CAROL);
        vm.assertEq(bonds.pool(), amount - cut);
        vm.assertEq(ankr.balanceOf(address(bonds)), amount - cut);
        vm.assertEq(ankr.balanceOf(CAROL), reward);
        vm.assertEq(ankr.balanceOf(SINK), cut - reward);
    }

    function testFuzz_slash_takesTheSameShareOfEveryBond(uint256 first, uint256 second) public {
        first = bound(first, 10 ** 18, 10 ** 27);
        second = bound(second, 10 ** 18, 10 ** 27);
        _bond(ALICE, first);
        _bond(BOB, second);
        bonds.slash(CAROL);
        _isNear(bonds.bondOf(ALICE), first / 2);
        _isNear(bonds.bondOf(BOB), second / 2);
        vm.assertTrue(bonds.bondOf(ALICE) + bonds.bondOf(BOB) <= bonds.pool());
    }

    function test_slash_sparesWhoBondsLater() public {
        _bond(ALICE, BOND);
        bonds.slash(CAROL);
        _bond(BOB, BOND);
        _isNear(bonds.bondOf(BOB), BOND);
        _isNear(bonds.bondOf(ALICE), BOND / 2);
    }

    function test_slash_ofNothingIsNothing() public {
        bonds.slash(CAROL);
        vm.assertEq(bonds.pool(), 0);
        vm.assertEq(ankr.balanceOf(CAROL), 0);
    }

    /// @dev 3 of 5 governors with equal bonds sign a wrong score and challenge it themselves.
    function test_slash_paysAMajorityLessThanItLoses() public {
        IBonds.Policy memory policy = _policy();
        (policy.slashBps, policy.rewardBps) = (9_000, 5_000);
        bonds = _bonds(policy);
        for (uint160 i = 0; i < 5; ++i) {
            council.seat(address(0x100 + i));
            _bond(address(0x100 + i), BOND);
        }
        bonds.slash(CAROL);
        uint256 theirs = 0;
        for (uint160 i = 0; i < 3; ++i) {
            theirs += bonds.bondOf(address(0x100 + i));
        }
        vm.assertTrue(ankr.balanceOf(CAROL) + theirs < 3 * BOND);
    }

    /// @dev Each slashing makes shares worth less, so a bond gets more of them: they must not run out.
    function test_slash_canHappenForEver() public {
        IBonds.Policy memory policy = _policy();
        policy.slashBps = bonds.SLASH_BPS_MAX();
        bonds = _bonds(policy);
        for (uint256 i = 0; i < 40; ++i) {
            _bond(ALICE, BOND);
            bonds.slash(CAROL);
        }
        _bond(BOB, BOND);
        _isNear(bonds.bondOf(BOB), BOND);
    }

    // Lost deposits.

    function test_loseDeposit_makesEveryBondWorthMore() public {
        _bond(ALICE, BOND);
        _bond(BOB, 3 * BOND);
        _loseDeposit(CAROL);
        _isNear(bonds.bondOf(ALICE), BOND + DEPOSIT / 4);
        _isNear(bonds.bondOf(BOB), 3 * BOND + 3 * uint256(DEPOSIT) / 4);
        vm.assertEq(bonds.pool(), 4 * BOND + DEPOSIT);
    }

    /// @dev The first to bond cannot make the next one's bond its own by making shares dear.
    function test_loseDeposit_cannotRoundTheNextBondAway() public {
        _bond(ALICE, 1);
        for (uint256 i = 0; i < 10; ++i) {
            _loseDeposit(ALICE);
        }
        _bond(BOB, BOND);
        vm.assertTrue(bonds.bondOf(BOB) >= BOND - BOND / 10 ** 5);
        vm.assertTrue(bonds.bondOf(ALICE) <= 5 * uint256(DEPOSIT) + 1 ether);
    }

    function testFuzz_checkDeposit_wantsItThereAndApproved(uint256 balance, uint256 approved)
        public
    {
        balance = bound(balance, 0, 2 * uint256(DEPOSIT));
        approved = bound(approved, 0, 2 * uint256(DEPOSIT));
        _give(CAROL, balance);
        vm.prank(CAROL);
        ankr.approve(address(bonds), approved);
        vm.prank(CAROL);
        try bonds.loseDeposit() {
            vm.assertTrue(balance >= DEPOSIT && approved >= DEPOSIT);
        } catch {
            vm.assertTrue(balance < DEPOSIT || approved < DEPOSIT);
        }
    }

    // Deployment.

    function test_policy_isTheOneGiven() public view {
        vm.assertEq(abi.encode(bonds.policy()), abi.encode(_policy()));
    }

    function test_constructor_RevertWhen_ThePolicyIsOutOfBounds() public {
        for (uint256 i = 0; i < 4; ++i) {
            IBonds.Policy memory policy = _policy();
            if (i == 0) policy.slashBps = bonds.SLASH_BPS_MAX() + 1;
            if (i == 1) policy.rewardBps = bonds.REWARD_BPS_MAX() + 1;
            if (i == 2) policy.challengeS = 0;
            if (i == 3) policy.sink = address(0);
            vm.expectRevert(IBonds.BadPolicy.selector);
            this.deploy(policy);
        }
    }

    function deploy(IBonds.Policy memory policy) external {
        _bonds(policy);
    }

    function _bonds(IBonds.Policy memory policy) private returns (OpenBonds) {
        return new OpenBonds(ICouncilKeys(address(council)), ankr, policy);
    }

    function _bond(address who, uint256 amount) private {
        _fund(who, amount);
        vm.prank(who);
        bonds.bond(amount);
    }

    function _loseDeposit(address who) private {
        _fund(who, DEPOSIT);
        vm.prank(who);
        bonds.loseDeposit();
    }

    /// @dev Lets `who` have that and more, and approve just that.
    function _fund(address who, uint256 amount) private {
        _give(who, amount);
        vm.prank(who);
        ankr.approve(address(bonds), amount);
    }

    /// @dev Off by rounding only.
    function _isNear(uint256 found, uint256 wanted) private pure {
        uint256 off = found < wanted ? wanted - found : found - wanted;
        vm.assertTrue(off <= wanted / 10 ** 12 + 1);
    }
}
