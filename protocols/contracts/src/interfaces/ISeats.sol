// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICouncilKeys} from "./ICouncilKeys.sol";

/// @title  Who sits in the council (R15, R16, R24, Q22)
/// @notice Phase 1: n + 1 were invited at deployment, and each sits once it accepts, with the stake.
///         Phase 2: n more are elected. Phase 3: the whole list of 2n + 1 is elected anew each term.
///         When a phase begins was fixed at deployment and nobody can move it.
/// @dev    A list is never changed but by adding at its end, until the next term's replaces it: a
///         seat's number is good for a whole term. There are at most `SEATS_MAX` seats, and they are
///         all that the council loops over.
interface ISeats {
    /// @notice One seat.
    /// @param  account     Who sits.
    /// @param  stakeMin    With less stake it may neither propose nor vote, in 10^-18 ANKR. It is what
    ///                     was asked when it took the seat.
    /// @param  nodeId      Its node's Ed25519 public key.
    struct Seat {
        address account;
        uint208 stakeMin;
        bytes32 nodeId;
    }

    /// @notice Who sits since when, and by which numbers.
    /// @param  number    How often the whole list was renewed.
    /// @param  n         The list has at most 2n + 1 seats, and n + 1 are what it takes to renew it.
    /// @param  stakeMin  The policy's `GovernorStakeMin` when the term began, in 10^-18 ANKR.
    struct Term {
        uint64 number;
        uint8 n;
        uint208 stakeMin;
    }

    /// @notice Somebody took a seat.
    event Seated(uint64 indexed term, address indexed account, bytes32 nodeId);

    /// @notice The whole list is another from now on.
    event TermBegan(uint64 indexed term, uint8 n, uint208 stakeMin);

    /// @notice Deployment: phase 3 begins after phase 2, and a term is more than 0 seconds long.
    error BadPhases(uint48 phase2At, uint48 phase3At, uint48 termS);

    /// @notice Deployment: n + 1 are invited, for the policy's n.
    error BadInvitedCount(uint256 count, uint256 n);

    /// @notice Deployment: account 0 and node 0 cannot be invited.
    error BadInvitation(uint256 index);

    /// @notice Deployment: an account is invited once.
    error InvitedTwice(address account);

    /// @notice The node is another account's. A node stays with the account that named it first.
    error NodeTaken(bytes32 nodeId, address account);

    /// @notice The account was not invited.
    error NotInvited(address account);

    /// @notice Invitations are good until the first list is elected.
    error InvitationOver(uint64 term);

    /// @notice The account sits already.
    error AlreadySeated(address account);

    /// @notice Only who sits in the council may.
    error NotGovernor(address account);

    /// @notice So much stake is needed, in 10^-18 ANKR. A governor that was slashed below it may add.
    error NotEnoughStake(address account, uint256 stake, uint256 stakeMin);

    /// @notice Takes the seat that the caller was invited to. It must have the stake.
    function accept() external;

    /// @notice The list, as the board of the council's keys wants it (`ICouncilKeys.support`): the
    ///         first seats in order, an odd number of them.
    /// @dev    Of an even number the last is left out: of a renewed list, who had the fewest votes;
    ///         before, who came last. It votes like every other; it only holds no share of the keys.
    function list() external view returns (ICouncilKeys.Governor[] memory);

    /// @notice All seats, in order.
    function seats() external view returns (Seat[] memory);

    /// @notice How many seats are taken.
    function seatCount() external view returns (uint256);

    /// @notice Whether the account sits in the council.
    function isGovernor(address account) external view returns (bool);

    /// @notice Whether the account was invited at deployment.
    function isInvited(address account) external view returns (bool);

    /// @notice Whose a node is; 0 if nobody named it yet.
    function accountOf(bytes32 nodeId) external view returns (address);

    /// @notice The term that runs.
    function term() external view returns (Term memory);

    /// @notice Which phase it is: 1, 2 or 3.
    function phase() external view returns (uint8);

    /// @notice What stake a seat is taken with, in 10^-18 ANKR: the policy's `GovernorStakeMin`, or
    ///         that of the term's beginning if that was less. Raising it does not keep the next
    ///         council out.
    function stakeMin() external view returns (uint208);

    /// @notice When phase 2 begins, Unix seconds.
    function PHASE_2_AT() external view returns (uint48);

    /// @notice When phase 3 begins, Unix seconds.
    function PHASE_3_AT() external view returns (uint48);

    /// @notice From one renewal to the next, in seconds.
    function TERM_S() external view returns (uint48);

    /// @notice The most seats there can be.
    function SEATS_MAX() external view returns (uint256);
}
