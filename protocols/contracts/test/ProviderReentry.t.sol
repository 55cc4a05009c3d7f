// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Parameter} from "../src/interfaces/IPolicy.sol";
import {IProviders} from "../src/interfaces/IProviders.sol";
import {Providers} from "../src/market/Providers.sol";
import {Schemer} from "./Reentry.t.sol";
import {ProviderKit} from "./lib/ProviderKit.sol";
import {TellingToken} from "./lib/TellingToken.sol";

/// @dev A token that tells of each transfer gets nobody more than its due.
contract ProviderReentryTest is ProviderKit {
    address private constant DEALS = address(0xdea15);
    address private constant ALICE = address(0xa11ce);

    TellingToken private token;
    Schemer private schemer;
    uint256 private stakeMin;
    uint256 private node;

    function setUp() public {
        _deploy(DEALS);
        token = new TellingToken();
        providers = new Providers(token, policy, TIMELOCK, registry, anchors, DEALS);
        schemer = new Schemer(address(providers));
        stakeMin = policy.get(Parameter.StakeMin);
        require(token.transfer(address(schemer), WEALTH), "a test token pays");
        schemer.approve(token);
        _calls(abi.encodeCall(providers.apply_, ("Schemer", _capacity(), 1, "")));
        vm.prank(TIMELOCK);
        providers.approve(address(schemer), "Schemer", IProviders.Tier.Trusted, 0);
        _approve(ALICE, "Alice", IProviders.Tier.Trusted, 0);
        node = _node(ALICE, "alice");
        token.tell(address(schemer));
    }

    function test_stake_takesEachAmountThatCounts() public {
        bytes memory call = abi.encodeCall(providers.stake, (stakeMin));
        schemer.start(call, call);
        vm.assertEq(schemer.gained(), 1);
        vm.assertEq(providers.providerOf(address(schemer)).stake, 2 * stakeMin);
        vm.assertEq(token.balanceOf(address(providers)), 2 * stakeMin);
    }

    function test_withdraw_paysOnce() public {
        bytes memory call = abi.encodeCall(providers.withdraw, ());
        _leaves();
        schemer.start(call, call);
        vm.assertEq(schemer.gained(), 0);
        vm.assertEq(token.balanceOf(address(schemer)), WEALTH);
        vm.assertEq(token.balanceOf(address(providers)), 0);
    }

    /// @dev Who is told in the middle of a seizure gets what is left, and no more.
    function test_seize_leavesToWithdrawWhatIsLeft() public {
        _leaves();
        bytes memory harmless = abi.encodeCall(providers.LAPSE_S, ());
        schemer.start(harmless, abi.encodeCall(providers.withdraw, ()));
        vm.prank(DEALS);
        vm.assertEq(providers.seize(address(schemer), stakeMin / 4, address(schemer)), stakeMin / 4);
        vm.assertEq(schemer.gained(), 1);
        vm.assertEq(token.balanceOf(address(schemer)), WEALTH);
        vm.assertEq(token.balanceOf(address(providers)), 0);
    }

    function test_challenge_opensOne() public {
        bytes memory call = abi.encodeCall(providers.challenge, (node));
        schemer.start(call, call);
        vm.assertEq(schemer.told(), 1);
        vm.assertEq(schemer.gained(), 0);
        uint256 bond = policy.get(Parameter.ChallengeBond);
        vm.assertEq(token.balanceOf(address(providers)), bond);
    }

    function test_collect_paysOnce() public {
        _calls(abi.encodeCall(providers.challenge, (node)));
        uint64 epoch = _anchorFresh();
        vm.warp(block.timestamp + 1 days);
        providers.timeOut(1, _headerOf(epoch));
        bytes memory call = abi.encodeCall(providers.collect, ());
        schemer.start(call, call);
        vm.assertEq(schemer.gained(), 0);
        vm.assertEq(token.balanceOf(address(schemer)), WEALTH);
        vm.assertEq(token.balanceOf(address(providers)), 0);
    }

    /// @dev A stake whose time has come.
    function _leaves() private {
        _calls(abi.encodeCall(providers.stake, (stakeMin)));
        _calls(abi.encodeCall(providers.resign, ()));
        vm.warp(providers.providerOf(address(schemer)).unbondedAt);
    }

    /// @dev Calls as the schemer, which tries nothing else.
    function _calls(bytes memory call) private {
        vm.prank(address(schemer));
        (bool ok, bytes memory answer) = address(providers).call(call);
        if (!ok) revert(string(answer));
    }
}
