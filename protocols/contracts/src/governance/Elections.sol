// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {Parameter} from "../interfaces/IPolicy.sol";
import {IElections} from "../interfaces/IElections.sol";
import {Seats} from "./Seats.sol";

/// @title How governors are elected
abstract contract Elections is Seats, IElections {
    /// @inheritdoc IElections
    uint48 public immutable ELECTION_S_MIN;

    /// @inheritdoc IElections
    uint64 public latestElection;

    /// @dev When the next renewal is due. Always `PHASE_3_AT` and a number of terms.
    uint48 private _renewalDueAt;

    mapping(uint64 election => Election) private _elections;

    mapping(uint64 election => mapping(address account => Candidate)) private _candidates;

    /// @dev The best of an election so far, best first, at most as many as it elects.
    mapping(uint64 election => address[]) private _best;

    constructor() {
        ELECTION_S_MIN = _durationS(Parameter.ElectionS);
        _renewalDueAt = PHASE_3_AT;
    }

    /// @inheritdoc IElections
    function openElection() external returns (uint64 election) {
        if (_isOpen(latestElection)) revert ElectionOpen(latestElection);
        uint48 due = dueAt();
        if (block.timestamp < due) revert ElectionNotDue(due);

        election = ++latestElection;
        Election storage opened = _elections[election];
        opened.openedAt = Time.timestamp();
        opened.stakeMin = stakeMin();
        opened.ballot = _openBallot();
        if (block.timestamp < PHASE_3_AT) _openAddition(opened);
        else _openRenewal(opened);
        emit ElectionOpened(election, opened);
    }

    /// @inheritdoc IElections
    function stand(uint64 election, bytes32 nodeId) external {
        Election storage running = _runningElection(election);
        if (nodeId == bytes32(0)) revert ZeroNode();
        if (!running.isRenewal && isInvited(msg.sender)) revert IsInvited(msg.sender);
        _requireStake(msg.sender, stakeOf(msg.sender), running.stakeMin);
        _requireStake(msg.sender, _weightAt(running.ballot, msg.sender), running.stakeMin);

        uint208 votes = _cast(running.ballot, msg.sender);
        _claimNode(nodeId, msg.sender);
        _candidates[election][msg.sender] = Candidate(nodeId, votes, ++running.candidates);
        emit Stood(election, msg.sender, nodeId, votes);

        _rise(election, running.seatsMax, msg.sender);
    }

    /// @inheritdoc IElections
    function back(uint64 election, address candidate) external {
        Election storage running = _runningElection(election);
        Candidate storage backed = _candidates[election][candidate];
        if (backed.place == 0) revert NotCandidate(election, candidate);

        uint208 weight = _cast(running.ballot, msg.sender);
        backed.votes += weight;
        emit Backed(election, candidate, msg.sender, weight, backed.votes);

        _rise(election, running.seatsMax, candidate);
    }

    /// @inheritdoc IElections
    function closeElection() external {
        uint64 election = latestElection;
        if (!_isOpen(election)) revert ElectionNotOpen(election);
        Election storage over = _elections[election];
        if (block.timestamp < over.closesAt) revert ElectionRuns(election, over.closesAt);

        over.isClosed = true;
        address[] storage winners = _best[election];
        emit ElectionClosed(election, winners.length, over.winnersMin);
        _closeBallot(over.ballot);
        if (winners.length < over.winnersMin) return;
        if (over.isRenewal) {
            uint48 terms = (over.openedAt - PHASE_3_AT) / TERM_S + 1;
            _renewalDueAt = PHASE_3_AT + terms * TERM_S;
            _renew(over.n, winners.length);
        }
        for (uint256 i = 0; i < winners.length; ++i) {
            _seat(winners[i], _candidates[election][winners[i]].nodeId, over.stakeMin);
        }
    }

    /// @inheritdoc IElections
    function electionAt(uint64 election) external view returns (Election memory) {
        return _elections[election];
    }

    /// @inheritdoc IElections
    function candidateOf(uint64 election, address account)
        external
        view
        returns (Candidate memory)
    {
        return _candidates[election][account];
    }

    /// @inheritdoc IElections
    function standings(uint64 election) external view returns (address[] memory) {
        return _best[election];
    }

    /// @inheritdoc IElections
    function dueAt() public view returns (uint48) {
        bool isAddition = latestElection == 0 && block.timestamp < PHASE_3_AT;
        return isAddition ? PHASE_2_AT : _renewalDueAt;
    }

    /// @dev Whether an account stands in an election that is open.
    function _stands(address account) internal view returns (bool) {
        uint64 election = latestElection;
        return _isOpen(election) && _candidates[election][account].place != 0;
    }

    /// @dev n more, of the n that the council was deployed with: then its n + 1 invited are too few to
    ///      leave no room. It ends with the phase, so that nobody can delay the renewal by opening it
    ///      late.
    function _openAddition(Election storage opened) private {
        opened.n = SafeCast.toUint8(_majority() - 1);
        opened.seatsMax = opened.n;
        opened.closesAt =
            SafeCast.toUint48(Math.min(_endOf(Parameter.ElectionS, ELECTION_S_MIN), PHASE_3_AT));
    }

    /// @dev The whole list, for the policy's n.
    function _openRenewal(Election storage opened) private {
        opened.n = _n();
        opened.seatsMax = 2 * opened.n + 1;
        opened.winnersMin = SafeCast.toUint8(Math.min(_majority(), uint256(opened.n) + 1));
        opened.closesAt = _endOf(Parameter.ElectionS, ELECTION_S_MIN);
        opened.isRenewal = true;
    }

    /// @dev Brings a candidate that just got votes to its place among the best. As votes only grow,
    ///      who is not among them is behind the last of them.
    function _rise(uint64 election, uint256 seatsMax, address account) private {
        address[] storage best = _best[election];
        uint256 place = 0;
        while (place < best.length && best[place] != account) ++place;
        if (place == seatsMax) {
            --place;
            if (!_isBetter(election, account, best[place])) return;
        } else if (place == best.length) {
            best.push(account);
        }
        for (; place > 0 && _isBetter(election, account, best[place - 1]); --place) {
            best[place] = best[place - 1];
        }
        best[place] = account;
    }

    /// @dev More votes; of equal ones, who stood first.
    function _isBetter(uint64 election, address one, address other) private view returns (bool) {
        Candidate storage left = _candidates[election][one];
        Candidate storage right = _candidates[election][other];
        if (left.votes != right.votes) return left.votes > right.votes;
        return left.place < right.place;
    }

    function _isOpen(uint64 election) private view returns (bool) {
        return election != 0 && !_elections[election].isClosed;
    }

    function _runningElection(uint64 election) private view returns (Election storage running) {
        if (election != latestElection || !_isOpen(election)) revert ElectionNotOpen(election);
        running = _elections[election];
        if (block.timestamp >= running.closesAt) revert ElectionOver(election, running.closesAt);
    }
}
