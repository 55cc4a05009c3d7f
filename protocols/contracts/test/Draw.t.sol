// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {DrawHarness} from "./lib/DrawHarness.sol";
import {Test} from "./lib/Test.sol";

/// @dev R50, Q2, Q16: the shortlist, the weights and the draw, as pure functions.
contract DrawTest is Test {
    uint256 private constant KEPT_MAX = 32;
    uint256 private constant CAP = 5_000 ether;
    uint256 private constant ROUNDS = 10_000;

    DrawHarness private harness;

    function setUp() public {
        harness = new DrawHarness();
    }

    function test_weightsOf_IsStakeTimesReliabilityTimesPriceTerm() public view {
        uint256[3][] memory bids = new uint256[3][](3);
        bids[0] = [uint256(60 ether), 1_000 ether, 900_000];
        bids[1] = [uint256(70 ether), 2_000 ether, 800_000];
        bids[2] = [uint256(75 ether), 9_000 ether, 700_000];
        uint256[] memory weights = harness.weightsOf(CAP, bids);
        vm.assertEq(weights[0], uint256(1_000 ether) * 900_000 * 1_166_666);
        vm.assertEq(weights[1], uint256(2_000 ether) * 800_000 * 1_000_000);
        vm.assertEq(weights[2], CAP * 700_000 * 933_333);
    }

    function test_weightsOf_TakesTheLowerMedian() public view {
        uint256[3][] memory bids = new uint256[3][](2);
        bids[0] = [uint256(60), 1, 1];
        bids[1] = [uint256(80), 1, 1];
        uint256[] memory weights = harness.weightsOf(CAP, bids);
        vm.assertEq(weights[0], 1_000_000);
        vm.assertEq(weights[1], 750_000);
    }

    function test_weightsOf_ClampsThePriceTermToAHalfAndTwo() public view {
        uint256[3][] memory bids = new uint256[3][](4);
        bids[0] = [uint256(0), 1, 1];
        bids[1] = [uint256(100), 1, 1];
        bids[2] = [uint256(200), 1, 1];
        bids[3] = [uint256(201), 1, 1];
        uint256[] memory weights = harness.weightsOf(CAP, bids);
        vm.assertEq(weights[0], 2_000_000);
        vm.assertEq(weights[1], 1_000_000);
        vm.assertEq(weights[2], 500_000);
        vm.assertEq(weights[3], 500_000);
    }

    function test_weightsOf_IsEvenIfNobodyHasAny() public view {
        uint256[] memory weights = harness.weightsOf(CAP, new uint256[3][](3));
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertEq(weights[i], 1);
        }
        vm.assertEq(harness.weightsOf(CAP, new uint256[3][](0)).length, 0);
    }

    /// @dev Q16: stake is linear, so the same stake under several names weighs the same.
    function testFuzz_weightsOf_SplitStakeWeighsNoMore(uint96 left, uint96 right, uint256 priceWei)
        public
        view
    {
        priceWei = bound(priceWei, 1, 10 ** 30);
        uint256[3][] memory one = new uint256[3][](1);
        one[0] = [priceWei, uint256(left) + right, 900_000];
        uint256[3][] memory two = new uint256[3][](2);
        two[0] = [priceWei, uint256(left), 900_000];
        two[1] = [priceWei, uint256(right), 900_000];
        vm.assume(uint256(left) + right != 0);
        uint256 cap = type(uint128).max;
        uint256[] memory split = harness.weightsOf(cap, two);
        vm.assertEq(split[0] + split[1], harness.weightsOf(cap, one)[0]);
    }

    /// @dev Every point of the sum belongs to exactly the weight it falls into.
    function testFuzz_pick_FindsTheFirstWhoseSumExceedsThePoint(
        uint64[5] calldata given,
        bytes32 seed
    ) public view {
        uint256[] memory weights = new uint256[](5);
        uint256 sum = 0;
        for (uint256 i = 0; i < 5; ++i) {
            weights[i] = given[i];
            sum += given[i];
        }
        vm.assume(sum != 0);
        uint256 found = harness.pick(weights, seed);
        uint256 before = 0;
        for (uint256 i = 0; i < found; ++i) {
            before += weights[i];
        }
        uint256 point = uint256(seed) % sum;
        vm.assertTrue(before <= point && point < before + weights[found]);
    }

    /// @dev Chi-squared over 10,000 rounds, 2 degrees of freedom: 13.8 is exceeded once in 1,000 draws
    ///      of a fair lottery, and these are fixed.
    function test_pick_DrawsInProportionToTheWeights() public view {
        uint256[3][] memory bids = new uint256[3][](3);
        bids[0] = [uint256(60 ether), 1_000 ether, 900_000];
        bids[1] = [uint256(70 ether), 2_000 ether, 800_000];
        bids[2] = [uint256(75 ether), 5_000 ether, 700_000];
        uint256[] memory weights = harness.weightsOf(CAP, bids);
        uint256[3] memory wins;
        for (uint256 round = 0; round < ROUNDS; ++round) {
            ++wins[harness.pick(weights, harness.seedOf(round, keccak256(abi.encode(round))))];
        }
        vm.assertTrue(_chiSquaredMilli(weights, wins) < 13_800);
    }

    function _chiSquaredMilli(uint256[] memory weights, uint256[3] memory wins)
        private
        pure
        returns (uint256 chiSquaredMilli)
    {
        uint256 sum = weights[0] + weights[1] + weights[2];
        for (uint256 i = 0; i < 3; ++i) {
            uint256 expectedMilli = ROUNDS * 1000 * weights[i] / sum;
            uint256 seenMilli = wins[i] * 1000;
            uint256 off =
                seenMilli > expectedMilli ? seenMilli - expectedMilli : expectedMilli - seenMilli;
            chiSquaredMilli += off * off / expectedMilli;
        }
    }

    /// @dev Against a list that is sorted by insertion, from its definition.
    function testFuzz_kept_AreTheLowestInMarketOrder(uint256 seed, uint256 count) public {
        uint256[3][] memory bids = _bids(seed, bound(count, 0, 45));
        uint256[] memory order = _sorted(bids);
        IMarket.Entry[] memory kept = harness.kept(bids);
        vm.assertEq(kept.length, order.length < KEPT_MAX ? order.length : KEPT_MAX);
        for (uint256 i = 0; i < kept.length; ++i) {
            vm.assertEq(kept[i].registration, order[i]);
            vm.assertEq(kept[i].priceWei, bids[order[i]][0]);
        }
    }

    /// @dev Q2: ties at the cut enter the draw, as far as the list reaches.
    function testFuzz_lowest_AreTheSizeLowestAndTies(uint256 seed, uint256 count, uint256 size)
        public
    {
        size = bound(size, 1, KEPT_MAX);
        uint256[3][] memory bids = _bids(seed, bound(count, 0, 45));
        uint256[] memory order = _sorted(bids);
        uint256 expected = 0;
        while (expected < order.length && expected < KEPT_MAX) {
            bool isTied =
                expected >= size && bids[order[expected]][0] == bids[order[size - 1]][0];
            if (expected >= size && !isTied) break;
            ++expected;
        }
        vm.assertEq(harness.lowest(bids, size).length, expected);
    }

    /// @dev Few prices, so that many are equal.
    function _bids(uint256 seed, uint256 count) private pure returns (uint256[3][] memory bids) {
        bids = new uint256[3][](count);
        for (uint256 i = 0; i < count; ++i) {
            bids[i] = [uint256(keccak256(abi.encode(seed, i))) % 20, 1, 1];
        }
    }

    function _sorted(uint256[3][] memory bids) private pure returns (uint256[] memory order) {
        order = new uint256[](bids.length);
        for (uint256 i = 0; i < bids.length; ++i) {
            uint256 rank = i;
            while (rank > 0 && bids[order[rank - 1]][0] > bids[i][0]) {
                order[rank] = order[rank - 1];
                --rank;
            }
            order[rank] = i;
        }
    }
}
