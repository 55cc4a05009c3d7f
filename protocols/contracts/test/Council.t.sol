// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {VoterRewards} from "../src/governance/VoterRewards.sol";
import {Pot} from "../src/market/Pot.sol";
import {Call, IProposals} from "../src/interfaces/IProposals.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

/// @dev The council from its invitation to what it decides.
contract CouncilTest is CouncilKit {
    address private constant REQUESTER = address(0xa);

    function setUp() public {
        _deploy(_testAnkr());
    }

    /// @dev R16, R17, R18, R24: four, seven, and then seven others.
    function test_theCouncilGrowsFromInvitedToElected() public {
        vm.assertEq(council.phase(), 1);
        _acceptAll();
        vm.assertEq(council.seatCount(), INVITED);

        _stakeMany(10, N);
        vm.warp(PHASE_2_AT);
        vm.assertEq(council.phase(), 2);
        _open();
        _standMany(10, N);
        _close();
        vm.assertEq(council.seatCount(), 2 * N + 1);

        _renew(20, 2 * N + 1);
        vm.assertEq(council.phase(), 3);
        vm.assertEq(council.seatCount(), 2 * N + 1);
        for (uint256 i = 0; i < 2 * N + 1; ++i) {
            vm.assertTrue(council.isGovernor(_person(20 + i)));
        }
        vm.assertFalse(council.isGovernor(_person(0)));
    }

    /// @dev R33: governors change the policy, by the timelock and after its delay.
    function test_aProposalThatPassesIsDoneAfterTheDelay() public {
        _acceptAll();
        Call[] memory calls = _setting(Parameter.BidBond, 7 ether);
        uint64 proposal = _propose(0, calls);
        _voteYes(proposal, 3);
        council.close(proposal, calls);
        vm.assertTrue(council.proposalAt(proposal).outcome == IProposals.Outcome.Passed);

        vm.expectRevert();
        this.execute(proposal, calls);
        vm.warp(block.timestamp + DELAY_S);
        _execute(proposal, calls);
        vm.assertEq(policy.get(Parameter.BidBond), 7 ether);
        vm.expectRevert();
        this.execute(proposal, calls);
    }

    /// @dev R33, R13: governors pay a requester and reward voters out of the reward pot, in one decision.
    function test_governorsPayRequestersAndVotersOutOfTheRewardPot() public {
        _acceptAll();
        vm.warp(START + 1);
        VoterRewards voters = new VoterRewards(ankr, council);
        uint64 referendum = _proposeReferendum(1, _noCalls());
        _voteAsStaker(_person(2), referendum, IProposals.Choice.Yes);
        ankr.approve(address(rewards), 10 ether);
        rewards.take(10 ether);

        Call[] memory calls = new Call[](4);
        calls[0] = Call(address(rewards), 0, abi.encodeCall(Pot.release, (3 ether, 0, REQUESTER)));
        calls[1] =
            Call(address(rewards), 0, abi.encodeCall(Pot.release, (7 ether, 0, address(timelock))));
        calls[2] =
            Call(address(ankr), 0, abi.encodeCall(IERC20.approve, (address(voters), 7 ether)));
        calls[3] = Call(address(voters), 0, abi.encodeCall(VoterRewards.fund, (1, 7 ether)));
        uint64 proposal = _propose(0, calls);
        _voteYes(proposal, 3);
        council.close(referendum, _noCalls());
        council.close(proposal, calls);
        vm.warp(block.timestamp + DELAY_S);
        _execute(proposal, calls);

        vm.assertEq(ankr.balanceOf(REQUESTER), 3 ether);
        vm.prank(_person(2));
        voters.claim(1);
        vm.assertEq(ankr.balanceOf(_person(2)), 7 ether);
    }

    function execute(uint64 proposal, Call[] memory calls) external {
        _execute(proposal, calls);
    }
}
