// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {IBallots} from "./IBallots.sol";
import {ICouncilKeys} from "./ICouncilKeys.sol";
import {IElections} from "./IElections.sol";
import {IPolicy} from "./IPolicy.sol";
import {IProposals} from "./IProposals.sol";
import {IReceiver} from "./IReceiver.sol";
import {ISeats} from "./ISeats.sol";
import {IStakes} from "./IStakes.sol";

/// @title  The council (R13, R15-R18, R20, R24, R33, R62)
/// @notice The 2n + 1 who govern, how they are elected, and how they decide.
/// @dev    Nobody has a right here but governors and stakers: there is no owner, and nothing that only
///         the timelock may call.
interface ICouncil is IStakes, IBallots, ISeats, IElections, IProposals {
    /// @notice What a council is deployed with.
    /// @param  token     ANKR.
    /// @param  policy    Where the numbers stand.
    /// @param  timelock  Makes the calls that were decided. It must give the council its proposer's role.
    /// @param  receiver  Gets what is slashed.
    /// @param  invited   The n + 1 of phase 1, for the policy's n.
    /// @param  phase2At  When phase 2 begins, Unix seconds.
    /// @param  phase3At  When phase 3 begins, Unix seconds; after phase 2.
    /// @param  termS     From one renewal to the next, in seconds; more than 0.
    struct Setup {
        IERC20 token;
        IPolicy policy;
        TimelockController timelock;
        IReceiver receiver;
        ICouncilKeys.Governor[] invited;
        uint48 phase2At;
        uint48 phase3At;
        uint48 termS;
    }
}
