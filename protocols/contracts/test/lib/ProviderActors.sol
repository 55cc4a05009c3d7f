// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ScoreMath} from "../../src/ScoreMath.sol";
import {ILiveness} from "../../src/interfaces/ILiveness.sol";
import {IPolicy, Parameter, Resources} from "../../src/interfaces/IPolicy.sol";
import {IProviders} from "../../src/interfaces/IProviders.sol";
import {Providers} from "../../src/market/Providers.sol";
import {ProviderKit} from "./ProviderKit.sol";

/// @dev Three accounts, governors and deals do what they may, and what they may not, as time goes by.
contract ProviderActors is ProviderKit {
    uint256 public constant ACCOUNTS = 3;
    uint256 public constant NODES = 4;
    address public constant VICTIM = address(0x71c71);

    struct Deal {
        uint256 who;
        uint256 registration;
        Resources need;
    }

    Deal[] private _deals;
    uint64 private _lastEpoch;

    /// @notice Whether a deal could not be ended.
    bool public isStuck;

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
        _lastEpoch = _finalEpoch();
    }

    // Governors and applicants, who claim one name above all.

    function join(uint256 who, bool isOther, uint128 kEthWei) external {
        string memory name = string(abi.encode(isOther ? 0 : who % ACCOUNTS));
        address applicant = account(who);
        IProviders.Status status = providers.providerOf(applicant).status;
        if (status == IProviders.Status.Leaving) {
            vm.warp(block.timestamp + policy.get(Parameter.UnbondS));
            vm.prank(applicant);
            providers.withdraw();
        }
        if (status != IProviders.Status.Approved) {
            vm.prank(applicant);
            providers.apply_(name, _capacity(), 1 ether, "");
        }
        kEthWei = SafeCast.toUint128(bound(kEthWei, 0, 40 ether));
        IProviders.Tier tier =
            kEthWei < 16 ether ? IProviders.Tier.SemiTrusted : IProviders.Tier.Untrusted;
        vm.prank(TIMELOCK);
        providers.approve(applicant, name, tier, kEthWei);
    }

    /// @dev Ends an approval: seldom, or there would be no provider left.
    function end(uint256 who, bool isRevoked) external {
        if (who % 4 != 0) return;
        address provider = account(who / 4);
        vm.prank(isRevoked ? TIMELOCK : provider);
        if (isRevoked) providers.revoke(provider);
        else providers.resign();
    }

    function update(uint256 who, uint32 cpuMilli) external {
        Resources memory capacity = _capacity();
        capacity.cpuMilli = SafeCast.toUint32(bound(cpuMilli, 0, 20_000));
        vm.prank(account(who));
        providers.update(capacity, 1 ether, "");
    }

    // Stakes.

    function stake(uint256 who, uint256 amount) external {
        amount = bound(amount, 0, policy.get(Parameter.StakeMax) / 2);
        vm.prank(account(who));
        providers.stake(amount);
        who %= ACCOUNTS;
        if (_isLocked(who)) floorOf[who] += amount;
    }

    function unstake(uint256 who, uint256 amount) external {
        amount = bound(amount, 0, policy.get(Parameter.StakeMax) / 8);
        vm.prank(account(who));
        providers.unstake(amount);
    }

    function withdraw(uint256 who, bool isLate) external {
        if (isLate) vm.warp(block.timestamp + policy.get(Parameter.UnbondS));
        vm.prank(account(who));
        providers.withdraw();
    }

    // Nodes and deals.

    function addNode(uint256 who, uint256 registration, uint256 chainNode) external {
        registration %= NODES;
        if (who % 8 != 7) who = registration;
        vm.prank(account(who));
        providers.addNode(
            registration, bytes32(chainNode % (2 * NODES)), _member(_lastEpoch, registration)
        );
    }

    function removeNode(uint256 registration) external {
        registration %= NODES;
        vm.prank(account(registration));
        providers.removeNode(registration);
    }

    function begin(uint256 registration, uint32 cpuMilli, uint32 storageGb) external {
        Resources memory need = _need();
        need.cpuMilli = SafeCast.toUint32(bound(cpuMilli, 0, 12_000));
        need.storageGb = SafeCast.toUint32(bound(storageGb, 0, 6_000));
        registration %= NODES;
        uint256 who = registration % ACCOUNTS;
        if (!_isLocked(who)) floorOf[who] = staked(who);
        providers.occupy(account(who), registration, need);
        providers.lock(account(who));
        _deals.push(Deal(who, registration, need));
    }

    /// @dev A deal that began can be ended at any time: a revert here is a fault.
    function finish(uint256 index, bool isFailed, uint256 owed) external {
        if (_deals.length == 0) return;
        bytes memory call = abi.encodeCall(this.finishNow, (index, isFailed, owed));
        (bool ok,) = address(this).call(call);
        if (!ok) isStuck = true;
    }

    function finishNow(uint256 index, bool isFailed, uint256 owed) external {
        require(msg.sender == address(this), "it is only called from here");
        index %= _deals.length;
        Deal memory deal = _deals[index];
        _deals[index] = _deals[_deals.length - 1];
        _deals.pop();
        address provider = account(deal.who);
        providers.release(provider, deal.registration, deal.need);
        if (isFailed) {
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
        vm.prank(account(who));
        providers.challenge(registration % NODES);
        ++challenges;
    }

    function answer(bool isWaiting) external {
        uint256 number = _recent(isWaiting);
        ILiveness.Challenge memory held = providers.challengeOf(number);
        providers.answer(number, _shown(_lastEpoch, held.registration));
        lost[_whoIs(held.challenger)] += held.bond;
        won[_whoIs(held.provider)] += held.bond;
    }

    function timeOut(bool isWaiting, bool isLate) external {
        uint256 number = _recent(isWaiting);
        if (isLate) vm.warp(block.timestamp + policy.get(Parameter.AnswerS));
        providers.timeOut(number, _headerOf(_lastEpoch));
    }

    function lapse(uint256 number, uint256 late) external {
        if (late % 32 == 0) vm.warp(block.timestamp + 31 days);
        providers.lapse(number % (challenges + 1));
    }

    function collect(uint256 who) external {
        vm.prank(account(who));
        providers.collect();
    }

    function judge(uint256 registration) external {
        registration %= NODES;
        providers.disqualify(registration, _shown(_lastEpoch, registration));
    }

    /// @dev Lets an epoch begin and be anchored, in which one of the nodes is up or down.
    function anchor(uint256 registration, bool isUp, bool isVoid) external {
        uint256 uptimePpm = isUp ? 950_000 : 100_000;
        uint256 verdict = isUp ? ScoreMath.UP : ScoreMath.DOWN;
        _score(registration % NODES, uptimePpm, uptimePpm, ScoreMath.ACTIVE, verdict);
        _lastEpoch = _anchorNext(isVoid);
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

    function account(uint256 who) public pure returns (address) {
        return [address(0xa11ce), address(0xb0b), address(0xca201)][who % ACCOUNTS];
    }

    /// @dev The latest challenge, after an epoch that can decide it if `isWaiting`.
    function _recent(bool isWaiting) private returns (uint256) {
        bool isBehind = anchors.epochAt(block.timestamp) > anchors.nextEpoch() + 20;
        if (isWaiting && !isBehind) _lastEpoch = _anchorFresh();
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
