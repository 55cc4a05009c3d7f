// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITimelocked} from "./ITimelocked.sol";

/// @notice What a node needs, or a provider has.
/// @param  cpuMilli       Processor, in thousandths of a core.
/// @param  ramMb          Memory, in MB.
/// @param  storageGb      Storage, in GB.
/// @param  bandwidthMbps  Bandwidth, in Mbit/s.
struct Resources {
    uint32 cpuMilli;
    uint32 ramMb;
    uint32 storageGb;
    uint32 bandwidthMbps;
}

/// @notice How an auction ends (Q1, Q2).
/// @param  FirstPrice       One of the lowest is drawn and paid its own bid.
/// @param  Vickrey          One of the lowest is drawn and paid the second lowest bid, its own at least.
/// @param  RequesterChoice  The requester chooses among the lowest, or lets the draw decide.
enum Rule {
    FirstPrice,
    Vickrey,
    RequesterChoice
}

/// @notice Which providers may serve a type of project, and how one is chosen (R42).
/// @param  isOpen            Whether new projects of this type are taken; running ones run on.
/// @param  rule              How its auctions end.
/// @param  shortlist         How many of the lowest bids enter the draw, from 1 to 16.
/// @param  reliabilityPpmMin Least anchored reliability, up to 10^6.
/// @param  uptimePpmMin      Least anchored uptime, up to 10^6.
/// @param  failuresMax       Most failed projects a provider may have had.
/// @param  ethStakeWei       What both stake together for a node, in wei: 32 ETH or 0.
/// @param  need              What a node needs at the least; something.
struct ProjectType {
    bool isOpen;
    Rule rule;
    uint8 shortlist;
    uint32 reliabilityPpmMin;
    uint32 uptimePpmMin;
    uint32 failuresMax;
    uint128 ethStakeWei;
    Resources need;
}

/// @notice The numbers that governors set, each in the unit its name ends with, or in wei.
/// @dev    The order is part of the interface: `stkrp2p/core/policy.py` has the same.
/// @param  RewardBps            Share of each deal for the reward pool (R55).
/// @param  InsuranceBps         Share of each deal for the insurance pool (R55).
/// @param  StakeMin             What a provider stakes at the least, P_min, in wei ANKR (R46).
/// @param  StakeMax             What of a stake counts at the most, P_max, in wei ANKR (R46).
/// @param  ProviderPriceMax     The most a provider may ask in its application, in wei ANKR.
/// @param  BidBond              What a bidder loses unless it reveals its bid, in wei ANKR.
/// @param  ChallengeBond        What a challenge of a node that lives costs, in wei ANKR (R41).
/// @param  KEthUntrusted        Least k_eth of an untrusted provider, in wei ETH (R28).
/// @param  UsdPerCoreHour       Price of a core for an hour, in 10^-18 USD (R47).
/// @param  UsdPerRamGbHour      Price of a GB of memory for an hour, in 10^-18 USD.
/// @param  UsdPerStorageGbHour  Price of a GB of storage for an hour, in 10^-18 USD.
/// @param  UsdPerMbpsHour       Price of a Mbit/s for an hour, in 10^-18 USD.
/// @param  ProfitBpsPerYear     What staked ETH is expected to bring in a year (R47).
/// @param  CommitS              How long sealed bids are taken.
/// @param  RevealS              How long they may be opened.
/// @param  DrawS                How long a draw waits for its beacon round.
/// @param  ChoiceS              How long a requester may choose.
/// @param  FundS                How long a requester has to bring its ETH.
/// @param  StartS               How long a provider has to start then.
/// @param  ReviewS              From a run's end to its settlement: the time to prove a failure.
/// @param  DisputeS             How long governors have to rule a dispute.
/// @param  AnswerS              How long a challenged node has to answer, once it can (R41).
/// @param  UnbondS              From leaving to the stake's return.
/// @param  DisqualifyS          How long a provider that failed gets no deal (R61).
/// @param  FailBelowPpm         Anchored uptime, in an epoch of the run, below which a deal has failed (R59).
/// @param  DisqualifyBelowPpm   Anchored uptime below which a node disqualifies its provider (R61).
/// @param  PriceAgeSMax         The oldest price that counts (Q10).
/// @param  PriceMoveBpsMax      The largest move of a price that needs no confirmation (R30).
/// @param  PriceConfirmS        How long a larger move must last before it counts.
/// @param  CouncilN             n of a council of 2n + 1 (R16).
/// @param  GovernorStakeMin     What a governor stakes at the least, in wei ANKR (R15).
/// @param  VotingS              How long a proposal may be voted on.
/// @param  QuorumBps            Seats that must vote, abstentions included.
/// @param  ReferendumQuorumBps  Share of all stake that must vote in a referendum.
/// @param  MissedVotesMax       Votes in a row a governor may miss before it is slashed (Q8).
/// @param  AbsenceSlashBps      Share of the stake it loses then.
/// @param  ElectionS            How long an election is open.
enum Parameter {
    RewardBps,
    InsuranceBps,
    StakeMin,
    StakeMax,
    ProviderPriceMax,
    BidBond,
    ChallengeBond,
    KEthUntrusted,
    UsdPerCoreHour,
    UsdPerRamGbHour,
    UsdPerStorageGbHour,
    UsdPerMbpsHour,
    ProfitBpsPerYear,
    CommitS,
    RevealS,
    DrawS,
    ChoiceS,
    FundS,
    StartS,
    ReviewS,
    DisputeS,
    AnswerS,
    UnbondS,
    DisqualifyS,
    FailBelowPpm,
    DisqualifyBelowPpm,
    PriceAgeSMax,
    PriceMoveBpsMax,
    PriceConfirmS,
    CouncilN,
    GovernorStakeMin,
    VotingS,
    QuorumBps,
    ReferendumQuorumBps,
    MissedVotesMax,
    AbsenceSlashBps,
    ElectionS
}

/// @notice What a parameter may be.
/// @param  name  As in `Parameter`.
/// @param  unit  wei ANKR, wei ETH, 10^-18 USD per hour, bps, ppm, seconds or count.
/// @param  min   The least value.
/// @param  max   The largest value.
struct Spec {
    string name;
    string unit;
    uint256 min;
    uint256 max;
}

/// @title  Every number that governors may set (R19, R29, R42, R55)
/// @notice A change counts for what begins after it. Whoever makes an agreement, a deal above all,
///         keeps the percentages, periods and rules that stood when it was made: governors cannot
///         change what somebody has already paid for.
/// @dev    The bounds are the same for all networks. The least periods are short enough for a local
///         one; what a public one should have is in `protocols/presets/policy-mainnet.json`.
interface IPolicy is ITimelocked {
    /// @notice A number was set; `before` is 0 at deployment.
    event ParameterSet(Parameter indexed parameter, uint256 before, uint256 value);

    /// @notice A type of project was set; `before` is all zeros if it is new.
    event ProjectTypeSet(uint16 indexed id, ProjectType before, ProjectType value);

    /// @notice The split of the reward pool was set, in basis points (R54).
    event DistributionSet(uint16[4] before, uint16[4] value);

    /// @notice The version of the score and the hash of its parameters were set (R19).
    event ScoringSet(
        uint32 versionBefore, bytes32 paramsHashBefore, uint32 version, bytes32 paramsHash
    );

    /// @notice There is one value for each parameter.
    error WrongCount(uint256 given, uint256 expected);

    /// @notice The value lies outside the parameter's bounds.
    error OutOfBounds(Parameter parameter, uint256 value, uint256 min, uint256 max);

    /// @notice The first value must not be above the second.
    error Inconsistent(Parameter lower, uint256 lowerValue, Parameter upper, uint256 upperValue);

    /// @notice The pools must not take more than `bpsMax` of a deal together.
    error SharesTooLarge(uint256 bps, uint256 bpsMax);

    /// @notice Shares must sum to 10,000 basis points.
    error BadDistribution(uint256 sum);

    /// @notice From 1 to `shortlistMax` bids enter a draw.
    error BadShortlist(uint16 id, uint256 shortlist, uint256 shortlistMax);

    /// @notice A share in ppm is at most 10^6.
    error BadShare(uint16 id, uint256 ppm);

    /// @notice A node stakes 32 ETH or nothing.
    error BadEthStake(uint16 id, uint256 ethStakeWei);

    /// @notice A project of this type would need nothing, and cost nothing.
    error NeedsNothing(uint16 id);

    /// @notice A version names one set of numbers for good: each is larger than the one before.
    error VersionNotNew(uint32 version, uint32 before);

    /// @notice There are no parameters with this hash.
    error NoParamsHash();

    /// @notice The current value of a parameter.
    function get(Parameter parameter) external view returns (uint256);

    /// @notice A parameter's name, unit and bounds.
    function specOf(Parameter parameter)
        external
        pure
        returns (string memory name, string memory unit, uint256 min, uint256 max);

    /// @notice A type of project; closed if it was never set.
    function projectType(uint16 id) external view returns (ProjectType memory);

    /// @notice Shares of the reward pool in basis points: governance, providers and requesters,
    ///         stakers, development (R54).
    function distribution() external view returns (uint16[4] memory);

    /// @notice The version of the score and the hash of its parameters (R19).
    /// @return version    Counted from 1; only grows.
    /// @return paramsHash Keccak-256 of `ReputationAnchor.scoring()`, a word each.
    function scoring() external view returns (uint32 version, bytes32 paramsHash);

    /// @notice Sets a parameter. Only the timelock may.
    function set(Parameter parameter, uint256 value) external;

    /// @notice Sets a type of project. Only the timelock may.
    function setProjectType(uint16 id, ProjectType calldata given) external;

    /// @notice Sets the split of the reward pool. Only the timelock may.
    /// @param  bps Sum to 10,000.
    function setDistribution(uint16[4] calldata bps) external;

    /// @notice Sets the version of the score. Only the timelock may.
    function setScoring(uint32 version, bytes32 paramsHash) external;
}
