// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IBallots} from "../interfaces/IBallots.sol";
import {IVoterRewards} from "../interfaces/IVoterRewards.sol";

/// @title What stakers earn by voting
contract VoterRewards is IVoterRewards {
    using SafeERC20 for IERC20;

    /// @notice The token that is paid.
    IERC20 public immutable TOKEN;

    /// @notice Who knows what was voted.
    IBallots public immutable BALLOTS;

    /// @inheritdoc IVoterRewards
    mapping(uint64 ballot => uint256) public fundedOf;

    mapping(uint64 ballot => mapping(address account => uint256)) private _given;

    mapping(uint64 ballot => mapping(address account => uint256)) private _claimed;

    constructor(IERC20 token, IBallots ballots) {
        TOKEN = token;
        BALLOTS = ballots;
    }

    /// @inheritdoc IVoterRewards
    function fund(uint64 ballot, uint256 amount) external {
        if (amount == 0) revert ZeroReward();
        IBallots.Ballot memory asked = BALLOTS.ballotAt(ballot);
        if (asked.isClosed && asked.cast == 0) revert NobodyVoted(ballot);

        fundedOf[ballot] += amount;
        _given[ballot][msg.sender] += amount;
        emit Funded(ballot, msg.sender, amount);

        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IVoterRewards
    function claim(uint64 ballot) external {
        if (!BALLOTS.ballotAt(ballot).isClosed) revert BallotRuns(ballot);
        uint256 amount = claimableOf(ballot, msg.sender);
        if (amount == 0) revert NothingToClaim(ballot, msg.sender);

        _claimed[ballot][msg.sender] += amount;
        emit Claimed(ballot, msg.sender, amount);

        TOKEN.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IVoterRewards
    function reclaim(uint64 ballot) external {
        IBallots.Ballot memory asked = BALLOTS.ballotAt(ballot);
        if (!asked.isClosed) revert BallotRuns(ballot);
        if (asked.cast != 0) revert SomebodyVoted(ballot);
        uint256 amount = _given[ballot][msg.sender];
        if (amount == 0) revert NothingToClaim(ballot, msg.sender);

        _given[ballot][msg.sender] = 0;
        fundedOf[ballot] -= amount;
        emit Reclaimed(ballot, msg.sender, amount);

        TOKEN.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IVoterRewards
    function claimableOf(uint64 ballot, address account) public view returns (uint256) {
        IBallots.Ballot memory asked = BALLOTS.ballotAt(ballot);
        if (!asked.isClosed || asked.cast == 0) return 0;
        uint256 share = Math.mulDiv(fundedOf[ballot], BALLOTS.weightIn(ballot, account), asked.cast);
        return share - _claimed[ballot][account];
    }
}
