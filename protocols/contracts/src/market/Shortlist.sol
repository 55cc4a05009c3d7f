// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IMarket} from "../interfaces/IMarket.sol";

/// @title  The lowest bids of an auction, however many there are
/// @notice Sorted by price and, where prices are equal, by who revealed first. What is kept and what a
///         bid costs to add does not grow with the number of bids.
/// @dev    Entries stay where they are; one word says in which order they stand, a byte each, the
///         lowest bid's in the lowest byte. The caller counts: it knows how many bids there were.
library Shortlist {
    /// @dev As many as a word has bytes.
    uint256 internal constant ENTRIES_MAX = 32;

    uint256 private constant BYTE_BITS = 8;

    struct List {
        uint256 order;
        mapping(uint256 place => IMarket.Entry) entries;
    }

    /// @notice Adds a bid, unless `ENTRIES_MAX` others are as low; the highest makes room for it.
    /// @param  count How many are kept now.
    function add(List storage list, uint256 count, IMarket.Entry memory entry) internal {
        uint256 order = list.order;
        uint256 rank = _rankOf(list, order, count, entry.priceWei);
        if (rank == ENTRIES_MAX) return;
        uint256 place = count == ENTRIES_MAX ? _placeAt(order, ENTRIES_MAX - 1) : count;
        list.order = _inserted(order, rank, place);
        list.entries[place] = entry;
    }

    /// @notice All that are kept, in market order.
    function load(List storage list, uint256 count)
        internal
        view
        returns (IMarket.Entry[] memory entries)
    {
        entries = new IMarket.Entry[](count);
        uint256 order = list.order;
        for (uint256 rank = 0; rank < count; ++rank) {
            entries[rank] = list.entries[_placeAt(order, rank)];
        }
    }

    /// @notice How many of `entries` are in the draw: the `size` lowest, and all that bid the same as
    ///         the last of these (Q2).
    function cut(IMarket.Entry[] memory entries, uint256 size) internal pure returns (uint256) {
        if (entries.length <= size) return entries.length;
        while (size < entries.length && entries[size].priceWei == entries[size - 1].priceWei) {
            ++size;
        }
        return size;
    }

    /// @notice `entries` without the one at `index`.
    function without(IMarket.Entry[] memory entries, uint256 index)
        internal
        pure
        returns (IMarket.Entry[] memory left)
    {
        left = new IMarket.Entry[](entries.length - 1);
        for (uint256 i = 0; i < left.length; ++i) {
            left[i] = entries[i < index ? i : i + 1];
        }
    }

    /// @dev How many of the kept ones are no dearer, by halving.
    function _rankOf(List storage list, uint256 order, uint256 count, uint256 priceWei)
        private
        view
        returns (uint256 low)
    {
        uint256 high = count;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (list.entries[_placeAt(order, middle)].priceWei <= priceWei) low = middle + 1;
            else high = middle;
        }
    }

    function _placeAt(uint256 order, uint256 rank) private pure returns (uint256) {
        return (order >> (BYTE_BITS * rank)) & type(uint8).max;
    }

    /// @dev Those from `rank` on move up a byte; the 33rd falls out.
    function _inserted(uint256 order, uint256 rank, uint256 place) private pure returns (uint256) {
        uint256 shift = BYTE_BITS * rank;
        uint256 upper = (order >> shift) << shift;
        uint256 lower = order - upper;
        return lower | (place << shift) | (upper << BYTE_BITS);
    }
}
