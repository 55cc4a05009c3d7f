// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Parameter, Resources} from "../src/interfaces/IPolicy.sol";
import {IProviders} from "../src/interfaces/IProviders.sol";
import {ITimelocked} from "../src/interfaces/ITimelocked.sol";
import {ProviderKit} from "./lib/ProviderKit.sol";

/// @dev R26-R29, R34, R42, R44, R45: applications, approval, tiers, what a provider has.
contract ProvidersTest is ProviderKit {
    address private constant DEALS = address(0xdea15);
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    function setUp() public {
        _deploy(DEALS);
    }

    // Applications (R26, R44).

    function testFuzz_apply_isKeptAsItWasGiven(Resources calldata capacity, uint128 priceWei)
        public
    {
        priceWei = uint128(bound(priceWei, 0, policy.get(Parameter.ProviderPriceMax)));
        vm.expectEmit(address(providers));
        emit IProviders.Applied(ALICE, "Alice", capacity, priceWei, "ipfs://alice");
        vm.prank(ALICE);
        providers.apply_("Alice", capacity, priceWei, "ipfs://alice");
        IProviders.Provider memory held = providers.providerOf(ALICE);
        _isStatus(ALICE, IProviders.Status.Applied);
        vm.assertEq(held.name, "Alice");
        vm.assertEq(held.details, "ipfs://alice");
        vm.assertEq(held.priceWei, priceWei);
        vm.assertEq(keccak256(abi.encode(held.capacity)), keccak256(abi.encode(capacity)));
    }

    function test_apply_RevertWhen_TheNameIsEmptyOrTooLong() public {
        _applies(ALICE, string(new bytes(64)));
        vm.expectRevert(abi.encodeWithSelector(IProviders.BadNameLength.selector, 0, 64));
        _applies(ALICE, "");
        vm.expectRevert(abi.encodeWithSelector(IProviders.BadNameLength.selector, 65, 64));
        _applies(ALICE, string(new bytes(65)));
    }

    function test_apply_RevertWhen_TheDetailsAreTooLong() public {
        Resources memory capacity = _capacity();
        vm.prank(ALICE);
        providers.apply_("Alice", capacity, 1, string(new bytes(256)));
        vm.expectRevert(abi.encodeWithSelector(IProviders.DetailsTooLong.selector, 257, 256));
        vm.prank(ALICE);
        providers.apply_("Alice", capacity, 1, string(new bytes(257)));
    }

    function test_apply_RevertWhen_ThePriceIsAboveTheMaximum() public {
        uint128 most = uint128(policy.get(Parameter.ProviderPriceMax));
        Resources memory capacity = _capacity();
        vm.prank(ALICE);
        providers.apply_("Alice", capacity, most, "");
        vm.expectRevert(abi.encodeWithSelector(IProviders.PriceTooHigh.selector, most + 1, most));
        vm.prank(ALICE);
        providers.apply_("Alice", capacity, most + 1, "");
    }

    // One account, one provider: shills need an account, a vote and a stake each.

    function test_apply_givesAnAccountOneNameHoweverOftenItApplies() public {
        _applies(ALICE, "Alice");
        _applies(ALICE, "Alias");
        vm.assertEq(providers.providerOf(ALICE).name, "Alias");
        vm.expectRevert(abi.encodeWithSelector(IProviders.OtherName.selector, "Alias"));
        _approves(ALICE, "Alice");
        _approves(ALICE, "Alias");
        _refusesStatus(ALICE, IProviders.Status.Approved);
        _applies(ALICE, "Alice");
        vm.assertEq(providers.providerCount(), 1);
    }

    function test_apply_holdsNoNameAgainstOthers() public {
        _applies(ALICE, "Brand");
        _applies(BOB, "Brand");
        _approves(BOB, "Brand");
        vm.assertEq(providers.holderOf("Brand"), BOB);
        vm.expectRevert(abi.encodeWithSelector(IProviders.NameTaken.selector, "Brand", BOB));
        _approves(ALICE, "Brand");
        vm.expectRevert(abi.encodeWithSelector(IProviders.NameTaken.selector, "Brand", BOB));
        _applies(ALICE, "Brand");
        _applies(ALICE, "brand");
        _approves(ALICE, "brand");
    }

    function test_resign_freesTheName() public {
        _provider(ALICE, "Brand", 0);
        vm.prank(ALICE);
        providers.resign();
        vm.assertEq(providers.holderOf("Brand"), address(0));
        _applies(BOB, "Brand");
        _approves(BOB, "Brand");
        vm.assertEq(providers.holderOf("Brand"), BOB);
    }

    // What governors decide (R27-R29, R45).

    function testFuzz_whatGovernorsDecide_RevertWhen_AnyoneElseDoes(address caller) public {
        vm.assume(caller != TIMELOCK);
        _applies(ALICE, "Alice");
        bytes[4] memory calls = [
            abi.encodeCall(providers.approve, (ALICE, "Alice", IProviders.Tier.Trusted, 0)),
            abi.encodeCall(providers.reject, (ALICE)),
            abi.encodeCall(providers.setTier, (ALICE, IProviders.Tier.Trusted, 0)),
            abi.encodeCall(providers.revoke, (ALICE))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            _refuses(caller, calls[i], ITimelocked.NotTimelock.selector);
        }
    }

    function testFuzz_approve_takesWhatTheTierAsks(uint8 tier, uint128 kEthWei) public {
        IProviders.Tier given = IProviders.Tier(tier % 3);
        kEthWei = uint128(bound(kEthWei, 0, 33 ether));
        _applies(ALICE, "Alice");
        if (!_isRight(given, kEthWei)) {
            vm.expectRevert(abi.encodeWithSelector(IProviders.BadTier.selector, given, kEthWei));
        }
        vm.prank(TIMELOCK);
        providers.approve(ALICE, "Alice", given, kEthWei);
        if (!_isRight(given, kEthWei)) return;
        vm.assertEq(uint256(providers.providerOf(ALICE).tier), uint256(given));
        vm.assertEq(providers.providerOf(ALICE).kEthWei, kEthWei);
    }

    function test_approve_boundsOfEachTier() public {
        uint128 least = uint128(policy.get(Parameter.KEthUntrusted));
        vm.assertTrue(least >= 16 ether);
        _approve(ALICE, "Alice", IProviders.Tier.Untrusted, least);
        _setsTier(IProviders.Tier.Untrusted, 32 ether, true);
        _setsTier(IProviders.Tier.Untrusted, least - 1, false);
        _setsTier(IProviders.Tier.Untrusted, 32 ether + 1, false);
        _setsTier(IProviders.Tier.SemiTrusted, 1, true);
        _setsTier(IProviders.Tier.SemiTrusted, 32 ether, true);
        _setsTier(IProviders.Tier.SemiTrusted, 0, false);
        _setsTier(IProviders.Tier.SemiTrusted, 32 ether + 1, false);
        _setsTier(IProviders.Tier.Trusted, 0, true);
        _setsTier(IProviders.Tier.Trusted, 1, false);
    }

    function test_approve_RevertWhen_NobodyApplied() public {
        _refusesStatus(ALICE, IProviders.Status.None);
        _approves(ALICE, "Alice");
        _provider(ALICE, "Alice", 0);
        _refusesStatus(ALICE, IProviders.Status.Approved);
        _approves(ALICE, "Alice");
    }

    function test_reject_letsTheAccountApplyAnew() public {
        _applies(ALICE, "Alice");
        vm.prank(TIMELOCK);
        providers.reject(ALICE);
        _isStatus(ALICE, IProviders.Status.None);
        vm.assertEq(providers.providerOf(ALICE).name, "");
        _refusesStatus(ALICE, IProviders.Status.None);
        vm.prank(TIMELOCK);
        providers.reject(ALICE);
        _applies(ALICE, "Alice");
        _isStatus(ALICE, IProviders.Status.Applied);
    }

    function test_setTier_RevertWhen_NotApproved() public {
        _applies(ALICE, "Alice");
        _refusesStatus(ALICE, IProviders.Status.Applied);
        vm.prank(TIMELOCK);
        providers.setTier(ALICE, IProviders.Tier.Trusted, 0);
    }

    function test_revoke_endsTheApprovalAndSendsTheStakeBack() public {
        _provider(ALICE, "Alice", 0);
        vm.expectEmit(address(providers));
        emit IProviders.Left(ALICE, true);
        vm.prank(TIMELOCK);
        providers.revoke(ALICE);
        _isStatus(ALICE, IProviders.Status.Leaving);
        vm.assertEq(providers.providerOf(ALICE).unbonding, policy.get(Parameter.StakeMin));
        vm.assertEq(providers.providerCount(), 0);
        _refusesStatus(ALICE, IProviders.Status.Leaving);
        vm.prank(TIMELOCK);
        providers.revoke(ALICE);
    }

    // Updates (R44).

    function test_update_changesAllButTheName() public {
        _provider(ALICE, "Alice", 0);
        Resources memory capacity = Resources(1, 2, 3, 4);
        vm.expectEmit(address(providers));
        emit IProviders.Updated(ALICE, capacity, 7, "new");
        vm.prank(ALICE);
        providers.update(capacity, 7, "new");
        IProviders.Provider memory held = providers.providerOf(ALICE);
        vm.assertEq(keccak256(abi.encode(held.capacity)), keccak256(abi.encode(capacity)));
        vm.assertEq(held.priceWei, 7);
        vm.assertEq(held.details, "new");
        vm.assertEq(held.name, "Alice");
    }

    function test_update_RevertWhen_NotApproved() public {
        Resources memory capacity = _capacity();
        _refusesStatus(ALICE, IProviders.Status.None);
        vm.prank(ALICE);
        providers.update(capacity, 7, "new");
    }

    // Eligibility (R34, R42, R45).

    function test_isEligible_onlyOnceApprovedAndStaked() public {
        vm.assertFalse(_isEligible(ALICE));
        _applies(ALICE, "Alice");
        vm.assertFalse(_isEligible(ALICE));
        _give(ALICE, WEALTH);
        _approves(ALICE, "Alice");
        vm.assertFalse(_isEligible(ALICE));
        _stakes(ALICE, policy.get(Parameter.StakeMin) - 1);
        vm.assertFalse(_isEligible(ALICE));
        _stakes(ALICE, 1);
        vm.assertTrue(_isEligible(ALICE));
        vm.prank(ALICE);
        providers.resign();
        vm.assertFalse(_isEligible(ALICE));
    }

    function test_isEligible_onlyWithAStakeThatStillIsEnough() public {
        _provider(ALICE, "Alice", 0);
        uint256 stakeMin = policy.get(Parameter.StakeMin);
        vm.prank(TIMELOCK);
        policy.set(Parameter.StakeMin, stakeMin + 1 ether);
        vm.assertFalse(_isEligible(ALICE));
        _stakes(ALICE, 1 ether);
        vm.assertTrue(_isEligible(ALICE));
    }

    function test_isEligible_onlyWithFewEnoughFailures() public {
        _provider(ALICE, "Alice", 0);
        vm.prank(DEALS);
        providers.recordFailure(ALICE);
        vm.warp(providers.providerOf(ALICE).disqualifiedUntil);
        vm.assertFalse(providers.isEligible(ALICE, _need(), 0));
        vm.assertTrue(providers.isEligible(ALICE, _need(), 1));
    }

    function testFuzz_isEligible_onlyIfEveryResourceIsThere(Resources calldata need) public {
        _provider(ALICE, "Alice", 0);
        Resources memory capacity = _capacity();
        bool isThere = need.cpuMilli <= capacity.cpuMilli && need.ramMb <= capacity.ramMb
            && need.storageGb <= capacity.storageGb && need.bandwidthMbps <= capacity.bandwidthMbps;
        vm.assertTrue(providers.isEligible(ALICE, need, 0) == isThere);
    }

    function testFuzz_nodesMax_isWhatTheScarcestResourceAllows(Resources calldata need, uint8 which)
        public
    {
        _provider(ALICE, "Alice", 0);
        Resources memory one = Resources(1, 1, 1, 1);
        vm.assertEq(providers.nodesMax(ALICE, one), 1_000);
        vm.assertEq(providers.nodesMax(ALICE, _need()), 4);
        vm.assertEq(providers.nodesMax(ALICE, Resources(0, 0, 0, 0)), type(uint256).max);
        uint256 count = providers.nodesMax(ALICE, need);
        Resources memory less = need;
        if (which % 4 == 0) less.cpuMilli /= 2;
        if (which % 4 == 1) less.ramMb /= 2;
        if (which % 4 == 2) less.storageGb /= 2;
        if (which % 4 == 3) less.bandwidthMbps /= 2;
        vm.assertTrue(providers.nodesMax(ALICE, less) >= count);
    }

    // Lists (R34, R45).

    function test_providersAt_isThePublicListOfTheEligible() public {
        for (uint160 i = 1; i <= 5; ++i) {
            _provider(address(i), string(abi.encode(i)), 0);
        }
        vm.prank(DEALS);
        providers.recordFailure(address(2));
        vm.prank(address(4));
        providers.resign();
        vm.assertEq(providers.providerCount(), 4);
        address[] memory all = providers.providersAt(0, 100);
        vm.assertEq(all.length, 3);
        vm.assertEq(all[0], address(1));
        vm.assertEq(all[1], address(3));
        vm.assertEq(all[2], address(5));
        vm.assertEq(providers.providersAt(2, 2).length, 2);
        vm.assertEq(providers.providersAt(4, 9).length, 0);
    }

    function test_providersAt_RevertWhen_ThePageIsTooLong() public {
        vm.expectRevert(abi.encodeWithSelector(IProviders.PageTooLong.selector, 101, 100));
        providers.providersAt(0, 101);
        vm.expectRevert(abi.encodeWithSelector(IProviders.PageTooLong.selector, 101, 100));
        providers.nodesAt(ALICE, 0, 101);
    }

    // Failures outlive a name (R59).

    function test_withdraw_leavesFailuresAndDisqualificationBehind() public {
        _provider(ALICE, "Alice", 0);
        vm.startPrank(DEALS);
        providers.recordFailure(ALICE);
        vm.stopPrank();
        uint64 untilS = providers.providerOf(ALICE).disqualifiedUntil;
        vm.startPrank(ALICE);
        providers.resign();
        vm.warp(providers.providerOf(ALICE).unbondedAt);
        providers.withdraw();
        vm.stopPrank();
        vm.assertTrue(block.timestamp < untilS);
        _isStatus(ALICE, IProviders.Status.None);
        _provider(ALICE, "Fresh", 0);
        vm.assertEq(providers.providerOf(ALICE).failures, 1);
        vm.assertFalse(_isEligible(ALICE));
        vm.warp(untilS);
        vm.assertFalse(providers.isEligible(ALICE, _need(), 0));
        vm.assertTrue(_isEligible(ALICE));
    }

    function _isRight(IProviders.Tier tier, uint256 kEthWei) private view returns (bool) {
        if (tier == IProviders.Tier.Trusted) return kEthWei == 0;
        if (tier == IProviders.Tier.SemiTrusted) return kEthWei > 0 && kEthWei <= 32 ether;
        return kEthWei >= policy.get(Parameter.KEthUntrusted) && kEthWei <= 32 ether;
    }

    function _isEligible(address account) private view returns (bool) {
        return providers.isEligible(account, _need(), 100);
    }

    function _isStatus(address account, IProviders.Status status) private view {
        vm.assertEq(uint256(providers.providerOf(account).status), uint256(status));
    }

    function _applies(address account, string memory name) private {
        Resources memory capacity = _capacity();
        vm.prank(account);
        providers.apply_(name, capacity, 1 ether, "");
    }

    function _approves(address account, string memory name) private {
        vm.prank(TIMELOCK);
        providers.approve(account, name, IProviders.Tier.Trusted, 0);
    }

    function _setsTier(IProviders.Tier tier, uint128 kEthWei, bool isRight) private {
        if (isRight) {
            vm.expectEmit(address(providers));
            emit IProviders.TierSet(ALICE, tier, kEthWei);
        } else {
            vm.expectRevert(abi.encodeWithSelector(IProviders.BadTier.selector, tier, kEthWei));
        }
        vm.prank(TIMELOCK);
        providers.setTier(ALICE, tier, kEthWei);
    }

    function _stakes(address account, uint256 amount) private {
        vm.startPrank(account);
        ankr.approve(address(providers), amount);
        providers.stake(amount);
        vm.stopPrank();
    }

    function _refusesStatus(address account, IProviders.Status status) private {
        vm.expectRevert(abi.encodeWithSelector(IProviders.WrongStatus.selector, account, status));
    }

    function _refuses(address caller, bytes memory call, bytes4 reason) private {
        vm.prank(caller);
        (bool ok, bytes memory answer) = address(providers).call(call);
        vm.assertFalse(ok);
        vm.assertEq(answer, abi.encodeWithSelector(reason, caller));
    }
}
