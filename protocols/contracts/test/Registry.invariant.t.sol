// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Registry} from "../src/Registry.sol";
import {TestAnkr} from "../src/TestAnkr.sol";
import {IRegistry} from "../src/interfaces/IRegistry.sol";
import {Test} from "./lib/Test.sol";

/// @dev Three operators do what they may, and what they may not, as time goes by.
contract Operators is Test {
    uint256 public constant WEALTH = 1e9 ether;
    uint256 public constant OPERATORS = 3;
    uint256 private constant NODES = 8;
    uint64 private constant EPOCH_MS = 12_000;

    TestAnkr public immutable ANKR = new TestAnkr(OPERATORS * WEALTH);
    Registry public immutable REGISTRY;

    /// @notice Paid in, less paid out, as the operators count it.
    uint256 public deposited;

    /// @notice Epochs whose roster was already final when it was noted, and a hash of that roster.
    uint64[] public epochs;
    bytes32[] public rosters;

    constructor() {
        uint64 genesisMs = uint64(block.timestamp * 1000 + 60_500);
        REGISTRY =
            new Registry(IERC20(address(ANKR)), genesisMs, EPOCH_MS, 1000 ether, 100 ether, 5);
        for (uint256 i = 0; i < OPERATORS; ++i) {
            require(ANKR.transfer(operator(i), WEALTH));
            vm.prank(operator(i));
            ANKR.approve(address(REGISTRY), type(uint256).max);
        }
    }

    function register(uint256 who, uint256 node, bool isLight, uint256 stake) external {
        IRegistry.Kind kind = isLight ? IRegistry.Kind.Light : IRegistry.Kind.Full;
        stake = 100 ether + (stake % 100 == 0 ? 0 : bound(stake, 900 ether, WEALTH / 100));
        vm.prank(operator(who));
        REGISTRY.register(bytes32(node % NODES + 1), kind, stake, new bytes(64), "");
        deposited += stake;
    }

    function addStake(uint256 who, uint256 registration, uint256 amount) external {
        amount = bound(amount, 0, WEALTH / 100);
        registration = _any(registration);
        vm.prank(_mostlyOwner(who, registration));
        REGISTRY.addStake(registration, amount);
        deposited += amount;
    }

    function exit(uint256 who, uint256 registration) external {
        registration = _any(registration);
        vm.prank(_mostlyOwner(who, registration));
        REGISTRY.exit(registration);
    }

    function withdraw(uint256 who, uint256 registration) external {
        registration = _any(registration);
        uint256 stake = REGISTRY.registrationAt(registration).stake;
        vm.prank(_mostlyOwner(who, registration));
        REGISTRY.withdraw(registration);
        deposited -= stake;
    }

    /// @dev Lets time pass and notes the rosters that are final from now on.
    function wait(uint256 timeS) external {
        vm.warp(block.timestamp + 12 * (timeS % 8) + 1);
        if (REGISTRY.effectiveEpochAt(block.timestamp) == 0) return;
        uint64 epoch = REGISTRY.epochAt(block.timestamp) + 2;
        epochs.push(epoch);
        rosters.push(rosterHash(epoch));
    }

    function rosterHash(uint64 epoch) public view returns (bytes32) {
        return keccak256(abi.encode(REGISTRY.rosterAt(epoch, 0, 1024)));
    }

    function noted() external view returns (uint256) {
        return epochs.length;
    }

    function operator(uint256 who) public pure returns (address) {
        return vm.addr(who % OPERATORS + 1);
    }

    /// @dev One that exists, if any does; once in sixteen times the one after the last.
    function _any(uint256 registration) private view returns (uint256) {
        uint256 count = REGISTRY.registrationCount();
        return registration % 16 == 15 || count == 0 ? count : registration % count;
    }

    /// @dev The owner seven times in eight, or hardly anything would ever succeed.
    function _mostlyOwner(uint256 who, uint256 registration) private view returns (address) {
        if (who % 8 == 7 || registration == REGISTRY.registrationCount()) return operator(who);
        return REGISTRY.registrationAt(registration).operator;
    }
}

contract RegistryInvariantTest is Test {
    Operators private operators;
    Registry private registry;
    TestAnkr private ankr;

    function setUp() public {
        operators = new Operators();
        registry = operators.REGISTRY();
        ankr = operators.ANKR();
        targetContract(address(operators));
    }

    function invariant_theRegistryHoldsTheStakesNotYetWithdrawn() public view {
        uint256 stakes = 0;
        for (uint256 i = 0; i < registry.registrationCount(); ++i) {
            stakes += registry.registrationAt(i).stake;
        }
        vm.assertEq(ankr.balanceOf(address(registry)), stakes);
        vm.assertEq(operators.deposited(), stakes);
    }

    function invariant_everyOperatorHasItsAnkrOrItIsStaked() public view {
        uint256[3] memory wealth;
        for (uint256 who = 0; who < 3; ++who) {
            wealth[who] = ankr.balanceOf(operators.operator(who));
        }
        for (uint256 i = 0; i < registry.registrationCount(); ++i) {
            IRegistry.Registration memory held = registry.registrationAt(i);
            for (uint256 who = 0; who < 3; ++who) {
                if (held.operator == operators.operator(who)) wealth[who] += held.stake;
            }
        }
        for (uint256 who = 0; who < 3; ++who) {
            vm.assertEq(wealth[who], operators.WEALTH());
        }
    }

    function invariant_aRosterNeverChangesOnceItIsFinal() public view {
        for (uint256 i = 0; i < operators.noted(); ++i) {
            vm.assertEq(operators.rosterHash(operators.epochs(i)), operators.rosters(i));
        }
    }

    function invariant_anOperatorHasANodeInARosterAtMostOnce() public view {
        uint64 epoch = registry.epochAt(block.timestamp) + 3;
        IRegistry.Entry[] memory roster = registry.rosterAt(epoch, 0, 1024);
        for (uint256 i = 0; i < roster.length; ++i) {
            for (uint256 j = 0; j < i; ++j) {
                vm.assertFalse(
                    roster[i].operator == roster[j].operator && roster[i].nodeId == roster[j].nodeId
                );
            }
        }
    }

    function invariant_whoIsInARosterHasItsStakeHeld() public view {
        uint64 epoch = registry.epochAt(block.timestamp);
        IRegistry.Entry[] memory roster = registry.rosterAt(epoch, 0, 1024);
        for (uint256 i = 0; i < roster.length; ++i) {
            vm.assertTrue(registry.registrationAt(roster[i].registration).stake >= roster[i].stake);
        }
    }
}
