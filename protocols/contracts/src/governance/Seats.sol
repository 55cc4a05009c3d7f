// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ICouncilKeys} from "../interfaces/ICouncilKeys.sol";
import {Parameter} from "../interfaces/IPolicy.sol";
import {ISeats} from "../interfaces/ISeats.sol";
import {Ballots} from "./Ballots.sol";

/// @title Who sits in the council
abstract contract Seats is Ballots, ISeats {
    /// @inheritdoc ISeats
    /// @dev As many as the council's keys can have; the policy's bound on n is half of it, rounded
    ///      down. `IProposals.Proposal.voted` has a bit for each.
    uint256 public constant SEATS_MAX = 63;

    /// @inheritdoc ISeats
    uint48 public immutable PHASE_2_AT;

    /// @inheritdoc ISeats
    uint48 public immutable PHASE_3_AT;

    /// @inheritdoc ISeats
    uint48 public immutable TERM_S;

    /// @inheritdoc ISeats
    mapping(bytes32 nodeId => address) public accountOf;

    Seat[] private _seats;

    /// @dev Where an account sits, plus 1.
    mapping(address account => uint256) private _places;

    /// @dev Which node an account was invited with.
    mapping(address account => bytes32 nodeId) private _invitations;

    Term private _term;

    constructor(
        ICouncilKeys.Governor[] memory invited,
        uint48 phase2At,
        uint48 phase3At,
        uint48 termS
    ) {
        if (phase2At >= phase3At || termS == 0) {
            revert BadPhases(phase2At, phase3At, termS);
        }
        PHASE_2_AT = phase2At;
        PHASE_3_AT = phase3At;
        TERM_S = termS;
        uint8 n = _n();
        if (invited.length != uint256(n) + 1) revert BadInvitedCount(invited.length, n);
        for (uint256 i = 0; i < invited.length; ++i) {
            _invite(i, invited[i]);
        }
        _begin(0, n);
    }

    /// @inheritdoc ISeats
    function accept() external {
        bytes32 nodeId = _invitations[msg.sender];
        if (nodeId == bytes32(0)) revert NotInvited(msg.sender);
        if (_term.number != 0) revert InvitationOver(_term.number);
        if (isGovernor(msg.sender)) revert AlreadySeated(msg.sender);
        uint208 needed = stakeMin();
        _requireStake(msg.sender, stakeOf(msg.sender), needed);

        _seat(msg.sender, nodeId, needed);
    }

    /// @inheritdoc ISeats
    function list() external view returns (ICouncilKeys.Governor[] memory governors) {
        uint256 count = _seats.length;
        if (count % 2 == 0 && count != 0) --count;
        governors = new ICouncilKeys.Governor[](count);
        for (uint256 i = 0; i < count; ++i) {
            governors[i] = ICouncilKeys.Governor(_seats[i].account, _seats[i].nodeId);
        }
    }

    /// @inheritdoc ISeats
    function seats() external view returns (Seat[] memory) {
        return _seats;
    }

    /// @inheritdoc ISeats
    function seatCount() external view returns (uint256) {
        return _seats.length;
    }

    /// @inheritdoc ISeats
    function term() external view returns (Term memory) {
        return _term;
    }

    /// @inheritdoc ISeats
    function phase() external view returns (uint8) {
        if (block.timestamp < PHASE_2_AT) return 1;
        return block.timestamp < PHASE_3_AT ? 2 : 3;
    }

    /// @inheritdoc ISeats
    function isGovernor(address account) public view returns (bool) {
        return _places[account] != 0;
    }

    /// @inheritdoc ISeats
    function isInvited(address account) public view returns (bool) {
        return _invitations[account] != bytes32(0);
    }

    /// @inheritdoc ISeats
    function stakeMin() public view returns (uint208) {
        return SafeCast.toUint208(Math.min(POLICY.get(Parameter.GovernorStakeMin), _term.stakeMin));
    }

    /// @dev Takes a node for an account, or finds that it is the account's.
    function _claimNode(bytes32 nodeId, address account) internal {
        address owner = accountOf[nodeId];
        if (owner == account) return;
        if (owner != address(0)) revert NodeTaken(nodeId, owner);
        accountOf[nodeId] = account;
    }

    function _seat(address account, bytes32 nodeId, uint208 needed) internal {
        _seats.push(Seat({account: account, stakeMin: needed, nodeId: nodeId}));
        _places[account] = _seats.length;
        emit Seated(_term.number, account, nodeId);
    }

    /// @dev Lets all go. The list that follows has `count` seats.
    ///
    ///      What n the next renewal goes by is at most what it went by before, or what this list has
    ///      seats for: an n that was raised out of reach keeps nobody in office. The list has at most
    ///      2n + 1 seats and at least n + 1 whatever n the policy named.
    function _renew(uint256 n, uint256 count) internal {
        uint256 taken = _seats.length;
        for (uint256 i = 0; i < taken; ++i) {
            delete _places[_seats[i].account];
        }
        delete _seats;
        _begin(_term.number + 1, SafeCast.toUint8(Math.min(n, Math.max(_term.n, count / 2))));
    }

    /// @dev The seat number of who has a seat and the stake for it.
    function _activePlace(address account) internal view returns (uint256 place) {
        uint256 found = _places[account];
        if (found == 0) revert NotGovernor(account);
        place = found - 1;
        _requireStake(account, stakeOf(account), _seats[place].stakeMin);
    }

    function _accountAt(uint256 place) internal view returns (address) {
        return _seats[place].account;
    }

    /// @dev Seats that are taken.
    function _count() internal view returns (uint256) {
        return _seats.length;
    }

    function _termNumber() internal view returns (uint64) {
        return _term.number;
    }

    /// @dev How many are a majority of the council, n + 1: they are needed to renew it, and quorums
    ///      are of so many seats at least.
    function _majority() internal view returns (uint256) {
        return uint256(_term.n) + 1;
    }

    /// @dev The policy's n.
    function _n() internal view returns (uint8) {
        return SafeCast.toUint8(POLICY.get(Parameter.CouncilN));
    }

    function _requireStake(address account, uint256 staked, uint256 needed) internal pure {
        if (staked < needed) revert NotEnoughStake(account, staked, needed);
    }

    function _invite(uint256 index, ICouncilKeys.Governor memory given) private {
        if (given.account == address(0) || given.nodeId == bytes32(0)) revert BadInvitation(index);
        if (isInvited(given.account)) revert InvitedTwice(given.account);
        _claimNode(given.nodeId, given.account);
        _invitations[given.account] = given.nodeId;
    }

    function _begin(uint64 number, uint8 n) private {
        uint208 needed = SafeCast.toUint208(POLICY.get(Parameter.GovernorStakeMin));
        _term = Term({number: number, n: n, stakeMin: needed});
        emit TermBegan(number, n, needed);
    }
}
