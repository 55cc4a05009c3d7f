// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Call, IProposals} from "../src/interfaces/IProposals.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

/// @dev The council from its invitation to what it decides.
contract CouncilTest is CouncilKit {
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

    function execute(uint64 proposal, Call[] memory calls) external {
        _execute(proposal, calls);
    }
}
