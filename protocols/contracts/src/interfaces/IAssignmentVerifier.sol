// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBeaconVerifier} from "./IBeaconVerifier.sol";
import {IEpochs} from "./IEpochs.sol";
import {IReputationAnchor} from "./IReputationAnchor.sol";

/// @title  Who audits whom, proved
/// @notice Who audits whom in an epoch follows from the epoch's seed and its roster, and the seed from
///         beacon rounds that nobody can foretell (`protocols/assignment.md`). Given the anchored
///         header of an epoch, those rounds and a few members with their proofs, anybody can have it
///         checked here whether an auditor was assigned to a target. Each answer is proved: a proof
///         that is short, long or wrong in any way reverts, so `false` means that it was not.
/// @dev    Stateless. An epoch that is anchored but may still be challenged counts; who needs more
///         looks at the anchor's time in `ANCHOR`.
interface IAssignmentVerifier is IEpochs {
    /// @notice The network whose assignments are proved; all of it is fixed at deployment.
    /// @param  anchor          Where its epochs are anchored; gives the epochs' times too.
    /// @param  beacon          Checks the rounds of its beacon.
    /// @param  mixed           Checks the rounds of its second beacon; 0 if it has none.
    /// @param  networkId       The network's id.
    /// @param  firstRound      The beacon's round that opens epoch 0; counted from 1.
    /// @param  roundsPerEpoch  How many rounds an epoch has.
    /// @param  mixedGenesisMs  When round 1 of the second beacon falls due: Unix milliseconds.
    /// @param  mixedPeriodMs   From one round of the second beacon to the next, in milliseconds.
    /// @param  auditorsMax     Auditors of a target, `k_aud`; fewer if its candidates do not suffice.
    /// @param  candidatesMax   Places behind a target that its auditors are taken from.
    struct Network {
        IReputationAnchor anchor;
        IBeaconVerifier beacon;
        IBeaconVerifier mixed;
        bytes32 networkId;
        uint64 firstRound;
        uint64 roundsPerEpoch;
        uint64 mixedGenesisMs;
        uint64 mixedPeriodMs;
        uint64 auditorsMax;
        uint64 candidatesMax;
    }

    /// @notice The rounds that an epoch's seed follows from, as signatures: G1 points, uncompressed
    ///         (EIP-2537), 128 bytes each.
    /// @param  signature  Of round `roundOf(epoch)`.
    /// @param  mixed      Of the second beacon's round `mixedRoundOf(epoch)`; empty if there is none.
    struct Rounds {
        bytes signature;
        bytes mixed;
    }

    /// @notice A member of a roster, and the proof that it is one.
    /// @param  words  node_id, nonce, operator, kind, stake, rank among its kind, number of full
    ///                members, number of light members (`protocols/roster.md`).
    /// @param  proof  Siblings from the leaf to the roster's root.
    struct Membership {
        bytes32[8] words;
        bytes32[] proof;
    }

    /// @notice Deployment: a target has from 1 to `candidatesMax` auditors, and at most
    ///         `CANDIDATES_MAX` candidates.
    error BadCommittee(uint64 auditorsMax, uint64 candidatesMax);

    /// @notice Deployment: rounds count from 1, and an epoch has some.
    error BadRounds(uint64 firstRound, uint64 roundsPerEpoch);

    /// @notice Deployment: a second beacon has a period, and where there is none there is no clock.
    error BadMixedClock(uint64 genesisMs, uint64 periodMs);

    /// @notice The header is not the anchored one of its epoch, or no longer.
    error HeaderNotAnchored(uint64 epoch);

    /// @notice The roster that the header names has no such leaf.
    error NotInRoster(bytes32 nodeId);

    /// @notice The network has no second beacon, so there is no round of it to bring.
    error NoSecondBeacon();

    /// @notice The member brought as candidate `distance` stands elsewhere.
    /// @param  nodeId    Who was brought.
    /// @param  distance  Which candidate it should be, counted from 1.
    /// @param  place     Where it stands on the circle.
    /// @param  wanted    Where that candidate stands.
    error WrongPlace(bytes32 nodeId, uint256 distance, uint256 place, uint256 wanted);

    /// @notice So many candidates settle nothing yet: bring the one behind them too.
    error TooFewCandidates(uint256 given);

    /// @notice Fewer candidates settle it: bring those alone.
    error TooManyCandidates(uint256 needed, uint256 given);

    /// @notice Says whether a member was an auditor of a target in an epoch.
    /// @dev    The candidates are the members in the places behind the target, in order from the
    ///         nearest on, up to and including the one that settles it: the auditor itself, or the
    ///         last auditor that the target has, or the last candidate. None where the target is light
    ///         or the auditor itself: nobody audits those.
    /// @param  header      The epoch's header, as in its `Anchored` event.
    /// @param  rounds      The rounds behind the epoch's seed.
    /// @param  target      Who was to be audited.
    /// @param  candidates  The members behind it.
    /// @param  auditor     Node id of who is said to be assigned; need not be a member.
    function isAssigned(
        IReputationAnchor.Header calldata header,
        Rounds calldata rounds,
        Membership calldata target,
        Membership[] calldata candidates,
        bytes32 auditor
    ) external view returns (bool);

    /// @notice Says whether a member was a candidate for a target in an epoch, whoever runs the two
    ///         and those between them. Who was no candidate was not assigned, and who was one is
    ///         assigned unless nearer candidates or the operators' rule kept it out.
    /// @param  header   The epoch's header, as in its `Anchored` event.
    /// @param  rounds   The rounds behind the epoch's seed.
    /// @param  target   Who was to be audited.
    /// @param  auditor  Who is said to be a candidate.
    function isCandidate(
        IReputationAnchor.Header calldata header,
        Rounds calldata rounds,
        Membership calldata target,
        Membership calldata auditor
    ) external view returns (bool);

    /// @notice Returns an epoch's seed after checking its rounds.
    /// @param  epoch       Which one.
    /// @param  rosterRoot  Root of its roster; not checked here.
    /// @param  rounds      The rounds behind it.
    function seedOf(uint64 epoch, bytes32 rosterRoot, Rounds calldata rounds)
        external
        view
        returns (bytes32);

    /// @notice The beacon's round that an epoch's seed follows from: its first.
    function roundOf(uint64 epoch) external view returns (uint64);

    /// @notice The second beacon's round that an epoch's seed follows from: the first that falls due
    ///         when the epoch starts or after; 0 if there is no second beacon.
    function mixedRoundOf(uint64 epoch) external view returns (uint64);

    /// @notice Where the network's epochs are anchored.
    function ANCHOR() external view returns (IReputationAnchor);

    /// @notice Checks the rounds of the network's beacon.
    function BEACON() external view returns (IBeaconVerifier);

    /// @notice Checks the rounds of its second beacon; 0 if it has none.
    function MIXED() external view returns (IBeaconVerifier);

    /// @notice The network's id.
    function NETWORK_ID() external view returns (bytes32);

    /// @notice The beacon's round that opens epoch 0.
    function FIRST_ROUND() external view returns (uint64);

    /// @notice How many rounds an epoch has.
    function ROUNDS_PER_EPOCH() external view returns (uint64);

    /// @notice When round 1 of the second beacon falls due: Unix time in milliseconds.
    function MIXED_GENESIS_MS() external view returns (uint64);

    /// @notice From one round of the second beacon to the next, in milliseconds.
    function MIXED_PERIOD_MS() external view returns (uint64);

    /// @notice Most auditors of a target in this network.
    function AUDITORS_MAX() external view returns (uint64);

    /// @notice Most candidates of a target in this network.
    function CANDIDATES_MAX() external view returns (uint64);
}
