// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {TestAnkr} from "../src/TestAnkr.sol";
import {Policy} from "../src/governance/Policy.sol";
import {Timelock} from "../src/governance/Timelock.sol";
import {Parameter, ProjectType, Resources, Rule} from "../src/interfaces/IPolicy.sol";
import {IPrices} from "../src/interfaces/IPrices.sol";
import {ITimelocked} from "../src/interfaces/ITimelocked.sol";
import {Pot} from "../src/market/Pot.sol";
import {Prices} from "../src/market/Prices.sol";
import {TestFeed} from "../src/market/TestFeed.sol";
import {PolicyKit} from "./lib/PolicyKit.sol";

/// @dev No owner key is left after deployment: what governors decide (R19, R29, R42, R54, R55) is
///      done by the timelock, after its delay, and by nobody else.
contract TimelockTest is PolicyKit {
    uint256 private constant DELAY_S = 2 days;
    uint256 private constant GRACE_S = 14 days;
    uint256 private constant START_S = 1_000_000;
    address private constant COUNCIL = address(0xc0c1);
    address private constant ANYBODY = address(0xa11);

    /// @dev The set of states that holds `OperationState.Ready` alone.
    bytes32 private constant READY = bytes32(uint256(4));

    bytes32 private constant ADMIN = 0;
    bytes32 private constant PROPOSER = keccak256("PROPOSER_ROLE");
    bytes32 private constant EXECUTOR = keccak256("EXECUTOR_ROLE");
    bytes32 private constant CANCELLER = keccak256("CANCELLER_ROLE");

    Timelock private timelock;
    Policy private policy;
    Prices private prices;
    Pot private pot;
    IPrices.Source private ankrUsd;
    IPrices.Source private ethUsd;

    /// @dev As `stkrp2p` deploys: this contract is the admin until it renounces.
    function setUp() public {
        vm.warp(START_S);
        timelock = new Timelock(DELAY_S, new address[](0), new address[](1), address(this));
        policy = _policy(address(timelock));
        timelock.grantRole(PROPOSER, COUNCIL);
        timelock.renounceRole(ADMIN, address(this));
        ankrUsd = IPrices.Source(new TestFeed(8, 10 ** 6), 10 ** 16);
        ethUsd = IPrices.Source(new TestFeed(8, 2_500 * 10 ** 8), 2_500 ether);
        prices = new Prices(address(timelock), policy, ankrUsd, ethUsd);
        pot = new Pot(new TestAnkr(0), address(timelock), address(0));
        vm.deal(address(pot), 1 ether);
    }

    function testFuzz_afterDeploymentOnlyTheTimelockIsAdmin(address account) public view {
        vm.assertTrue(timelock.hasRole(ADMIN, address(timelock)));
        if (account == address(timelock)) return;
        vm.assertFalse(timelock.hasRole(ADMIN, account));
        vm.assertTrue(timelock.hasRole(PROPOSER, account) == (account == COUNCIL));
        vm.assertFalse(timelock.hasRole(CANCELLER, account));
    }

    function test_afterDeploymentNamedAccountsHaveNoRoleButTheirs() public view {
        address[4] memory accounts = [address(this), COUNCIL, address(policy), address(0)];
        for (uint256 i = 0; i < accounts.length; ++i) {
            vm.assertFalse(timelock.hasRole(ADMIN, accounts[i]));
            vm.assertFalse(timelock.hasRole(CANCELLER, accounts[i]));
            vm.assertTrue(timelock.hasRole(PROPOSER, accounts[i]) == (accounts[i] == COUNCIL));
            vm.assertTrue(timelock.hasRole(EXECUTOR, accounts[i]) == (accounts[i] == address(0)));
        }
        for (uint8 i = 0; i < 4; ++i) {
            bytes32 role = [ADMIN, PROPOSER, EXECUTOR, CANCELLER][i];
            vm.assertEq(timelock.getRoleAdmin(role), ADMIN);
        }
    }

    function test_theDeployerCanGiveOutNoRoleAnyMore() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IAccessControl.AccessControlUnauthorizedAccount.selector, address(this), ADMIN
            )
        );
        timelock.grantRole(PROPOSER, address(this));
    }

    function test_everyPrivilegedFunctionIsTheTimelocksAfterItsDelay() public {
        (address[] memory targets, bytes[] memory calls) = _privileged();
        for (uint256 i = 0; i < targets.length; ++i) {
            _isRefusedToOthers(targets[i], calls[i]);
            _passesAfterTheDelay(targets[i], calls[i]);
        }
        vm.assertEq(policy.get(Parameter.RewardBps), 7);
        vm.assertTrue(policy.projectType(1).isOpen);
        vm.assertEq(policy.distribution()[0], 10_000);
        (uint32 version,) = policy.scoring();
        vm.assertEq(version, 2);
        vm.assertEq(prices.sourceOf(IPrices.Asset.Ankr).base, 2_500 ether);
        vm.assertEq(ANYBODY.balance, 1 ether);
        vm.assertEq(timelock.getMinDelay(), 3 days);
    }

    function test_nobodyButTheCouncilQueues() public {
        bytes memory call = abi.encodeCall(policy.set, (Parameter.RewardBps, 7));
        vm.expectRevert(
            abi.encodeWithSelector(
                IAccessControl.AccessControlUnauthorizedAccount.selector, ANYBODY, PROPOSER
            )
        );
        vm.prank(ANYBODY);
        timelock.schedule(address(policy), 0, call, 0, 0, DELAY_S);
    }

    function test_theCouncilCannotQueueForSooner() public {
        bytes memory call = abi.encodeCall(policy.set, (Parameter.RewardBps, 7));
        vm.expectRevert(
            abi.encodeWithSelector(
                TimelockController.TimelockInsufficientDelay.selector, DELAY_S - 1, DELAY_S
            )
        );
        vm.prank(COUNCIL);
        timelock.schedule(address(policy), 0, call, 0, 0, DELAY_S - 1);
    }

    /// @dev Governance captured for one period cannot make the next one's changes come at once.
    function test_governanceCapture_cannotShortenTheDelay() public {
        _failsAfterTheDelay(
            abi.encodeCall(timelock.updateDelay, (DELAY_S - 1)),
            abi.encodeWithSelector(
                Timelock.DelayOutOfBounds.selector, DELAY_S - 1, DELAY_S, 30 days
            )
        );
    }

    function test_governanceCapture_cannotMakeTheDelayEndless() public {
        _failsAfterTheDelay(
            abi.encodeCall(timelock.updateDelay, (30 days + 1)),
            abi.encodeWithSelector(
                Timelock.DelayOutOfBounds.selector, 30 days + 1, DELAY_S, 30 days
            )
        );
    }

    /// @dev What was decided for today is nobody's to keep for a day that suits him.
    function test_decisionKeptBack_isCarriedOutInTimeOrNever() public {
        bytes memory call = abi.encodeCall(policy.set, (Parameter.RewardBps, 7));
        _queue(address(policy), call);
        vm.warp(block.timestamp + DELAY_S + GRACE_S);
        bytes32 id = timelock.hashOperation(address(policy), 0, call, 0, 0);
        bool isQueued = timelock.getOperationState(id) != TimelockController.OperationState.Unset;
        vm.assertFalse(isQueued);
        vm.expectRevert(
            abi.encodeWithSelector(
                TimelockController.TimelockUnexpectedOperationState.selector, id, READY
            )
        );
        timelock.execute(address(policy), 0, call, 0, 0);

        // It can be decided anew, and waits to the last second.
        _queue(address(policy), call);
        vm.warp(block.timestamp + DELAY_S + GRACE_S - 1);
        timelock.execute(address(policy), 0, call, 0, 0);
        vm.assertEq(policy.get(Parameter.RewardBps), 7);
        vm.assertTrue(timelock.isOperationDone(id));
    }

    function test_constructor_RevertWhen_ThereIsNoDelay() public {
        bytes4 reason = Timelock.DelayOutOfBounds.selector;
        vm.expectRevert(abi.encodeWithSelector(reason, 0, 1, 30 days));
        new Timelock(0, new address[](0), new address[](1), address(this));
        vm.expectRevert(abi.encodeWithSelector(reason, 31 days, 31 days, 30 days));
        new Timelock(31 days, new address[](0), new address[](1), address(this));
    }

    /// @dev Everything only the timelock may call, with what it changes.
    function _privileged() private view returns (address[] memory targets, bytes[] memory calls) {
        Resources memory need = Resources(1, 1, 1, 1);
        ProjectType memory kind = ProjectType(true, Rule.Vickrey, 1, 0, 0, 0, 0, need);
        uint16[4] memory bps = [uint16(10_000), 0, 0, 0];
        targets = new address[](7);
        calls = new bytes[](7);
        for (uint256 i = 0; i < 4; ++i) {
            targets[i] = address(policy);
        }
        (targets[4], targets[5], targets[6]) = (address(prices), address(pot), address(timelock));
        calls[0] = abi.encodeCall(policy.set, (Parameter.RewardBps, 7));
        calls[1] = abi.encodeCall(policy.setProjectType, (1, kind));
        calls[2] = abi.encodeCall(policy.setDistribution, (bps));
        calls[3] = abi.encodeCall(policy.setScoring, (2, keccak256("others")));
        calls[4] = abi.encodeCall(prices.setFeeds, (ethUsd, ankrUsd));
        calls[5] = abi.encodeCall(pot.release, (0, 1 ether, ANYBODY));
        calls[6] = abi.encodeCall(timelock.updateDelay, (3 days));
    }

    /// @dev Not even the council or who deployed it may call directly.
    function _isRefusedToOthers(address target, bytes memory call) private {
        address[3] memory callers = [ANYBODY, COUNCIL, address(this)];
        bytes4 reason = target == address(timelock)
            ? TimelockController.TimelockUnauthorizedCaller.selector
            : ITimelocked.NotTimelock.selector;
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            (bool ok, bytes memory answer) = target.call(call);
            vm.assertFalse(ok);
            vm.assertEq(answer, abi.encodeWithSelector(reason, callers[i]));
        }
    }

    function _passesAfterTheDelay(address target, bytes memory call) private {
        _queue(target, call);
        vm.warp(block.timestamp + DELAY_S - 1);
        bytes32 id = timelock.hashOperation(target, 0, call, 0, 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                TimelockController.TimelockUnexpectedOperationState.selector, id, READY
            )
        );
        timelock.execute(target, 0, call, 0, 0);
        vm.warp(block.timestamp + 1);
        vm.prank(ANYBODY);
        timelock.execute(target, 0, call, 0, 0);
    }

    function _failsAfterTheDelay(bytes memory call, bytes memory reason) private {
        _queue(address(timelock), call);
        vm.warp(block.timestamp + DELAY_S);
        vm.expectRevert(reason);
        timelock.execute(address(timelock), 0, call, 0, 0);
    }

    function _queue(address target, bytes memory call) private {
        vm.prank(COUNCIL);
        timelock.schedule(target, 0, call, 0, 0, DELAY_S);
    }
}
