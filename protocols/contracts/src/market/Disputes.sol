// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Timelocked} from "../governance/Timelocked.sol";
import {IDeals} from "../interfaces/IDeals.sol";
import {Losses} from "./Losses.sol";

/// @title Disputes, and what governors decide (R62, Q27)
/// @notice A dispute holds a deal for `disputeS`. Each party has one, so a deal is held for a limited
///         time, and after it there is a whole review again: nobody gains by disputing just in time.
abstract contract Disputes is Losses, Timelocked {
    /// @dev Bits of a deal's `disputes`.
    uint8 private constant BY_REQUESTER = 1;
    uint8 private constant BY_PROVIDER = 2;

    /// @inheritdoc IDeals
    function dispute(uint256 deal, string calldata evidence) external nonReentrant {
        Deal storage held = _unfrozen(deal);
        uint256 untilS = _completableAt(held);
        if (block.timestamp >= untilS) revert TooLate(deal, untilS);
        uint8 by = _partyOf(deal, held);
        if (held.disputes & by != 0) revert AlreadyDisputed(deal, msg.sender);

        held.disputes |= by;
        held.disputedAt = uint64(block.timestamp);
        held.frozenUntil = uint64(block.timestamp) + held.terms.disputeS;
        emit Disputed(deal, msg.sender, held.frozenUntil, evidence);
    }

    /// @inheritdoc IDeals
    function rule(uint256 deal, Ruling calldata ruling) external onlyTimelock nonReentrant {
        Deal storage held = _running(deal);
        if (block.timestamp >= held.frozenUntil) revert NotDisputed(deal);
        if (ruling.disputedAt != held.disputedAt) revert OtherDispute(deal, held.disputedAt);
        uint256 lossWeiMax = ruling.isFailed ? held.ethStakeWei : 0;
        if (ruling.lossWei > lossWeiMax) revert LossTooLarge(ruling.lossWei, lossWeiMax);

        emit Ruled(deal, ruling.isFailed, ruling.lossWei);
        if (ruling.isFailed) _fail(deal, held, Cause.Ruling, held.disputedAt, ruling.lossWei);
        else held.frozenUntil = uint64(block.timestamp);
    }

    /// @inheritdoc IDeals
    function cancel(uint256 deal) external onlyTimelock nonReentrant {
        Deal storage held = _running(deal);
        address provider = held.provider;
        if (!_isDisqualified(provider)) revert NotDisqualified(provider);
        emit Cancelled(deal);
        held.state = State.Cancelled;
        _refund(deal, held, 0);

        _free(held);
        PROVIDERS.unlock(provider);
    }

    /// @dev A running deal that no dispute holds now.
    function _unfrozen(uint256 deal) internal view returns (Deal storage held) {
        held = _running(deal);
        if (block.timestamp < held.frozenUntil) revert Frozen(deal, held.frozenUntil);
    }

    /// @dev Which of the two the caller is.
    function _partyOf(uint256 deal, Deal storage held) private view returns (uint8) {
        if (msg.sender == held.requester) return BY_REQUESTER;
        if (msg.sender == held.provider) return BY_PROVIDER;
        revert NotParty(deal, msg.sender);
    }
}
