// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICouncil} from "../interfaces/ICouncil.sol";
import {IStakes} from "../interfaces/IStakes.sol";
import {Elections} from "./Elections.sol";
import {Proposals} from "./Proposals.sol";
import {Seats} from "./Seats.sol";
import {Stakes} from "./Stakes.sol";

/// @title The council: who governs, how they are elected, and how they decide
/// @dev   Loops are over seats, of which there are at most `SEATS_MAX`, and over the calls of one
///        proposal, at most `CALLS_MAX`.
contract Council is Elections, Proposals, ICouncil {
    constructor(Setup memory given)
        Stakes(given.token, given.policy, given.receiver)
        Seats(given.invited, given.phase2At, given.phase3At, given.termS)
        Proposals(given.timelock)
    {}

    /// @inheritdoc IStakes
    function isBound(address account) public view override(IStakes, Stakes) returns (bool) {
        return isGovernor(account) || _stands(account);
    }
}
