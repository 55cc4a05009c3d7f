// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Money} from "../src/market/Money.sol";
import {MoneyHarness} from "./lib/MoneyHarness.sol";
import {Test} from "./lib/Test.sol";

/// @dev R52, R55, R58; Q1, Q11, Q12, Q13.
contract MoneyTest is Test {
    uint256 private constant TEN_PERCENT = 1_000;

    MoneyHarness private money = new MoneyHarness();

    /// @dev R58, Q1: FP = 100, bids 60, 70 and 75, profit 300, all in ANKR.
    function test_split_isThatOfTheWhitePaper() public view {
        Money.Shares memory to = money.split([uint256(400), 0, 60, TEN_PERCENT, TEN_PERCENT, 0]);
        _isAnkr(to, [uint256(60), 40, 40, 260]);
        _isEth(to, [uint256(0), 0, 0]);
    }

    /// @dev R58, Q1: the same, the second lowest bid being paid.
    function test_split_paysTheSecondLowestBidInAVickreyAuction() public view {
        Money.Shares memory to = money.split([uint256(400), 0, 70, TEN_PERCENT, TEN_PERCENT, 0]);
        _isAnkr(to, [uint256(70), 40, 40, 250]);
    }

    /// @dev R55: shares of each currency in that currency; no price is needed.
    function test_split_givesPotsTheirSharesOfBothCurrencies() public view {
        uint256[6] memory row = [uint256(100), 300, 60, TEN_PERCENT, TEN_PERCENT, 0];
        vm.assertFalse(money.needsPrice(row));
        Money.Shares memory to = money.split(row);
        _isAnkr(to, [uint256(60), 10, 10, 20]);
        _isEth(to, [uint256(30), 30, 240]);
    }

    /// @dev Q11: the provider goes first, and without ETH the pots get what is left, half each.
    function test_split_givesPotsWhatTheProviderLeaves() public view {
        uint256[6] memory row = [uint256(100), 0, 95, TEN_PERCENT, TEN_PERCENT, 0];
        vm.assertFalse(money.needsPrice(row));
        _isAnkr(money.split(row), [uint256(95), 2, 3, 0]);
    }

    /// @dev Q11: nobody is paid more than there is.
    function test_split_paysTheProviderAtMostAllThereIs() public view {
        Money.Shares memory to = money.split([uint256(100), 0, 101, TEN_PERCENT, TEN_PERCENT, 0]);
        _isAnkr(to, [uint256(100), 0, 0, 0]);
    }

    /// @dev Q11: 8 and 7 ANKR are short, at 1/2 ANKR for an ETH; beside 100 ETH for each pot.
    function test_split_takesWhatPotsLackOutOfTheRequestersEth() public view {
        uint256[6] memory row = [uint256(100), 1_000, 95, TEN_PERCENT, TEN_PERCENT, 0.5 ether];
        vm.assertTrue(money.needsPrice(row));
        Money.Shares memory to = money.split(row);
        _isAnkr(to, [uint256(95), 2, 3, 0]);
        _isEth(to, [uint256(116), 114, 770]);
    }

    /// @dev Q11: the requester never pays in what it does not have.
    function test_split_takesNoMoreThanAllOfTheRequestersEth() public view {
        Money.Shares memory to =
            money.split([uint256(100), 10, 100, TEN_PERCENT, TEN_PERCENT, 1 ether]);
        _isAnkr(to, [uint256(100), 0, 0, 0]);
        _isEth(to, [uint256(5), 5, 0]);
    }

    /// @dev The remainder of a rounded share once made this underflow: 2 for the insurance, due 1.
    function test_split_neverGivesAPotMoreThanItsDueByRounding() public view {
        Money.Shares memory to = money.split([uint256(19_999), 10, 10_002, 4_999, 1, 1 ether]);
        _isAnkr(to, [uint256(10_002), 9_996, 1, 0]);
    }

    function testFuzz_split_givesExactlyWhatThereIs(
        uint128 ankr,
        uint128 eth,
        uint128 paid,
        uint256 rewardBps,
        uint256 insuranceBps,
        uint128 price
    ) public view {
        rewardBps = bound(rewardBps, 0, 5_000);
        insuranceBps = bound(insuranceBps, 0, 5_000 - rewardBps);
        Money.Shares memory to =
            money.split([ankr, eth, paid, rewardBps, insuranceBps, uint256(price) + 1]);
        uint256 ankrSum = to.providerAnkrWei + to.rewardAnkrWei + to.insuranceAnkrWei;
        vm.assertEq(ankrSum + to.requesterAnkrWei, ankr);
        vm.assertEq(to.rewardEthWei + to.insuranceEthWei + to.requesterEthWei, eth);
        vm.assertEq(to.providerAnkrWei, paid < ankr ? paid : ankr);
        vm.assertTrue(to.rewardAnkrWei <= uint256(ankr) * rewardBps / 10_000);
        vm.assertTrue(to.insuranceAnkrWei <= uint256(ankr) * insuranceBps / 10_000);
    }

    /// @dev Q11: either everybody's share is whole, or the requester has nothing left of the ANKR.
    function testFuzz_split_givesTheRequesterAnkrOnlyAfterThePots(
        uint128 ankr,
        uint128 paid,
        uint256 rewardBps,
        uint256 insuranceBps
    ) public view {
        rewardBps = bound(rewardBps, 0, 5_000);
        insuranceBps = bound(insuranceBps, 0, 5_000 - rewardBps);
        Money.Shares memory to = money.split([ankr, 0, paid, rewardBps, insuranceBps, 0]);
        bool isWhole = to.rewardAnkrWei == uint256(ankr) * rewardBps / 10_000
            && to.insuranceAnkrWei == uint256(ankr) * insuranceBps / 10_000;
        vm.assertTrue(isWhole || to.requesterAnkrWei == 0);
    }

    /// @dev R52: 32 ETH lost, of which the provider had put 16 in; it has no ANKR.
    function test_loss_isPaidByKEthAndTheInsurance() public view {
        uint256[4] memory by = money.loss([uint256(32 ether), 16 ether, 0, 50_000 ether, 20 ether]);
        _isLoss(by, [uint256(16 ether), 0, 16 ether, 0]);
    }

    /// @dev Q12: 20 ETH lost, 16 of them in ETH, 1 of the other 4 in ANKR, 2 by the insurance.
    function test_loss_goesThroughKEthThenAnkrThenInsurance() public view {
        uint256[4] memory by =
            money.loss([uint256(20 ether), 16 ether, 50_000 ether, 50_000 ether, 2 ether]);
        _isLoss(by, [uint256(16 ether), 50_000 ether, 2 ether, 1 ether]);
    }

    function test_loss_roundsTheProvidersAnkrUp() public view {
        uint256[4] memory by = money.loss([uint256(1), 0, 10, 1, 0]);
        _isLoss(by, [uint256(0), 1, 0, 0]);
    }

    function test_loss_isTheUnservedPartOfTheExpectedProfit() public view {
        uint256[3][] memory rows = new uint256[3][](3);
        rows[0] = [uint256(10), 1, 3];
        rows[1] = [uint256(10), 3, 3];
        rows[2] = [uint256(10), 0, 3];
        uint256[] memory lost = money.lostProfits(rows);
        vm.assertEq(lost[0], 3);
        vm.assertEq(lost[1], 10);
        vm.assertEq(lost[2], 0);
    }

    /// @dev Q12: nobody pays before who comes first has given all, and nobody more than it has.
    function testFuzz_loss_isPaidInOrder(
        uint128 lossWei,
        uint128 kEth,
        uint128 stake,
        uint128 price,
        uint128 pot
    ) public view {
        uint256 p = uint256(price) + 1;
        uint256[4] memory by = money.loss([lossWei, kEth, stake, p, pot]);
        vm.assertTrue(by[0] <= kEth && by[1] <= stake && by[2] <= pot);
        vm.assertTrue(by[1] == 0 || by[0] == kEth);
        vm.assertTrue(by[2] == 0 || by[1] == stake);
        vm.assertTrue(by[3] == 0 || by[2] == pot);
        vm.assertTrue(by[0] + by[2] + by[3] <= lossWei);
        uint256 inAnkr = lossWei - by[0] - by[2] - by[3];
        // What the ANKR stands for is worth the ANKR, but for less than a unit of each.
        vm.assertTrue(inAnkr * p <= (by[1] * 1 ether));
        vm.assertTrue(by[2] + by[3] > 0 || by[1] == 0 || (by[1] - 1) * 1 ether < inAnkr * p);
    }

    function _isAnkr(Money.Shares memory to, uint256[4] memory wanted) private pure {
        vm.assertEq(to.providerAnkrWei, wanted[0]);
        vm.assertEq(to.rewardAnkrWei, wanted[1]);
        vm.assertEq(to.insuranceAnkrWei, wanted[2]);
        vm.assertEq(to.requesterAnkrWei, wanted[3]);
    }

    function _isEth(Money.Shares memory to, uint256[3] memory wanted) private pure {
        vm.assertEq(to.rewardEthWei, wanted[0]);
        vm.assertEq(to.insuranceEthWei, wanted[1]);
        vm.assertEq(to.requesterEthWei, wanted[2]);
    }

    function _isLoss(uint256[4] memory by, uint256[4] memory wanted) private pure {
        for (uint256 i = 0; i < 4; ++i) {
            vm.assertEq(by[i], wanted[i]);
        }
    }
}
