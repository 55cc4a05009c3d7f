// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {IMarket} from "../../src/interfaces/IMarket.sol";
import {Draw} from "../../src/market/Draw.sol";
import {Shortlist} from "../../src/market/Shortlist.sol";

/// @dev Makes the libraries behind an auction callable, many cases at once, so that the core can be
///      held against them. A bid is a row: price, stake, reliability.
contract DrawHarness is Multicall {
    using Shortlist for Shortlist.List;

    mapping(uint256 run => Shortlist.List) private _lists;
    uint256 private _runs;

    /// @notice Takes bids in the order they were opened.
    /// @return places Those that are in the draw, lowest first, each by its place in `bids`.
    function lowest(uint256[3][] calldata bids, uint256 size)
        external
        returns (uint256[] memory places)
    {
        IMarket.Entry[] memory entries = kept(bids);
        places = new uint256[](Shortlist.cut(entries, size));
        for (uint256 i = 0; i < places.length; ++i) {
            places[i] = entries[i].registration;
        }
    }

    /// @notice All that an auction keeps of bids in the order they were opened.
    function kept(uint256[3][] calldata bids) public returns (IMarket.Entry[] memory) {
        Shortlist.List storage list = _lists[++_runs];
        uint256 count = 0;
        for (uint256 i = 0; i < bids.length; ++i) {
            list.add(count, _entry(i, bids[i]));
            if (count < Shortlist.ENTRIES_MAX) ++count;
        }
        return list.load(count);
    }

    /// @notice Weights of bids in market order, and which of them `number` draws.
    function draws(uint256 stakeWeiMax, uint256[3][] calldata bids, uint256 number)
        external
        pure
        returns (uint256[] memory weights, uint256 winner)
    {
        weights = weightsOf(stakeWeiMax, bids);
        winner = pick(weights, bytes32(number));
    }

    function seedOf(uint256 deal, bytes32 randomness) external view returns (bytes32) {
        return Draw.seedOf(deal, randomness);
    }

    function seedAfter(bytes32 seed) external pure returns (bytes32) {
        return Draw.seedAfter(seed);
    }

    function commitmentOf(
        uint256 deal,
        address provider,
        uint256 registration,
        uint256 priceWei,
        bytes32 salt
    ) external view returns (bytes32) {
        return Draw.commitmentOf(deal, provider, registration, priceWei, salt);
    }

    function weightsOf(uint256 stakeWeiMax, uint256[3][] calldata bids)
        public
        pure
        returns (uint256[] memory)
    {
        return Draw.weightsOf(_column(bids, 0), _column(bids, 1), _column(bids, 2), stakeWeiMax);
    }

    function pick(uint256[] memory weights, bytes32 seed) public pure returns (uint256) {
        return Draw.pick(weights, seed);
    }

    function _entry(uint256 place, uint256[3] calldata bid)
        private
        pure
        returns (IMarket.Entry memory entry)
    {
        // forge-lint: disable-start(unsafe-typecast) -- tests give no more
        entry.registration = uint64(place);
        entry.priceWei = uint112(bid[0]);
        entry.stakeWei = uint112(bid[1]);
        entry.reliabilityPpm = uint32(bid[2]);
        // forge-lint: disable-end(unsafe-typecast)
    }

    function _column(uint256[3][] calldata bids, uint256 index)
        private
        pure
        returns (uint256[] memory column)
    {
        column = new uint256[](bids.length);
        for (uint256 i = 0; i < column.length; ++i) {
            column[i] = bids[i][index];
        }
    }
}
