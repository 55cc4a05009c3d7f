// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20, IERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Parameter} from "../interfaces/IPolicy.sol";
import {IProviderStakes} from "../interfaces/IProviderStakes.sol";
import {ProviderBase} from "./ProviderBase.sol";

/// @title What providers answer with
abstract contract ProviderStakes is ProviderBase {
    using SafeERC20 for IERC20;

    /// @inheritdoc IProviderStakes
    function stake(uint256 amount) external {
        Provider storage held = _inStatus(msg.sender, Status.Approved);
        if (amount == 0) revert ZeroAmount();
        uint256 total = held.stake + amount;
        uint256 stakeMax = POLICY.get(Parameter.StakeMax);
        if (total > stakeMax) revert StakeTooHigh(total, stakeMax);

        held.stake = SafeCast.toUint128(total);
        emit Staked(msg.sender, amount, total);

        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IProviderStakes
    function unstake(uint256 amount) external {
        Provider storage held = _inStatus(msg.sender, Status.Approved);
        if (amount == 0) revert ZeroAmount();
        uint256 left = Math.saturatingSub(held.stake, amount);
        uint256 stakeMin = POLICY.get(Parameter.StakeMin);
        if (left < stakeMin) revert StakeTooLow(left, stakeMin);
        _unbond(msg.sender, amount);
    }

    /// @inheritdoc IProviderStakes
    function withdraw() external {
        Provider storage held = _providers[msg.sender];
        bool isLeaving = held.status == Status.Leaving;
        uint256 amount = held.unbonding;
        if (amount == 0 && !isLeaving) revert NothingUnbonding(msg.sender);
        if (block.timestamp < held.unbondedAt) revert StillUnbonding(msg.sender, held.unbondedAt);
        if (held.locks != 0 || held.runningDeals != 0) {
            revert StakeLocked(msg.sender, held.locks, held.runningDeals);
        }

        held.unbonding = 0;
        if (isLeaving) _forget(held);
        emit Withdrawn(msg.sender, amount);

        TOKEN.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IProviderStakes
    function lock(address account) external onlyDeals {
        emit Locked(account, ++_providers[account].locks);
    }

    /// @inheritdoc IProviderStakes
    function unlock(address account) external onlyDeals {
        Provider storage held = _providers[account];
        if (held.locks == 0) revert NotLocked(account);
        emit Unlocked(account, --held.locks);
    }

    /// @inheritdoc IProviderStakes
    function seize(address account, uint256 ankr, address to)
        external
        onlyDeals
        returns (uint256 taken)
    {
        Provider storage held = _providers[account];
        uint256 fromUnbonding = Math.min(ankr, held.unbonding);
        uint256 fromStake = Math.min(ankr - fromUnbonding, held.stake);
        taken = fromUnbonding + fromStake;
        held.unbonding -= SafeCast.toUint128(fromUnbonding);
        held.stake -= SafeCast.toUint128(fromStake);
        emit Seized(account, ankr, taken, to);

        TOKEN.safeTransfer(to, taken);
    }

    /// @dev Sends a part of a provider's stake, at most all, on its way back.
    function _unbond(address account, uint256 amount) internal {
        Provider storage held = _providers[account];
        uint256 untilS = block.timestamp + POLICY.get(Parameter.UnbondS);
        held.stake -= SafeCast.toUint128(amount);
        held.unbonding += SafeCast.toUint128(amount);
        held.unbondedAt = SafeCast.toUint64(untilS);
        emit Unbonding(account, amount, held.unbonding, untilS);
    }

    /// @dev Deletes an application. Failures stay, and how long the account is disqualified: leaving
    ///      must not whitewash anybody.
    function _forget(Provider storage held) internal {
        held.status = Status.None;
        held.tier = Tier.Untrusted;
        held.unbondedAt = 0;
        held.kEthWei = 0;
        held.priceWei = 0;
        delete held.capacity;
        delete held.name;
        delete held.details;
    }
}
