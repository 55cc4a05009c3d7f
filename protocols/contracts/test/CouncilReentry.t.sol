// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {VoterRewards} from "../src/governance/VoterRewards.sol";
import {IProposals} from "../src/interfaces/IProposals.sol";
import {IReceiver} from "../src/interfaces/IReceiver.sol";
import {IStakes} from "../src/interfaces/IStakes.sol";
import {ICouncil} from "../src/interfaces/ICouncil.sol";
import {Council} from "../src/governance/Council.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";
import {TellingToken} from "./lib/TellingToken.sol";

/// @dev Stakes and votes, and makes one more call whenever it hears of a transfer.
contract Staker {
    /// @notice How often it was told, and how often its second call went through.
    uint256 public told;
    uint256 public gained;

    address private _target;
    bytes private _call;

    function make(address target, bytes calldata data) external {
        (bool ok, bytes memory answer) = target.call(data);
        if (!ok) revert(string(answer));
    }

    function plan(address target, bytes calldata data) external {
        (_target, _call) = (target, data);
    }

    function onTransfer() external {
        ++told;
        bytes memory data = _call;
        if (data.length == 0) return;
        delete _call;
        (bool ok,) = _target.call(data);
        if (ok) ++gained;
    }
}

/// @dev A receiver that hands on again when it is given something, and may then refuse.
contract Greedy is IReceiver {
    Council public council;
    uint256 public gained;
    bool public isRefusing;

    function serve(Council given) external {
        council = given;
    }

    function refuse() external {
        isRefusing = true;
    }

    function take(uint256 ankr) external payable {
        require(!isRefusing, "refused");
        try council.handOnSlashed() {
            ++gained;
        } catch {}
        require(council.TOKEN().transferFrom(msg.sender, address(this), ankr), "a test token pays");
    }
}

contract CouncilReentryTest is CouncilKit {
    TellingToken private token;
    Staker private staker;
    VoterRewards private pot;

    function setUp() public {
        token = new TellingToken();
        _deploy(token);
        _acceptAll();
        staker = new Staker();
        require(token.transfer(address(staker), 10 * STAKE), "a test token pays");
        pot = new VoterRewards(token, council);
        _by(address(token), abi.encodeCall(ERC20.approve, (address(council), 10 * STAKE)));
        _by(address(council), abi.encodeCall(IStakes.stake, (2 * STAKE)));
        token.tell(address(staker));
        vm.warp(START + 1);
    }

    function test_withdraw_paysOnceHoweverItIsEntered() public {
        _by(address(council), abi.encodeCall(IStakes.unstake, (STAKE)));
        vm.warp(START + 1 + UNBOND_S);
        staker.plan(address(council), abi.encodeCall(IStakes.withdraw, ()));
        _by(address(council), abi.encodeCall(IStakes.withdraw, ()));
        vm.assertEq(staker.told(), 1);
        vm.assertEq(staker.gained(), 0);
        vm.assertEq(token.balanceOf(address(staker)), 9 * STAKE);
        _isConserved();
    }

    /// @dev Its tokens are still on their way when it takes the stake out again: that is its own.
    function test_stake_canBeTakenOutOnceHoweverItIsEntered() public {
        staker.plan(address(council), abi.encodeCall(IStakes.unstake, (3 * STAKE)));
        _by(address(council), abi.encodeCall(IStakes.stake, (STAKE)));
        vm.assertEq(staker.gained(), 1);
        vm.assertEq(council.stakeOf(address(staker)), 0);
        (uint208 amount,) = council.leavingOf(address(staker));
        vm.assertEq(amount, 3 * STAKE);
        vm.assertEq(token.balanceOf(address(council)), council.totalStake() + 3 * STAKE);
    }

    function test_claim_paysOnceHoweverItIsEntered() public {
        _ballot(true);
        bytes memory claim = abi.encodeCall(VoterRewards.claim, (1));
        staker.plan(address(pot), claim);
        _by(address(pot), claim);
        vm.assertEq(staker.told(), 1);
        vm.assertEq(staker.gained(), 0);
        vm.assertEq(token.balanceOf(address(staker)), 9 * STAKE);
        vm.assertEq(token.balanceOf(address(pot)), 0);
    }

    function test_reclaim_paysOnceHoweverItIsEntered() public {
        uint64 proposal = _proposeReferendum(0, _noCalls());
        _by(address(token), abi.encodeCall(ERC20.approve, (address(pot), STAKE)));
        _by(address(pot), abi.encodeCall(VoterRewards.fund, (1, STAKE)));
        _closeProposal(proposal, _noCalls());
        bytes memory reclaim = abi.encodeCall(VoterRewards.reclaim, (1));
        staker.plan(address(pot), reclaim);
        _by(address(pot), reclaim);
        vm.assertEq(staker.told(), 2);
        vm.assertEq(staker.gained(), 0);
        vm.assertEq(token.balanceOf(address(staker)), 8 * STAKE);
    }

    function test_handOnSlashed_givesOnceHoweverItIsEntered() public {
        Greedy greedy = _withGreedy();
        council.handOnSlashed();
        vm.assertEq(greedy.gained(), 0);
        vm.assertEq(token.balanceOf(address(greedy)), 4 * STAKE / 10);
        _isConserved();
    }

    /// @dev A receiver that refuses holds up its own money and nobody's vote.
    function test_close_needsNoReceiver() public {
        Greedy greedy = _withGreedy();
        greedy.refuse();
        vm.expectRevert("refused");
        council.handOnSlashed();
        _missVotes(3);
        vm.assertEq(council.slashed(), 4 * STAKE / 10 + STAKE / 10 + 3 * 90 ether);
        _isConserved();
    }

    function _withGreedy() private returns (Greedy greedy) {
        greedy = new Greedy();
        ICouncil.Setup memory setup = _setup();
        setup.receiver = greedy;
        council = new Council(setup);
        greedy.serve(council);
        vm.warp(START);
        _acceptAll();
        _missVotes(3);
    }

    function _missVotes(uint256 count) private {
        for (uint256 i = 0; i < count; ++i) {
            _restake();
            _closeProposal(_propose(0, _noCalls()), _noCalls());
        }
    }

    /// @dev Who proposes needs the whole stake again after a slash.
    function _restake() private {
        uint256 staked = council.stakeOf(_person(0));
        if (staked < STAKE) _stake(_person(0), STAKE - staked);
    }

    /// @dev A referendum in which the staker voted alone, and what it brings.
    function _ballot(bool isFunded) private {
        uint64 proposal = _proposeReferendum(0, _noCalls());
        _by(
            address(council),
            abi.encodeCall(IProposals.voteAsStaker, (proposal, IProposals.Choice.Yes))
        );
        _closeProposal(proposal, _noCalls());
        if (!isFunded) return;
        token.approve(address(pot), STAKE);
        pot.fund(1, STAKE);
    }

    function _by(address target, bytes memory data) private {
        staker.make(target, data);
    }

    function _isConserved() private view {
        (uint208 leaving,) = council.leavingOf(address(staker));
        uint256 held = council.totalStake() + leaving + council.slashed();
        vm.assertEq(token.balanceOf(address(council)), held);
    }
}
