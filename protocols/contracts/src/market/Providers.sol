// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {ScoreMath} from "../ScoreMath.sol";
import {IPolicy, Parameter, Resources} from "../interfaces/IPolicy.sol";
import {IProviders} from "../interfaces/IProviders.sol";
import {IRegistry} from "../interfaces/IRegistry.sol";
import {IReputationAnchor} from "../interfaces/IReputationAnchor.sol";
import {IScores, ScoreProof} from "../interfaces/IScores.sol";
import {Applications} from "./Applications.sol";
import {Capacity} from "./Capacity.sol";
import {Liveness} from "./Liveness.sol";
import {ProviderBase} from "./ProviderBase.sol";
import {ProviderNodes} from "./ProviderNodes.sol";
import {Scores} from "./Scores.sol";

/// @title Providers: who they are, what they have, what they stake
/// @dev   Holds exactly the stakes, what is unbonding, the bonds of open challenges and what is owed
///        from decided ones, plus what others sent by mistake.
contract Providers is Applications, ProviderNodes, Liveness {
    using Capacity for Resources;
    using EnumerableSet for EnumerableSet.AddressSet;
    using EnumerableSet for EnumerableSet.UintSet;

    /// @inheritdoc IProviders
    uint256 public constant PAGE_MAX = 100;

    /// @param token    What is staked: ANKR.
    /// @param policy   Where the numbers stand that governors set.
    /// @param timelock Who approves, and sets tiers.
    /// @param registry Where sidecars are registered.
    /// @param anchor   Where scores are anchored; its epochs are the registry's.
    /// @param deals    The contract of deals.
    constructor(
        IERC20 token,
        IPolicy policy,
        address timelock,
        IRegistry registry,
        IReputationAnchor anchor,
        address deals
    ) ProviderBase(token, policy, timelock, registry, anchor, deals) {}

    /// @inheritdoc IProviders
    function disqualify(uint256 registration, ScoreProof calldata shown) external {
        uint64 epoch = shown.header.epoch;
        // slither-disable-next-line unused-return -- a new node's reliability is low, and no fault
        (, uint32 uptimePpm, uint8 state) = provedScore(registration, shown);
        if (ANCHOR.isFinal(epoch + 1)) revert EpochNotLatest(epoch);
        uint256 uptimePpmMin = POLICY.get(Parameter.DisqualifyBelowPpm);
        bool isSeen = shown.words[ScoreMath.N] != 0 && state != ScoreMath.VETTING;
        bool isLow = isSeen && uptimePpm < uptimePpmMin;
        if (!isLow && state != ScoreMath.SUSPENDED) {
            revert GoodEnough(uptimePpm, uptimePpmMin, state);
        }
        Node storage node = _nodes[registration];
        if (epoch < node.judgedUntil) revert AlreadyJudged(registration, epoch);

        node.judgedUntil = epoch + 1;
        _disqualify(node.provider);
    }

    /// @inheritdoc IProviders
    function recordFailure(address account) external onlyDeals {
        emit Failed(account, ++_providers[account].failures);
        _disqualify(account);
    }

    /// @inheritdoc IProviders
    function providerOf(address account) external view returns (Provider memory) {
        return _providers[account];
    }

    /// @inheritdoc IProviders
    function providerCount() external view returns (uint256) {
        return _approved.length();
    }

    /// @inheritdoc IProviders
    function providersAt(uint256 from, uint256 count)
        external
        view
        returns (address[] memory accounts)
    {
        _checkPage(count);
        accounts = _approved.values(from, Math.saturatingAdd(from, count));
        uint256 found = 0;
        for (uint256 i = 0; i < accounts.length; ++i) {
            if (_isInGoodStanding(_providers[accounts[i]])) accounts[found++] = accounts[i];
        }
        assembly ("memory-safe") {
            // Cuts the array to the providers found; it only ever gets shorter.
            mstore(accounts, found)
        }
    }

    /// @inheritdoc IProviders
    function nodeCount(address account) external view returns (uint256) {
        return _bound[account].length();
    }

    /// @inheritdoc IProviders
    function nodesAt(address account, uint256 from, uint256 count)
        external
        view
        returns (uint256[] memory)
    {
        _checkPage(count);
        return _bound[account].values(from, Math.saturatingAdd(from, count));
    }

    /// @inheritdoc IProviders
    function nodesMax(address account, Resources calldata need) external view returns (uint256) {
        return _providers[account].capacity.countOf(need);
    }

    /// @inheritdoc IProviders
    function isEligible(address account, Resources calldata need, uint32 failuresMax)
        external
        view
        returns (bool)
    {
        Provider storage held = _providers[account];
        return _isInGoodStanding(held) && held.failures <= failuresMax && _hasRoom(held, need);
    }

    /// @inheritdoc IScores
    function provedScore(uint256 registration, ScoreProof calldata shown)
        public
        view
        returns (uint32 reliabilityPpm, uint32 uptimePpm, uint8 state)
    {
        Scores.checkFinal(ANCHOR, shown.header.epoch);
        _checkScore(registration, shown);
        return Scores.numbersOf(shown.words);
    }

    function _disqualify(address account) private {
        uint256 untilS = block.timestamp + POLICY.get(Parameter.DisqualifyS);
        Provider storage held = _providers[account];
        untilS = Math.max(untilS, held.disqualifiedUntil);
        held.disqualifiedUntil = SafeCast.toUint64(untilS);
        emit Disqualified(account, untilS);
    }

    /// @dev Whether a provider may bid on anything at all.
    function _isInGoodStanding(Provider storage held) private view returns (bool) {
        // slither-disable-next-line calls-loop -- a page is bounded
        return held.status == Status.Approved && block.timestamp >= held.disqualifiedUntil
            && held.stake >= POLICY.get(Parameter.StakeMin);
    }

    function _checkPage(uint256 count) private pure {
        if (count > PAGE_MAX) revert PageTooLong(count, PAGE_MAX);
    }
}
