// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Council} from "../../src/governance/Council.sol";
import {VoterRewards} from "../../src/governance/VoterRewards.sol";
import {Parameter} from "../../src/interfaces/IPolicy.sol";
import {Call, IProposals} from "../../src/interfaces/IProposals.sol";
import {ISeats} from "../../src/interfaces/ISeats.sol";
import {IStakes} from "../../src/interfaces/IStakes.sol";
import {CouncilRefusals} from "./CouncilRefusals.sol";

/// @dev Fourteen people stake, stand, back, govern, are absent and leave, as time goes by; four of them
///      were invited. Each does what it may, which must succeed, and what it may not, which must be
///      refused by its error.
contract Citizens is CouncilRefusals {
    uint256 public constant PEOPLE = 14;

    /// @notice What went into the council's contract and out of it, in 10^-18 ANKR.
    uint256 public paidIn;
    uint256 public paidOut;

    /// @notice What of a ballot was claimed, in 10^-18 ANKR.
    mapping(uint64 ballot => uint256) public claimed;

    /// @notice How often a decision was carried out.
    uint256 public executions;

    mapping(uint64 ballot => mapping(address account => uint256)) private _given;
    mapping(uint64 ballot => address) private _lastGiver;
    mapping(uint64 proposal => bytes) private _calls;
    mapping(uint64 proposal => bool) private _isDone;

    constructor() {
        _deploy(_testAnkr());
        _set(Parameter.MissedVotesMax, 2);
        pot = new VoterRewards(ankr, council);
        for (uint256 i = 0; i < PEOPLE; ++i) {
            require(ankr.transfer(_person(i), 10 ** 26), "a test token pays");
            vm.startPrank(_person(i));
            ankr.approve(address(council), 10 ** 26);
            ankr.approve(address(pot), 10 ** 26);
            council.stake(STAKE + i * 1 ether);
            paidIn += STAKE + i * 1 ether;
            if (i < N) council.accept();
            vm.stopPrank();
        }
        vm.warp(PHASE_2_AT - 1 days);
    }

    modifier counted() {
        uint256 before = ankr.balanceOf(address(council));
        _;
        uint256 afterwards = ankr.balanceOf(address(council));
        if (afterwards > before) paidIn += afterwards - before;
        else paidOut += before - afterwards;
    }

    // Stakes.

    function stake(uint256 who, uint256 amount) external counted {
        // Mostly as much as it takes to stand.
        amount = amount % 4 == 0 ? amount % STAKE : STAKE + amount % STAKE;
        _expect(amount == 0 ? IStakes.ZeroAmount.selector : bytes4(0));
        vm.prank(_one(who));
        council.stake(amount);
    }

    function unstake(uint256 who, uint256 amount) external counted {
        address account = _one(who);
        amount = bound(amount, 1, council.stakeOf(account) + 1);
        _expect(_unstakeRefusal(account, amount));
        vm.prank(account);
        council.unstake(amount);
    }

    function withdraw(uint256 who) external counted {
        address account = _one(who);
        (uint208 amount, uint48 readyAt) = council.leavingOf(account);
        if (who % 4 != 0) _goTo(readyAt);
        uint256 due = ankr.balanceOf(account);
        bytes4 refusal = _withdrawRefusal(account);
        if (refusal == 0) due += amount;
        _expect(refusal);
        vm.prank(account);
        council.withdraw();
        vm.assertEq(ankr.balanceOf(account), due);
    }

    function handOn() external counted {
        _expect(council.slashed() == 0 ? IStakes.NothingSlashed.selector : bytes4(0));
        council.handOnSlashed();
    }

    // Seats and elections.

    function accept(uint256 who) external counted {
        address account = _person(who % INVITED);
        _expect(_acceptRefusal(account));
        vm.prank(account);
        council.accept();
    }

    function openElection(uint256 luck) external {
        if (luck % 2 == 0) _goTo(council.dueAt());
        _expect(_openElectionRefusal());
        council.openElection();
    }

    function stand(uint256 who) external {
        _standAs(who % PEOPLE);
    }

    /// @dev Nearly everybody stands, or renewals would hardly ever succeed.
    function standAll(uint256 absent) external {
        for (uint256 i = 0; i < PEOPLE; ++i) {
            if (absent >> (2 * i) & 3 != 0) _standAs(i);
        }
    }

    function back(uint256 who, uint256 whom) external {
        uint64 election = council.latestElection();
        address[] memory best = council.standings(election);
        bool isBest = whom % 8 != 0 && best.length != 0;
        address candidate = isBest ? best[whom % best.length] : _one(whom);
        _expect(_backRefusal(election, _one(who), candidate));
        vm.prank(_one(who));
        council.back(election, candidate);
    }

    function closeElection(uint256 luck) external {
        uint64 election = council.latestElection();
        if (luck % 4 != 0) _goTo(council.electionAt(election).closesAt);
        _expect(_closeElectionRefusal(election));
        council.closeElection();
    }

    // Proposals.

    function propose(uint256 who, uint256 what, uint256 value) external {
        Call[] memory calls = what % 3 == 0 ? _noCalls() : _someSetting(what, value);
        address governor = _governor(who);
        bytes4 refusal = _proposeRefusal(governor);
        _expect(refusal);
        vm.prank(governor);
        uint64 proposal = council.propose(calls, what % 2 == 0, "as it comes");
        if (refusal == 0) _calls[proposal] = abi.encode(calls);
    }

    function vote(uint256 who, uint256 which, uint256 choice) external {
        _voteAs(_governor(who), _openOne(which), IProposals.Choice(choice % 3));
    }

    /// @dev Most governors say yes, or nothing would ever pass; some are absent.
    function voteAll(uint256 which, uint256 absent) external {
        uint64 proposal = _openOne(which);
        for (uint256 i = 0; i < PEOPLE; ++i) {
            if (absent >> (2 * i) & 3 == 0) continue;
            _voteAs(_person(i), proposal, IProposals.Choice.Yes);
            _stakerVotes(_person(i), proposal, IProposals.Choice.Yes);
        }
    }

    function voteAsStaker(uint256 who, uint256 which, uint256 choice) external {
        _stakerVotes(_one(who), _openOne(which), IProposals.Choice(choice % 3));
    }

    function close(uint256 luck) external counted {
        uint64 proposal = council.nextToClose();
        if (proposal > council.latestProposal()) return;
        uint48 closesAt = council.proposalAt(proposal).closesAt;
        if (luck % 4 != 0) _goTo(closesAt);
        Call[] memory calls = _callsOf(proposal);
        _expect(block.timestamp < closesAt ? IProposals.VotingRuns.selector : bytes4(0));
        council.close(proposal, calls);
    }

    function execute(uint256 which) external {
        if (council.latestProposal() == 0) return;
        uint64 proposal = uint64(bound(which, 1, council.latestProposal()));
        IProposals.Proposal memory asked = council.proposalAt(proposal);
        if (which % 4 != 0) _goTo(timelock.getTimestamp(asked.operation));
        bool isReady = timelock.isOperationReady(asked.operation);
        Call[] memory calls = _callsOf(proposal);
        _expect(isReady ? bytes4(0) : TimelockController.TimelockUnexpectedOperationState.selector);
        _execute(proposal, calls);
        if (isReady) _noteExecution(proposal, asked);
    }

    // Rewards.

    function fund(uint256 who, uint256 which, uint256 amount) external {
        // Mostly the latest, in which nobody may have voted yet.
        uint64 latest = council.latestBallot();
        uint64 ballot = which % 4 == 0 || latest == 0 ? _ballot(which) : latest;
        amount %= 10 ** 20;
        bytes4 refusal = _fundRefusal(ballot, amount);
        _expect(refusal);
        vm.prank(_one(who));
        pot.fund(ballot, amount);
        if (refusal != 0) return;
        _given[ballot][_one(who)] += amount;
        _lastGiver[ballot] = _one(who);
    }

    function claim(uint256 who, uint256 which) external {
        uint64 ballot = _ballot(which);
        uint256 before = ankr.balanceOf(address(pot));
        _expect(_claimRefusal(ballot, _one(who)));
        vm.prank(_one(who));
        pot.claim(ballot);
        claimed[ballot] += before - ankr.balanceOf(address(pot));
        vm.assertTrue(claimed[ballot] <= pot.fundedOf(ballot));
    }

    /// @dev Mostly by who gave last.
    function reclaim(uint256 who, uint256 which) external {
        uint64 ballot = _ballot(which);
        address giver = who % 8 == 0 ? _one(who) : _lastGiver[ballot];
        uint256 due = ankr.balanceOf(giver);
        bytes4 refusal = _reclaimRefusal(ballot, _given[ballot][giver]);
        if (refusal == 0) {
            due += _given[ballot][giver];
            _given[ballot][giver] = 0;
        }
        _expect(refusal);
        vm.prank(giver);
        pot.reclaim(ballot);
        vm.assertEq(ankr.balanceOf(giver), due);
    }

    function wait(uint256 timeS) external {
        // Hours mostly, and weeks at times.
        vm.warp(block.timestamp + (timeS % 4 == 0 ? timeS % 21 days : timeS % 8 hours));
    }

    function kept() external view returns (Council, VoterRewards, IERC20) {
        return (council, pot, ankr);
    }

    function person(uint256 index) external pure returns (address) {
        return _person(index);
    }

    function _standAs(uint256 index) private {
        uint64 election = council.latestElection();
        _expect(_standRefusal(election, _person(index)));
        vm.prank(_person(index));
        council.stand(election, _node(index));
    }

    function _voteAs(address who, uint64 proposal, IProposals.Choice choice) private {
        _expect(_voteRefusal(proposal, who));
        vm.prank(who);
        council.vote(proposal, choice);
    }

    function _stakerVotes(address who, uint64 proposal, IProposals.Choice choice) private {
        _expect(_stakerRefusal(proposal, who));
        vm.prank(who);
        council.voteAsStaker(proposal, choice);
    }

    /// @dev Once, after its delay, and only what was decided.
    function _noteExecution(uint64 proposal, IProposals.Proposal memory asked) private {
        vm.assertTrue(asked.outcome == IProposals.Outcome.Passed);
        vm.assertTrue(block.timestamp >= asked.closesAt + DELAY_S);
        vm.assertFalse(_isDone[proposal]);
        _isDone[proposal] = true;
        ++executions;
    }

    /// @dev Lets time pass until then, if it is not over.
    function _goTo(uint256 time) private {
        if (time > block.timestamp) vm.warp(time);
    }

    function _one(uint256 who) private pure returns (address) {
        return _person(who % PEOPLE);
    }

    /// @dev Mostly somebody who sits.
    function _governor(uint256 who) private view returns (address) {
        ISeats.Seat[] memory seats = council.seats();
        if (who % 8 == 0 || seats.length == 0) return _one(who);
        return seats[who % seats.length].account;
    }

    /// @dev Mostly a proposal that is open.
    function _openOne(uint256 which) private view returns (uint64) {
        return uint64(bound(which, council.nextToClose(), council.latestProposal() + 1));
    }

    function _ballot(uint256 which) private view returns (uint64) {
        return uint64(bound(which, 1, council.latestBallot() + 1));
    }

    function _callsOf(uint64 proposal) private view returns (Call[] memory) {
        return abi.decode(_calls[proposal], (Call[]));
    }

    /// @dev Numbers that the council itself goes by.
    function _someSetting(uint256 what, uint256 value) private view returns (Call[] memory) {
        if (what % 5 == 0) return _setting(Parameter.CouncilN, bound(value, 1, 6));
        if (what % 5 == 1) return _setting(Parameter.GovernorStakeMin, bound(value, 1e18, 1e22));
        if (what % 5 == 2) return _setting(Parameter.AbsenceSlashBps, bound(value, 1, 5_000));
        if (what % 5 == 3) return _setting(Parameter.UnbondS, bound(value, 1, 30 days));
        return _setting(Parameter.VotingS, bound(value, 1, 10 days));
    }
}
