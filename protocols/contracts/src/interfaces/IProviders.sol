// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Resources} from "./IPolicy.sol";
import {IReputationAnchor} from "./IReputationAnchor.sol";

/// @notice A score in an anchored epoch, and what proves it.
/// @param  header The epoch's header.
/// @param  words  The score's 16 words (`protocols/reputation.md`, section 2).
/// @param  proof  Siblings in the epoch's tree of scores.
struct ScoreProof {
    IReputationAnchor.Header header;
    bytes32[16] words;
    bytes32[] proof;
}

/// @title Providers: who they are, what they have, what they stake (R26-R29, R31, R34, R35, R44-R46)
interface IProviders {
    /// @notice How far a provider is trusted (R27-R29).
    enum Tier {
        Untrusted,
        SemiTrusted,
        Trusted
    }

    /// @notice How far a provider has come.
    enum Status {
        None,
        Applied,
        Approved,
        Leaving
    }

    /// @notice A provider's record (R34).
    struct Provider {
        Status status;
        Tier tier;
        uint32 failures;
        uint32 runningDeals;
        uint64 disqualifiedUntil;
        uint128 kEthWei;
        uint128 stake;
        uint128 priceWei;
        Resources capacity;
        Resources inUse;
        string name;
        string details;
    }

    /// @notice A provider's record.
    function providerOf(address account) external view returns (Provider memory);

    /// @notice Whether a provider may bid on a project that needs `need` now (R44, R45, R61).
    function isEligible(address account, Resources calldata need, uint32 failuresMax)
        external
        view
        returns (bool);

    /// @notice Whether `registration` is a node of `account` that serves nobody now.
    function isFree(address account, uint256 registration) external view returns (bool);

    /// @notice Checks a score of a provider's node in a final epoch; reverts unless it is proved.
    /// @return reliabilityPpm Anchored reliability.
    /// @return uptimePpm      Anchored uptime.
    /// @return state          0 vetting, 1 active, 2 probation, 3 suspended.
    function provedScore(uint256 registration, ScoreProof calldata shown)
        external
        view
        returns (uint32 reliabilityPpm, uint32 uptimePpm, uint8 state);

    /// @notice Reserves a node and its resources for a deal. Only the deals' contract may.
    function occupy(address account, uint256 registration, Resources calldata need) external;

    /// @notice Frees a node and its resources. Only the deals' contract may.
    function release(address account, uint256 registration, Resources calldata need) external;

    /// @notice Records a failure and disqualifies for a period (R59, R61). Only the deals' contract may.
    function recordFailure(address account) external;

    /// @notice Keeps a provider's stake where it is until it is unlocked. Only the deals' contract may.
    function lock(address account) external;

    /// @notice Undoes one `lock`. Only the deals' contract may.
    function unlock(address account) external;

    /// @notice Takes up to `ankr` of a provider's stake for `to`. Only the deals' contract may.
    /// @return taken What there was of it, in 10^-18 ANKR.
    function seize(address account, uint256 ankr, address to) external returns (uint256 taken);

    /// @notice Whether a liveness challenge of a node timed out (R41), and when it was made.
    function silence(uint256 challenge)
        external
        view
        returns (bool isSilent, uint256 registration, uint64 challengedAt);
}
