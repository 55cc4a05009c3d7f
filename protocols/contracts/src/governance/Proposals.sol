// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {Parameter} from "../interfaces/IPolicy.sol";
import {Call, IProposals} from "../interfaces/IProposals.sol";
import {Seats} from "./Seats.sol";

/// @title How governors decide
abstract contract Proposals is Seats, IProposals {
    /// @dev What the policy said when a proposal was opened: no change of it is retroactive.
    struct Rules {
        uint16 stakersQuorumBps;
        uint16 slashBps;
        uint8 missedMax;
    }

    /// @inheritdoc IProposals
    uint256 public constant CALLS_MAX = 16;

    /// @inheritdoc IProposals
    uint256 public constant PROPOSAL_BYTES_MAX = 16_384;

    /// @notice Who makes the calls that were decided.
    TimelockController public immutable TIMELOCK;

    /// @inheritdoc IProposals
    uint48 public immutable VOTING_S_MIN;

    /// @inheritdoc IProposals
    uint64 public latestProposal;

    /// @inheritdoc IProposals
    uint64 public nextToClose = 1;

    /// @inheritdoc IProposals
    mapping(address account => uint256) public missedOf;

    mapping(uint64 proposal => Proposal) private _proposals;

    mapping(uint64 proposal => Rules) private _rules;

    mapping(uint64 proposal => Tally) private _tallies;

    /// @dev What an account proposed last.
    mapping(address account => uint64 proposal) private _proposed;

    constructor(TimelockController timelock) {
        TIMELOCK = timelock;
        VOTING_S_MIN = _durationS(Parameter.VotingS);
    }

    /// @inheritdoc IProposals
    function propose(Call[] calldata calls, bool isReferendum, string calldata summary)
        external
        returns (uint64 proposal)
    {
        _activePlace(msg.sender);
        uint64 before = _proposed[msg.sender];
        if (before >= nextToClose) revert ProposalOpen(msg.sender, before);
        _requireProper(calls, summary);

        proposal = ++latestProposal;
        _proposed[msg.sender] = proposal;
        Proposal storage opened = _proposals[proposal];
        _open(opened, _proposals[proposal - 1].closesAt);
        _rules[proposal] = _currentRules();
        opened.operation = _operation(proposal, calls);
        if (isReferendum) opened.ballot = _openBallot();
        emit Proposed(proposal, opened, calls, summary);
    }

    /// @inheritdoc IProposals
    function vote(uint64 proposal, Choice choice) external {
        Proposal storage running = _runningProposal(proposal);
        uint256 place = _activePlace(msg.sender);
        if (place >= running.seatCount) revert SeatedLater(proposal, msg.sender);
        if (_hasVoted(running.voted, place)) revert AlreadyVoted(proposal, msg.sender);

        running.voted |= SafeCast.toUint64(2 ** place);
        if (choice == Choice.Yes) ++running.yes;
        if (choice == Choice.No) ++running.no;
        if (choice == Choice.Abstain) ++running.abstain;
        emit Voted(proposal, msg.sender, choice);
    }

    /// @inheritdoc IProposals
    function voteAsStaker(uint64 proposal, Choice choice) external {
        Proposal storage running = _runningProposal(proposal);
        if (running.ballot == 0) revert NotReferendum(proposal);

        uint128 weight = SafeCast.toUint128(_cast(running.ballot, msg.sender));
        if (choice == Choice.Yes) _tallies[proposal].yes += weight;
        if (choice == Choice.No) _tallies[proposal].no += weight;
        emit StakerVoted(proposal, msg.sender, choice, weight);
    }

    /// @inheritdoc IProposals
    function close(uint64 proposal, Call[] calldata calls) external {
        if (proposal != nextToClose) revert NotNextProposal(proposal, nextToClose);
        Proposal storage over = _existing(proposal);
        if (block.timestamp < over.closesAt) revert VotingRuns(proposal, over.closesAt);

        ++nextToClose;
        Outcome outcome = _outcome(proposal, over);
        over.outcome = outcome;
        emit ProposalClosed(proposal, outcome);
        if (over.ballot != 0) _closeBallot(over.ballot);
        if (outcome != Outcome.Lapsed) _countAttendance(proposal, over);
        if (outcome == Outcome.Passed) _schedule(proposal, over.operation, calls);
    }

    /// @inheritdoc IProposals
    function proposalAt(uint64 proposal) external view returns (Proposal memory) {
        return _existing(proposal);
    }

    /// @inheritdoc IProposals
    function tallyOf(uint64 proposal) external view returns (Tally memory) {
        return _tallies[proposal];
    }

    /// @dev Its quorum is of the seats that are taken, but at least of a majority of the council: the
    ///      first who accept do not rule alone.
    function _open(Proposal storage opened, uint48 closesAtMin) private {
        uint256 counted = Math.max(_count(), _majority());
        uint256 votesMin = Math.ceilDiv(counted * POLICY.get(Parameter.QuorumBps), BPS);
        opened.proposer = msg.sender;
        opened.openedAt = Time.timestamp();
        opened.closesAt =
            SafeCast.toUint48(Math.max(_endOf(Parameter.VotingS, VOTING_S_MIN), closesAtMin));
        opened.term = _termNumber();
        opened.seatCount = SafeCast.toUint8(_count());
        opened.votesMin = SafeCast.toUint8(votesMin);
    }

    /// @dev Slashes whoever missed its last chance. What was missed before a slash is paid for.
    function _countAttendance(uint64 proposal, Proposal storage over) private {
        Rules memory rules = _rules[proposal];
        uint64 voted = over.voted;
        for (uint256 place = 0; place < over.seatCount; ++place) {
            address account = _accountAt(place);
            uint256 missed = _hasVoted(voted, place) ? 0 : missedOf[account] + 1;
            if (missed != 0) emit VoteMissed(proposal, account, missed);
            if (missed < rules.missedMax) {
                missedOf[account] = missed;
            } else {
                missedOf[account] = 0;
                _slash(account, rules.slashBps);
            }
        }
    }

    /// @dev Calls the timelock: nothing else may follow.
    function _schedule(uint64 proposal, bytes32 proposed, Call[] calldata calls) private {
        bytes32 operation = _operation(proposal, calls);
        if (operation != proposed) revert OtherCalls(operation, proposed);
        if (calls.length == 0) return;
        (address[] memory targets, uint256[] memory values, bytes[] memory payloads) = _split(calls);
        TIMELOCK.scheduleBatch(
            targets, values, payloads, 0, bytes32(uint256(proposal)), TIMELOCK.getMinDelay()
        );
    }

    /// @dev The timelock's number of calls. The proposal's own is the salt: the same calls can be
    ///      decided again, and none is made twice for one decision.
    function _operation(uint64 proposal, Call[] calldata calls) private view returns (bytes32) {
        (address[] memory targets, uint256[] memory values, bytes[] memory payloads) = _split(calls);
        return TIMELOCK.hashOperationBatch(targets, values, payloads, 0, bytes32(uint256(proposal)));
    }

    function _outcome(uint64 proposal, Proposal storage over) private view returns (Outcome) {
        if (over.term != _termNumber()) return Outcome.Lapsed;
        bool isPassed = _voters(over) >= over.votesMin && over.yes > over.no;
        if (isPassed && over.ballot != 0) {
            Tally storage tally = _tallies[proposal];
            isPassed =
                tally.yes > tally.no && _isQuorate(over.ballot, _rules[proposal].stakersQuorumBps);
        }
        return isPassed ? Outcome.Passed : Outcome.Rejected;
    }

    function _currentRules() private view returns (Rules memory) {
        return Rules({
            stakersQuorumBps: SafeCast.toUint16(POLICY.get(Parameter.ReferendumQuorumBps)),
            slashBps: SafeCast.toUint16(POLICY.get(Parameter.AbsenceSlashBps)),
            missedMax: SafeCast.toUint8(POLICY.get(Parameter.MissedVotesMax))
        });
    }

    function _runningProposal(uint64 proposal) private view returns (Proposal storage running) {
        running = _existing(proposal);
        if (block.timestamp >= running.closesAt) revert VotingOver(proposal, running.closesAt);
        if (running.term != _termNumber()) revert OtherTerm(proposal, running.term);
    }

    function _existing(uint64 proposal) private view returns (Proposal storage) {
        if (proposal == 0 || proposal > latestProposal) revert NoSuchProposal(proposal);
        return _proposals[proposal];
    }

    /// @dev So little that it can be handed on within one transaction. Of the timelock's own functions
    ///      only the one that keeps to bounds: a council that gave its roles away would govern for ever.
    function _requireProper(Call[] calldata calls, string calldata summary) private view {
        if (calls.length > CALLS_MAX) revert TooManyCalls(calls.length, CALLS_MAX);
        uint256 length = abi.encode(calls, summary).length;
        if (length > PROPOSAL_BYTES_MAX) revert TooManyBytes(length, PROPOSAL_BYTES_MAX);
        for (uint256 i = 0; i < calls.length; ++i) {
            if (calls[i].target != address(TIMELOCK)) continue;
            bytes4 selector = bytes4(calls[i].data);
            if (selector != TimelockController.updateDelay.selector) {
                revert CallForbidden(selector);
            }
        }
    }

    function _voters(Proposal storage over) private view returns (uint256) {
        return uint256(over.yes) + over.no + over.abstain;
    }

    function _hasVoted(uint64 voted, uint256 place) private pure returns (bool) {
        return voted >> place & 1 != 0;
    }

    function _split(Call[] calldata calls)
        private
        pure
        returns (address[] memory targets, uint256[] memory values, bytes[] memory payloads)
    {
        targets = new address[](calls.length);
        values = new uint256[](calls.length);
        payloads = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            (targets[i], values[i], payloads[i]) = (calls[i].target, calls[i].value, calls[i].data);
        }
    }
}
