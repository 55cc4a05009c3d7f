// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {VoterRewards} from "../src/governance/VoterRewards.sol";
import {IBallots} from "../src/interfaces/IBallots.sol";
import {IElections} from "../src/interfaces/IElections.sol";
import {ISeats} from "../src/interfaces/ISeats.sol";
import {IProposals} from "../src/interfaces/IProposals.sol";
import {ActsTest} from "./lib/Acts.sol";
import {Citizens} from "./lib/Citizens.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

/// @dev What citizens may do must work, and what they may not must be refused by name: a revert is a fault.
///
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: ci.invariant.fail-on-revert = true
contract CouncilInvariantTest is ActsTest, CouncilKit {
    Citizens private citizens;
    VoterRewards private pot;
    uint256 private people;

    function setUp() public {
        citizens = new Citizens();
        (council, pot, ankr) = citizens.kept();
        people = citizens.PEOPLE();
        targetContract(address(citizens));
    }

    function test_citizens_doAllThatTheyMay() public {
        bytes4[] memory acts = new bytes4[](19);
        acts[0] = Citizens.stake.selector;
        acts[1] = Citizens.unstake.selector;
        acts[2] = Citizens.withdraw.selector;
        acts[3] = Citizens.handOn.selector;
        acts[4] = Citizens.accept.selector;
        acts[5] = Citizens.openElection.selector;
        acts[6] = Citizens.stand.selector;
        acts[7] = Citizens.standAll.selector;
        acts[8] = Citizens.back.selector;
        acts[9] = Citizens.closeElection.selector;
        acts[10] = Citizens.propose.selector;
        acts[11] = Citizens.vote.selector;
        acts[12] = Citizens.voteAll.selector;
        acts[13] = Citizens.voteAsStaker.selector;
        acts[14] = Citizens.close.selector;
        acts[15] = Citizens.execute.selector;
        acts[16] = Citizens.fund.selector;
        acts[17] = Citizens.claim.selector;
        acts[18] = Citizens.reclaim.selector;
        _checkThatAllSucceed(citizens, acts, 3000);
    }

    /// @dev R13, R17: ANKR of stakes and of rewards.
    function invariant_moneyIsConserved() public view {
        _stakesAreConserved();
        _claimsAreNeverMoreThanWasPutIn();
    }

    /// @dev R15, R18, Q22.
    function invariant_theCouncilNeverExceeds2nPlus1() public view {
        _theListIsNeverTooLarge();
        _everyAccountAndEveryNodeSitsOnce();
        _electionsAreDueOnFixedDates();
        _theBestStandFirst();
    }

    /// @dev R15, R20, Q21.
    function invariant_everyVoteCountsOnce() public view {
        _noBallotHasMoreThanWasStaked();
        _proposalsEndInOrderAndCountNobodyTwice();
        _nobodyIsAbsentTwiceUnpunished();
    }

    /// @dev To the wei: stakes, what leaves and what was slashed are all there is.
    function _stakesAreConserved() private view {
        uint256 staked = 0;
        uint256 leaving = 0;
        for (uint256 i = 0; i < people; ++i) {
            address account = citizens.person(i);
            staked += council.stakeOf(account);
            (uint208 amount,) = council.leavingOf(account);
            leaving += amount;
        }
        vm.assertEq(staked, council.totalStake());
        uint256 held = ankr.balanceOf(address(council));
        vm.assertEq(held, staked + leaving + council.slashed());
        vm.assertEq(held, citizens.paidIn() - citizens.paidOut());
    }

    /// @dev R15.
    function _theListIsNeverTooLarge() private view {
        ISeats.Term memory term = council.term();
        uint256 count = council.seatCount();
        vm.assertTrue(count <= 2 * uint256(term.n) + 1);
        vm.assertTrue(count <= council.SEATS_MAX());
        if (term.number > 0) vm.assertTrue(count > term.n);
    }

    function _everyAccountAndEveryNodeSitsOnce() private view {
        ISeats.Seat[] memory seats = council.seats();
        uint256 sitting = 0;
        for (uint256 i = 0; i < people; ++i) {
            if (council.isGovernor(citizens.person(i))) ++sitting;
        }
        vm.assertEq(sitting, seats.length);
        for (uint256 i = 0; i < seats.length; ++i) {
            vm.assertEq(council.accountOf(seats[i].nodeId), seats[i].account);
            for (uint256 j = 0; j < i; ++j) {
                vm.assertTrue(seats[i].account != seats[j].account);
                vm.assertTrue(seats[i].nodeId != seats[j].nodeId);
            }
        }
        vm.assertTrue(council.list().length % 2 == 1 || seats.length == 0);
    }

    /// @dev Q22.
    function _electionsAreDueOnFixedDates() private view {
        uint256 dueAt = council.dueAt();
        vm.assertTrue(dueAt == PHASE_2_AT || (dueAt - PHASE_3_AT) % TERM_S == 0);
        vm.assertEq(council.PHASE_2_AT(), PHASE_2_AT);
        vm.assertEq(council.PHASE_3_AT(), PHASE_3_AT);
    }

    /// @dev R17: of all who stand, the best are kept, in order.
    function _theBestStandFirst() private view {
        uint64 election = council.latestElection();
        address[] memory best = council.standings(election);
        IElections.Election memory asked = council.electionAt(election);
        uint256 seatsMax = asked.seatsMax;
        vm.assertEq(best.length, asked.candidates < seatsMax ? asked.candidates : seatsMax);
        for (uint256 rank = 0; rank < best.length; ++rank) {
            vm.assertEq(_betterThan(election, best[rank]), rank);
        }
    }

    /// @dev No stake votes twice, and none that was not there.
    function _noBallotHasMoreThanWasStaked() private view {
        for (
            uint64 ballot = _recent(council.latestBallot());
            ballot <= council.latestBallot();
            ++ballot
        ) {
            IBallots.Ballot memory asked = council.ballotAt(ballot);
            uint256 cast = 0;
            for (uint256 i = 0; i < people; ++i) {
                address account = citizens.person(i);
                uint256 weight = council.weightIn(ballot, account);
                if (weight != 0) vm.assertEq(weight, council.stakeAt(account, asked.snapshotAt));
                cast += weight;
            }
            vm.assertEq(cast, asked.cast);
            vm.assertTrue(cast <= council.totalStakeAt(asked.snapshotAt));
        }
    }

    function _proposalsEndInOrderAndCountNobodyTwice() private view {
        uint256 before = 0;
        for (uint64 proposal = 1; proposal <= council.latestProposal(); ++proposal) {
            IProposals.Proposal memory asked = council.proposalAt(proposal);
            vm.assertTrue(asked.closesAt >= before);
            vm.assertTrue(uint256(asked.yes) + asked.no + asked.abstain <= asked.seatCount);
            bool isOpen = asked.outcome == IProposals.Outcome.Open;
            vm.assertTrue(isOpen == (proposal >= council.nextToClose()));
            before = asked.closesAt;
        }
    }

    /// @dev R20: whoever reaches the limit is slashed, and starts anew.
    function _nobodyIsAbsentTwiceUnpunished() private view {
        for (uint256 i = 0; i < people; ++i) {
            vm.assertTrue(council.missedOf(citizens.person(i)) < 2);
        }
    }

    /// @dev R13.
    function _claimsAreNeverMoreThanWasPutIn() private view {
        uint256 owed = 0;
        for (uint64 ballot = 1; ballot < _recent(council.latestBallot()); ++ballot) {
            owed += pot.fundedOf(ballot) - citizens.claimed(ballot);
        }
        for (
            uint64 ballot = _recent(council.latestBallot());
            ballot <= council.latestBallot();
            ++ballot
        ) {
            uint256 claimable = 0;
            for (uint256 i = 0; i < people; ++i) {
                claimable += pot.claimableOf(ballot, citizens.person(i));
            }
            vm.assertTrue(citizens.claimed(ballot) + claimable <= pot.fundedOf(ballot));
            owed += pot.fundedOf(ballot) - citizens.claimed(ballot);
        }
        vm.assertEq(ankr.balanceOf(address(pot)), owed);
    }

    /// @dev The first of the last three. Those before were looked at when they were among them.
    function _recent(uint64 latest) private pure returns (uint64) {
        return latest < 3 ? 1 : latest - 2;
    }

    function _betterThan(uint64 election, address who) private view returns (uint256 count) {
        IElections.Candidate memory asked = council.candidateOf(election, who);
        for (uint256 i = 0; i < people; ++i) {
            IElections.Candidate memory other = council.candidateOf(election, citizens.person(i));
            if (other.place == 0) continue;
            if (other.votes > asked.votes) ++count;
            if (other.votes == asked.votes && other.place < asked.place) ++count;
        }
    }
}
