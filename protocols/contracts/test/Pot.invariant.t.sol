// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestAnkr} from "../src/TestAnkr.sol";
import {Pot} from "../src/market/Pot.sol";
import {Test} from "./lib/Test.sol";

/// @dev Deals bring shares, the payer has losses paid, governors release, and strangers try to.
contract PotUsers is Test {
    address public constant TIMELOCK = address(0x71);
    address public constant PAYER = address(0xdea1);
    uint160 public constant SOURCES = 3;

    TestAnkr public immutable ANKR = new TestAnkr(10 ** 30);
    Pot public immutable POT = new Pot(ANKR, TIMELOCK, PAYER);

    /// @notice What was paid, to whomever.
    uint256 public ankrOut;
    uint256 public ethOut;

    /// @notice Whether more was paid than was lost, or somebody got what it may not.
    bool public isBroken;

    function take(uint160 who, uint96 ankr, uint96 ethWei) external {
        address from = source(who);
        require(ANKR.transfer(from, ankr), "a test token pays");
        vm.deal(from, ethWei);
        vm.startPrank(from);
        ANKR.approve(address(POT), ankr);
        POT.take{value: ethWei}(ankr);
        vm.stopPrank();
    }

    function send(uint160 who, uint96 ethWei) external {
        vm.deal(source(who), ethWei);
        vm.prank(source(who));
        (bool ok,) = address(POT).call{value: ethWei}("");
        if (!ok) isBroken = true;
    }

    function cover(uint96 lossWei) external {
        address to = address(0x4040);
        uint256 before = to.balance;
        vm.prank(PAYER);
        uint256 paid = POT.cover(to, lossWei);
        ethOut += paid;
        if (paid > lossWei || to.balance != before + paid) isBroken = true;
    }

    function release(uint256 ankr, uint256 ethWei) external {
        ankr = bound(ankr, 0, ANKR.balanceOf(address(POT)));
        ethWei = bound(ethWei, 0, address(POT).balance);
        vm.prank(TIMELOCK);
        POT.release(ankr, ethWei, address(0x4040));
        ankrOut += ankr;
        ethOut += ethWei;
    }

    function steal(uint160 who, uint96 amount) external {
        vm.startPrank(source(who));
        try POT.cover(source(who), amount) {
            isBroken = true;
        } catch {}
        try POT.release(amount, amount, source(who)) {
            isBroken = true;
        } catch {}
        vm.stopPrank();
    }

    function source(uint160 index) public pure returns (address) {
        return address(0x50_0000 + index % SOURCES);
    }
}

/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: ci.invariant.fail-on-revert = true
contract PotInvariantTest is Test {
    PotUsers private users;

    function setUp() public {
        users = new PotUsers();
        targetContract(address(users));
    }

    function invariant_whatCameInIsThereOrWasPaid() public view {
        uint256 ankrIn = 0;
        uint256 ethIn = 0;
        for (uint160 i = 0; i < users.SOURCES(); ++i) {
            (uint256 ankr, uint256 ethWei) = users.POT().broughtBy(users.source(i));
            ankrIn += ankr;
            ethIn += ethWei;
        }
        vm.assertEq(users.ANKR().balanceOf(address(users.POT())), ankrIn - users.ankrOut());
        vm.assertEq(address(users.POT()).balance, ethIn - users.ethOut());
    }

    function invariant_nobodyGetsMoreThanItLostOrWhatIsNotForIt() public view {
        vm.assertFalse(users.isBroken());
    }
}
