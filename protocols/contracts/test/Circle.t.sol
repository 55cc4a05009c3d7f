// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Circle} from "../src/Circle.sol";
import {AssignmentFixtures} from "./lib/AssignmentFixtures.sol";

/// @dev Calls from outside, so that a call can be given little gas.
contract Walker {
    /// @notice Where the full members' shuffle of a circle takes a number.
    function forward(bytes32 seed, uint256 size, uint256 walks, uint256 index)
        external
        view
        returns (uint256)
    {
        return Circle.forward(Circle.arrange(seed, size, 0, 0, walks).full, index);
    }
}

contract CircleTest is AssignmentFixtures {
    using Circle for Circle.Places;

    uint256 private constant MANY_WALKS = type(uint256).max;
    Walker private walker;

    function setUp() public {
        walker = new Walker();
    }

    function test_forward_isTheCores() public view {
        for (uint256 i = 0; i < SHUFFLES; ++i) {
            ShuffleCase memory told = _shuffle(i);
            Circle.Shuffle memory kept;
            (kept.seed, kept.size, kept.chunks) = (told.seed, told.size, (told.size + 255) / 256);
            Circle.Shuffle memory hashed;
            (hashed.seed, hashed.size) = (told.seed, told.size);
            for (uint256 j = 0; j < told.pairs.length; ++j) {
                (uint256 index, uint256 image) = (told.pairs[j][0], told.pairs[j][1]);
                vm.assertEq(Circle.forward(hashed, index), image);
                // All sources of a large shuffle take more memory than is cheap.
                if (told.size <= 1_000) vm.assertEq(Circle.forward(kept, index), image);
            }
        }
    }

    function testFuzz_forward_isEthereumsShuffle(bytes32 seed, uint256 size, uint256 index)
        public
        view
    {
        size = bound(size, 1, Circle.SIZE_MAX);
        index = bound(index, 0, size - 1);
        uint256 image = _computeShuffledIndex(index, size, _fullSeed(seed));
        vm.assertEq(walker.forward(seed, size, 0, index), image);
    }

    function testFuzz_forward_isTheSameWithSourcesKept(bytes32 seed, uint256 size) public view {
        size = bound(size, 1, 2_000);
        Circle.Shuffle memory kept = Circle.arrange(seed, size, 0, 0, MANY_WALKS).full;
        Circle.Shuffle memory hashed = Circle.arrange(seed, size, 0, 0, 0).full;
        vm.assertTrue(kept.chunks > 0 && hashed.chunks == 0);
        for (uint256 index = 0; index < size; index += 1 + size / 8) {
            vm.assertEq(Circle.forward(kept, index), Circle.forward(hashed, index));
        }
    }

    function testFuzz_placeOf_givesEachMemberAPlaceOfItsOwn(
        bytes32 seed,
        uint256 fulls,
        uint256 lights
    ) public view {
        (fulls, lights) = (bound(fulls, 0, 20), bound(lights, 0, 20));
        Circle.Places memory places = Circle.arrange(seed, fulls, lights, 0, MANY_WALKS);
        bool[] memory isTaken = new bool[](places.size);
        for (uint256 i = 0; i < places.size; ++i) {
            bool isFull = i < fulls;
            uint256 place = places.placeOf(isFull, isFull ? i : i - fulls);
            vm.assertFalse(isTaken[place]);
            isTaken[place] = true;
        }
    }

    /// @dev Any places in a row have their share of full members, rounded up or down.
    function testFuzz_placeOf_spreadsFullMembersEvenly(bytes32 seed, uint256 fulls, uint256 lights)
        public
        view
    {
        (fulls, lights) = (bound(fulls, 1, 20), bound(lights, 0, 20));
        Circle.Places memory places = Circle.arrange(seed, fulls, lights, 0, MANY_WALKS);
        bool[] memory hasFull = new bool[](places.size);
        for (uint256 i = 0; i < fulls; ++i) {
            hasFull[places.placeOf(true, i)] = true;
        }
        uint256 met = 0;
        for (uint256 place = 0; place < places.size; ++place) {
            vm.assertEq(met, (place * fulls + places.size - 1) / places.size);
            if (hasFull[place]) ++met;
        }
    }

    function testFuzz_arrange_turnsNobodyOntoItself(bytes32 seed, uint256 size, uint256 window)
        public
        pure
    {
        size = bound(size, 1, Circle.SIZE_MAX);
        window = bound(window, 0, size - 1);
        Circle.Places memory places = Circle.arrange(seed, size, 0, window, 0);
        vm.assertTrue(places.turn + window < size);
    }

    function testFuzz_arrange_RevertWhen_TheCircleIsTooLarge(uint256 fulls, uint256 lights) public {
        fulls = bound(fulls, 0, type(uint256).max / 2);
        lights = bound(lights, 0, type(uint256).max / 2);
        vm.assume(fulls + lights > Circle.SIZE_MAX);
        vm.expectRevert(abi.encodeWithSelector(Circle.CircleTooLarge.selector, fulls, lights));
        this.arrange(fulls, lights);
    }

    function test_arrange_RevertWhen_TheCircleIsTooLargeByAll() public {
        uint256 most = type(uint256).max;
        vm.expectRevert(abi.encodeWithSelector(Circle.CircleTooLarge.selector, most, most));
        this.arrange(most, most);
    }

    function testFuzz_forward_RevertWhen_TheRankIsTooHigh(uint256 size, uint256 rank) public {
        size = bound(size, 0, Circle.SIZE_MAX);
        rank = bound(rank, size, type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(Circle.RankTooHigh.selector, rank, size));
        walker.forward(keccak256("seed"), size, 0, rank);
    }

    /// @dev A hash that fails for want of gas must not pass for a hash.
    function testFuzz_forward_withLittleGasFailsOrIsRight(uint256 gas) public view {
        uint256 right = walker.forward(keccak256("seed"), 100_000, 0, 77_777);
        gas = bound(gas, 1_000, 120_000);
        try walker.forward{gas: gas}(keccak256("seed"), 100_000, 0, 77_777) returns (
            uint256 image
        ) {
            vm.assertEq(image, right);
        } catch {}
    }

    function arrange(uint256 fulls, uint256 lights) external pure {
        Circle.arrange(keccak256("seed"), fulls, lights, 0, 0);
    }

    function _fullSeed(bytes32 seed) private pure returns (bytes32) {
        return sha256(abi.encodePacked("stkr/circle-full/1", seed));
    }

    /// @dev Ethereum's consensus specification, written as it says it.
    function _computeShuffledIndex(uint256 index, uint256 count, bytes32 seed)
        private
        pure
        returns (uint256)
    {
        for (uint8 round = 0; round < 90; ++round) {
            bytes32 hash = sha256(abi.encodePacked(seed, round));
            uint256 pivot = 0;
            for (uint256 i = 0; i < 8; ++i) {
                pivot |= uint256(uint8(hash[i])) << (8 * i);
            }
            uint256 flip = (pivot % count + count - index) % count;
            uint256 position = index > flip ? index : flip;
            uint256 chunk = position / 256;
            bytes4 number = bytes4(uint32((chunk & 255) << 24 | (chunk >> 8 & 255) << 16));
            bytes32 source = sha256(abi.encodePacked(seed, round, number));
            uint8 bits = uint8(source[position % 256 / 8]);
            if ((bits >> (position % 8)) & 1 == 1) index = flip;
        }
        return index;
    }
}
