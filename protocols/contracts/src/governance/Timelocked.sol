// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITimelocked} from "../interfaces/ITimelocked.sol";

/// @title What only the timelock may call
abstract contract Timelocked is ITimelocked {
    /// @inheritdoc ITimelocked
    address public immutable TIMELOCK;

    /// @dev The role is fixed at deployment: there is no owner, and nothing to hand on.
    modifier onlyTimelock() {
        _checkTimelock();
        _;
    }

    constructor(address timelock) {
        if (timelock == address(0)) revert NoTimelock();
        TIMELOCK = timelock;
    }

    function _checkTimelock() private view {
        if (msg.sender != TIMELOCK) revert NotTimelock(msg.sender);
    }
}
