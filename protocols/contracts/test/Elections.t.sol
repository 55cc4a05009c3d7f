// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBallots} from "../src/interfaces/IBallots.sol";
import {IElections} from "../src/interfaces/IElections.sol";
import {ISeats} from "../src/interfaces/ISeats.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

contract ElectionsTest is CouncilKit {
    address private constant ALICE = address(0xa);
    address private constant BOB = address(0xb);
    address private constant ANYONE = address(0xffff);

    function setUp() public {
        _deploy(_testAnkr());
        _acceptAll();
    }

    // When elections are held (Q22).

    function test_openElection_isForAnyoneOnceItIsDue() public {
        vm.warp(PHASE_2_AT);
        vm.prank(ANYONE);
        vm.assertEq(council.openElection(), 1);
        IElections.Election memory opened = council.electionAt(1);
        vm.assertEq(opened.openedAt, PHASE_2_AT);
        vm.assertEq(opened.closesAt, PHASE_2_AT + ELECTION_S);
        vm.assertEq(opened.seatsMax, N);
        vm.assertFalse(opened.isRenewal);
        vm.warp(PHASE_2_AT + ELECTION_S);
        vm.prank(ANYONE);
        council.closeElection();
        vm.assertTrue(council.electionAt(1).isClosed);
    }

    function testFuzz_openElection_RevertWhen_NoneIsDue(uint256 time) public {
        vm.warp(bound(time, START, PHASE_2_AT - 1));
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionNotDue.selector, PHASE_2_AT));
        council.openElection();
    }

    /// @dev R17: one election adds n, and the next is that of the whole list.
    function testFuzz_openElection_RevertWhen_PhaseTwoHadItsElection(uint256 time) public {
        vm.warp(PHASE_2_AT);
        _open();
        _close();
        vm.warp(bound(time, block.timestamp, PHASE_3_AT - 1));
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionNotDue.selector, PHASE_3_AT));
        council.openElection();
    }

    function test_openElection_RevertWhen_OneIsOpen() public {
        vm.warp(PHASE_2_AT);
        _open();
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionOpen.selector, 1));
        council.openElection();
    }

    /// @dev Q22: opening the election of phase 2 late does not put off phase 3.
    function testFuzz_openElection_ofPhaseTwoEndsWithThePhase(uint256 time) public {
        time = bound(time, PHASE_2_AT, PHASE_3_AT - 1);
        vm.warp(time);
        _open();
        uint256 closesAt = council.electionAt(1).closesAt;
        vm.assertTrue(closesAt <= PHASE_3_AT);
        vm.assertTrue(closesAt == PHASE_3_AT || closesAt == time + ELECTION_S);
        vm.warp(PHASE_3_AT);
        council.closeElection();
        vm.assertEq(council.openElection(), 2);
        vm.assertTrue(council.electionAt(2).isRenewal);
    }

    function test_openElection_ofPhaseTwoIsLeftOutIfNobodyOpensIt() public {
        vm.warp(PHASE_3_AT);
        vm.assertEq(council.dueAt(), PHASE_3_AT);
        _open();
        vm.assertTrue(council.electionAt(1).isRenewal);
    }

    /// @dev R18, Q22: however late a renewal is opened, the next ones are due on the dates that were
    ///      fixed at deployment.
    function testFuzz_closeElection_leavesTheDatesOfRenewalsAsTheyAre(uint256 lateS) public {
        lateS = bound(lateS, 0, 20 * uint256(TERM_S));
        _stakeMany(20, 2 * N + 1);
        vm.warp(PHASE_3_AT + lateS);
        _open();
        _standMany(20, 2 * N + 1);
        _close();
        uint256 dueAt = council.dueAt();
        vm.assertEq((dueAt - PHASE_3_AT) % TERM_S, 0);
        vm.assertTrue(dueAt > PHASE_3_AT + lateS);
        vm.assertTrue(dueAt <= PHASE_3_AT + lateS + TERM_S);
    }

    function test_closeElection_RevertWhen_ItRuns() public {
        vm.warp(PHASE_2_AT);
        _open();
        uint48 closesAt = PHASE_2_AT + ELECTION_S;
        vm.warp(closesAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionRuns.selector, 1, closesAt));
        council.closeElection();
    }

    function test_closeElection_RevertWhen_NoneIsOpen() public {
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionNotOpen.selector, 0));
        council.closeElection();
        vm.warp(PHASE_2_AT);
        _open();
        _close();
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionNotOpen.selector, 1));
        council.closeElection();
    }

    // Who stands.

    function test_stand_countsTheOwnStakeOnce() public {
        _opened(1);
        vm.expectEmit(address(council));
        emit IElections.Stood(1, _person(10), _node(10), STAKE + 10 ether);
        _stand(10);
        vm.assertEq(council.candidateOf(1, _person(10)).votes, STAKE + 10 ether);
        _castRefused(_person(10), 10);
        vm.expectRevert(abi.encodeWithSelector(IBallots.AlreadyCast.selector, 1, _person(10)));
        vm.prank(_person(10));
        council.stand(1, _node(10));
        vm.assertEq(council.candidateOf(1, _person(10)).votes, STAKE + 10 ether);
    }

    function test_stand_RevertWhen_TheStakeWasGivenAway() public {
        _opened(2);
        _stand(10);
        _back(_person(11), 10);
        vm.expectRevert(abi.encodeWithSelector(IBallots.AlreadyCast.selector, 1, _person(11)));
        vm.prank(_person(11));
        council.stand(1, _node(11));
    }

    function test_stand_RevertWhen_TheStakeIsNotEnough() public {
        _stake(ALICE, STAKE - 1);
        _opened(0);
        vm.expectRevert(
            abi.encodeWithSelector(ISeats.NotEnoughStake.selector, ALICE, STAKE - 1, STAKE)
        );
        vm.prank(ALICE);
        council.stand(1, _node(99));
    }

    function test_stand_RevertWhen_TheStakeIsLeaving() public {
        _opened(1);
        vm.prank(_person(10));
        council.unstake(11 ether);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISeats.NotEnoughStake.selector, _person(10), STAKE - 1 ether, STAKE
            )
        );
        vm.prank(_person(10));
        council.stand(1, _node(10));
    }

    function test_stand_RevertWhen_TheNodeIsNone() public {
        _opened(1);
        vm.expectRevert(IElections.ZeroNode.selector);
        vm.prank(_person(10));
        council.stand(1, bytes32(0));
    }

    /// @dev Two governors with one node could not hold keys.
    function test_stand_RevertWhen_TheNodeIsAnothers() public {
        _opened(2);
        _stand(10);
        vm.expectRevert(abi.encodeWithSelector(ISeats.NodeTaken.selector, _node(10), _person(10)));
        vm.prank(_person(11));
        council.stand(1, _node(10));
        vm.expectRevert(abi.encodeWithSelector(ISeats.NodeTaken.selector, _node(0), _person(0)));
        vm.prank(_person(11));
        council.stand(1, _node(0));
    }

    function test_stand_RevertWhen_ItWasInvitedInstead() public {
        _opened(0);
        vm.expectRevert(abi.encodeWithSelector(IElections.IsInvited.selector, _person(0)));
        vm.prank(_person(0));
        council.stand(1, _node(0));
    }

    function test_stand_RevertWhen_TheElectionIsNotOpen() public {
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionNotOpen.selector, 0));
        council.stand(0, _node(10));
        _opened(1);
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionNotOpen.selector, 2));
        vm.prank(_person(10));
        council.stand(2, _node(10));
        uint48 closesAt = council.electionAt(1).closesAt;
        vm.warp(closesAt);
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionOver.selector, 1, closesAt));
        vm.prank(_person(10));
        council.stand(1, _node(10));
        council.closeElection();
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionNotOpen.selector, 1));
        vm.prank(_person(10));
        council.stand(1, _node(10));
    }

    // Who backs.

    function test_back_addsTheStakeOfTheSnapshot() public {
        _stake(ALICE, 5 ether);
        _opened(1);
        _stand(10);
        vm.expectEmit(address(council));
        emit IElections.Backed(1, _person(10), ALICE, 5 ether, STAKE + 15 ether);
        _back(ALICE, 10);
        vm.assertEq(council.weightIn(1, ALICE), 5 ether);
        vm.assertEq(council.ballotAt(1).cast, STAKE + 15 ether);
    }

    function test_back_RevertWhen_TheStakeHasVoted() public {
        _stake(ALICE, 5 ether);
        _opened(2);
        _standMany(10, 2);
        _back(ALICE, 10);
        _castRefused(ALICE, 10);
        _castRefused(ALICE, 11);
    }

    function test_back_RevertWhen_ItIsNoCandidate() public {
        _stake(ALICE, 5 ether);
        _opened(1);
        vm.expectRevert(abi.encodeWithSelector(IElections.NotCandidate.selector, 1, _person(10)));
        vm.prank(ALICE);
        council.back(1, _person(10));
    }

    function test_back_RevertWhen_NothingWasStaked() public {
        _opened(1);
        _stand(10);
        vm.expectRevert(
            abi.encodeWithSelector(IBallots.NoWeight.selector, 1, ALICE, PHASE_2_AT - 1)
        );
        vm.prank(ALICE);
        council.back(1, _person(10));
    }

    // Who wins.

    /// @dev R17: votes are the own ANKR and that of the backers; the top n win.
    function test_closeElection_seatsWhoHasMostVotes() public {
        _stake(ALICE, 100 ether);
        _opened(N + 2);
        _standMany(10, N + 2);
        _back(ALICE, 10);
        _close();
        // 10 by its backer, 13 and 14 by their own stakes.
        vm.assertTrue(council.isGovernor(_person(10)));
        vm.assertFalse(council.isGovernor(_person(11)));
        vm.assertFalse(council.isGovernor(_person(12)));
        vm.assertTrue(council.isGovernor(_person(13)));
        vm.assertTrue(council.isGovernor(_person(14)));
        vm.assertEq(council.seatCount(), INVITED + N);
    }

    function test_closeElection_ofEqualVotesTakesWhoStoodFirst() public {
        for (uint256 i = 10; i < 10 + N + 1; ++i) {
            _stake(_person(i), STAKE);
        }
        vm.warp(PHASE_2_AT);
        _open();
        for (uint256 i = 10 + N + 1; i > 10; --i) {
            _stand(i - 1);
        }
        _close();
        vm.assertFalse(council.isGovernor(_person(10)));
        for (uint256 i = 11; i < 10 + N + 1; ++i) {
            vm.assertTrue(council.isGovernor(_person(i)));
        }
    }

    /// @dev R17 against a sort of everybody, whatever the stakes, backers and their order.
    function testFuzz_standings_areTheBestOfAllInOrder(uint8[12] memory own, uint16[12] memory lent)
        public
    {
        for (uint256 i = 0; i < 12; ++i) {
            _stake(_person(10 + i), STAKE + own[i] % 16);
            _stake(_person(40 + i), 1 + lent[i] % 16);
        }
        vm.warp(PHASE_3_AT);
        _open();
        _standMany(10, 12);
        for (uint256 i = 0; i < 12; ++i) {
            _back(_person(40 + i), 10 + lent[i] / 16 % 12);
        }
        address[] memory best = council.standings(1);
        vm.assertEq(best.length, 2 * N + 1);
        for (uint256 rank = 0; rank < best.length; ++rank) {
            vm.assertEq(_betterThan(best[rank]), rank);
        }
    }

    function test_closeElection_leavesSeatsOfPhaseTwoEmptyIfTooFewStand() public {
        _opened(1);
        _stand(10);
        _close();
        vm.assertEq(council.seatCount(), INVITED + 1);
        vm.assertEq(council.list().length, INVITED + 1);
    }

    function test_closeElection_ofNobodyInPhaseTwoAddsNobody() public {
        _opened(0);
        _close();
        vm.assertEq(council.seatCount(), INVITED);
    }

    /// @dev R18: with fewer than n + 1 winners the old list stays, and may be elected anew at once.
    function test_closeElection_ofTooFewLeavesTheListAndIsDueAgain() public {
        _stakeMany(20, 2 * N + 1);
        vm.warp(PHASE_3_AT);
        _open();
        _standMany(20, N);
        vm.warp(PHASE_3_AT + ELECTION_S);
        vm.expectEmit(address(council));
        emit IElections.ElectionClosed(1, N, N + 1);
        council.closeElection();
        vm.assertEq(council.seatCount(), INVITED);
        vm.assertTrue(council.isGovernor(_person(0)));
        vm.assertFalse(council.isBound(_person(20)));
        vm.assertEq(council.dueAt(), PHASE_3_AT);

        vm.assertEq(_open(), 2);
        _standMany(20, N + 1);
        _close();
        vm.assertEq(council.seatCount(), N + 1);
        vm.assertFalse(council.isGovernor(_person(0)));
        vm.assertEq(council.dueAt(), PHASE_3_AT + TERM_S);
    }

    /// @dev R18: those who sit may be elected again, by the same rule as everybody.
    function test_closeElection_renewsWhoSitsIfItWins() public {
        _stakeMany(20, 2 * N);
        vm.warp(PHASE_3_AT);
        _open();
        _stand(0);
        _standMany(20, 2 * N);
        _close();
        vm.assertTrue(council.isGovernor(_person(0)));
        vm.assertFalse(council.isGovernor(_person(1)));
        vm.assertTrue(council.isBound(_person(0)));
        vm.assertEq(council.term().number, 1);
    }

    // How many (R15).

    /// @dev R15: n can be updated, and the next list has 2n + 1 for it.
    function test_openElection_ofTheWholeListGoesByThePolicysN() public {
        _set(Parameter.CouncilN, 1);
        _renew(20, 5);
        vm.assertEq(council.seatCount(), 3);
        vm.assertEq(council.term().n, 1);
        _set(Parameter.CouncilN, 5);
        _renew(40, 12);
        vm.assertEq(council.seatCount(), 11);
        vm.assertEq(council.term().n, 5);
    }

    /// @dev Whoever n is changed to in phases 1 and 2: four were invited and three are elected.
    function testFuzz_openElection_ofPhaseTwoGoesByTheNOfDeployment(uint256 n) public {
        _set(Parameter.CouncilN, bound(n, 1, 31));
        _opened(N + 1);
        _standMany(10, N + 1);
        _close();
        vm.assertEq(council.seatCount(), 2 * N + 1);
        vm.assertEq(council.term().n, N);
    }

    function _opened(uint256 stakers) private {
        _stakeMany(10, stakers);
        vm.warp(PHASE_2_AT);
        _open();
    }

    function _castRefused(address who, uint256 candidate) private {
        vm.expectRevert(abi.encodeWithSelector(IBallots.AlreadyCast.selector, 1, who));
        vm.prank(who);
        council.back(1, _person(candidate));
    }

    /// @dev How many of the twelve candidates are better than this one.
    function _betterThan(address who) private view returns (uint256 count) {
        IElections.Candidate memory asked = council.candidateOf(1, who);
        for (uint256 i = 0; i < 12; ++i) {
            IElections.Candidate memory other = council.candidateOf(1, _person(10 + i));
            if (other.votes > asked.votes) ++count;
            if (other.votes == asked.votes && other.place < asked.place) ++count;
        }
    }
}
