// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

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
/// @param  Vickrey          One of the lowest is drawn and paid the second lowest bid, at least its own.
/// @param  RequesterChoice  The requester chooses among the lowest, or lets the draw decide.
enum Rule {
    FirstPrice,
    Vickrey,
    RequesterChoice
}

/// @notice Which providers may serve a type of project, and how one is chosen (R42).
/// @param  isOpen            Whether new projects of this type are taken.
/// @param  rule              How its auctions end.
/// @param  shortlist         How many of the lowest bids enter the draw, from 1 on.
/// @param  reliabilityPpmMin Least anchored reliability.
/// @param  uptimePpmMin      Least anchored uptime.
/// @param  failuresMax       Most failed projects a provider may have had.
/// @param  ethStakeWei       What provider and requester stake together for a node: 32 ETH or 0.
/// @param  need              What a node needs at the least.
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

/// @notice The numbers that governors set.
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

/// @title Every number that governors may set (R19, R29, R42, R55)
interface IPolicy {
    /// @notice A number was set.
    event ParameterSet(Parameter indexed parameter, uint256 before, uint256 value);

    /// @notice A type of project was set.
    event ProjectTypeSet(uint16 indexed id, ProjectType projectType);

    /// @notice The split of the reward pool was set, in basis points (R54).
    event DistributionSet(uint16[4] bps);

    /// @notice The version of the score and the hash of its parameters were set (R19).
    event ScoringSet(uint32 version, bytes32 paramsHash);

    /// @notice Only the timelock may, after its delay.
    error NotTimelock(address caller);

    /// @notice The value lies outside the parameter's bounds.
    error OutOfBounds(Parameter parameter, uint256 value, uint256 min, uint256 max);

    /// @notice The two values do not go together.
    error Inconsistent(Parameter lower, uint256 lowerValue, Parameter upper, uint256 upperValue);

    /// @notice Shares must sum to 10,000 basis points.
    error BadDistribution(uint256 sum);

    /// @notice A type of project asks for what nothing can give.
    error BadProjectType(uint16 id);

    /// @notice The current value of a parameter.
    function get(Parameter parameter) external view returns (uint256);

    /// @notice A parameter's name, unit and bounds.
    function specOf(Parameter parameter)
        external
        pure
        returns (string memory name, string memory unit, uint256 min, uint256 max);

    /// @notice A type of project; closed if it was never set.
    function projectType(uint16 id) external view returns (ProjectType memory);

    /// @notice Shares of the reward pool: governance, providers and requesters, stakers, development.
    function distribution() external view returns (uint16[4] memory);

    /// @notice The version of the score and the hash of its parameters.
    function scoring() external view returns (uint32 version, bytes32 paramsHash);

    /// @notice Sets a parameter. Only the timelock may.
    function set(Parameter parameter, uint256 value) external;

    /// @notice Sets a type of project. Only the timelock may.
    function setProjectType(uint16 id, ProjectType calldata given) external;

    /// @notice Sets the split of the reward pool. Only the timelock may.
    function setDistribution(uint16[4] calldata bps) external;

    /// @notice Sets the version of the score. Only the timelock may.
    function setScoring(uint32 version, bytes32 paramsHash) external;
}
