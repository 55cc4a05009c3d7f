// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPolicy, Parameter, ProjectType, Resources, Spec} from "../interfaces/IPolicy.sol";
import {Specs} from "./Specs.sol";
import {Timelocked} from "./Timelocked.sol";

/// @title Every number that governors may set (R19, R29, R42, R55)
contract Policy is Timelocked, IPolicy {
    /// @notice The most that the pools take of a deal together, in basis points.
    uint256 public constant SHARES_BPS_MAX = 5_000;

    /// @notice The most bids that enter a draw, ties aside.
    uint256 public constant SHORTLIST_MAX = 16;

    uint256 private constant BPS = 10_000;
    uint256 private constant PPM = 1_000_000;
    uint256 private constant COUNT = uint256(type(Parameter).max) + 1;

    mapping(Parameter => uint256) private _values;
    mapping(uint16 id => ProjectType) private _projectTypes;
    uint16[4] private _distribution;
    uint32 private _version;
    bytes32 private _paramsHash;

    /// @param timelock   Who may change any of it.
    /// @param values     One for each parameter, in their order.
    /// @param bps        Shares of the reward pool; sum to 10,000.
    /// @param version    Of the score, from 1 on.
    /// @param paramsHash Of the score's parameters.
    constructor(
        address timelock,
        uint256[] memory values,
        uint16[4] memory bps,
        uint32 version,
        bytes32 paramsHash
    ) Timelocked(timelock) {
        if (values.length != COUNT) revert WrongCount(values.length, COUNT);
        for (uint8 i = 0; i < COUNT; ++i) {
            _set(Parameter(i), values[i]);
        }
        _checkTogether();
        _setDistribution(bps);
        _setScoring(version, paramsHash);
    }

    /// @inheritdoc IPolicy
    function set(Parameter parameter, uint256 value) external onlyTimelock {
        _set(parameter, value);
        _checkTogether();
    }

    /// @inheritdoc IPolicy
    function setProjectType(uint16 id, ProjectType calldata given) external onlyTimelock {
        _checkProjectType(id, given);
        emit ProjectTypeSet(id, _projectTypes[id], given);
        _projectTypes[id] = given;
    }

    /// @inheritdoc IPolicy
    function setDistribution(uint16[4] calldata bps) external onlyTimelock {
        _setDistribution(bps);
    }

    /// @inheritdoc IPolicy
    function setScoring(uint32 version, bytes32 paramsHash) external onlyTimelock {
        _setScoring(version, paramsHash);
    }

    /// @inheritdoc IPolicy
    function get(Parameter parameter) external view returns (uint256) {
        return _get(parameter);
    }

    /// @inheritdoc IPolicy
    function projectType(uint16 id) external view returns (ProjectType memory) {
        return _projectTypes[id];
    }

    /// @inheritdoc IPolicy
    function distribution() external view returns (uint16[4] memory) {
        return _distribution;
    }

    /// @inheritdoc IPolicy
    function scoring() external view returns (uint32 version, bytes32 paramsHash) {
        return (_version, _paramsHash);
    }

    /// @inheritdoc IPolicy
    function specOf(Parameter parameter)
        external
        pure
        returns (string memory name, string memory unit, uint256 min, uint256 max)
    {
        Spec memory spec = Specs.specOf(parameter);
        return (spec.name, spec.unit, spec.min, spec.max);
    }

    function _set(Parameter parameter, uint256 value) private {
        Spec memory spec = Specs.specOf(parameter);
        if (value < spec.min || value > spec.max) {
            revert OutOfBounds(parameter, value, spec.min, spec.max);
        }
        emit ParameterSet(parameter, _get(parameter), value);
        _values[parameter] = value;
    }

    function _setDistribution(uint16[4] memory bps) private {
        uint256 sum = uint256(bps[0]) + bps[1] + bps[2] + bps[3];
        if (sum != BPS) revert BadDistribution(sum);
        emit DistributionSet(_distribution, bps);
        _distribution = bps;
    }

    function _setScoring(uint32 version, bytes32 paramsHash) private {
        if (version <= _version) revert VersionNotNew(version, _version);
        if (paramsHash == bytes32(0)) revert NoParamsHash();
        emit ScoringSet(_version, _paramsHash, version, paramsHash);
        _version = version;
        _paramsHash = paramsHash;
    }

    function _get(Parameter parameter) private view returns (uint256) {
        return _values[parameter];
    }

    /// @dev What the bounds of one number alone cannot say.
    function _checkTogether() private view {
        uint256 bps = _get(Parameter.RewardBps) + _get(Parameter.InsuranceBps);
        if (bps > SHARES_BPS_MAX) revert SharesTooLarge(bps, SHARES_BPS_MAX);
        uint256 stakeMin = _get(Parameter.StakeMin);
        uint256 stakeMax = _get(Parameter.StakeMax);
        if (stakeMin <= stakeMax) return;
        revert Inconsistent(Parameter.StakeMin, stakeMin, Parameter.StakeMax, stakeMax);
    }

    function _checkProjectType(uint16 id, ProjectType calldata given) private pure {
        if (given.shortlist == 0 || given.shortlist > SHORTLIST_MAX) {
            revert BadShortlist(id, given.shortlist, SHORTLIST_MAX);
        }
        if (given.reliabilityPpmMin > PPM) revert BadShare(id, given.reliabilityPpmMin);
        if (given.uptimePpmMin > PPM) revert BadShare(id, given.uptimePpmMin);
        if (given.ethStakeWei != 0 && given.ethStakeWei != 32 ether) {
            revert BadEthStake(id, given.ethStakeWei);
        }
        Resources calldata need = given.need;
        uint256 any = need.cpuMilli | need.ramMb | need.storageGb | need.bandwidthMbps;
        if (any == 0) revert NeedsNothing(id);
    }
}
