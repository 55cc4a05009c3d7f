// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Call, IProposals} from "../src/interfaces/IProposals.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

/// @dev What calls cost, each as a transaction of its own.
contract CouncilGasTest is CouncilKit {
    address private constant ALICE = address(0xa);

    /// @dev In a history so much longer, looking up what was staked when takes that many reads more.
    uint256 private constant LOOKUP_GAS = 8 * 2_300;

    /// @dev Calls that are measured in a crowd.
    uint256 private constant CALLS = 9;

    /// forge-config: default.isolate = true
    function test_gas_isFlatInStakersVotersAndCandidates() public {
        uint256[CALLS] memory few = _inACrowdOf(10, "10");
        uint256[CALLS] memory many = _inACrowdOf(1_000, "1000");
        for (uint256 i = 0; i < CALLS; ++i) {
            vm.assertTrue(many[i] <= few[i] + LOOKUP_GAS);
        }
    }

    /// forge-config: default.isolate = true
    function test_gas_ofTheLargestCouncilFitsATransaction() public {
        _deploy(_testAnkr());
        _acceptAll();
        _set(Parameter.CouncilN, 31);
        _stakeMany(100, 63);
        _stake(ALICE, STAKE);
        vm.warp(PHASE_3_AT);
        _open();
        for (uint256 i = 163; i > 100; --i) {
            _stand(i - 1);
        }
        _back(ALICE, 100);
        _below("back, the last of 63 becomes the first", 2 ** 20);
        vm.warp(PHASE_3_AT + ELECTION_S);
        council.closeElection();
        _below("closeElection, seats 63", 2 ** 23);
        _missAll();
        _below("close, slashes 63", 2 ** 23);
        _stakeMany(100, 63);
        vm.warp(council.dueAt());
        _open();
        _standMany(100, 63);
        vm.warp(block.timestamp + ELECTION_S);
        council.closeElection();
        _below("closeElection, seats 63 in place of 63", 2 ** 23);
    }

    /// forge-config: default.isolate = true
    function test_gas_ofADecision() public {
        _deploy(_testAnkr());
        _acceptAll();
        Call[] memory calls = _setting(Parameter.BidBond, 7 ether);
        uint64 proposal = _propose(0, calls);
        vm.snapshotGasLastCall("propose, one call");
        _vote(0, proposal, IProposals.Choice.Yes);
        vm.snapshotGasLastCall("vote, the first");
        _vote(1, proposal, IProposals.Choice.Yes);
        vm.snapshotGasLastCall("vote, another");
        vm.warp(council.proposalAt(proposal).closesAt);
        council.close(proposal, calls);
        vm.snapshotGasLastCall("close, one call");
        vm.warp(block.timestamp + DELAY_S);
        _execute(proposal, calls);
        vm.snapshotGasLastCall("executeBatch, one call");
    }

    /// @dev The largest proposal there can be is closed within a transaction.
    /// forge-config: default.isolate = true
    function test_gas_ofTheLargestProposalFitsATransaction() public {
        _deploy(_testAnkr());
        _acceptAll();
        Call[] memory calls = new Call[](16);
        for (uint256 i = 0; i < 16; ++i) {
            calls[i] = Call(ALICE, 0, new bytes(800));
        }
        uint64 proposal = _propose(0, calls);
        _below("propose, the largest", 2 ** 22);
        _voteYes(proposal, 3);
        council.close(proposal, calls);
        _below("close, the largest", 2 ** 22);
    }

    /// @dev So many stakers each back one of so many candidates; then each call is made once more.
    function _inACrowdOf(uint256 count, string memory size)
        private
        returns (uint256[CALLS] memory gas)
    {
        _deploy(_testAnkr());
        _acceptAll();
        _gather(count);
        _stake(ALICE, STAKE);
        gas[0] = _measured("stake, with stakers ", size);
        vm.prank(ALICE);
        council.unstake(1);
        gas[1] = _measured("unstake, with stakers ", size);
        _stake(ALICE, 1);
        _stake(_person(99), STAKE);

        vm.warp(PHASE_2_AT);
        _open();
        gas[2] = _measured("openElection, with stakers ", size);
        for (uint256 i = 0; i < count; ++i) {
            _stand(100_000 + i);
            _back(_person(200_000 + i), 100_000 + i);
        }
        _stand(99);
        gas[3] = _measured("stand, with candidates ", size);
        _back(ALICE, 99);
        gas[4] = _measured("back, with candidates ", size);
        vm.warp(PHASE_2_AT + ELECTION_S);
        council.closeElection();
        gas[5] = _measured("closeElection, with candidates ", size);
        (gas[6], gas[7], gas[8]) = _referendum(count, size);
    }

    function _referendum(uint256 count, string memory size)
        private
        returns (uint256 proposing, uint256 voting, uint256 closing)
    {
        uint64 proposal = _proposeReferendum(0, _noCalls());
        proposing = _measured("propose, a referendum with stakers ", size);
        for (uint256 i = 0; i < count; ++i) {
            _voteAsStaker(_person(200_000 + i), proposal, IProposals.Choice.Yes);
        }
        _voteAsStaker(ALICE, proposal, IProposals.Choice.Yes);
        voting = _measured("voteAsStaker, with voters ", size);
        _voteYes(proposal, 4);
        council.close(proposal, _noCalls());
        closing = _measured("close, a referendum with voters ", size);
    }

    /// @dev Candidates and their backers, who stake one after the other.
    function _gather(uint256 count) private {
        for (uint256 i = 0; i < count; ++i) {
            vm.warp(block.timestamp + 1);
            _stake(_person(100_000 + i), STAKE);
            _stake(_person(200_000 + i), STAKE);
        }
    }

    /// @dev Three proposals on which nobody votes; the last closes it.
    function _missAll() private {
        for (uint256 i = 0; i < 3; ++i) {
            _propose(100 + i, _noCalls());
        }
        vm.warp(block.timestamp + VOTING_S);
        for (uint64 proposal = 1; proposal < 4; ++proposal) {
            council.close(proposal, _noCalls());
        }
    }

    function _measured(string memory name, string memory size) private returns (uint256) {
        return vm.snapshotGasLastCall(string.concat(name, size));
    }

    function _below(string memory name, uint256 gasMax) private {
        vm.assertTrue(vm.snapshotGasLastCall(name) < gasMax);
    }
}
