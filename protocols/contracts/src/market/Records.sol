// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IDeals} from "../interfaces/IDeals.sol";
import {IPolicy, Parameter} from "../interfaces/IPolicy.sol";
import {IProviders} from "../interfaces/IProviders.sol";
import {Ledger} from "./Ledger.sol";

/// @title What is known of deals, nodes and requesters (R31, R36)
abstract contract Records is IDeals, Ledger {
    using SafeCast for uint256;

    /// @notice The governors' numbers.
    IPolicy public immutable POLICY;

    /// @notice Providers, their nodes and their stakes.
    IProviders public immutable PROVIDERS;

    mapping(uint256 deal => Deal) private _deals;

    /// @dev The deal that a node serves or served last.
    mapping(uint256 registration => uint256) private _dealOfNode;

    mapping(address account => Requester) private _requesters;
    address[] private _requesterList;

    constructor(IPolicy policy, IProviders providers) {
        POLICY = policy;
        PROVIDERS = providers;
    }

    /// @inheritdoc IDeals
    function dealOf(uint256 deal) external view returns (Deal memory) {
        return _deals[deal];
    }

    /// @inheritdoc IDeals
    function completableAt(uint256 deal) external view returns (uint256) {
        return _completableAt(_running(deal));
    }

    /// @inheritdoc IDeals
    function nodeOf(uint256 registration) external view returns (NodeRecord memory record) {
        uint256 deal = _dealOfNode[registration];
        Deal storage held = _deals[deal];
        bool isRunning = held.state == State.Running;
        bool isFunded = held.state == State.Funded || isRunning;
        record.deal = deal;
        record.provider = held.provider;
        record.isServing = isFunded || held.state == State.Assigned;
        record.providerEthWei = isRunning ? held.kEthWei : 0;
        record.requesterEthWei = isFunded ? _requesterEthWei(held) : 0;
        record.ankrRewardsWei = held.ankrProfitWei;
        record.ethRewardsWei = held.ethProfitWei;
        if (record.isServing) record.inUse = held.need;
        record.startedAt = held.startedAt;
        record.endsAt = held.endsAt;
    }

    /// @inheritdoc IDeals
    function requesterOf(address account) external view returns (Requester memory) {
        return _requesters[account];
    }

    /// @inheritdoc IDeals
    function requesterCount() external view returns (uint256) {
        return _requesterList.length;
    }

    /// @inheritdoc IDeals
    function requesters(uint256 first, uint256 count)
        external
        view
        returns (address[] memory page)
    {
        uint256 length = _requesterList.length;
        if (first >= length) return page;
        page = new address[](Math.min(count, length - first));
        for (uint256 i = 0; i < page.length; ++i) {
            page[i] = _requesterList[first + i];
        }
    }

    /// @dev Notes a new deal, with what it goes by of the policy.
    function _note(uint256 deal, Assignment calldata given) internal returns (Deal storage held) {
        held = _deals[deal];
        if (held.state != State.None) revert DealExists(deal);
        if (given.paidWei > given.fpWei || given.lengthS == 0) revert BadAssignment(deal);
        held.state = State.Assigned;
        held.requester = given.requester;
        held.provider = given.provider;
        held.registration = given.registration;
        held.projectType = given.projectType;
        held.lengthS = given.lengthS;
        held.need = given.need;
        held.fpWei = given.fpWei.toUint128();
        held.paidWei = given.paidWei.toUint128();
        held.bondWei = given.bondWei.toUint128();
        held.ethStakeWei = given.ethStakeWei.toUint128();
        held.expectedProfitWei = given.expectedProfitWei.toUint128();
        uint256 kEthWei = PROVIDERS.providerOf(given.provider).kEthWei;
        held.kEthWei = Math.min(kEthWei, given.ethStakeWei).toUint128();
        held.terms = _terms(given.failBelowPpm);
        _dealOfNode[given.registration] = deal;
        _noteRequester(given.requester, held.fpWei);
    }

    /// @dev Counts ETH that a requester staked.
    function _noteStake(address account, uint256 ethWei) internal {
        _requesters[account].ethWei += ethWei.toUint128();
    }

    /// @dev Frees the node of a deal that has ended. Calls `Providers`: nothing is written after it.
    function _free(Deal storage held) internal {
        PROVIDERS.release(held.provider, held.registration, held.need);
    }

    /// @dev A deal that is in this state.
    function _in(uint256 deal, State state) internal view returns (Deal storage held) {
        held = _deals[deal];
        if (held.state != state) revert WrongState(deal, held.state);
    }

    /// @dev A deal that was started and has not ended.
    function _running(uint256 deal) internal view returns (Deal storage) {
        return _in(deal, State.Running);
    }

    /// @dev A deal in any state.
    function _any(uint256 deal) internal view returns (Deal storage) {
        return _deals[deal];
    }

    /// @dev From when on a running deal may be completed: there is a whole review after its end, and
    ///      after a dispute.
    function _completableAt(Deal storage held) internal view returns (uint256) {
        return Math.max(held.endsAt, held.frozenUntil) + held.terms.reviewS;
    }

    /// @dev What the requester stakes: all but the provider's part (R43).
    function _requesterEthWei(Deal storage held) internal view returns (uint256) {
        return held.ethStakeWei - held.kEthWei;
    }

    /// @dev Whether a provider gets no deal for now (R61).
    function _isDisqualified(address provider) internal view returns (bool) {
        return block.timestamp < PROVIDERS.providerOf(provider).disqualifiedUntil;
    }

    function _noteRequester(address account, uint128 fpWei) private {
        Requester storage requester = _requesters[account];
        if (requester.deals == 0) _requesterList.push(account);
        ++requester.deals;
        requester.ankrWei += fpWei;
    }

    function _terms(uint32 failBelowPpm) private view returns (Terms memory) {
        return Terms({
            rewardBps: POLICY.get(Parameter.RewardBps).toUint16(),
            insuranceBps: POLICY.get(Parameter.InsuranceBps).toUint16(),
            failBelowPpm: failBelowPpm,
            startS: POLICY.get(Parameter.StartS).toUint32(),
            reviewS: POLICY.get(Parameter.ReviewS).toUint32(),
            disputeS: POLICY.get(Parameter.DisputeS).toUint32()
        });
    }
}
