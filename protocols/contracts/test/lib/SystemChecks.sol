// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDeals} from "../../src/interfaces/IDeals.sol";
import {ILiveness} from "../../src/interfaces/ILiveness.sol";
import {IMarket} from "../../src/interfaces/IMarket.sol";
import {Parameter} from "../../src/interfaces/IPolicy.sol";
import {IProviders} from "../../src/interfaces/IProviders.sol";
import {SystemKit} from "./SystemKit.sol";

/// @dev What must hold of the whole, whatever anybody did.
abstract contract SystemChecks is SystemKit {
    uint256 internal constant PEOPLE = 10;

    uint256 internal challengeCount;

    /// @dev Everybody and everything that may hold money.
    address[] internal holders;

    uint256 private _ethWei;

    /// @dev Counts the ETH that there is.
    function _noteHolders() internal {
        for (uint256 i = 0; i < BIDDERS; ++i) {
            holders.push(_bidder(i));
        }
        for (uint256 i = 0; i < PEOPLE; ++i) {
            holders.push(_person(i));
        }
        address[12] memory others = [
            address(this),
            RITA,
            WATCHER,
            STRANGER,
            address(council),
            address(timelock),
            address(rewards),
            address(insurance),
            address(registry),
            address(providers),
            address(market),
            address(deals)
        ];
        for (uint256 i = 0; i < others.length; ++i) {
            holders.push(others[i]);
        }
        (, _ethWei) = _held();
    }

    /// @notice No ANKR and no ETH went anywhere else, or came from anywhere, to the wei.
    function checkWorld() external view {
        (uint256 ankrWei, uint256 ethWei) = _held();
        vm.assertEq(ankrWei, ankr.totalSupply());
        vm.assertEq(ethWei, _ethWei);
    }

    /// @notice Deals hold what they owe and what is in open ones.
    function checkDeals() external view {
        uint256 ankrWei = deals.ankrOf(address(insurance)) + deals.ankrOf(address(rewards));
        uint256 ethWei = deals.ethOf(address(insurance)) + deals.ethOf(address(rewards));
        ankrWei += deals.ankrOf(RITA);
        ethWei += deals.ethOf(RITA);
        for (uint256 i = 0; i < BIDDERS; ++i) {
            ankrWei += deals.ankrOf(_bidder(i));
            ethWei += deals.ethOf(_bidder(i));
        }
        for (uint256 deal = 1; deal <= market.deals(); ++deal) {
            (uint256 ankrInside, uint256 ethInside) = _inside(deals.dealOf(deal));
            ankrWei += ankrInside;
            ethWei += ethInside;
        }
        vm.assertEq(ankr.balanceOf(address(deals)), ankrWei);
        vm.assertEq(address(deals).balance, ethWei);
    }

    /// @notice The market holds fixed prices of open auctions, bonds that are still there, and credits.
    function checkMarket() external view {
        uint256 ankrWei = market.ankrOf(RITA);
        for (uint256 deal = 1; deal <= market.deals(); ++deal) {
            IMarket.Auction memory auction = market.auctionOf(deal);
            if (auction.stage == IMarket.Stage.Open) ankrWei += auction.fpWei;
            for (uint256 i = 0; i < BIDDERS; ++i) {
                IMarket.BidState state = market.bidOf(deal, _bidder(i)).state;
                bool isLost =
                    state == IMarket.BidState.Committed || state == IMarket.BidState.Forfeited;
                bool isThere = state == IMarket.BidState.Revealed;
                if (isThere || (isLost && !auction.isFlushed)) ankrWei += auction.bondWei;
            }
        }
        vm.assertEq(ankr.balanceOf(address(market)), ankrWei);
        vm.assertEq(address(market).balance, 0);
    }

    /// @notice Providers' stakes and challenges' bonds are there; nobody serves more than it has.
    function checkProviders() external view {
        uint256 ankrWei = providers.owedTo(WATCHER);
        for (uint256 i = 0; i < BIDDERS; ++i) {
            IProviders.Provider memory held = providers.providerOf(_bidder(i));
            ankrWei += uint256(held.stake) + held.unbonding + providers.owedTo(_bidder(i));
            uint256 open = _openDealsOf(_bidder(i));
            vm.assertEq(held.runningDeals, open);
            vm.assertTrue(open <= NODES);
            vm.assertEq(held.inUse.cpuMilli, open * _need().cpuMilli);
            vm.assertTrue(held.inUse.cpuMilli <= held.capacity.cpuMilli);
            vm.assertTrue(held.inUse.ramMb <= held.capacity.ramMb);
            vm.assertTrue(held.inUse.storageGb <= held.capacity.storageGb);
            vm.assertTrue(held.inUse.bandwidthMbps <= held.capacity.bandwidthMbps);
        }
        for (uint256 challenge = 1; challenge <= challengeCount; ++challenge) {
            ILiveness.Challenge memory held = providers.challengeOf(challenge);
            if (held.state == ILiveness.ChallengeState.Open) ankrWei += held.bond;
        }
        vm.assertEq(ankr.balanceOf(address(providers)), ankrWei);
    }

    /// @notice The council holds stakes, what is leaving and what was slashed; it has 2n + 1 seats at
    ///         the most.
    function checkCouncil() external view {
        uint256 ankrWei = council.slashed();
        for (uint256 i = 0; i < PEOPLE; ++i) {
            (uint208 leaving,) = council.leavingOf(_person(i));
            ankrWei += council.stakeOf(_person(i)) + leaving;
        }
        vm.assertEq(ankr.balanceOf(address(council)), ankrWei);
        vm.assertTrue(council.seatCount() <= 2 * N + 1);
    }

    /// @notice Pots hold what was brought; nobody has decided to spend any ANKR of theirs.
    function checkPots() external view {
        (uint256 fromDeals,) = insurance.broughtBy(address(deals));
        (uint256 fromMarket,) = insurance.broughtBy(address(market));
        vm.assertEq(ankr.balanceOf(address(insurance)), fromDeals + fromMarket);
        (fromDeals,) = rewards.broughtBy(address(deals));
        (uint256 fromCouncil,) = rewards.broughtBy(address(council));
        vm.assertEq(ankr.balanceOf(address(rewards)), fromDeals + fromCouncil);
    }

    /// @notice Every number of the policy is inside its bounds.
    function checkPolicy() external view {
        for (uint8 i = 0; i < PARAMETERS; ++i) {
            (,, uint256 least, uint256 most) = policy.specOf(Parameter(i));
            uint256 value = policy.get(Parameter(i));
            vm.assertTrue(value >= least && value <= most);
        }
    }

    function _held() private view returns (uint256 ankrWei, uint256 ethWei) {
        for (uint256 i = 0; i < holders.length; ++i) {
            ankrWei += ankr.balanceOf(holders[i]);
            ethWei += holders[i].balance;
        }
    }

    function _openDealsOf(address who) private view returns (uint256 open) {
        for (uint256 deal = 1; deal <= market.deals(); ++deal) {
            IDeals.Deal memory held = deals.dealOf(deal);
            bool isOpen = held.state != IDeals.State.None && held.state < IDeals.State.Completed;
            if (held.provider == who && isOpen) ++open;
        }
    }

    /// @dev What a deal holds that is nobody's yet.
    function _inside(IDeals.Deal memory held)
        private
        pure
        returns (uint256 ankrWei, uint256 ethWei)
    {
        bool isFunded = held.state == IDeals.State.Funded;
        if (isFunded || held.state == IDeals.State.Assigned) {
            ankrWei = uint256(held.fpWei) + held.bondWei;
        }
        if (isFunded) ethWei = held.ethStakeWei - held.kEthWei;
        if (held.state == IDeals.State.Running) {
            ankrWei = uint256(held.fpWei) + held.ankrProfitWei;
            ethWei = uint256(held.ethStakeWei) + held.ethProfitWei;
        }
    }
}
