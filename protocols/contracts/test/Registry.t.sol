// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Registry} from "../src/Registry.sol";
import {TestAnkr} from "../src/TestAnkr.sol";
import {IEpochs} from "../src/interfaces/IEpochs.sol";
import {IRegistry} from "../src/interfaces/IRegistry.sol";
import {Test} from "./lib/Test.sol";

contract RegistryTest is Test {
    uint64 private constant GENESIS_MS = 1_000_000_500;
    uint64 private constant EPOCH_MS = 12_000;
    uint256 private constant MIN_FULL = 1000 ether;
    uint256 private constant MIN_LIGHT = 100 ether;
    uint32 private constant UNBONDING = 10;
    uint256 private constant WEALTH = 1e9 ether;

    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);
    bytes32 private constant NODE = keccak256("node");
    bytes32 private constant OTHER_NODE = keccak256("other node");
    bytes private constant ADDRESSES = "/ip4/127.0.0.1/tcp/4001";

    TestAnkr private ankr;
    Registry private registry;

    function setUp() public {
        ankr = new TestAnkr(2 * WEALTH);
        registry = new Registry(
            IERC20(address(ankr)), GENESIS_MS, EPOCH_MS, MIN_FULL, MIN_LIGHT, UNBONDING
        );
        _fund(ALICE);
        _fund(BOB);
        vm.warp(GENESIS_MS / 1000 - 100);
    }

    // Time.

    function test_epochAt_is0BeforeTheGenesis() public view {
        vm.assertEq(registry.epochAt(0), 0);
        vm.assertEq(registry.epochAt(GENESIS_MS / 1000), 0);
    }

    /// @dev The genesis lies half a second after a whole one: that second still is before it.
    function test_effectiveEpochAt_is0UntilTheGenesisAnd3FromThen() public view {
        vm.assertEq(registry.effectiveEpochAt(GENESIS_MS / 1000), 0);
        vm.assertEq(registry.effectiveEpochAt(GENESIS_MS / 1000 + 1), 3);
    }

    function test_effectiveEpochAt_is3AtAGenesisOnAWholeSecond() public {
        registry = new Registry(
            IERC20(address(ankr)), 1_000_000, EPOCH_MS, MIN_FULL, MIN_LIGHT, UNBONDING
        );
        vm.assertEq(registry.effectiveEpochAt(999), 0);
        vm.assertEq(registry.effectiveEpochAt(1000), 3);
    }

    function testFuzz_epochAt_isTheEpochThatHoldsTheTime(uint64 timestamp) public view {
        uint256 timeMs = uint256(timestamp) * 1000;
        vm.assume(timeMs >= GENESIS_MS);
        uint256 epoch = registry.epochAt(timestamp);
        vm.assertTrue(GENESIS_MS + epoch * EPOCH_MS <= timeMs);
        vm.assertTrue(timeMs < GENESIS_MS + (epoch + 1) * EPOCH_MS);
        vm.assertEq(registry.effectiveEpochAt(timestamp), epoch + 3);
    }

    // Registering.

    function testFuzz_register_takesTheStakeAndTellsAll(
        bytes32 nodeId,
        bool isLight,
        uint256 stake,
        bytes32 claim,
        uint256 length
    ) public {
        vm.assume(nodeId != bytes32(0));
        IRegistry.Kind kind = isLight ? IRegistry.Kind.Light : IRegistry.Kind.Full;
        stake = bound(stake, registry.minStake(kind), WEALTH);
        bytes memory addresses = new bytes(bound(length, 0, 512));
        bytes memory signature = abi.encode(claim, claim);

        vm.expectEmit(address(registry));
        emit IRegistry.Registered(0, nodeId, ALICE, 0, kind, stake, 0, signature, addresses);
        vm.prank(ALICE);
        uint256 registration = registry.register(nodeId, kind, stake, signature, addresses);

        vm.assertEq(registration, 0);
        vm.assertEq(ankr.balanceOf(ALICE), WEALTH - stake);
        vm.assertEq(ankr.balanceOf(address(registry)), stake);
        IRegistry.Registration memory held = registry.registrationAt(0);
        vm.assertEq(held.nodeId, nodeId);
        vm.assertEq(held.operator, ALICE);
        vm.assertTrue(held.kind == kind);
        vm.assertTrue(held.status == IRegistry.Status.Active);
        vm.assertEq(held.stake, stake);
    }

    function test_register_countsNoncesForEachOperatorAndNumbersForAll() public {
        vm.assertEq(_register(ALICE, NODE), 0);
        vm.assertEq(_register(BOB, NODE), 1);
        vm.assertEq(_register(ALICE, OTHER_NODE), 2);
        vm.assertEq(registry.registrationCount(), 3);
        vm.assertEq(registry.nextNonce(ALICE), 2);
        vm.assertEq(registry.nextNonce(BOB), 1);
        vm.assertEq(registry.registrationAt(0).nonce, 0);
        vm.assertEq(registry.registrationAt(1).nonce, 0);
        vm.assertEq(registry.registrationAt(2).nonce, 1);
    }

    /// @dev The contract cannot tell who owns a key, so the squatter must not be able to keep the
    ///      owner out.
    function test_register_letsTheOwnerInAfterASquatter() public {
        _register(BOB, NODE);
        _register(ALICE, NODE);
        IRegistry.Entry[] memory roster = registry.rosterAt(0, 0, 10);
        vm.assertEq(roster.length, 2);
        vm.assertEq(roster[0].operator, BOB);
        vm.assertEq(roster[1].operator, ALICE);
        vm.assertEq(roster[0].nodeId, roster[1].nodeId);
    }

    function test_register_takesANodeAgainOnceItsExitIsAskedFor() public {
        _register(ALICE, NODE);
        vm.prank(ALICE);
        registry.exit(0);
        vm.assertEq(_register(ALICE, NODE), 1);
        vm.assertEq(registry.registrationOf(ALICE, NODE), 1);
        vm.assertEq(registry.registrationAt(1).nonce, 1);
    }

    function test_register_RevertWhen_TheOperatorHasTheNodeAlready() public {
        _register(ALICE, NODE);
        vm.expectRevert(
            abi.encodeWithSelector(IRegistry.AlreadyRegistered.selector, ALICE, NODE, 0)
        );
        _register(ALICE, NODE);
    }

    function test_register_RevertWhen_TheNodeIdIsZero() public {
        vm.expectRevert(IRegistry.ZeroNodeId.selector);
        _register(ALICE, bytes32(0));
    }

    function testFuzz_register_RevertWhen_TheStakeIsTooLow(bool isLight, uint256 stake) public {
        IRegistry.Kind kind = isLight ? IRegistry.Kind.Light : IRegistry.Kind.Full;
        uint256 least = isLight ? MIN_LIGHT : MIN_FULL;
        stake = bound(stake, 0, least - 1);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.StakeTooLow.selector, stake, least));
        vm.prank(ALICE);
        registry.register(NODE, kind, stake, new bytes(64), ADDRESSES);
    }

    function testFuzz_register_RevertWhen_TheClaimIsNoSignature(uint256 length) public {
        length = bound(length, 0, 200);
        vm.assume(length != 64);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.BadClaimLength.selector, length));
        vm.prank(ALICE);
        registry.register(NODE, IRegistry.Kind.Full, MIN_FULL, new bytes(length), ADDRESSES);
    }

    function test_register_RevertWhen_TheAddressesAreTooLong() public {
        vm.expectRevert(abi.encodeWithSelector(IRegistry.AddressesTooLong.selector, 513, 512));
        vm.prank(ALICE);
        registry.register(NODE, IRegistry.Kind.Full, MIN_FULL, new bytes(64), new bytes(513));
    }

    function test_register_RevertWhen_TheStakeIsNotThere() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientBalance.selector, ALICE, WEALTH, WEALTH + 1
            )
        );
        vm.prank(ALICE);
        registry.register(NODE, IRegistry.Kind.Full, WEALTH + 1, new bytes(64), ADDRESSES);
        vm.assertEq(registry.registrationCount(), 0);
        vm.assertEq(registry.nextNonce(ALICE), 0);
    }

    function test_register_RevertWhen_TheStakeIsBeyondAllTokens() public {
        uint256 stake = uint256(type(uint128).max) + 1;
        vm.expectRevert(
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 128, stake)
        );
        vm.prank(ALICE);
        registry.register(NODE, IRegistry.Kind.Full, stake, new bytes(64), ADDRESSES);
    }

    // Adding stake.

    function testFuzz_addStake_countsFromTheNextEpochNotYetFixed(uint256 amount) public {
        amount = bound(amount, 1, WEALTH - MIN_FULL);
        _register(ALICE, NODE);
        _warpToEpoch(5);
        vm.expectEmit(address(registry));
        emit IRegistry.StakeAdded(0, MIN_FULL + amount, 8);
        vm.prank(ALICE);
        registry.addStake(0, amount);
        vm.assertEq(registry.stakeAt(0, 7), MIN_FULL);
        vm.assertEq(registry.stakeAt(0, 8), MIN_FULL + amount);
        vm.assertEq(registry.registrationAt(0).stake, MIN_FULL + amount);
        vm.assertEq(ankr.balanceOf(address(registry)), MIN_FULL + amount);
    }

    function test_addStake_RevertWhen_ItIsNothing() public {
        _register(ALICE, NODE);
        vm.expectRevert(IRegistry.ZeroStake.selector);
        vm.prank(ALICE);
        registry.addStake(0, 0);
    }

    function test_addStake_RevertWhen_TheCallerIsAnother() public {
        _register(ALICE, NODE);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotOperator.selector, 0, BOB));
        vm.prank(BOB);
        registry.addStake(0, 1);
    }

    function test_addStake_RevertWhen_ThereIsNoSuchRegistration() public {
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NoSuchRegistration.selector, 0));
        vm.prank(ALICE);
        registry.addStake(0, 1);
    }

    function test_addStake_RevertWhen_TheMemberIsLeaving() public {
        _register(ALICE, NODE);
        vm.startPrank(ALICE);
        registry.exit(0);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotActive.selector, 0));
        registry.addStake(0, 1);
    }

    // Leaving.

    function test_exit_endsMembershipAtTheNextEpochNotYetFixed() public {
        _register(ALICE, NODE);
        _warpToEpoch(5);
        vm.expectEmit(address(registry));
        emit IRegistry.Exited(0, 8);
        vm.prank(ALICE);
        registry.exit(0);
        vm.assertEq(registry.rosterAt(7, 0, 1).length, 1);
        vm.assertEq(registry.rosterAt(8, 0, 1).length, 0);
        vm.assertEq(registry.registrationAt(0).exitEpoch, 8);
        vm.assertEq(ankr.balanceOf(address(registry)), MIN_FULL);
    }

    function test_exit_beforeTheGenesisLeavesNoTrace() public {
        _register(ALICE, NODE);
        vm.prank(ALICE);
        registry.exit(0);
        for (uint64 epoch = 0; epoch < 5; ++epoch) {
            vm.assertEq(registry.rosterAt(epoch, 0, 1).length, 0);
        }
    }

    function test_exit_RevertWhen_TheCallerIsAnother() public {
        _register(ALICE, NODE);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotOperator.selector, 0, BOB));
        vm.prank(BOB);
        registry.exit(0);
    }

    function test_exit_RevertWhen_ItIsAskedForTwice() public {
        _register(ALICE, NODE);
        vm.startPrank(ALICE);
        registry.exit(0);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotActive.selector, 0));
        registry.exit(0);
    }

    function testFuzz_withdraw_paysAllBackOnceUnbonded(uint256 stake, uint256 added) public {
        stake = bound(stake, MIN_FULL, WEALTH / 2);
        added = bound(added, 1, WEALTH / 2);
        vm.startPrank(ALICE);
        registry.register(NODE, IRegistry.Kind.Full, stake, new bytes(64), ADDRESSES);
        registry.addStake(0, added);
        _warpToEpoch(2);
        registry.exit(0);
        _warpToEpoch(5 + UNBONDING);
        vm.expectEmit(address(registry));
        emit IRegistry.Withdrawn(0, ALICE, stake + added);
        registry.withdraw(0);
        vm.assertEq(ankr.balanceOf(ALICE), WEALTH);
        vm.assertEq(ankr.balanceOf(address(registry)), 0);
        vm.assertTrue(registry.registrationAt(0).status == IRegistry.Status.Withdrawn);
    }

    function test_withdraw_RevertWhen_TheStakeIsStillBonded() public {
        _register(ALICE, NODE);
        _warpToEpoch(2);
        vm.startPrank(ALICE);
        registry.exit(0);
        _warpToEpoch(5 + UNBONDING);
        vm.warp(block.timestamp - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRegistry.StillBonded.selector, 0, GENESIS_MS + (5 + UNBONDING) * EPOCH_MS
            )
        );
        registry.withdraw(0);
    }

    function test_withdraw_RevertWhen_TheMemberHasNotLeft() public {
        _register(ALICE, NODE);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotExiting.selector, 0));
        vm.prank(ALICE);
        registry.withdraw(0);
    }

    function test_withdraw_RevertWhen_TheCallerIsAnother() public {
        _register(ALICE, NODE);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotOperator.selector, 0, BOB));
        vm.prank(BOB);
        registry.withdraw(0);
    }

    function test_withdraw_RevertWhen_ItIsDoneTwice() public {
        _register(ALICE, NODE);
        vm.startPrank(ALICE);
        registry.exit(0);
        _warpToEpoch(UNBONDING);
        registry.withdraw(0);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotExiting.selector, 0));
        registry.withdraw(0);
    }

    // Addresses and names.

    function test_setAddresses_worksAtAnyTime() public {
        _register(ALICE, NODE);
        vm.startPrank(ALICE);
        registry.exit(0);
        vm.expectEmit(address(registry));
        emit IRegistry.AddressesSet(0, "elsewhere");
        registry.setAddresses(0, "elsewhere");
    }

    function test_setAddresses_RevertWhen_TheyAreTooLong() public {
        _register(ALICE, NODE);
        vm.startPrank(ALICE);
        registry.setAddresses(0, new bytes(512));
        vm.expectRevert(abi.encodeWithSelector(IRegistry.AddressesTooLong.selector, 513, 512));
        registry.setAddresses(0, new bytes(513));
    }

    function test_setAddresses_RevertWhen_TheCallerIsAnother() public {
        _register(ALICE, NODE);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotOperator.selector, 0, BOB));
        vm.prank(BOB);
        registry.setAddresses(0, ADDRESSES);
    }

    function test_setOperatorName_tellsIt() public {
        vm.expectEmit(address(registry));
        emit IRegistry.OperatorNamed(ALICE, "Alice & Co.");
        vm.prank(ALICE);
        registry.setOperatorName("Alice & Co.");
    }

    function test_setOperatorName_RevertWhen_ItIsTooLong() public {
        registry.setOperatorName(string(new bytes(64)));
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NameTooLong.selector, 65, 64));
        registry.setOperatorName(string(new bytes(65)));
    }

    // Rosters.

    function test_rosterAt_hasWhoeverRegisteredBeforeTheGenesisFromEpoch0() public {
        _register(ALICE, NODE);
        vm.assertEq(registry.rosterAt(0, 0, 1).length, 1);
    }

    function testFuzz_rosterAt_hasANewMemberThreeEpochsLater(uint32 epoch) public {
        _warpToEpoch(epoch);
        _register(ALICE, NODE);
        vm.assertEq(registry.rosterAt(uint64(epoch) + 2, 0, 1).length, 0);
        IRegistry.Entry[] memory roster = registry.rosterAt(uint64(epoch) + 3, 0, 1);
        vm.assertEq(roster.length, 1);
        vm.assertEq(roster[0].registration, 0);
        vm.assertEq(roster[0].nodeId, NODE);
        vm.assertEq(roster[0].operator, ALICE);
        vm.assertEq(roster[0].nonce, 0);
        vm.assertTrue(roster[0].kind == IRegistry.Kind.Full);
        vm.assertEq(roster[0].stake, MIN_FULL);
    }

    function testFuzz_rosterAt_isTheSameByPagesOfAnySize(uint256 members, uint256 page) public {
        members = bound(members, 0, 20);
        page = bound(page, 1, 25);
        for (uint256 i = 0; i < members; ++i) {
            _register(i % 3 == 0 ? BOB : ALICE, bytes32(i + 1));
        }
        for (uint256 i = 0; i < members; i += 5) {
            vm.prank(i % 3 == 0 ? BOB : ALICE);
            registry.exit(i);
        }
        IRegistry.Entry[] memory whole = registry.rosterAt(0, 0, 1024);
        vm.assertEq(whole.length, members - (members + 4) / 5);
        uint256 found = 0;
        for (uint256 from = 0; from < members; from += page) {
            IRegistry.Entry[] memory part = registry.rosterAt(0, from, page);
            for (uint256 i = 0; i < part.length; ++i) {
                vm.assertEq(part[i].registration, whole[found++].registration);
            }
        }
        vm.assertEq(found, whole.length);
    }

    function testFuzz_rosterAt_isEmptyPastTheEnd(uint256 from, uint256 count) public {
        _register(ALICE, NODE);
        from = bound(from, 1, type(uint256).max);
        vm.assertEq(registry.rosterAt(0, from, bound(count, 0, 1024)).length, 0);
    }

    function test_rosterAt_RevertWhen_ThePageIsTooLong() public {
        registry.rosterAt(0, 0, 1024);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PageTooLong.selector, 1025, 1024));
        registry.rosterAt(0, 0, 1025);
    }

    function test_registrationAt_RevertWhen_ThereIsNone() public {
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NoSuchRegistration.selector, 0));
        registry.registrationAt(0);
    }

    function test_registrationOf_RevertWhen_ThereIsNone() public {
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotRegistered.selector, ALICE, NODE));
        registry.registrationOf(ALICE, NODE);
    }

    // Deployment and gas.

    function test_constructor_RevertWhen_AMinimumStakeIs0() public {
        vm.expectRevert(IRegistry.ZeroMinStake.selector);
        new Registry(IERC20(address(ankr)), GENESIS_MS, EPOCH_MS, 0, MIN_LIGHT, UNBONDING);
        vm.expectRevert(IRegistry.ZeroMinStake.selector);
        new Registry(IERC20(address(ankr)), GENESIS_MS, EPOCH_MS, MIN_FULL, 0, UNBONDING);
    }

    function test_constructor_RevertWhen_AnEpochLastsNoTime() public {
        vm.expectRevert(IEpochs.ZeroEpochLength.selector);
        new Registry(IERC20(address(ankr)), GENESIS_MS, 0, MIN_FULL, MIN_LIGHT, UNBONDING);
    }

    /// @dev Stakes must come out whatever the times: no sum of epochs may overflow.
    function test_withdraw_worksWithTheLongestUnbonding() public {
        registry = new Registry(
            IERC20(address(ankr)), 0, type(uint64).max, MIN_FULL, MIN_LIGHT, type(uint32).max
        );
        vm.startPrank(ALICE);
        ankr.approve(address(registry), type(uint256).max);
        registry.register(NODE, IRegistry.Kind.Full, MIN_FULL, new bytes(64), ADDRESSES);
        registry.exit(0);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRegistry.StillBonded.selector,
                0,
                (3 + uint256(type(uint32).max)) * type(uint64).max
            )
        );
        registry.withdraw(0);
        vm.warp(type(uint96).max);
        registry.withdraw(0);
        vm.assertEq(ankr.balanceOf(ALICE), WEALTH);
    }

    function test_withdraw_worksAtTheEndOfAllEpochs() public {
        registry = new Registry(IERC20(address(ankr)), 0, 1, MIN_FULL, MIN_LIGHT, type(uint32).max);
        uint256 last = type(uint64).max - 3;
        vm.warp(last / 1000);
        vm.startPrank(ALICE);
        ankr.approve(address(registry), type(uint256).max);
        registry.register(NODE, IRegistry.Kind.Full, MIN_FULL, new bytes(64), ADDRESSES);
        registry.exit(0);
        vm.warp(last);
        registry.withdraw(0);
        vm.assertEq(ankr.balanceOf(ALICE), WEALTH);
    }

    function test_gas() public {
        bytes memory claim = abi.encode(keccak256("claim"), keccak256("claim"));
        _register(BOB, OTHER_NODE);
        vm.startPrank(ALICE);
        registry.register(NODE, IRegistry.Kind.Full, MIN_FULL, claim, ADDRESSES);
        vm.snapshotGasLastCall("register");
        _warpToEpoch(1);
        registry.addStake(1, 1);
        vm.snapshotGasLastCall("addStake");
        registry.setAddresses(1, ADDRESSES);
        vm.snapshotGasLastCall("setAddresses");
        _warpToEpoch(2);
        registry.exit(1);
        vm.snapshotGasLastCall("exit");
        _warpToEpoch(100);
        registry.withdraw(1);
        vm.snapshotGasLastCall("withdraw");
    }

    function _fund(address operator) private {
        require(ankr.transfer(operator, WEALTH));
        vm.prank(operator);
        ankr.approve(address(registry), type(uint256).max);
    }

    function _register(address operator, bytes32 nodeId) private returns (uint256) {
        vm.prank(operator);
        return registry.register(nodeId, IRegistry.Kind.Full, MIN_FULL, new bytes(64), ADDRESSES);
    }

    /// @dev To the first block time within the epoch.
    function _warpToEpoch(uint256 epoch) private {
        vm.warp((GENESIS_MS + epoch * EPOCH_MS + 999) / 1000);
    }
}
