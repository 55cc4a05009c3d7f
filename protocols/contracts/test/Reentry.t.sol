// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ReputationAnchor} from "../src/ReputationAnchor.sol";
import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {ChallengeKit} from "./lib/ChallengeKit.sol";
import {Told, TellingToken} from "./lib/TellingToken.sol";

/// @dev Makes the same call again whenever it hears of a transfer.
contract Schemer is Told {
    address private immutable ANCHORS;

    /// @notice How often it was told, and how often its second call went through.
    uint256 public told;
    uint256 public gained;

    bytes private _call;
    bool private _isBusy;

    constructor(address anchors) {
        ANCHORS = anchors;
    }

    function approve(ERC20 token) external {
        require(token.approve(ANCHORS, type(uint256).max), "a test token approves");
    }

    function start(bytes calldata first, bytes calldata again) external {
        _call = again;
        (bool ok, bytes memory answer) = ANCHORS.call(first);
        if (!ok) revert(string(answer));
    }

    function onTransfer() external {
        ++told;
        if (_isBusy) return;
        _isBusy = true;
        (bool ok,) = ANCHORS.call(_call);
        if (ok) ++gained;
        _isBusy = false;
    }
}

contract ReentryTest is ChallengeKit {
    uint256 private constant BOND = 1_000 ether;
    address private constant GOVERNOR = address(0x60e4);

    TellingToken private token;
    Schemer private schemer;

    function setUp() public {
        token = new TellingToken();
        IChallenges.Setup memory setup = _setup();
        setup.token = token;
        anchors = new ReputationAnchor(setup);
        schemer = new Schemer(address(anchors));
        require(token.transfer(address(schemer), 100 * BOND), "a test token pays");
        require(token.transfer(GOVERNOR, BOND), "a test token pays");
        schemer.approve(token);
        token.tell(address(schemer));
        council.seat(address(schemer));
        council.seat(GOVERNOR);
        vm.startPrank(GOVERNOR);
        token.approve(address(anchors), BOND);
        anchors.bond(BOND);
        vm.stopPrank();
    }

    function test_challenge_isRewardedOnce() public {
        IChallenges.Challenge memory given = _anchored(true);
        bytes memory call = abi.encodeCall(IChallenges.challenge, (given));
        uint256 before = token.balanceOf(address(schemer));
        schemer.start(call, call);
        vm.assertEq(schemer.told(), 1);
        vm.assertEq(schemer.gained(), 0);
        uint256 reward = BOND * SLASH_BPS / 10_000 * REWARD_BPS / 10_000;
        vm.assertEq(token.balanceOf(address(schemer)), before + reward);
        vm.assertEq(anchors.voids(), 1);
        _isConserved();
    }

    function test_challenge_takesEachDepositThatIsLost() public {
        IChallenges.Challenge memory given = _anchored(false);
        bytes memory call = abi.encodeCall(IChallenges.challenge, (given));
        schemer.start(call, call);
        vm.assertEq(schemer.gained(), 1);
        vm.assertEq(anchors.pool(), BOND + 2 * DEPOSIT);
        _isConserved();
    }

    function test_unbond_paysOnce() public {
        bytes memory unbond = abi.encodeWithSignature("unbond()");
        schemer.start(abi.encodeWithSignature("bond(uint256)", BOND), unbond);
        council.unseat(address(schemer), 0);
        vm.warp(CHALLENGE_S);
        schemer.start(unbond, unbond);
        vm.assertEq(schemer.told(), 2);
        vm.assertEq(schemer.gained(), 0);
        vm.assertEq(token.balanceOf(address(schemer)), 100 * BOND);
        _isConserved();
    }

    /// @dev Its own tokens are still on their way when it has their shares already.
    function test_bond_isWorthNothingMoreWhileItIsPaid() public {
        _anchored(false);
        bytes memory bond = abi.encodeWithSignature("bond(uint256)", BOND);
        schemer.start(bond, bond);
        vm.assertEq(schemer.gained(), 1);
        vm.assertEq(anchors.bondOf(address(schemer)), 2 * BOND);
        vm.assertEq(anchors.pool(), 3 * BOND);
        _isConserved();
    }

    function _anchored(bool isWrong) private returns (IChallenges.Challenge memory) {
        World memory w = _world();
        if (isWrong) w.scores[ALICE][14] = bytes32(uint256(1_000_000));
        _anchorAll(w);
        return _against(w, ALICE);
    }

    function _isConserved() private view {
        vm.assertEq(token.balanceOf(address(anchors)), anchors.pool());
    }
}
