// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {TestAnkr} from "../src/TestAnkr.sol";
import {IPot} from "../src/interfaces/IPot.sol";
import {ITimelocked} from "../src/interfaces/ITimelocked.sol";
import {Pot} from "../src/market/Pot.sol";
import {Test} from "./lib/Test.sol";

/// @dev Asks for more whenever it is paid.
contract Glutton {
    Pot public pot;
    uint256 public askedAgain;
    uint256 public gained;

    bytes private _call;

    function setPot(Pot given) external {
        pot = given;
    }

    function ask(bytes calldata call) external returns (bool ok) {
        _call = call;
        (ok,) = address(pot).call(call);
    }

    receive() external payable {
        ++askedAgain;
        if (askedAgain > 3) return;
        uint256 before = address(this).balance;
        (bool ok,) = address(pot).call(_call);
        if (ok) gained += address(this).balance - before;
    }
}

/// @dev R52, R53: the pools of the white paper, as far as deals need them.
contract PotTest is Test {
    address private constant TIMELOCK = address(0x71);
    address private constant PAYER = address(0xdea1);
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    TestAnkr private ankr;
    Pot private pot;

    function setUp() public {
        ankr = new TestAnkr(10 ** 30);
        pot = new Pot(ankr, TIMELOCK, PAYER);
    }

    // In.

    function testFuzz_take_countsWhatEachBrought(uint96 ankrWei, uint96 ethWei) public {
        _take(ALICE, ankrWei, ethWei);
        _take(ALICE, ankrWei, ethWei);
        _take(BOB, 1, 2);
        _hasBrought(ALICE, 2 * uint256(ankrWei), 2 * uint256(ethWei));
        _hasBrought(BOB, 1, 2);
        vm.assertEq(ankr.balanceOf(address(pot)), 2 * uint256(ankrWei) + 1);
        vm.assertEq(address(pot).balance, 2 * uint256(ethWei) + 2);
    }

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_take_tellsWhatCame() public {
        _give(ALICE, 5);
        vm.deal(ALICE, 7);
        vm.expectEmit(address(pot));
        emit IPot.Taken(ALICE, 5, 7);
        vm.prank(ALICE);
        pot.take{value: 7}(5);
        vm.snapshotGasLastCall("take");
    }

    function test_take_RevertWhen_TheAnkrIsNotAllowed() public {
        vm.deal(ALICE, 7);
        vm.expectRevert(
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientAllowance.selector, address(pot), 0, 1
            )
        );
        vm.prank(ALICE);
        pot.take{value: 7}(1);
        _hasBrought(ALICE, 0, 0);
    }

    function test_receive_countsPlainEther() public {
        _send(ALICE, 3 ether);
        _hasBrought(ALICE, 0, 3 ether);
        vm.assertEq(address(pot).balance, 3 ether);
    }

    // Losses.

    function testFuzz_cover_paysTheLossOrAllThereIs(uint96 held, uint96 loss) public {
        _send(ALICE, held);
        uint256 due = loss < held ? loss : held;
        vm.expectEmit(address(pot));
        emit IPot.Covered(BOB, loss, due);
        vm.prank(PAYER);
        vm.assertEq(pot.cover(BOB, loss), due);
        vm.assertEq(BOB.balance, due);
        vm.assertEq(address(pot).balance, held - due);
    }

    /// @dev Q25: the last loss gets what is left.
    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_cover_paysOneLossAfterTheOther() public {
        _send(ALICE, 3 ether);
        vm.startPrank(PAYER);
        vm.assertEq(pot.cover(BOB, 2 ether), 2 ether);
        vm.snapshotGasLastCall("cover");
        vm.assertEq(pot.cover(ALICE, 2 ether), 1 ether);
        vm.assertEq(pot.cover(ALICE, 2 ether), 0);
        vm.stopPrank();
    }

    /// @dev Nothing is paid and nothing is lost: the payer may try again, or name somebody else.
    function test_cover_RevertWhen_WhoIsPaidRefuses() public {
        _send(ALICE, 1 ether);
        vm.expectRevert(Errors.FailedCall.selector);
        vm.prank(PAYER);
        pot.cover(address(ankr), 1 ether);
        vm.assertEq(address(pot).balance, 1 ether);
    }

    function testFuzz_cover_RevertWhen_TheCallerIsNotThePayer(address caller) public {
        vm.assume(caller != PAYER);
        vm.expectRevert(abi.encodeWithSelector(IPot.NotPayer.selector, caller));
        vm.prank(caller);
        pot.cover(caller, 1);
    }

    function testFuzz_cover_nobodyMayWhereThereIsNoPayer(address caller) public {
        vm.assume(caller != address(0));
        pot = new Pot(ankr, TIMELOCK, address(0));
        vm.expectRevert(abi.encodeWithSelector(IPot.NotPayer.selector, caller));
        vm.prank(caller);
        pot.cover(caller, 1);
    }

    function test_reentrancy_ofCoverPaysNoMoreThanThePotHolds() public {
        Glutton glutton = new Glutton();
        pot = new Pot(ankr, TIMELOCK, address(glutton));
        glutton.setPot(pot);
        _send(ALICE, 5 ether);
        vm.assertTrue(glutton.ask(abi.encodeCall(pot.cover, (address(glutton), 2 ether))));
        // 2, 2, the 1 that is left, and a fourth time nothing.
        vm.assertEq(glutton.askedAgain(), 4);
        vm.assertEq(address(glutton).balance, 5 ether);
        vm.assertEq(address(pot).balance, 0);
    }

    // Governors.

    function test_release_sendsBoth() public {
        _take(ALICE, 10, 20);
        vm.expectEmit(address(pot));
        emit IPot.Released(BOB, 4, 5);
        vm.prank(TIMELOCK);
        pot.release(4, 5, BOB);
        vm.assertEq(ankr.balanceOf(BOB), 4);
        vm.assertEq(BOB.balance, 5);
        vm.assertEq(ankr.balanceOf(address(pot)), 6);
        vm.assertEq(address(pot).balance, 15);
    }

    function test_release_sendsAnkrToWhoTakesNoEther() public {
        _take(ALICE, 10, 0);
        vm.prank(TIMELOCK);
        pot.release(10, 0, address(ankr));
        vm.assertEq(ankr.balanceOf(address(ankr)), 10);
    }

    function test_release_RevertWhen_ItIsMoreThanThereIs() public {
        _take(ALICE, 10, 20);
        vm.expectRevert(abi.encodeWithSelector(Errors.InsufficientBalance.selector, 20, 21));
        vm.prank(TIMELOCK);
        pot.release(10, 21, BOB);
        vm.expectRevert(
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientBalance.selector, address(pot), 10, 11
            )
        );
        vm.prank(TIMELOCK);
        pot.release(11, 20, BOB);
    }

    function testFuzz_release_RevertWhen_TheCallerIsNotTheTimelock(address caller) public {
        vm.assume(caller != TIMELOCK);
        vm.expectRevert(abi.encodeWithSelector(ITimelocked.NotTimelock.selector, caller));
        vm.prank(caller);
        pot.release(0, 0, caller);
    }

    function test_reentrancy_ofReleasePaysOnce() public {
        Glutton glutton = new Glutton();
        glutton.setPot(pot);
        _send(ALICE, 5 ether);
        bytes memory again = abi.encodeCall(pot.release, (0, 2 ether, address(glutton)));
        vm.assertFalse(glutton.ask(again));
        vm.prank(TIMELOCK);
        pot.release(0, 2 ether, address(glutton));
        vm.assertEq(glutton.askedAgain(), 1);
        vm.assertEq(glutton.gained(), 0);
        vm.assertEq(address(pot).balance, 3 ether);
    }

    function _take(address who, uint256 ankrWei, uint256 ethWei) private {
        _give(who, ankrWei);
        vm.deal(who, ethWei);
        vm.prank(who);
        pot.take{value: ethWei}(ankrWei);
    }

    function _give(address who, uint256 amount) private {
        require(ankr.transfer(who, amount), "a test token pays");
        vm.prank(who);
        ankr.approve(address(pot), amount);
    }

    function _send(address who, uint256 ethWei) private {
        vm.deal(who, ethWei);
        vm.prank(who);
        (bool ok,) = address(pot).call{value: ethWei}("");
        vm.assertTrue(ok);
    }

    function _hasBrought(address who, uint256 ankrWei, uint256 ethWei) private view {
        (uint256 gotAnkr, uint256 gotEth) = pot.broughtBy(who);
        vm.assertEq(gotAnkr, ankrWei);
        vm.assertEq(gotEth, ethWei);
    }
}
