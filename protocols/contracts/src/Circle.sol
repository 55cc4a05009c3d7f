// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  The circle that an epoch's members stand on (`protocols/assignment.md`, sections 2 and 3)
/// @notice Finds a member's place from its kind and its rank, without the other members.
/// @dev    A place takes a walk of 90 rounds with a SHA-256 in each: nearly all that the proof of an
///         assignment computes. So pivots are kept for all walks of a call, and sources too where few
///         of them serve many walks.
library Circle {
    /// @dev The most members a circle has: what a chunk's number, two bytes here, reaches with room.
    uint256 internal constant SIZE_MAX = 1 << 20;

    /// @dev As in Ethereum's consensus specification.
    uint256 private constant SHUFFLE_ROUNDS = 90;

    /// @dev How many positions of a round one hash tells the bits of.
    uint256 private constant CHUNK_POSITIONS = 256;

    string private constant FULL_TAG = "stkr/circle-full/1";
    string private constant LIGHT_TAG = "stkr/circle-light/1";
    string private constant TURN_TAG = "stkr/circle-turn/1";

    /// @notice Swap-or-not over 0 ... size - 1.
    /// @param  seed     What it follows from.
    /// @param  size     How many numbers it shuffles; at most `SIZE_MAX`.
    /// @param  chunks   How many sources a round keeps; 0 if none are kept.
    /// @param  steps    Each round's pivot, times 256, and number; empty until the first walk.
    /// @param  sources  Round by round, `chunks` each; 0 until hashed.
    struct Shuffle {
        bytes32 seed;
        uint256 size;
        uint256 chunks;
        uint256[] steps;
        bytes32[] sources;
    }

    /// @notice Where the members of an epoch stand; places count from 0.
    /// @param  size   How many members there are.
    /// @param  turn   How far behind a target's place its candidates begin.
    /// @param  full   Shuffle of the full members.
    /// @param  light  Shuffle of the light ones.
    struct Places {
        uint256 size;
        uint256 turn;
        Shuffle full;
        Shuffle light;
    }

    /// @notice There are more members than the shuffle's numbers reach.
    error CircleTooLarge(uint256 fulls, uint256 lights);

    /// @notice A member's rank is not below the number of members of its kind.
    error RankTooHigh(uint256 rank, uint256 count);

    /// @notice Returns an epoch's circle.
    /// @param  seed    The epoch's seed.
    /// @param  fulls   How many full members there are.
    /// @param  lights  How many light ones.
    /// @param  window  How many candidates a target has.
    /// @param  walks   How many places will be asked for: where there are more sources than that,
    ///                 hardly one serves twice, and none are kept.
    function arrange(bytes32 seed, uint256 fulls, uint256 lights, uint256 window, uint256 walks)
        internal
        pure
        returns (Places memory places)
    {
        if (fulls > SIZE_MAX || lights > SIZE_MAX - fulls) revert CircleTooLarge(fulls, lights);
        uint256 size = fulls + lights;
        places.size = size;
        uint64 turn = uint64(bytes8(sha256(abi.encodePacked(TURN_TAG, seed))));
        places.turn = window < size ? turn % (size - window) : 0;
        places.full = _shuffle(sha256(abi.encodePacked(FULL_TAG, seed)), fulls, walks);
        places.light = _shuffle(sha256(abi.encodePacked(LIGHT_TAG, seed)), lights, walks);
    }

    /// @notice Returns a member's place.
    /// @param  places  The circle.
    /// @param  isFull  Whether the member is full; else it is light.
    /// @param  rank    Its rank among the members of its kind.
    function placeOf(Places memory places, bool isFull, uint256 rank)
        internal
        view
        returns (uint256)
    {
        uint256 size = places.size;
        if (isFull) return forward(places.full, rank) * size / places.full.size;
        // The j-th place between full members: the first that j + 1 light ones stand at or before.
        return ((forward(places.light, rank) + 1) * size - 1) / places.light.size;
    }

    /// @notice Returns where the shuffle takes a number.
    function forward(Shuffle memory shuffle, uint256 index) internal view returns (uint256) {
        if (index >= shuffle.size) revert RankTooHigh(index, shuffle.size);
        if (shuffle.steps.length == 0) _prepare(shuffle);
        return shuffle.chunks == 0 ? _walk(shuffle, index) : _walkKept(shuffle, index);
    }

    function _shuffle(bytes32 seed, uint256 size, uint256 walks)
        private
        pure
        returns (Shuffle memory shuffle)
    {
        shuffle.seed = seed;
        shuffle.size = size;
        uint256 chunks = (size + CHUNK_POSITIONS - 1) / CHUNK_POSITIONS;
        if (chunks <= walks) shuffle.chunks = chunks;
    }

    // What runs 90 times a place is written out: as Solidity it takes more than twice the gas. What is
    // hashed stands in the scratch space: the seed in bytes 0 to 31, the round in 32, the chunk in 33
    // to 36, lowest byte first, of which the upper two are always 0. A hash that failed for want of
    // gas reverts at the end: until then nobody has seen what was made of it.

    /// @dev Hashes the pivots.
    function _prepare(Shuffle memory shuffle) private view {
        uint256[] memory steps = new uint256[](SHUFFLE_ROUNDS);
        (bytes32 seed, uint256 size) = (shuffle.seed, shuffle.size);
        assembly ("memory-safe") {
            mstore(0, seed)
            let answer := mload(0x40)
            let step := add(steps, 0x20)
            let ok := 1
            for { let round := 0 } lt(round, SHUFFLE_ROUNDS) { round := add(round, 1) } {
                mstore8(0x20, round)
                ok := and(ok, staticcall(gas(), 2, 0, 33, answer, 32))
                // The first 8 bytes, lowest first: pairs of bytes are swapped, then pairs of pairs.
                let pivot := shr(192, mload(answer))
                let low := and(pivot, 0x00ff00ff00ff00ff)
                pivot := or(shl(8, low), and(shr(8, pivot), 0x00ff00ff00ff00ff))
                low := and(pivot, 0x0000ffff0000ffff)
                pivot := or(shl(16, low), and(shr(16, pivot), 0x0000ffff0000ffff))
                pivot := or(shl(32, and(pivot, 0xffffffff)), shr(32, pivot))
                mstore(step, or(shl(8, mod(pivot, size)), round))
                step := add(step, 0x20)
            }
            if iszero(ok) { revert(0, 0) }
        }
        shuffle.steps = steps;
        shuffle.sources = new bytes32[](SHUFFLE_ROUNDS * shuffle.chunks);
    }

    /// @dev Walks through all rounds, and hashes a source in each.
    function _walk(Shuffle memory shuffle, uint256 index) private view returns (uint256) {
        (bytes32 seed, uint256 size) = (shuffle.seed, shuffle.size);
        uint256[] memory steps = shuffle.steps;
        assembly ("memory-safe") {
            mstore(0, seed)
            mstore(0x20, 0)
            let answer := mload(0x40)
            let step := add(steps, 0x20)
            let end := add(step, mul(32, SHUFFLE_ROUNDS))
            let ok := 1
            for {} lt(step, end) { step := add(step, 0x20) } {
                let pivot := mload(step)
                let flip := addmod(shr(8, pivot), sub(size, index), size)
                let both := xor(index, flip)
                let position := xor(index, mul(both, gt(flip, index)))
                mstore8(0x20, pivot)
                mstore8(0x21, shr(8, position))
                mstore8(0x22, shr(16, position))
                ok := and(ok, staticcall(gas(), 2, 0, 37, answer, 32))
                // Bytes of a source count from the highest, bits of a byte from the lowest.
                let bit := and(shr(xor(and(position, 0xff), 0xf8), mload(answer)), 1)
                index := xor(index, mul(both, bit))
            }
            if iszero(ok) { revert(0, 0) }
        }
        return index;
    }

    /// @dev The same, but hashes only sources that no walk before has met.
    function _walkKept(Shuffle memory shuffle, uint256 index) private view returns (uint256) {
        (bytes32 seed, uint256 size) = (shuffle.seed, shuffle.size);
        uint256[] memory steps = shuffle.steps;
        bytes32[] memory sources = shuffle.sources;
        uint256 stride = 32 * shuffle.chunks;
        assembly ("memory-safe") {
            mstore(0, seed)
            mstore(0x20, 0)
            let step := add(steps, 0x20)
            let end := add(step, mul(32, SHUFFLE_ROUNDS))
            let row := add(sources, 0x20)
            let ok := 1
            for {} lt(step, end) { step := add(step, 0x20) } {
                let pivot := mload(step)
                let flip := addmod(shr(8, pivot), sub(size, index), size)
                let both := xor(index, flip)
                let position := xor(index, mul(both, gt(flip, index)))
                let source := add(row, shl(5, shr(8, position)))
                if iszero(mload(source)) {
                    mstore8(0x20, pivot)
                    mstore8(0x21, shr(8, position))
                    mstore8(0x22, shr(16, position))
                    ok := and(ok, staticcall(gas(), 2, 0, 37, source, 32))
                }
                let bit := and(shr(xor(and(position, 0xff), 0xf8), mload(source)), 1)
                index := xor(index, mul(both, bit))
                row := add(row, stride)
            }
            if iszero(ok) { revert(0, 0) }
        }
        return index;
    }
}
