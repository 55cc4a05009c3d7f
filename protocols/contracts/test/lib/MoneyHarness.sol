// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Money} from "../../src/market/Money.sol";

/// @dev `Money` by calls, many cases at once, in rows of numbers as the core has them.
contract MoneyHarness {
    /// @notice Splits; a row is ANKR, ETH, paid, rewardBps, insuranceBps, price.
    /// @return to Rows of provider, reward, insurance, requester in ANKR; reward, insurance, requester
    ///            in ETH.
    function splits(uint256[6][] calldata rows) external pure returns (uint256[7][] memory to) {
        to = new uint256[7][](rows.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            to[i] = _row(split(rows[i]));
        }
    }

    /// @notice Losses; a row is loss, ETH of the provider, its ANKR, price, ETH of the insurance.
    /// @return by Rows of what each pays: provider in ETH, in ANKR, insurance in ETH; what nobody does.
    function losses(uint256[5][] calldata rows) external pure returns (uint256[4][] memory by) {
        by = new uint256[4][](rows.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            by[i] = loss(rows[i]);
        }
    }

    /// @notice What a requester loses; a row is expected profit, unserved and whole length.
    function lostProfits(uint256[3][] calldata rows) external pure returns (uint256[] memory lost) {
        lost = new uint256[](rows.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            lost[i] = Money.lossOf(rows[i][0], rows[i][1], rows[i][2]);
        }
    }

    function needsPrice(uint256[6] calldata row) external pure returns (bool) {
        return Money.needsPrice(_sum(row));
    }

    function split(uint256[6] calldata row) public pure returns (Money.Shares memory) {
        return Money.split(_sum(row), row[5]);
    }

    /// @dev The steps that the contract takes in three transactions.
    function loss(uint256[5] calldata row) public pure returns (uint256[4] memory by) {
        by[0] = Math.min(row[0], row[1]);
        uint256 openWei = row[0] - by[0];
        by[1] = Math.min(Money.ankrFor(openWei, row[3]), row[2]);
        openWei -= Money.covered(openWei, by[1], row[3]);
        by[2] = Math.min(openWei, row[4]);
        by[3] = openWei - by[2];
    }

    function _sum(uint256[6] calldata row) private pure returns (Money.Sum memory) {
        return Money.Sum({
            ankrWei: row[0],
            ethWei: row[1],
            paidWei: row[2],
            rewardBps: row[3],
            insuranceBps: row[4]
        });
    }

    function _row(Money.Shares memory to) private pure returns (uint256[7] memory) {
        return [
            to.providerAnkrWei,
            to.rewardAnkrWei,
            to.insuranceAnkrWei,
            to.requesterAnkrWei,
            to.rewardEthWei,
            to.insuranceEthWei,
            to.requesterEthWei
        ];
    }
}
