// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {IPolicy, Parameter} from "../interfaces/IPolicy.sol";
import {IReceiver} from "../interfaces/IReceiver.sol";
import {IStakes} from "../interfaces/IStakes.sol";

/// @title What governors and voters answer with
abstract contract Stakes is IStakes {
    using Checkpoints for Checkpoints.Trace208;
    using SafeERC20 for IERC20;

    uint256 internal constant BPS = 10_000;

    /// @notice The token that is staked.
    IERC20 public immutable TOKEN;

    /// @notice Where the numbers stand.
    IPolicy public immutable POLICY;

    /// @notice Who gets what is slashed.
    IReceiver public immutable RECEIVER;

    /// @dev What of an account is leaving.
    struct Leaving {
        uint208 amount;
        uint48 readyAt;
    }

    mapping(address account => Checkpoints.Trace208) private _stakes;

    Checkpoints.Trace208 private _total;

    mapping(address account => Leaving) private _leaving;

    /// @inheritdoc IStakes
    uint256 public slashed;

    constructor(IERC20 token, IPolicy policy, IReceiver receiver) {
        TOKEN = token;
        POLICY = policy;
        RECEIVER = receiver;
    }

    /// @inheritdoc IStakes
    function stake(uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        uint208 added = SafeCast.toUint208(amount);

        uint208 staked = _setStake(msg.sender, _stakes[msg.sender].latest() + added);
        _setTotal(_total.latest() + added);
        emit Staked(msg.sender, amount, staked);

        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IStakes
    function unstake(uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        if (isBound(msg.sender)) revert StakeBound(msg.sender);
        uint208 before = _stakes[msg.sender].latest();
        if (amount > before) revert StakeTooSmall(msg.sender, before, amount);

        uint208 taken = SafeCast.toUint208(amount);
        uint208 staked = _setStake(msg.sender, before - taken);
        _setTotal(_total.latest() - taken);
        Leaving storage leaving = _leaving[msg.sender];
        leaving.amount += taken;
        leaving.readyAt = Time.timestamp() + _durationS(Parameter.UnbondS);
        emit Unstaked(msg.sender, amount, staked, leaving.readyAt);
    }

    /// @inheritdoc IStakes
    function withdraw() external {
        Leaving memory leaving = _leaving[msg.sender];
        if (leaving.amount == 0) revert NothingLeaving(msg.sender);
        if (block.timestamp < leaving.readyAt) revert StillLeaving(msg.sender, leaving.readyAt);

        delete _leaving[msg.sender];
        emit Withdrawn(msg.sender, leaving.amount);

        TOKEN.safeTransfer(msg.sender, leaving.amount);
    }

    /// @inheritdoc IStakes
    function handOnSlashed() external {
        uint256 amount = slashed;
        if (amount == 0) revert NothingSlashed();

        slashed = 0;
        emit SlashedHandedOn(amount);

        TOKEN.forceApprove(address(RECEIVER), amount);
        RECEIVER.take(amount);
    }

    /// @inheritdoc IStakes
    function stakeAt(address account, uint48 time) external view returns (uint256) {
        return _stakeAt(account, time);
    }

    /// @inheritdoc IStakes
    function totalStakeAt(uint48 time) external view returns (uint256) {
        return _totalStakeAt(time);
    }

    /// @inheritdoc IStakes
    function totalStake() external view returns (uint256) {
        return _total.latest();
    }

    /// @inheritdoc IStakes
    function leavingOf(address account) external view returns (uint208 amount, uint48 readyAt) {
        Leaving storage leaving = _leaving[account];
        return (leaving.amount, leaving.readyAt);
    }

    /// @inheritdoc IStakes
    function stakeOf(address account) public view returns (uint256) {
        return _stakes[account].latest();
    }

    /// @inheritdoc IStakes
    function isBound(address account) public view virtual returns (bool);

    /// @dev Takes a share of a stake, rounded down. It waits to be handed on, so that nobody who gets
    ///      it can keep a vote from being closed.
    function _slash(address account, uint256 shareBps) internal {
        uint208 before = _stakes[account].latest();
        uint208 amount = SafeCast.toUint208(uint256(before) * shareBps / BPS);
        _setStake(account, before - amount);
        _setTotal(_total.latest() - amount);
        slashed += amount;
        emit Slashed(account, amount, before - amount);
    }

    function _stakeAt(address account, uint48 time) internal view returns (uint208) {
        if (time >= block.timestamp) revert NotYetOver(time);
        return _stakes[account].upperLookupRecent(time);
    }

    function _totalStakeAt(uint48 time) internal view returns (uint208) {
        if (time >= block.timestamp) revert NotYetOver(time);
        return _total.upperLookupRecent(time);
    }

    /// @dev A length of time that the policy sets, in seconds.
    function _durationS(Parameter parameter) internal view returns (uint48) {
        return SafeCast.toUint48(POLICY.get(parameter));
    }

    /// @dev When something ends that begins now and lasts what the policy says, but at least `leastS`.
    function _endOf(Parameter parameter, uint48 leastS) internal view returns (uint48) {
        uint48 lengthS = _durationS(parameter);
        return Time.timestamp() + (lengthS < leastS ? leastS : lengthS);
    }

    function _setStake(address account, uint208 amount) private returns (uint208) {
        // slither-disable-next-line unused-return -- what it was before
        _stakes[account].push(Time.timestamp(), amount);
        return amount;
    }

    function _setTotal(uint208 amount) private {
        // slither-disable-next-line unused-return -- what it was before
        _total.push(Time.timestamp(), amount);
    }
}
