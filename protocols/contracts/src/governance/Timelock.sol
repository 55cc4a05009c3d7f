// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title  What governors decide waits here before it is done
/// @notice OpenZeppelin's timelock, whose delay the governors may lengthen up to `DELAY_S_MAX` and
///         never bring below what it was at deployment: no vote takes the warning away from the next.
///         What is due waits for `GRACE_S` and no longer.
/// @dev    Whoever deploys it is its admin until it has given the council `PROPOSER_ROLE` and
///         renounced. Nobody gets `CANCELLER_ROLE`: what a vote decided only another vote undoes.
contract Timelock is TimelockController {
    /// @notice The longest delay, in seconds: governors cannot lock themselves out.
    uint256 public constant DELAY_S_MAX = 30 days;

    /// @notice How long what is due can be carried out, in seconds. Then it must be decided anew.
    uint256 public constant GRACE_S = 14 days;

    /// @notice The shortest delay, in seconds: that at deployment.
    uint256 public immutable DELAY_S_MIN;

    /// @notice The delay lies outside its bounds; all in seconds.
    error DelayOutOfBounds(uint256 delayS, uint256 delaySMin, uint256 delaySMax);

    /// @param delayS    From a decision's queueing to its execution, in seconds; at least 1.
    /// @param proposers Who may queue; empty if the council's address is not known yet.
    /// @param executors Who may execute; the zero address stands for everybody.
    /// @param admin     Who gives out the roles first, and renounces.
    constructor(
        uint256 delayS,
        address[] memory proposers,
        address[] memory executors,
        address admin
    ) TimelockController(delayS, proposers, executors, admin) {
        DELAY_S_MIN = delayS;
        if (delayS == 0) revert DelayOutOfBounds(delayS, 1, DELAY_S_MAX);
        _checkDelay(delayS);
    }

    /// @notice Changes the delay of what is queued from now on. Only the timelock itself may.
    /// @param  newDelay In seconds.
    function updateDelay(uint256 newDelay) public override {
        _checkDelay(newDelay);
        super.updateDelay(newDelay);
    }

    /// @inheritdoc TimelockController
    /// @dev    What was not carried out in time is as if it had never been queued: nobody keeps a
    ///         decision, or keeps it from working, until a day that suits him.
    function getOperationState(bytes32 id) public view override returns (OperationState state) {
        state = super.getOperationState(id);
        if (state != OperationState.Ready) return state;
        bool isOver = block.timestamp >= getTimestamp(id) + GRACE_S;
        return isOver ? OperationState.Unset : OperationState.Ready;
    }

    function _checkDelay(uint256 delayS) private view {
        if (delayS >= DELAY_S_MIN && delayS <= DELAY_S_MAX) return;
        revert DelayOutOfBounds(delayS, DELAY_S_MIN, DELAY_S_MAX);
    }
}
