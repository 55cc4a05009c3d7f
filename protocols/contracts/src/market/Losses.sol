// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IDeals} from "../interfaces/IDeals.sol";
import {IPrices} from "../interfaces/IPrices.sol";
import {Money} from "./Money.sol";
import {Records} from "./Records.sol";

/// @title Who pays for a failure (R52, R59, Q12)
/// @notice First the provider's ETH, at once; then its ANKR, once there is a fresh price; then the
///         insurance, as far as it has it. Each is a step of its own, so none can hold up another.
abstract contract Losses is Records {
    using SafeCast for uint256;

    /// @dev What must be left to ask for the price and take the stake: some 120,000 are used.
    uint256 private constant PAYING_GAS_MIN = 250_000;

    /// @notice What ANKR is worth in ETH.
    IPrices public immutable PRICES;

    constructor(IPrices prices) {
        PRICES = prices;
    }

    /// @inheritdoc IDeals
    function compensate(uint256 deal) external nonReentrant {
        Deal storage held = _in(deal, State.Failed);
        if (held.isCompensated) revert NothingLost(deal);
        _compensate(deal, held, PRICES.ankrPerEth());
    }

    /// @inheritdoc IDeals
    // slither-disable-next-line reentrancy-benign,reentrancy-events -- what it pays is what is credited
    function insure(uint256 deal) external nonReentrant {
        Deal storage held = _in(deal, State.Failed);
        uint256 openWei = held.owedWei;
        if (openWei == 0 || !held.isCompensated) revert NothingLost(deal);

        // What came is counted, and nobody but the insurance can send anything in between.
        uint256 beforeWei = address(this).balance;
        // slither-disable-next-line unused-return
        INSURANCE.cover(address(this), openWei);
        uint256 paidWei = address(this).balance - beforeWei;
        bool isPaid = paidWei > 0;
        if (!isPaid) revert InsuranceEmpty(deal);
        openWei -= paidWei;
        held.owedWei = openWei.toUint128();
        emit Insured(deal, paidWei, openWei);
        _credit(deal, held.requester, 0, paidWei);
    }

    /// @dev Ends a running deal whose provider failed at `failedAtS`: the requester gets its money back
    ///      and what the project brought, and its loss out of the provider's ETH.
    /// @param moreWei What it lost beside the profit that it will not have, in wei.
    // slither-disable-next-line reentrancy-no-eth,reentrancy-events -- no entry is open meanwhile
    function _fail(uint256 deal, Deal storage held, Cause cause, uint256 failedAtS, uint256 moreWei)
        internal
    {
        uint256 unservedS = held.endsAt - Math.min(failedAtS, held.endsAt);
        uint256 lossWei = Money.lossOf(held.expectedProfitWei, unservedS, held.lengthS) + moreWei;
        uint256 fromKEthWei = Math.min(lossWei, held.kEthWei);
        held.owedWei = (lossWei - fromKEthWei).toUint128();
        emit Failed(deal, held.provider, cause, unservedS, lossWei, fromKEthWei);
        held.state = State.Failed;
        _refund(deal, held, fromKEthWei);

        _free(held);
        PROVIDERS.recordFailure(held.provider);
        _compensateIfPriced(deal, held);
    }

    /// @dev Gives everybody back what it put into a running deal, and the requester all that the
    ///      project brought and `fromKEthWei` of the provider's ETH.
    function _refund(uint256 deal, Deal storage held, uint256 fromKEthWei) internal {
        uint256 ankrWei = uint256(held.fpWei) + held.ankrProfitWei;
        uint256 ethWei = _requesterEthWei(held) + held.ethProfitWei + fromKEthWei;
        _credit(deal, held.requester, ankrWei, ethWei);
        _credit(deal, held.provider, 0, held.kEthWei - fromKEthWei);
    }

    /// @dev Without a price the claim waits, and with it the provider's stake. Too little gas is no
    ///      missing price: else an estimate would find just enough to have none.
    function _compensateIfPriced(uint256 deal, Deal storage held) private {
        if (held.owedWei == 0) {
            _settle(held);
            return;
        }
        uint256 gasLeft = gasleft();
        if (gasLeft < PAYING_GAS_MIN) revert TooLittleGas(gasLeft, PAYING_GAS_MIN);
        try PRICES.ankrPerEth() returns (uint256 ankrPerEthWei) {
            _compensate(deal, held, ankrPerEthWei);
        } catch {}
    }

    /// @dev Takes what is owed out of the provider's ANKR, or all of it.
    // slither-disable-next-line reentrancy-benign,reentrancy-events -- what is taken is what is credited
    function _compensate(uint256 deal, Deal storage held, uint256 ankrPerEthWei) private {
        uint256 owedWei = held.owedWei;
        uint256 wantedWei = Money.ankrFor(owedWei, ankrPerEthWei);
        uint256 takenWei = PROVIDERS.seize(held.provider, wantedWei, address(this));
        uint256 worthWei = Money.covered(owedWei, takenWei, ankrPerEthWei);
        held.owedWei = (owedWei - worthWei).toUint128();
        emit Compensated(deal, takenWei, worthWei, owedWei - worthWei);
        _credit(deal, held.requester, takenWei, 0);
        _settle(held);
    }

    /// @dev The provider owes nothing more.
    function _settle(Deal storage held) private {
        held.isCompensated = true;
        PROVIDERS.unlock(held.provider);
    }
}
