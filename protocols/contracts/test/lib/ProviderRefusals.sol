// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreMath} from "../../src/ScoreMath.sol";
import {ILiveness} from "../../src/interfaces/ILiveness.sol";
import {Parameter, Resources} from "../../src/interfaces/IPolicy.sol";
import {IProviders} from "../../src/interfaces/IProviders.sol";
import {IProviderStakes} from "../../src/interfaces/IProviderStakes.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";
import {IScores, ScoreProof} from "../../src/interfaces/IScores.sol";
import {Capacity} from "../../src/market/Capacity.sol";
import {Acts} from "./Acts.sol";
import {ProviderKit} from "./ProviderKit.sol";

/// @dev Three accounts with four nodes, and why `Providers` must refuse something just now: the error,
///      or 0 if it must not.
abstract contract ProviderRefusals is Acts, ProviderKit {
    uint256 public constant ACCOUNTS = 3;
    uint256 public constant NODES = 4;

    /// @dev The latest epoch that was anchored.
    uint64 internal lastEpoch;

    /// @dev Epochs before this one disqualify a node no more.
    mapping(uint256 registration => uint64) internal judgedUntil;

    function account(uint256 who) public pure returns (address) {
        return [address(0xa11ce), address(0xb0b), address(0xca201)][who % ACCOUNTS];
    }

    function _applyRefusal(string memory name) internal view returns (bytes4) {
        bool isFree = providers.holderOf(name) == address(0);
        return isFree ? bytes4(0) : IProviders.NameTaken.selector;
    }

    function _statusRefusal(address who) internal view returns (bytes4) {
        bool isApproved = providers.providerOf(who).status == IProviders.Status.Approved;
        return isApproved ? bytes4(0) : IProviders.WrongStatus.selector;
    }

    function _updateRefusal(address who, Resources memory capacity) internal view returns (bytes4) {
        IProviders.Provider memory held = providers.providerOf(who);
        if (held.status != IProviders.Status.Approved) return IProviders.WrongStatus.selector;
        bool isEnough = Capacity.covers(capacity, held.inUse);
        return isEnough ? bytes4(0) : IProviders.CapacityBelowUse.selector;
    }

    function _stakeRefusal(address who, uint256 amount) internal view returns (bytes4) {
        IProviders.Provider memory held = providers.providerOf(who);
        if (held.status != IProviders.Status.Approved) return IProviders.WrongStatus.selector;
        if (amount == 0) return IProviderStakes.ZeroAmount.selector;
        bool isTooHigh = held.stake + amount > policy.get(Parameter.StakeMax);
        return isTooHigh ? IProviderStakes.StakeTooHigh.selector : bytes4(0);
    }

    function _unstakeRefusal(address who, uint256 amount) internal view returns (bytes4) {
        IProviders.Provider memory held = providers.providerOf(who);
        if (held.status != IProviders.Status.Approved) return IProviders.WrongStatus.selector;
        if (amount == 0) return IProviderStakes.ZeroAmount.selector;
        bool isTooLow = held.stake < policy.get(Parameter.StakeMin) + amount;
        return isTooLow ? IProviderStakes.StakeTooLow.selector : bytes4(0);
    }

    function _withdrawRefusal(address who) internal view returns (bytes4) {
        IProviders.Provider memory held = providers.providerOf(who);
        bool isLeaving = held.status == IProviders.Status.Leaving;
        if (held.unbonding == 0 && !isLeaving) return IProviderStakes.NothingUnbonding.selector;
        if (block.timestamp < held.unbondedAt) return IProviderStakes.StillUnbonding.selector;
        bool isLocked = held.locks != 0 || held.runningDeals != 0;
        return isLocked ? IProviderStakes.StakeLocked.selector : bytes4(0);
    }

    function _addRefusal(address who, uint256 registration, bytes32 chainNode)
        internal
        view
        returns (bytes4 refusal)
    {
        refusal = _statusRefusal(who);
        if (refusal != 0) return refusal;
        if (who != account(registration)) return IProviders.NotOperator.selector;
        if (chainNode == 0) return IProviders.ZeroChainNode.selector;
        bool isBound = providers.sidecarOf(registration).chainNode != 0;
        if (isBound) return IProviders.AlreadyBound.selector;
        if (!anchors.isFinal(lastEpoch)) return IScores.EpochNotFinal.selector;
        return _isKept(chainNode) ? IProviders.ChainNodeTaken.selector : bytes4(0);
    }

    function _removeRefusal(uint256 registration) internal view returns (bytes4) {
        IProviders.Sidecar memory held = providers.sidecarOf(registration);
        if (held.chainNode == 0) return IProviders.NotBound.selector;
        return held.isBusy ? IProviders.NodeNotFree.selector : bytes4(0);
    }

    function _occupyRefusal(uint256 registration, Resources memory need)
        internal
        view
        returns (bytes4)
    {
        IProviders.Provider memory held = providers.providerOf(account(registration));
        if (held.status != IProviders.Status.Approved) return IProviders.WrongStatus.selector;
        bytes4 refusal = _removeRefusal(registration);
        if (refusal != 0) return IProviders.NodeNotFree.selector;
        bool hasRoom = Capacity.covers(held.capacity, Capacity.plus(held.inUse, need));
        return hasRoom ? bytes4(0) : IProviders.CapacityExceeded.selector;
    }

    function _challengeRefusal(uint256 registration) internal view returns (bytes4) {
        IProviders.Sidecar memory node = providers.sidecarOf(registration);
        if (node.chainNode == 0) return IProviders.NotBound.selector;
        ILiveness.Challenge memory latest = providers.challengeOf(node.challenge);
        bool isNew = block.timestamp * 1000 < uint256(latest.challengedAt) * 1000 + EPOCH_MS;
        bool isOpen = latest.state == ILiveness.ChallengeState.Open;
        return isOpen && isNew ? ILiveness.ChallengeOpen.selector : bytes4(0);
    }

    function _answerRefusal(ILiveness.Challenge memory held, ScoreProof memory shown)
        internal
        pure
        returns (bytes4 refusal)
    {
        refusal = _seenRefusal(held, shown.header);
        if (refusal != 0) return refusal;
        bool isUp = uint256(shown.words[ScoreMath.LAST_VERDICT]) == ScoreMath.UP;
        return isUp ? bytes4(0) : ILiveness.NotUp.selector;
    }

    function _timeOutRefusal(
        ILiveness.Challenge memory held,
        IReputationAnchor.Header memory header
    ) internal view returns (bytes4 refusal) {
        refusal = _seenRefusal(held, header);
        if (refusal != 0) return refusal;
        if (!anchors.isFinal(header.epoch)) return IScores.EpochNotFinal.selector;
        (, uint64 anchoredAt) = anchors.recordOf(header.epoch);
        bool isEarly = block.timestamp < uint256(anchoredAt) + held.answerS;
        return isEarly ? ILiveness.TooEarly.selector : bytes4(0);
    }

    function _lapseRefusal(ILiveness.Challenge memory held) internal view returns (bytes4) {
        bool isOpen = held.state == ILiveness.ChallengeState.Open;
        if (!isOpen) return ILiveness.ChallengeNotOpen.selector;
        bool isEarly = block.timestamp < uint256(held.challengedAt) + held.answerS + 30 days;
        return isEarly ? ILiveness.TooEarly.selector : bytes4(0);
    }

    /// @dev Of a score in the latest epoch of a node that was seen.
    function _judgeRefusal(uint256 registration, ScoreProof memory shown)
        internal
        view
        returns (bytes4)
    {
        if (!anchors.isFinal(lastEpoch)) return IScores.EpochNotFinal.selector;
        uint256 uptimePpm = uint256(shown.words[ScoreMath.UPTIME_PPM]);
        bool isGood = uptimePpm >= policy.get(Parameter.DisqualifyBelowPpm);
        if (isGood) return IProviders.GoodEnough.selector;
        bool isJudged = lastEpoch < judgedUntil[registration];
        return isJudged ? IProviders.AlreadyJudged.selector : bytes4(0);
    }

    function _seenRefusal(ILiveness.Challenge memory held, IReputationAnchor.Header memory header)
        private
        pure
        returns (bytes4)
    {
        bool isOpen = held.state == ILiveness.ChallengeState.Open;
        if (!isOpen) return ILiveness.ChallengeNotOpen.selector;
        uint256 startMs = GENESIS_MS + uint256(header.epoch) * EPOCH_MS;
        bool isEarly = startMs < uint256(held.challengedAt) * 1000;
        if (isEarly) return ILiveness.EpochTooEarly.selector;
        return header.isVoid ? ILiveness.EpochVoid.selector : bytes4(0);
    }

    /// @dev Whether a blockchain node has a sidecar that keeps it.
    function _isKept(bytes32 chainNode) private view returns (bool) {
        for (uint256 i = 0; i < NODES; ++i) {
            IProviders.Sidecar memory held = providers.sidecarOf(i);
            if (held.chainNode != chainNode) continue;
            return held.isBusy || _statusRefusal(account(i)) == 0;
        }
        return false;
    }
}
