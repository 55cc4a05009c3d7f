// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {CouncilKeys} from "../src/CouncilKeys.sol";
import {ICouncilKeys} from "../src/interfaces/ICouncilKeys.sol";
import {Test} from "./lib/Test.sol";

contract CouncilKeysTest is Test {
    uint64 private constant PHASE_S = 600;
    uint64 private constant START_S = 1_800_000_000;

    address private constant STRANGER = address(0x57a);
    bytes32 private constant GROUP = keccak256("group");
    bytes32 private constant OTHER_GROUP = keccak256("other group");

    CouncilKeys private council;

    /// @dev The session opened last.
    uint64 private latest;

    function setUp() public {
        vm.warp(START_S);
        council = new CouncilKeys(_list(5), PHASE_S);
    }

    // Lists.

    function testFuzz_constructor_takesAnyOddListUpTo63(uint256 count) public {
        count = 2 * bound(count, 0, 31) + 1;
        ICouncilKeys.Governor[] memory list = _list(count);
        council = new CouncilKeys(list, PHASE_S);

        ICouncilKeys.Sitting memory sitting = council.sitting();
        vm.assertEq(sitting.session, 0);
        vm.assertEq(sitting.startsAt, 0);
        vm.assertEq(sitting.groupHash, bytes32(0));
        vm.assertEq(_hashOf(sitting.governors), _hashOf(list));
        vm.assertEq(_hashOf(council.listOf(_hashOf(list))), _hashOf(list));
        vm.assertEq(council.latestSession(), 0);
        vm.assertEq(council.sittingSession(), 0);
        for (uint256 i = 0; i < count; ++i) {
            vm.assertTrue(council.isGovernor(_account(i)));
            vm.assertEq(council.satUntil(_account(i)), type(uint64).max);
        }
        vm.assertFalse(council.isGovernor(_account(count)));
        vm.assertEq(council.satUntil(_account(count)), 0);
    }

    function testFuzz_constructor_RevertWhen_TheCountIsEvenOrTooLarge(uint256 count) public {
        count = bound(count, 0, 100);
        if (count <= 63) count = count / 2 * 2;
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.BadGovernorCount.selector, count, 63));
        new CouncilKeys(_list(count), PHASE_S);
    }

    function testFuzz_constructor_RevertWhen_AnAccountIs0(uint256 index) public {
        ICouncilKeys.Governor[] memory list = _list(7);
        list[index % 7].account = address(0);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.ZeroAccount.selector, index % 7));
        new CouncilKeys(list, PHASE_S);
    }

    function testFuzz_constructor_RevertWhen_ANodeIdIs0(uint256 index) public {
        ICouncilKeys.Governor[] memory list = _list(7);
        list[index % 7].nodeId = bytes32(0);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.ZeroNodeId.selector, index % 7));
        new CouncilKeys(list, PHASE_S);
    }

    function testFuzz_constructor_RevertWhen_AnAccountHasTwoSeats(uint256 index, uint256 other)
        public
    {
        (index, other) = _twoOf(63, index, other);
        ICouncilKeys.Governor[] memory list = _list(63);
        list[other].account = list[index].account;
        vm.expectRevert(
            abi.encodeWithSelector(ICouncilKeys.DuplicateAccount.selector, index, other)
        );
        new CouncilKeys(list, PHASE_S);
    }

    function testFuzz_constructor_RevertWhen_ANodeHasTwoSeats(uint256 index, uint256 other) public {
        (index, other) = _twoOf(63, index, other);
        ICouncilKeys.Governor[] memory list = _list(63);
        list[other].nodeId = list[index].nodeId;
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.DuplicateNodeId.selector, index, other));
        new CouncilKeys(list, PHASE_S);
    }

    function test_constructor_RevertWhen_APhaseLastsNoTimeOrTooLong() public {
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.BadPhaseLength.selector, 0, 30 days));
        new CouncilKeys(_list(1), 0);
        vm.expectRevert(
            abi.encodeWithSelector(ICouncilKeys.BadPhaseLength.selector, 30 days + 1, 30 days)
        );
        new CouncilKeys(_list(1), 30 days + 1);
        vm.assertEq(new CouncilKeys(_list(1), 30 days).PHASE_S(), 30 days);
    }

    function test_support_RevertWhen_TheListIsBad() public {
        _seat(_list(5));
        vm.startPrank(_account(0));

        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.BadGovernorCount.selector, 4, 63));
        council.support(2, _list(4));
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.BadGovernorCount.selector, 65, 63));
        council.support(2, _list(65));
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.BadGovernorCount.selector, 0, 63));
        council.support(2, new ICouncilKeys.Governor[](0));

        ICouncilKeys.Governor[] memory list = _list(5);
        list[3].account = list[1].account;
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.DuplicateAccount.selector, 1, 3));
        council.support(2, list);
        list[3].account = address(0);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.ZeroAccount.selector, 3));
        council.support(2, list);
    }

    // Supporting a list.

    function test_support_opensASessionByAThresholdAndNotBefore() public {
        ICouncilKeys.Governor[] memory list = _list(5);
        _support(4, list);
        _support(0, list);
        vm.assertEq(council.latestSession(), 0);
        vm.assertEq(council.supportersOf(_hashOf(list)), 2);
        vm.assertTrue(council.hasSupported(_account(4), _hashOf(list)));
        vm.assertFalse(council.hasSupported(_account(1), _hashOf(list)));

        vm.expectEmit(address(council));
        emit ICouncilKeys.ListSupported(1, _hashOf(list), _account(2), 3);
        vm.expectEmit(address(council));
        emit ICouncilKeys.SessionOpened(1, ICouncilKeys.Kind.Fresh, _hashOf(list), _hashOf(list));
        _support(2, list);

        vm.assertEq(council.latestSession(), 1);
        vm.assertEq(council.sittingSession(), 0);
        ICouncilKeys.Session memory session = council.sessionAt(1);
        vm.assertEq(session.number, 1);
        vm.assertTrue(session.kind == ICouncilKeys.Kind.Fresh);
        vm.assertTrue(session.phase == ICouncilKeys.Phase.Deal);
        vm.assertEq(session.openedAt, START_S);
        vm.assertEq(session.dealEndsAt, START_S + PHASE_S);
        vm.assertEq(session.respondEndsAt, START_S + 2 * PHASE_S);
        vm.assertEq(session.justifyEndsAt, START_S + 2 * PHASE_S);
        vm.assertEq(session.confirmEndsAt, START_S + 3 * PHASE_S);
        vm.assertEq(session.startsAt, 0);
        vm.assertEq(session.dealersThreshold, 3);
        vm.assertEq(session.receiversThreshold, 3);
        vm.assertEq(session.groupHash, bytes32(0));
        vm.assertEq(_hashOf(session.dealers), _hashOf(list));
        vm.assertEq(_hashOf(session.receivers), _hashOf(list));
        vm.assertEq(session.dealHashes.length, 5);
        vm.assertEq(session.responded, 0);
        vm.assertEq(session.complaints.length, 5);
        vm.assertEq(session.justifications.length, 0);
        vm.assertEq(session.confirmations.length, 5);
    }

    function testFuzz_support_takesAThresholdWhateverTheCount(uint256 count) public {
        count = 2 * bound(count, 0, 31) + 1;
        ICouncilKeys.Governor[] memory list = _list(count);
        council = new CouncilKeys(list, PHASE_S);
        for (uint256 i = 0; i < count / 2; ++i) {
            _support(i, list);
        }
        vm.assertEq(council.latestSession(), 0);
        _support(count / 2, list);
        vm.assertEq(council.latestSession(), 1);
        vm.assertEq(council.sessionAt(1).receiversThreshold, count / 2 + 1);
    }

    function test_support_RevertWhen_TheCallerDoesNotSit() public {
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotGovernor.selector, STRANGER));
        vm.prank(STRANGER);
        council.support(1, _list(5));
    }

    function test_support_RevertWhen_AnotherListIsToMakeTheFirstKey() public {
        ICouncilKeys.Governor[] memory list = _list(7);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICouncilKeys.NotSittingList.selector, _hashOf(list), _hashOf(_list(5))
            )
        );
        _support(0, list);
    }

    /// @dev Who sits at which place is part of the list: places are indices of shares.
    function test_support_RevertWhen_TheFirstListIsInAnotherOrder() public {
        ICouncilKeys.Governor[] memory list = _list(5);
        (list[0], list[1]) = (list[1], list[0]);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICouncilKeys.NotSittingList.selector, _hashOf(list), _hashOf(_list(5))
            )
        );
        _support(0, list);
    }

    /// @dev A support that comes after the session it was for must not help to give that session up.
    function test_support_RevertWhen_ItIsNotForTheNextSession() public {
        ICouncilKeys.Governor[] memory list = _list(5);
        vm.startPrank(_account(4));
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotNextSession.selector, 0, 1));
        council.support(0, list);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotNextSession.selector, 2, 1));
        council.support(2, list);
        vm.stopPrank();
        _open(list);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotNextSession.selector, 1, 2));
        vm.prank(_account(4));
        council.support(1, list);
        vm.assertEq(council.supportersOf(_hashOf(list)), 0);
    }

    function test_support_RevertWhen_ItIsGivenTwice() public {
        ICouncilKeys.Governor[] memory list = _list(5);
        _support(0, list);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICouncilKeys.AlreadySupported.selector, _account(0), _hashOf(list)
            )
        );
        _support(0, list);
    }

    function test_support_tellsAListOnceAndLaterItsHashOnly() public {
        _seat(_list(5));
        ICouncilKeys.Governor[] memory list = _list(7);
        vm.expectEmit(address(council));
        emit ICouncilKeys.ListProposed(_hashOf(list), list);
        _support(0, list);
        vm.assertEq(_hashOf(council.listOf(_hashOf(list))), _hashOf(list));
        _support(1, list);
        vm.assertEq(council.listOf(_hashOf(list)).length, 7);
    }

    function test_support_countsAGovernorThatChangesItsMindOnce() public {
        _seat(_list(5));
        ICouncilKeys.Governor[] memory seven = _list(7);
        ICouncilKeys.Governor[] memory three = _list(3);
        _support(0, seven);
        _support(1, seven);
        _support(1, three);
        vm.assertEq(council.supportersOf(_hashOf(seven)), 1);
        vm.assertEq(council.supportersOf(_hashOf(three)), 1);
        vm.assertFalse(council.hasSupported(_account(1), _hashOf(seven)));
        _support(2, seven);
        vm.assertEq(council.latestSession(), 1);
        _support(1, seven);
        vm.assertEq(council.latestSession(), 2);
        vm.assertEq(council.sessionAt(2).receivers.length, 7);
    }

    function test_support_countsForOneSessionOnly() public {
        _seat(_list(5));
        ICouncilKeys.Governor[] memory seven = _list(7);
        ICouncilKeys.Governor[] memory three = _list(3);
        _support(0, seven);
        _support(1, seven);
        for (uint256 i = 2; i < 5; ++i) {
            _support(i, three);
        }
        vm.assertEq(council.latestSession(), 2);
        vm.assertEq(council.supportersOf(_hashOf(seven)), 0);
        vm.assertEq(council.supportersOf(_hashOf(three)), 0);
        vm.assertFalse(council.hasSupported(_account(0), _hashOf(seven)));
        _support(2, seven);
        vm.assertEq(council.latestSession(), 2);
        _support(0, seven);
        vm.assertEq(council.supportersOf(_hashOf(seven)), 2);
        _support(1, seven);
        vm.assertEq(council.latestSession(), 3);
    }

    /// @dev Those who sat before may have supported a list while their successors made their shares.
    function test_support_endsWithTheListThatGaveIt() public {
        _seat(_list(5));
        ICouncilKeys.Governor[] memory seven = _list(7);
        _open(_from(3, 5));
        _support(0, seven);
        _support(1, seven);
        vm.assertEq(council.supportersOf(_hashOf(seven)), 2);
        _finish();
        vm.assertEq(council.supportersOf(_hashOf(seven)), 0);
        _support(5, seven);
        _support(3, seven);
        vm.assertEq(council.latestSession(), 2);
        _support(7, seven);
        vm.assertEq(council.latestSession(), 3);
    }

    function test_support_supersedesWhatIsUnderWay() public {
        _open(_list(5));
        _deal(0);
        vm.warp(START_S + 10);
        _open(_list(5));
        vm.assertEq(council.latestSession(), 2);
        vm.assertTrue(council.sessionAt(1).phase == ICouncilKeys.Phase.Superseded);
        vm.assertEq(council.sessionAt(2).openedAt, START_S + 10);
        vm.assertEq(council.sessionAt(2).dealHashes[0], bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotLatestSession.selector, 1, 2));
        vm.prank(_account(1));
        council.postDeal(1, GROUP);

        vm.warp(START_S + 10 * PHASE_S);
        vm.assertTrue(council.sessionAt(1).phase == ICouncilKeys.Phase.Superseded);
    }

    function test_support_leavesAFailedSessionFailed() public {
        _open(_list(5));
        vm.warp(START_S + PHASE_S);
        _open(_list(5));
        vm.assertTrue(council.sessionAt(1).phase == ICouncilKeys.Phase.Failed);
    }

    function test_sessionAt_RevertWhen_ThereIsNone() public {
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NoSuchSession.selector, 0));
        council.sessionAt(0);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NoSuchSession.selector, 1));
        council.sessionAt(1);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NoSuchSession.selector, 0));
        council.postDeal(0, GROUP);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotLatestSession.selector, 1, 0));
        council.postDeal(1, GROUP);
    }

    function test_listOf_isEmptyForAnUnknownHash() public view {
        vm.assertEq(council.listOf(GROUP).length, 0);
    }

    // Dealing.

    function test_postDeal_standsOnTheBoard() public {
        _open(_list(5));
        vm.expectEmit(address(council));
        emit ICouncilKeys.DealPosted(1, 3, _dealHash(3));
        _deal(3);
        vm.assertEq(council.sessionAt(1).dealHashes[3], _dealHash(3));
        vm.assertEq(council.sessionAt(1).dealHashes[0], bytes32(0));
    }

    function test_postDeal_endsThePhaseOnceAllDealt() public {
        _open(_list(5));
        vm.warp(START_S + 7);
        for (uint256 i = 0; i < 4; ++i) {
            _deal(i);
        }
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Deal);
        _deal(4);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Respond);
        vm.assertEq(council.sessionAt(1).dealEndsAt, START_S + 7);
        vm.assertEq(council.sessionAt(1).respondEndsAt, START_S + 7 + PHASE_S);
        _respond(0, 0);
    }

    function test_postDeal_isInTimeUntilTheLastSecond() public {
        _open(_list(5));
        vm.warp(START_S + PHASE_S - 1);
        for (uint256 i = 0; i < 3; ++i) {
            _deal(i);
        }
        vm.warp(START_S + PHASE_S);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Respond);
        _expectWrongPhase(ICouncilKeys.Phase.Respond, ICouncilKeys.Phase.Deal);
        _deal(3);
    }

    function test_postDeal_byLessThanAThresholdFailsTheSession() public {
        _open(_list(5));
        _deal(0);
        _deal(1);
        vm.warp(START_S + PHASE_S - 1);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Deal);
        vm.warp(START_S + PHASE_S);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Failed);
        _expectWrongPhase(ICouncilKeys.Phase.Failed, ICouncilKeys.Phase.Respond);
        _respond(0, 0);
    }

    function test_postDeal_RevertWhen_TheCallerDoesNotDeal() public {
        _open(_list(5));
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotDealer.selector, 1, STRANGER));
        vm.prank(STRANGER);
        council.postDeal(1, GROUP);
    }

    function test_postDeal_RevertWhen_ItIsDoneTwice() public {
        _open(_list(5));
        _deal(2);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.AlreadyDealt.selector, 1, 2));
        _deal(2);
        vm.warp(START_S + PHASE_S);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.AlreadyDealt.selector, 1, 2));
        _deal(2);
    }

    function test_postDeal_RevertWhen_TheHashIs0() public {
        _open(_list(5));
        vm.expectRevert(ICouncilKeys.ZeroHash.selector);
        vm.prank(_account(0));
        council.postDeal(1, bytes32(0));
    }

    // Responding.

    function test_respond_standsOnTheBoard() public {
        _openAndDeal(_list(5));
        vm.expectEmit(address(council));
        emit ICouncilKeys.Responded(1, 2, 5);
        _respond(2, 5);
        ICouncilKeys.Session memory session = council.sessionAt(1);
        vm.assertEq(session.responded, 4);
        vm.assertEq(session.complaints[2], 5);
        vm.assertEq(session.complaints[0], 0);
    }

    function test_respond_withoutAComplaintLeadsStraightToConfirmation() public {
        _openAndDeal(_list(5));
        vm.warp(START_S + 5);
        _respondAll(0);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
        ICouncilKeys.Session memory session = council.sessionAt(1);
        vm.assertEq(session.respondEndsAt, START_S + 5);
        vm.assertEq(session.justifyEndsAt, START_S + 5);
        vm.assertEq(session.confirmEndsAt, START_S + 5 + PHASE_S);
    }

    function test_respond_withAComplaintLeadsToJustification() public {
        _openAndDeal(_list(5));
        _respond(0, 2);
        for (uint256 i = 1; i < 5; ++i) {
            _respond(i, 0);
        }
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Justify);
        vm.assertEq(council.sessionAt(1).justifyEndsAt, START_S + PHASE_S);
        vm.assertEq(council.sessionAt(1).confirmEndsAt, START_S + 2 * PHASE_S);
    }

    /// @dev A dealer with a threshold of complaints is out, there is no answer to wait for.
    function test_respond_aboutEvictedDealersOnlyLeadsStraightToConfirmation() public {
        _openAndDeal(_list(5));
        for (uint256 i = 0; i < 2; ++i) {
            _respond(i, 2);
        }
        vm.assertEq(
            council.sessionAt(1).justifyEndsAt, council.sessionAt(1).respondEndsAt + PHASE_S
        );
        for (uint256 i = 2; i < 5; ++i) {
            _respond(i, 2);
        }
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
    }

    function test_respond_isInTimeUntilTheLastSecond() public {
        _openAndDeal(_list(5));
        vm.warp(START_S + PHASE_S - 1);
        _respond(0, 0);
        vm.warp(START_S + PHASE_S);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
        _expectWrongPhase(ICouncilKeys.Phase.Confirm, ICouncilKeys.Phase.Respond);
        _respond(1, 0);
    }

    function test_respond_RevertWhen_ItIsTooEarly() public {
        _open(_list(5));
        _expectWrongPhase(ICouncilKeys.Phase.Deal, ICouncilKeys.Phase.Respond);
        _respond(0, 0);
    }

    function test_respond_RevertWhen_TheCallerIsNoReceiver() public {
        _seat(_list(5));
        _openAndDeal(_from(3, 5));
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotReceiver.selector, 2, _account(0)));
        _respond(0, 0);
    }

    function test_respond_RevertWhen_ItIsDoneTwice() public {
        _openAndDeal(_list(5));
        _respond(1, 0);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.AlreadyResponded.selector, 1, 1));
        _respond(1, 2);
    }

    function testFuzz_respond_RevertWhen_AComplaintIsAboutNoDeal(uint64 complaints) public {
        _open(_list(5));
        _deal(0);
        _deal(2);
        _deal(4);
        vm.warp(START_S + PHASE_S);
        vm.assume(complaints & ~uint64(0x15) != 0);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NoSuchDeal.selector, complaints, 0x15));
        _respond(0, complaints);
    }

    // Justifying.

    function test_justify_standsOnTheBoardAndEndsThePhaseOnceAllIsAnswered() public {
        _openAndDeal(_list(5));
        _respond(0, 2);
        _respond(1, 4);
        _respond(2, 2);
        _respond(3, 0);
        _respond(4, 0);
        vm.warp(START_S + 9);
        vm.expectEmit(address(council));
        emit ICouncilKeys.Justified(1, 1, 0, _shares(1, 0));
        _justify(1, 0);
        _justify(2, 1);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Justify);
        _justify(1, 2);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);

        ICouncilKeys.Session memory session = council.sessionAt(1);
        vm.assertEq(session.justifyEndsAt, START_S + 9);
        vm.assertEq(session.confirmEndsAt, START_S + 9 + PHASE_S);
        vm.assertEq(session.justifications.length, 3);
        vm.assertEq(session.justifications[1].dealer, 2);
        vm.assertEq(session.justifications[1].receiver, 1);
        vm.assertEq(session.justifications[1].shares, _shares(2, 1));
    }

    function test_justify_isInTimeUntilTheLastSecond() public {
        _openAndDeal(_list(5));
        _respond(0, 6);
        vm.warp(START_S + PHASE_S);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Justify);
        vm.warp(START_S + 2 * PHASE_S - 1);
        _justify(1, 0);
        vm.warp(START_S + 2 * PHASE_S);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
        _expectWrongPhase(ICouncilKeys.Phase.Confirm, ICouncilKeys.Phase.Justify);
        _justify(2, 0);
    }

    /// @dev What an evicted dealer leaves open is not waited for, and does not hide what is owed.
    function test_justify_waitsForDealersThatAreNotEvictedOnly() public {
        _openAndDeal(_list(5));
        _respond(0, 2);
        _respond(1, 2);
        _respond(2, 8);
        _respond(3, 2);
        _respond(4, 2);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Justify);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.DealerEvicted.selector, 1, 1, 4, 3));
        _justify(1, 0);
        _justify(3, 2);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
    }

    function test_justify_RevertWhen_AThresholdComplains() public {
        _openAndDeal(_list(5));
        _respond(0, 10);
        _respond(1, 10);
        _respond(2, 2);
        vm.warp(START_S + PHASE_S);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.DealerEvicted.selector, 1, 1, 3, 3));
        _justify(1, 0);
        _justify(3, 0);
    }

    function test_justify_RevertWhen_TheReceiverDoesNotComplain() public {
        _openAndDeal(_list(5));
        _respond(0, 2);
        vm.warp(START_S + PHASE_S);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NoSuchComplaint.selector, 1, 1, 2));
        _justify(1, 2);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NoSuchComplaint.selector, 1, 2, 0));
        _justify(2, 0);
    }

    function testFuzz_justify_RevertWhen_ThereIsNoSuchReceiver(uint256 receiver) public {
        receiver = bound(receiver, 5, type(uint256).max);
        _openAndDeal(_list(5));
        _respond(0, 2);
        vm.warp(START_S + PHASE_S);
        vm.expectRevert(
            abi.encodeWithSelector(ICouncilKeys.NoSuchComplaint.selector, 1, 1, receiver)
        );
        vm.prank(_account(1));
        council.justify(1, receiver, new bytes(64));
    }

    function test_justify_RevertWhen_ItIsDoneTwice() public {
        _openAndDeal(_list(5));
        _respond(0, 2);
        vm.warp(START_S + PHASE_S);
        _justify(1, 0);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.AlreadyJustified.selector, 1, 1, 0));
        _justify(1, 0);
    }

    function testFuzz_justify_RevertWhen_TheSharesAreNot64Bytes(uint256 length) public {
        length = bound(length, 0, 200);
        vm.assume(length != 64);
        _openAndDeal(_list(5));
        _respond(0, 2);
        vm.warp(START_S + PHASE_S);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.BadSharesLength.selector, length));
        vm.prank(_account(1));
        council.justify(1, 0, new bytes(length));
    }

    function test_justify_RevertWhen_TheCallerDoesNotDeal() public {
        _openAndDeal(_list(5));
        _respond(0, 2);
        vm.warp(START_S + PHASE_S);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotDealer.selector, 1, STRANGER));
        vm.prank(STRANGER);
        council.justify(1, 0, new bytes(64));
    }

    // Confirming.

    function test_confirm_byAThresholdSeatsTheReceivers() public {
        _openAndDeal(_list(5));
        _respondAll(0);
        vm.warp(START_S + 20);
        vm.expectEmit(address(council));
        emit ICouncilKeys.GroupConfirmed(1, 4, GROUP, 1);
        _confirm(4, GROUP);
        _confirm(1, GROUP);
        vm.assertEq(council.sittingSession(), 0);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
        vm.expectEmit(address(council));
        emit ICouncilKeys.GroupConfirmed(1, 2, GROUP, 3);
        vm.expectEmit(address(council));
        emit ICouncilKeys.CouncilSeated(1, GROUP, START_S + 20 + PHASE_S);
        _confirm(2, GROUP);

        ICouncilKeys.Session memory session = council.sessionAt(1);
        vm.assertTrue(session.phase == ICouncilKeys.Phase.Confirmed);
        vm.assertEq(session.groupHash, GROUP);
        vm.assertEq(session.confirmEndsAt, START_S + 20);
        vm.assertEq(session.startsAt, START_S + 20 + PHASE_S);
        vm.assertEq(session.confirmations[4], GROUP);
        vm.assertEq(session.confirmations[0], bytes32(0));
        ICouncilKeys.Sitting memory sitting = council.sitting();
        vm.assertEq(sitting.session, 1);
        vm.assertEq(sitting.groupHash, GROUP);
        vm.assertEq(sitting.startsAt, START_S + 20 + PHASE_S);
        vm.assertEq(council.sittingSession(), 1);
    }

    function test_confirm_countsEachGroupForItself() public {
        _openAndDeal(_list(5));
        _respondAll(0);
        _confirm(0, GROUP);
        _confirm(1, OTHER_GROUP);
        _confirm(2, GROUP);
        _confirm(3, OTHER_GROUP);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
        _confirm(4, OTHER_GROUP);
        vm.assertEq(council.sitting().groupHash, OTHER_GROUP);
    }

    function test_confirm_isInTimeUntilTheLastSecond() public {
        _openAndDeal(_list(5));
        _respondAll(0);
        vm.warp(START_S + PHASE_S - 1);
        _confirm(0, GROUP);
        _confirm(1, GROUP);
        vm.warp(START_S + PHASE_S);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Failed);
        _expectWrongPhase(ICouncilKeys.Phase.Failed, ICouncilKeys.Phase.Confirm);
        _confirm(2, GROUP);
    }

    function test_confirm_RevertWhen_TheSessionIsConfirmed() public {
        _seat(_list(5));
        _expectWrongPhase(ICouncilKeys.Phase.Confirmed, ICouncilKeys.Phase.Confirm);
        _confirm(4, GROUP);
        vm.warp(START_S + 10 * PHASE_S);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirmed);
        _open(_list(5));
        vm.assertTrue(council.sessionAt(1).phase == ICouncilKeys.Phase.Confirmed);
    }

    function test_confirm_RevertWhen_ItIsTooEarly() public {
        _openAndDeal(_list(5));
        _expectWrongPhase(ICouncilKeys.Phase.Respond, ICouncilKeys.Phase.Confirm);
        _confirm(0, GROUP);
    }

    function test_confirm_RevertWhen_TheCallerIsNoReceiver() public {
        _seat(_list(5));
        _openAndDeal(_from(3, 5));
        for (uint256 i = 3; i < 8; ++i) {
            _respond(i, 0);
        }
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotReceiver.selector, 2, _account(0)));
        _confirm(0, GROUP);
    }

    function test_confirm_RevertWhen_ItIsDoneTwice() public {
        _openAndDeal(_list(5));
        _respondAll(0);
        _confirm(0, GROUP);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.AlreadyConfirmed.selector, 1, 0));
        _confirm(0, OTHER_GROUP);
    }

    function test_confirm_RevertWhen_TheHashIs0() public {
        _openAndDeal(_list(5));
        _respondAll(0);
        vm.expectRevert(ICouncilKeys.ZeroHash.selector);
        _confirm(0, bytes32(0));
    }

    // Whole stories.

    /// @dev With all phases as long as they may be, each begins where the one before ended.
    function test_aSessionWithAbsentGovernorsTakesFourPhasesAtMost() public {
        _open(_list(5));
        for (uint256 i = 0; i < 4; ++i) {
            _deal(i);
        }
        vm.warp(START_S + PHASE_S);
        for (uint256 i = 1; i < 4; ++i) {
            _respond(i, 1);
        }
        _respond(0, 2);
        vm.warp(START_S + 2 * PHASE_S);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Justify);
        vm.warp(START_S + 3 * PHASE_S - 1);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Justify);
        vm.warp(START_S + 3 * PHASE_S);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
        vm.warp(START_S + 4 * PHASE_S - 1);
        for (uint256 i = 1; i < 4; ++i) {
            _confirm(i, GROUP);
        }
        vm.assertEq(council.sittingSession(), 1);
        vm.assertEq(council.sessionAt(1).startsAt, START_S + 5 * PHASE_S - 1);
    }

    function test_aWholeSessionFitsInOneBlock() public {
        _seat(_list(5));
        vm.assertEq(council.sittingSession(), 1);
        vm.assertEq(council.sessionAt(1).confirmEndsAt, START_S);
    }

    function test_aCouncilOfOneNeedsNobodyElse() public {
        council = new CouncilKeys(_list(1), PHASE_S);
        _seat(_list(1));
        vm.assertEq(council.sittingSession(), 1);
    }

    /// @dev A single receiver's complaint is a threshold already.
    function test_aCouncilOfOneEvictsItself() public {
        council = new CouncilKeys(_list(1), PHASE_S);
        _openAndDeal(_list(1));
        _respond(0, 1);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
    }

    function test_aReshareKeepsThoseInBothListsAndLetsTheOthersGo() public {
        _seat(_list(5));
        vm.warp(START_S + 100);
        ICouncilKeys.Governor[] memory seven = _from(3, 7);
        _open(seven);
        ICouncilKeys.Session memory session = council.sessionAt(2);
        vm.assertTrue(session.kind == ICouncilKeys.Kind.Reshare);
        vm.assertEq(session.dealersThreshold, 3);
        vm.assertEq(session.receiversThreshold, 4);
        _dealAll();
        _respondAll(0);
        for (uint256 i = 3; i < 6; ++i) {
            _confirm(i, GROUP);
        }
        vm.assertTrue(council.isGovernor(_account(0)));
        vm.assertFalse(council.isGovernor(_account(5)));
        uint64 startsAt = START_S + 100 + PHASE_S;
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(council));
            emit ICouncilKeys.GovernorLeft(2, _account(i), startsAt);
        }
        _confirm(6, GROUP);

        for (uint256 i = 0; i < 3; ++i) {
            vm.assertFalse(council.isGovernor(_account(i)));
            vm.assertEq(council.satUntil(_account(i)), startsAt);
        }
        for (uint256 i = 3; i < 10; ++i) {
            vm.assertTrue(council.isGovernor(_account(i)));
            vm.assertEq(council.satUntil(_account(i)), type(uint64).max);
        }
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.NotGovernor.selector, _account(0)));
        _support(0, _list(5));
    }

    /// @dev The old threshold says how many deals it takes, the new one who is evicted and seated.
    function test_aReshareHasAThresholdForItsDealersAndOneForItsReceivers() public {
        _seat(_list(5));
        _open(_from(3, 7));
        _deal(0);
        _deal(1);
        _deal(2);
        vm.warp(START_S + PHASE_S);
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Respond);
        for (uint256 i = 3; i < 10; ++i) {
            _respond(i, i < 6 ? 3 : (i < 7 ? 1 : 0));
        }
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Justify);
        vm.expectRevert(abi.encodeWithSelector(ICouncilKeys.DealerEvicted.selector, 2, 0, 4, 4));
        _justify(0, 0);
        for (uint256 i = 0; i < 3; ++i) {
            _justify(1, i);
        }
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
        for (uint256 i = 3; i < 6; ++i) {
            _confirm(i, GROUP);
        }
        vm.assertEq(council.sittingSession(), 1);
        _confirm(9, GROUP);
        vm.assertEq(council.sittingSession(), 2);
    }

    function test_aGovernorThatCameBackSitsAgain() public {
        _seat(_list(5));
        _seat(_from(3, 7));
        vm.warp(START_S + 50);
        _seat(_list(5));
        vm.assertEq(council.sittingSession(), 3);
        vm.assertEq(council.satUntil(_account(0)), type(uint64).max);
        vm.assertEq(council.satUntil(_account(9)), START_S + 50 + PHASE_S);
        vm.assertEq(council.sitting().governors.length, 5);
    }

    function test_satUntil_isOfTheLastTimeItLeft() public {
        _seat(_list(5));
        _seat(_from(3, 7));
        vm.warp(START_S + 50);
        _seat(_list(5));
        vm.warp(START_S + 70);
        _seat(_from(3, 7));
        vm.assertEq(council.satUntil(_account(0)), START_S + 70 + PHASE_S);
    }

    /// @dev An account that stays with another node keeps sitting: what leaves are accounts.
    function test_aGovernorMayChangeItsNode() public {
        _seat(_list(5));
        ICouncilKeys.Governor[] memory list = _list(5);
        list[2].nodeId = keccak256("another machine");
        _seat(list);
        vm.assertEq(council.sitting().governors[2].nodeId, list[2].nodeId);
        vm.assertTrue(council.isGovernor(_account(2)));
    }

    /// @dev As many answers as there can be: half the receivers complain about everyone.
    function test_aBoardWithAllAnswersThereCanBeIsReadInOneCall() public {
        council = new CouncilKeys(_list(63), PHASE_S);
        _openAndDeal(_list(63));
        uint64 all = 2 ** 63 - 1;
        for (uint256 i = 0; i < 63; ++i) {
            _respond(i, i < 31 ? all : 0);
        }
        for (uint256 dealer = 0; dealer < 63; ++dealer) {
            for (uint256 receiver = 0; receiver < 31; ++receiver) {
                _justify(dealer, receiver);
            }
        }
        vm.assertTrue(_phase() == ICouncilKeys.Phase.Confirm);
        uint256 gas = gasleft();
        vm.assertEq(council.sessionAt(1).justifications.length, 63 * 31);
        vm.assertTrue(gas - gasleft() < 50_000_000);
    }

    function test_gas() public {
        _measure(5, "5");
        _measure(31, "31");
        _measure(63, "63");
    }

    function _measure(uint256 count, string memory size) private {
        ICouncilKeys.Governor[] memory list = _list(count);
        council = new CouncilKeys(list, PHASE_S);
        latest = 0;
        _seat(list);
        ICouncilKeys.Governor[] memory next = _from(count, count);
        vm.prank(_account(0));
        council.support(2, next);
        vm.snapshotGasLastCall(string.concat("support, a new list of ", size));
        vm.prank(_account(1));
        council.support(2, next);
        vm.snapshotGasLastCall(string.concat("support, a known list of ", size));
        for (uint256 i = 2; i <= count / 2; ++i) {
            vm.prank(_account(i));
            council.support(2, next);
        }
        vm.snapshotGasLastCall(string.concat("support, opens a session of ", size));
        latest = 2;
        _dealAll();
        vm.snapshotGasLastCall(string.concat("postDeal, the last of ", size));
        _respond(count, SafeCast.toUint64(2 ** count - 1));
        vm.snapshotGasLastCall(string.concat("respond, complains about all ", size));
        for (uint256 i = 1; i < count; ++i) {
            _respond(count + i, 0);
        }
        vm.snapshotGasLastCall(string.concat("respond, the last of ", size));
        for (uint256 i = 0; i < count; ++i) {
            _justify(i, 0);
        }
        vm.snapshotGasLastCall(string.concat("justify, the last of ", size));
        for (uint256 i = 0; i < count / 2; ++i) {
            _confirm(count + i, GROUP);
        }
        vm.snapshotGasLastCall(string.concat("confirm, one of ", size));
        _confirm(2 * count - 1, GROUP);
        vm.snapshotGasLastCall(string.concat("confirm, seats ", size));
    }

    // Governor i has the account and the node of that number, in whatever list and place.

    function _account(uint256 governor) private pure returns (address) {
        return address(SafeCast.toUint160(0x1000 + governor));
    }

    function _list(uint256 count) private pure returns (ICouncilKeys.Governor[] memory) {
        return _from(0, count);
    }

    function _from(uint256 first, uint256 count)
        private
        pure
        returns (ICouncilKeys.Governor[] memory list)
    {
        list = new ICouncilKeys.Governor[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 nodeId = keccak256(abi.encode("node", first + i));
            list[i] = ICouncilKeys.Governor({account: _account(first + i), nodeId: nodeId});
        }
    }

    function _hashOf(ICouncilKeys.Governor[] memory list) private pure returns (bytes32) {
        return keccak256(abi.encode(list));
    }

    function _dealHash(uint256 governor) private pure returns (bytes32) {
        return keccak256(abi.encode("deal", governor));
    }

    function _shares(uint256 dealer, uint256 receiver) private pure returns (bytes memory) {
        return abi.encode(keccak256(abi.encode(dealer, receiver)), receiver);
    }

    /// @dev Two places in order.
    function _twoOf(uint256 count, uint256 one, uint256 other)
        private
        pure
        returns (uint256, uint256)
    {
        one = one % (count - 1);
        return (one, bound(other, one + 1, count - 1));
    }

    function _phase() private view returns (ICouncilKeys.Phase) {
        return council.sessionAt(latest).phase;
    }

    function _expectWrongPhase(ICouncilKeys.Phase phase, ICouncilKeys.Phase wanted) private {
        vm.expectRevert(
            abi.encodeWithSelector(ICouncilKeys.WrongPhase.selector, latest, phase, wanted)
        );
    }

    function _support(uint256 governor, ICouncilKeys.Governor[] memory list) private {
        vm.prank(_account(governor));
        council.support(latest + 1, list);
        latest = council.latestSession();
    }

    function _open(ICouncilKeys.Governor[] memory list) private {
        ICouncilKeys.Governor[] memory sitting = council.sitting().governors;
        for (uint256 i = 0; i <= sitting.length / 2; ++i) {
            vm.prank(sitting[i].account);
            council.support(latest + 1, list);
        }
        latest = council.latestSession();
    }

    function _deal(uint256 governor) private {
        vm.prank(_account(governor));
        council.postDeal(latest, _dealHash(governor));
    }

    function _dealAll() private {
        ICouncilKeys.Governor[] memory dealers = council.sessionAt(latest).dealers;
        for (uint256 i = 0; i < dealers.length; ++i) {
            vm.prank(dealers[i].account);
            council.postDeal(latest, _dealHash(i));
        }
    }

    function _openAndDeal(ICouncilKeys.Governor[] memory list) private {
        _open(list);
        _dealAll();
    }

    function _respond(uint256 governor, uint64 complaints) private {
        vm.prank(_account(governor));
        council.respond(latest, complaints);
    }

    function _respondAll(uint64 complaints) private {
        ICouncilKeys.Governor[] memory receivers = council.sessionAt(latest).receivers;
        for (uint256 i = 0; i < receivers.length; ++i) {
            vm.prank(receivers[i].account);
            council.respond(latest, complaints);
        }
    }

    /// @dev `dealer` is a governor, `receiver` a place.
    function _justify(uint256 dealer, uint256 receiver) private {
        vm.prank(_account(dealer));
        council.justify(latest, receiver, _shares(dealer, receiver));
    }

    function _confirm(uint256 governor, bytes32 groupHash) private {
        vm.prank(_account(governor));
        council.confirm(latest, groupHash);
    }

    /// @dev Lets a session that was just opened run to its end, with all there.
    function _finish() private {
        _dealAll();
        _respondAll(0);
        ICouncilKeys.Governor[] memory receivers = council.sessionAt(latest).receivers;
        for (uint256 i = 0; i <= receivers.length / 2; ++i) {
            vm.prank(receivers[i].account);
            council.confirm(latest, GROUP);
        }
    }

    function _seat(ICouncilKeys.Governor[] memory list) private {
        _open(list);
        _finish();
    }
}
