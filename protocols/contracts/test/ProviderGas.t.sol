// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Resources} from "../src/interfaces/IPolicy.sol";
import {IProviders} from "../src/interfaces/IProviders.sol";
import {IRegistry} from "../src/interfaces/IRegistry.sol";
import {MemberProof, ScoreProof} from "../src/interfaces/IScores.sol";
import {ScoreMath} from "../src/ScoreMath.sol";
import {ProviderKit} from "./lib/ProviderKit.sol";

/// @dev What calls cost, each as a transaction of its own, and that it does not grow with how many
///      providers, nodes and deals there are.
///
/// forge-config: default.isolate = true
/// forge-config: ci.isolate = true
contract ProviderGasTest is ProviderKit {
    address private constant DEALS = address(0xdea15);
    address private constant ALICE = address(0xa11ce);
    address private constant DOUBTER = address(0xd0b7e2);

    /// @dev Where lengths stand in storage: of the list of the approved, and of a provider's nodes.
    uint256 private constant APPROVED_SLOT = 2;
    uint256 private constant BOUND_SLOT = 5;

    /// @dev Gas of each call at the first size, and so at all.
    uint256[] private _gas;

    uint160 private _last = 1_000;

    function setUp() public {
        _deploy(DEALS);
    }

    /// @dev Of the largest size 99,000 are only a length: nothing else of them is read.
    function test_gas_isFlatHoweverManyProvidersThereAre() public {
        _grow(10);
        _measureLists("10");
        _grow(1_000);
        _measureLists("1,000");
        vm.store(address(providers), bytes32(APPROVED_SLOT), bytes32(uint256(100_000)));
        vm.assertEq(providers.providerCount(), 100_000);
        _measureLists("100,000");
    }

    function test_gas_isFlatHoweverManyNodesAProviderHas() public {
        _provider(ALICE, "Alice", 0);
        uint256 node = _register(ALICE, "alice", IRegistry.Kind.Full);
        MemberProof memory shown = _member(_finalEpoch(), node);
        string[3] memory sizes = ["10", "1,000", "100,000"];
        uint256[3] memory counts = [uint256(10), 1_000, 100_000];
        bytes32 slot = keccak256(abi.encode(ALICE, BOUND_SLOT));
        _measureNode(node, shown, "first"); // slots that were never used cost more
        delete _gas;
        for (uint256 i = 0; i < 3; ++i) {
            vm.store(address(providers), slot, bytes32(counts[i]));
            vm.assertEq(providers.nodeCount(ALICE), counts[i]);
            _measureNode(node, shown, sizes[i]);
        }
    }

    function test_gas_ofAPageAtItsLongest() public {
        _grow(100);
        vm.assertEq(providers.providersAt(0, 100).length, 100);
        vm.snapshotGasLastCall("providersAt, 100 eligible");
    }

    function test_gas_ofWhatIsProved() public {
        _provider(ALICE, "Alice", 0);
        uint256 node = _node(ALICE, "alice");
        _give(DOUBTER, WEALTH);
        vm.prank(DOUBTER);
        ankr.approve(address(providers), WEALTH);
        vm.prank(DOUBTER);
        providers.challenge(node);
        vm.snapshotGasLastCall("challenge");
        ScoreProof memory shown = _shown(_anchorFresh(), node);
        providers.answer(1, shown);
        vm.snapshotGasLastCall("answer");
        _score(node, 0, 0, ScoreMath.SUSPENDED, ScoreMath.DOWN);
        vm.prank(DOUBTER);
        providers.challenge(node);
        uint64 epoch = _finalEpoch();
        shown = _shown(epoch, node);
        providers.provedScore(node, shown);
        vm.snapshotGasLastCall("provedScore");
        providers.disqualify(node, shown);
        vm.snapshotGasLastCall("disqualify");
        vm.warp(block.timestamp + 1 days);
        providers.timeOut(2, shown.header);
        vm.snapshotGasLastCall("timeOut");
        vm.prank(DOUBTER);
        providers.collect();
        vm.snapshotGasLastCall("collect");
    }

    function _grow(uint256 count) private {
        while (providers.providerCount() < count) {
            ++_last;
            _provider(address(_last), string(abi.encode(_last)), 0);
        }
    }

    function _measureLists(string memory size) private {
        address account = address(++_last);
        string memory name = string(abi.encodePacked(account));
        _give(account, WEALTH);
        vm.startPrank(account);
        ankr.approve(address(providers), WEALTH);
        providers.apply_(name, _capacity(), 1 ether, "https://example.org");
        _note(0, "apply_", size);
        vm.stopPrank();
        vm.prank(TIMELOCK);
        providers.approve(account, name, IProviders.Tier.Trusted, 0);
        _note(1, "approve", size);
        vm.startPrank(account);
        providers.stake(2_000 ether);
        _note(2, "stake", size);
        providers.unstake(1_000 ether);
        _note(3, "unstake", size);
        providers.isEligible(account, _need(), 0);
        _note(4, "isEligible", size);
        providers.resign();
        _note(5, "resign", size);
        vm.warp(providers.providerOf(account).unbondedAt);
        providers.withdraw();
        _note(6, "withdraw", size);
        vm.stopPrank();
    }

    function _measureNode(uint256 node, MemberProof memory shown, string memory size) private {
        Resources memory need = _need();
        vm.prank(ALICE);
        providers.addNode(node, "chain node", shown);
        _note(0, "addNode", size);
        vm.startPrank(DEALS);
        providers.lock(ALICE);
        _note(1, "lock", size);
        providers.occupy(ALICE, node, need);
        _note(2, "occupy", size);
        providers.release(ALICE, node, need);
        _note(3, "release", size);
        providers.unlock(ALICE);
        _note(4, "unlock", size);
        providers.seize(ALICE, 1, DOUBTER);
        _note(5, "seize", size);
        providers.recordFailure(ALICE);
        _note(6, "recordFailure", size);
        vm.stopPrank();
        vm.prank(ALICE);
        providers.removeNode(node);
        _note(7, "removeNode", size);
    }

    function _note(uint256 which, string memory call, string memory size) private {
        uint256 gas = vm.snapshotGasLastCall(string.concat(call, ", ", size));
        if (which == _gas.length) _gas.push(gas);
        vm.assertEq(gas, _gas[which]);
    }
}
