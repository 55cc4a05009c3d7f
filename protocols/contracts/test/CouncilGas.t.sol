// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Call, IProposals} from "../src/interfaces/IProposals.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

/// @dev What calls cost, each as a transaction of its own.
contract CouncilGasTest is CouncilKit {
    address private constant ALICE = address(0xa);

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
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
    /// forge-config: ci.isolate = true
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
    /// forge-config: ci.isolate = true
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

    function _below(string memory name, uint256 gasMax) private {
        vm.assertTrue(vm.snapshotGasLastCall(name) < gasMax);
    }
}

/// @dev So many stakers each backed one of so many candidates, and voted in a referendum; then each call is
///      made once more. Limits are the same for every size: only looking up all that was staked at a
///      time reads more of a longer history, once for each doubling.
abstract contract CrowdGas is CouncilKit {
    address private constant ALICE = address(0xa);
    uint256 private constant LATE = 99;

    string private _size;
    uint64 private _proposal;

    function _gather(uint256 count, string memory size) internal {
        _size = size;
        _deploy(_testAnkr());
        _acceptAll();
        for (uint256 i = 0; i < count; ++i) {
            vm.warp(block.timestamp + 1);
            _stake(_person(1_000_000 + i), STAKE);
            _stake(_person(2_000_000 + i), STAKE);
        }
        _stake(ALICE, STAKE);
        _stake(_person(LATE), STAKE);
        vm.warp(PHASE_2_AT);
        _open();
        _proposal = _proposeReferendum(1, _noCalls());
        for (uint256 i = 0; i < count; ++i) {
            _stand(1_000_000 + i);
            _back(_person(2_000_000 + i), 1_000_000 + i);
            _voteAsStaker(_person(2_000_000 + i), _proposal, IProposals.Choice.Yes);
        }
    }

    function _measure() internal {
        _stake(ALICE, 1);
        _below("stake", 2 ** 17);
        vm.prank(ALICE);
        council.unstake(1);
        _below("unstake", 2 ** 17);
        _stand(LATE);
        _below("stand", 2 ** 18);
        _back(ALICE, LATE);
        _below("back", 2 ** 17);
        _voteAsStaker(ALICE, _proposal, IProposals.Choice.Yes);
        _below("voteAsStaker", 2 ** 17);
        _proposeReferendum(0, _noCalls());
        _below("propose, a referendum", 2 ** 18);
        _voteYes(_proposal, 4);
        council.close(_proposal, _noCalls());
        _below("close, a referendum", 2 ** 18);
        vm.warp(PHASE_2_AT + ELECTION_S);
        council.closeElection();
        _below("closeElection, seats 3", 2 ** 19);
        vm.warp(PHASE_3_AT);
        _open();
        _below("openElection", 2 ** 18);
    }

    function _below(string memory name, uint256 gasMax) private {
        string memory full = string.concat(name, ", in a crowd of ", _size);
        vm.assertTrue(vm.snapshotGasLastCall(full) < gasMax);
    }
}

contract CouncilGasOf10Test is CrowdGas {
    function setUp() public {
        _gather(10, "10");
    }

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_gas_isFlat() public {
        _measure();
    }
}

contract CouncilGasOf1000Test is CrowdGas {
    function setUp() public {
        _gather(1_000, "1000");
    }

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_gas_isFlat() public {
        _measure();
    }
}
