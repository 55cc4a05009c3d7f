// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILiveness} from "../src/interfaces/ILiveness.sol";
import {Parameter, Resources} from "../src/interfaces/IPolicy.sol";
import {IProviders} from "../src/interfaces/IProviders.sol";
import {ProviderActors} from "./lib/ProviderActors.sol";
import {ProviderKit} from "./lib/ProviderKit.sol";

contract ProvidersInvariantTest is ProviderKit {
    ProviderActors private actors;

    function setUp() public {
        actors = new ProviderActors();
        (providers, policy) = actors.parts();
        targetContract(address(actors));
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
        vm.assertFalse(actors.isStuck());
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
