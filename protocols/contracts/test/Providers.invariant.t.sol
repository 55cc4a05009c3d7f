// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILiveness} from "../src/interfaces/ILiveness.sol";
import {Parameter, Resources} from "../src/interfaces/IPolicy.sol";
import {IProviders} from "../src/interfaces/IProviders.sol";
import {ActsTest} from "./lib/Acts.sol";
import {ProviderActors} from "./lib/ProviderActors.sol";
import {ProviderKit} from "./lib/ProviderKit.sol";

/// @dev What actors may do must work, and what they may not must be refused by name: a revert is a fault.
///
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: ci.invariant.fail-on-revert = true
contract ProvidersInvariantTest is ActsTest, ProviderKit {
    ProviderActors private actors;

    function setUp() public {
        actors = new ProviderActors();
        (providers, policy) = actors.parts();
        targetContract(address(actors));
    }

    function test_actors_doAllThatTheyMay() public {
        bytes4[] memory acts = new bytes4[](17);
        acts[0] = ProviderActors.join.selector;
        acts[1] = ProviderActors.end.selector;
        acts[2] = ProviderActors.update.selector;
        acts[3] = ProviderActors.stake.selector;
        acts[4] = ProviderActors.unstake.selector;
        acts[5] = ProviderActors.withdraw.selector;
        acts[6] = ProviderActors.addNode.selector;
        acts[7] = ProviderActors.removeNode.selector;
        acts[8] = ProviderActors.begin.selector;
        acts[9] = ProviderActors.finish.selector;
        acts[10] = ProviderActors.challenge.selector;
        acts[11] = ProviderActors.answer.selector;
        acts[12] = ProviderActors.timeOut.selector;
        acts[13] = ProviderActors.lapse.selector;
        acts[14] = ProviderActors.collect.selector;
        acts[15] = ProviderActors.judge.selector;
        acts[16] = ProviderActors.anchor.selector;
        _checkThatAllSucceed(actors, acts, 3000);
    }

    function invariant_moneyIsConservedAndLockedStakesStay() public view {
        _stakesBondsAndDebtsAreTheBalance();
        _nobodyGetsMoreThanItsDue();
        _aLockedStakeOnlyFallsByWhatIsSeized();
    }

    function invariant_recordsAreTrue() public view {
        _whatServesDealsNeverExceedsTheCapacity();
        _onlyTheApprovedAndStakedAreEligible();
        _aNameIsOneApprovedProvidersAlone();
        _aBlockchainNodeHasOneSidecarAtMost();
    }

    function _stakesBondsAndDebtsAreTheBalance() private view {
        uint256 sum = 0;
        for (uint256 who = 0; who < 3; ++who) {
            sum += actors.staked(who) + providers.owedTo(actors.account(who));
        }
        for (uint256 number = 1; number <= actors.challenges(); ++number) {
            ILiveness.Challenge memory held = providers.challengeOf(number);
            if (held.state == ILiveness.ChallengeState.Open) sum += held.bond;
        }
        vm.assertEq(actors.balanceOf(address(providers)), sum);
    }

    function _nobodyGetsMoreThanItsDue() private view {
        for (uint256 who = 0; who < 3; ++who) {
            address account = actors.account(who);
            uint256 has = actors.balanceOf(account) + actors.staked(who) + providers.owedTo(account);
            for (uint256 number = 1; number <= actors.challenges(); ++number) {
                ILiveness.Challenge memory held = providers.challengeOf(number);
                bool isOpen = held.state == ILiveness.ChallengeState.Open;
                if (isOpen && held.challenger == account) has += held.bond;
            }
            vm.assertEq(has + actors.lost(who), actors.wealth(who) + actors.won(who));
        }
    }

    /// @dev R44.
    function _whatServesDealsNeverExceedsTheCapacity() private view {
        for (uint256 who = 0; who < 3; ++who) {
            IProviders.Provider memory held = providers.providerOf(actors.account(who));
            (Resources memory needed, uint256 count) = actors.needed(who);
            vm.assertEq(keccak256(abi.encode(held.inUse)), keccak256(abi.encode(needed)));
            vm.assertEq(held.runningDeals, count);
            vm.assertTrue(needed.cpuMilli <= held.capacity.cpuMilli);
            vm.assertTrue(needed.ramMb <= held.capacity.ramMb);
            vm.assertTrue(needed.storageGb <= held.capacity.storageGb);
            vm.assertTrue(needed.bandwidthMbps <= held.capacity.bandwidthMbps);
        }
    }

    function _aLockedStakeOnlyFallsByWhatIsSeized() private view {
        for (uint256 who = 0; who < 3; ++who) {
            vm.assertTrue(actors.staked(who) >= actors.floorOf(who));
        }
    }

    /// @dev R45, R46.
    function _onlyTheApprovedAndStakedAreEligible() private view {
        for (uint256 who = 0; who < 3; ++who) {
            address account = actors.account(who);
            IProviders.Provider memory held = providers.providerOf(account);
            vm.assertTrue(held.stake <= policy.get(Parameter.StakeMax));
            bool isIn = held.status == IProviders.Status.Approved;
            if (!isIn) vm.assertEq(held.stake, 0);
            if (providers.isEligible(account, Resources(0, 0, 0, 0), type(uint32).max)) {
                vm.assertTrue(isIn && held.stake >= policy.get(Parameter.StakeMin));
                vm.assertTrue(block.timestamp >= held.disqualifiedUntil);
            }
        }
    }

    /// @dev R26.
    function _aNameIsOneApprovedProvidersAlone() private view {
        uint256 count = 0;
        for (uint256 who = 0; who < 3; ++who) {
            address account = actors.account(who);
            IProviders.Provider memory held = providers.providerOf(account);
            if (held.status != IProviders.Status.Approved) continue;
            ++count;
            vm.assertEq(providers.holderOf(held.name), account);
        }
        vm.assertEq(providers.providerCount(), count);
    }

    /// @dev R35.
    function _aBlockchainNodeHasOneSidecarAtMost() private view {
        for (uint256 i = 0; i < 4; ++i) {
            bytes32 chainNode = providers.sidecarOf(i).chainNode;
            for (uint256 j = 0; j < i && chainNode != 0; ++j) {
                vm.assertTrue(providers.sidecarOf(j).chainNode != chainNode);
            }
        }
    }
}
