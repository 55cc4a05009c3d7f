// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ScoreMath} from "../../src/ScoreMath.sol";
import {ILiveness} from "../../src/interfaces/ILiveness.sol";
import {IPolicy, Parameter, Resources} from "../../src/interfaces/IPolicy.sol";
import {IProviders} from "../../src/interfaces/IProviders.sol";
import {MemberProof, ScoreProof} from "../../src/interfaces/IScores.sol";
import {Providers} from "../../src/market/Providers.sol";
import {ProviderRefusals} from "./ProviderRefusals.sol";

/// @dev Three accounts, governors and deals do what they may, which must succeed, and what they may not,
///      which must be refused by its error, as time goes by.
contract ProviderActors is ProviderRefusals {
    address public constant VICTIM = address(0x71c71);

    struct Deal {
        uint256 who;
        uint256 registration;
        Resources need;
    }

    Deal[] private _deals;

    /// @notice How many challenges there were.
    uint256 public challenges;

    /// @notice What was seized of an account's stake or lost in bonds, and what it won in bonds.
    mapping(uint256 who => uint256) public lost;
    mapping(uint256 who => uint256) public won;

    /// @notice What an account had staked when it was locked first, with what it staked and without
    ///         what was seized since.
    mapping(uint256 who => uint256) public floorOf;

    constructor() {
        _deploy(address(this));
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            _provider(account(i), string(abi.encode(i)), 0);
        }
        for (uint256 i = 0; i < NODES; ++i) {
            _node(account(i), bytes32(i + 1));
        }
        lastEpoch = _finalEpoch();
    }

    // Governors and applicants, who claim one name above all.

    function join(uint256 who, uint256 luck, uint256 kEthWei) external {
        address applicant = account(who);
        IProviders.Status status = providers.providerOf(applicant).status;
        if (status == IProviders.Status.Leaving) {
            vm.warp(block.timestamp + policy.get(Parameter.UnbondS));
            if (!_withdraw(applicant)) return;
        }
        string memory name = string(abi.encode(luck % 2 == 0 ? 0 : who % ACCOUNTS));
        bool isNew = status != IProviders.Status.Approved;
        if (isNew && !_apply(applicant, name)) return;
        _approve(applicant, name, bound(kEthWei, 0, 40 ether), isNew);
    }

    /// @dev Ends an approval: seldom, or there would be no provider left.
    function end(uint256 who, uint256 luck) external {
        if (who % 4 != 0) return;
        address provider = account(who / 4);
        bool isRevoked = luck % 2 == 0;
        _expect(_statusRefusal(provider));
        vm.prank(isRevoked ? TIMELOCK : provider);
        if (isRevoked) providers.revoke(provider);
        else providers.resign();
    }

    function update(uint256 who, uint256 cpuMilli) external {
        Resources memory capacity = _capacity();
        capacity.cpuMilli = SafeCast.toUint32(bound(cpuMilli, 0, 20_000));
        _expect(_updateRefusal(account(who), capacity));
        vm.prank(account(who));
        providers.update(capacity, 1 ether, "");
    }

    // Stakes.

    function stake(uint256 who, uint256 amount) external {
        amount = bound(amount, 0, policy.get(Parameter.StakeMax) / 2);
        bytes4 refusal = _stakeRefusal(account(who), amount);
        _expect(refusal);
        vm.prank(account(who));
        providers.stake(amount);
        who %= ACCOUNTS;
        if (refusal == 0 && _isLocked(who)) floorOf[who] += amount;
    }

    function unstake(uint256 who, uint256 amount) external {
        amount = bound(amount, 0, policy.get(Parameter.StakeMax) / 8);
        _expect(_unstakeRefusal(account(who), amount));
        vm.prank(account(who));
        providers.unstake(amount);
    }

    function withdraw(uint256 who, uint256 luck) external {
        if (luck % 2 == 0) vm.warp(block.timestamp + policy.get(Parameter.UnbondS));
        _withdraw(account(who));
    }

    // Nodes and deals.

    function addNode(uint256 who, uint256 registration, uint256 chainNode) external {
        registration %= NODES;
        address provider = account(who % 8 == 7 ? who : registration);
        bytes32 bounded = bytes32(chainNode % (2 * NODES));
        MemberProof memory shown = _member(lastEpoch, registration);
        _expect(_addRefusal(provider, registration, bounded));
        vm.prank(provider);
        providers.addNode(registration, bounded, shown);
    }

    function removeNode(uint256 registration) external {
        registration %= NODES;
        _expect(_removeRefusal(registration));
        vm.prank(account(registration));
        providers.removeNode(registration);
    }

    function begin(uint256 registration, uint256 cpuMilli, uint256 storageGb) external {
        Resources memory need = _need();
        need.cpuMilli = SafeCast.toUint32(bound(cpuMilli, 0, 12_000));
        need.storageGb = SafeCast.toUint32(bound(storageGb, 0, 6_000));
        registration %= NODES;
        uint256 who = registration % ACCOUNTS;
        bytes4 refusal = _occupyRefusal(registration, need);
        _expect(refusal);
        providers.occupy(account(who), registration, need);
        if (refusal != 0) return;
        if (!_isLocked(who)) floorOf[who] = staked(who);
        providers.lock(account(who));
        _deals.push(Deal(who, registration, need));
    }

    /// @dev A deal that began can be ended at any time.
    function finish(uint256 index, uint256 luck, uint256 owed) external {
        if (_deals.length == 0) return;
        index %= _deals.length;
        Deal memory deal = _deals[index];
        _deals[index] = _deals[_deals.length - 1];
        _deals.pop();
        address provider = account(deal.who);
        _expect(0);
        providers.release(provider, deal.registration, deal.need);
        if (luck % 2 == 0) {
            providers.recordFailure(provider);
            owed = bound(owed, 0, 2 * policy.get(Parameter.StakeMin));
            uint256 taken = providers.seize(provider, owed, VICTIM);
            lost[deal.who] += taken;
            floorOf[deal.who] -= taken;
        }
        providers.unlock(provider);
        if (!_isLocked(deal.who)) floorOf[deal.who] = 0;
    }

    // Liveness.

    function challenge(uint256 who, uint256 registration) external {
        bytes4 refusal = _challengeRefusal(registration % NODES);
        _expect(refusal);
        vm.prank(account(who));
        providers.challenge(registration % NODES);
        if (refusal == 0) ++challenges;
    }

    function answer(uint256 luck) external {
        uint256 number = _recent(luck % 2 == 0);
        ILiveness.Challenge memory held = providers.challengeOf(number);
        ScoreProof memory shown = _shown(lastEpoch, held.registration);
        bytes4 refusal = _answerRefusal(held, shown);
        _expect(refusal);
        providers.answer(number, shown);
        if (refusal != 0) return;
        lost[_whoIs(held.challenger)] += held.bond;
        won[_whoIs(held.provider)] += held.bond;
    }

    function timeOut(uint256 luck, uint256 late) external {
        uint256 number = _recent(luck % 2 == 0);
        if (late % 2 == 0) vm.warp(block.timestamp + policy.get(Parameter.AnswerS));
        ILiveness.Challenge memory held = providers.challengeOf(number);
        _expect(_timeOutRefusal(held, _headerOf(lastEpoch)));
        providers.timeOut(number, _headerOf(lastEpoch));
    }

    function lapse(uint256 number, uint256 late) external {
        if (late % 32 == 0) vm.warp(block.timestamp + 31 days);
        number = bound(number, challenges < 3 ? 0 : challenges - 3, challenges);
        _expect(_lapseRefusal(providers.challengeOf(number)));
        providers.lapse(number);
    }

    function collect(uint256 who) external {
        bool isOwed = providers.owedTo(account(who)) != 0;
        _expect(isOwed ? bytes4(0) : ILiveness.NothingOwed.selector);
        vm.prank(account(who));
        providers.collect();
    }

    function judge(uint256 registration) external {
        registration %= NODES;
        ScoreProof memory shown = _shown(lastEpoch, registration);
        bytes4 refusal = _judgeRefusal(registration, shown);
        _expect(refusal);
        providers.disqualify(registration, shown);
        if (refusal == 0) judgedUntil[registration] = lastEpoch + 1;
    }

    /// @dev Lets an epoch begin and be anchored, in which one of the nodes is up or down.
    function anchor(uint256 registration, uint256 luck, uint256 voiding) external {
        bool isUp = luck % 2 == 0;
        uint256 uptimePpm = isUp ? 950_000 : 100_000;
        uint256 verdict = isUp ? ScoreMath.UP : ScoreMath.DOWN;
        _expect(0);
        _score(registration % NODES, uptimePpm, uptimePpm, ScoreMath.ACTIVE, verdict);
        lastEpoch = _anchorNext(voiding % 4 == 0);
    }

    function wait(uint256 timeS) external {
        vm.warp(block.timestamp + timeS % 30 + 1);
    }

    function parts() external view returns (Providers, IPolicy) {
        return (providers, policy);
    }

    function balanceOf(address owner) external view returns (uint256) {
        return ankr.balanceOf(owner);
    }

    function wealth(uint256 who) external pure returns (uint256) {
        // Of an account's wealth the registry holds a stake for each of its nodes.
        uint256 nodes = (NODES - who + ACCOUNTS - 1) / ACCOUNTS;
        return WEALTH - nodes * SIDECAR_STAKE;
    }

    /// @notice What the running deals of an account need.
    function needed(uint256 who) external view returns (Resources memory sum, uint256 count) {
        for (uint256 i = 0; i < _deals.length; ++i) {
            if (_deals[i].who != who) continue;
            ++count;
            sum.cpuMilli += _deals[i].need.cpuMilli;
            sum.ramMb += _deals[i].need.ramMb;
            sum.storageGb += _deals[i].need.storageGb;
            sum.bandwidthMbps += _deals[i].need.bandwidthMbps;
        }
    }

    /// @notice What the contract holds of an account's stake.
    function staked(uint256 who) public view returns (uint256) {
        IProviders.Provider memory held = providers.providerOf(account(who));
        return uint256(held.stake) + held.unbonding;
    }

    /// @dev Says whether it applied.
    function _apply(address applicant, string memory name) private returns (bool) {
        bytes4 refusal = _applyRefusal(name);
        _expect(refusal);
        vm.prank(applicant);
        providers.apply_(name, _capacity(), 1 ether, "");
        return refusal == 0;
    }

    function _approve(address applicant, string memory name, uint256 kEthWei, bool isNew) private {
        bool isSound = kEthWei != 0 && kEthWei <= 32 ether;
        bytes4 refusal = isSound ? bytes4(0) : IProviders.BadTier.selector;
        IProviders.Tier tier =
            kEthWei < 16 ether ? IProviders.Tier.SemiTrusted : IProviders.Tier.Untrusted;
        _expect(isNew ? refusal : IProviders.WrongStatus.selector);
        vm.prank(TIMELOCK);
        providers.approve(applicant, name, tier, SafeCast.toUint128(kEthWei));
    }

    /// @dev Says whether it withdrew.
    function _withdraw(address provider) private returns (bool) {
        bytes4 refusal = _withdrawRefusal(provider);
        _expect(refusal);
        vm.prank(provider);
        providers.withdraw();
        return refusal == 0;
    }

    /// @dev The latest challenge, after an epoch that can decide it if `isWaiting`.
    function _recent(bool isWaiting) private returns (uint256) {
        bool isBehind = anchors.epochAt(block.timestamp) > anchors.nextEpoch() + 20;
        if (isWaiting && !isBehind) lastEpoch = _anchorFresh();
        return challenges;
    }

    function _isLocked(uint256 who) private view returns (bool) {
        return providers.providerOf(account(who)).locks != 0;
    }

    function _whoIs(address someone) private pure returns (uint256 who) {
        while (account(who) != someone) {
            ++who;
        }
    }
}
