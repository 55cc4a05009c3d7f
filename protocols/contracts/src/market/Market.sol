// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IBeaconVerifier} from "../interfaces/IBeaconVerifier.sol";
import {IDeals} from "../interfaces/IDeals.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {Rule} from "../interfaces/IPolicy.sol";
import {IReceiver} from "../interfaces/IReceiver.sol";
import {Auctions} from "./Auctions.sol";
import {Draw} from "./Draw.sol";
import {Shortlist} from "./Shortlist.sol";

/// @title The market: how an auction ends, and whose money is whose then
/// @dev   Holds exactly the fixed prices of open auctions, the bonds that neither came back nor went on,
///        and what `ankrOf` says, plus what others sent by mistake.
contract Market is Auctions {
    using SafeERC20 for IERC20;

    IDeals private immutable DEALS;
    IBeaconVerifier private immutable BEACON;
    IReceiver private immutable INSURANCE;

    /// @inheritdoc IMarket
    mapping(address account => uint256) public ankrOf;

    /// @param setup What is fixed at deployment.
    constructor(Setup memory setup) Auctions(setup) {
        DEALS = setup.deals;
        BEACON = setup.beacon;
        INSURANCE = setup.insurance;
    }

    /// @inheritdoc IMarket
    function choose(uint256 deal, address provider) external {
        Auction storage auction = _openAuction(deal);
        if (msg.sender != auction.requester) revert NotRequester(deal, msg.sender);
        if (auction.rule != Rule.RequesterChoice) revert NoChoice(deal);
        _checkTime(deal, auction.revealUntilS, auction.chooseUntilS);
        Entry memory chosen = _shortlisted(deal, auction, provider);
        if (!_canServe(auction, chosen)) revert NotEligible(deal, provider);
        _assign(deal, chosen, chosen.priceWei);
    }

    /// @inheritdoc IMarket
    function draw(uint256 deal, bytes calldata signature) external {
        Auction storage auction = _openAuction(deal);
        if (auction.revealed == 0) revert NobodyRevealed(deal);
        uint64 round = auction.drawRound;
        _checkTime(deal, _dueS(round), auction.drawUntilS);
        bytes32 randomness = BEACON.verifyRound(round, signature);
        emit Drawn(deal, round, randomness);
        _drawFrom(deal, entriesOf(deal), Draw.seedOf(deal, randomness));
    }

    /// @inheritdoc IMarket
    function close(uint256 deal) external {
        Auction storage auction = _openAuction(deal);
        if (!_isClosable(auction)) revert StillUnderWay(deal);
        _close(deal);
    }

    /// @inheritdoc IMarket
    function reclaim(uint256 deal) external {
        Auction storage auction = _endedAuction(deal);
        Bid storage bid = _bids[deal][msg.sender];
        if (bid.state != BidState.Revealed) revert NothingToReclaim(deal, msg.sender);

        bid.state = BidState.Released;
        uint256 bondWei = auction.bondWei;
        emit Reclaimed(deal, msg.sender, bondWei);

        TOKEN.safeTransfer(msg.sender, bondWei);
    }

    /// @inheritdoc IMarket
    function flush(uint256 deal) external {
        Auction storage auction = _endedAuction(deal);
        uint256 lost = uint256(auction.committed) - auction.revealed + auction.unavailable;
        uint256 ankr = lost * auction.bondWei;
        if (ankr == 0 || auction.isFlushed) revert NothingToFlush(deal);

        auction.isFlushed = true;
        emit Flushed(deal, ankr);

        TOKEN.forceApprove(address(INSURANCE), ankr);
        INSURANCE.take(ankr);
    }

    /// @inheritdoc IMarket
    function collect() external {
        uint256 ankr = ankrOf[msg.sender];
        if (ankr == 0) revert NothingOwed(msg.sender);

        delete ankrOf[msg.sender];
        emit Collected(msg.sender, ankr);

        TOKEN.safeTransfer(msg.sender, ankr);
    }

    /// @inheritdoc IMarket
    function shortlistOf(uint256 deal)
        external
        view
        returns (Entry[] memory entries, uint256[] memory weights)
    {
        Entry[] memory all = entriesOf(deal);
        weights = _weights(_auctions[deal], all);
        entries = new Entry[](weights.length);
        for (uint256 i = 0; i < entries.length; ++i) {
            entries[i] = all[i];
        }
    }

    /// @dev Draws until somebody can serve. Each who cannot loses its bond, so nobody steers the draw
    ///      for free by stepping back once the randomness is known.
    function _drawFrom(uint256 deal, Entry[] memory left, bytes32 seed) private {
        Auction storage auction = _auctions[deal];
        while (left.length != 0) {
            uint256 index = Draw.pick(_weights(auction, left), seed);
            if (_canServe(auction, left[index])) {
                _assign(deal, left[index], _paidWei(auction, left, index));
                return;
            }
            _forfeit(deal, left[index].provider);
            left = Shortlist.without(left, index);
            seed = Draw.seedAfter(seed);
        }
        _close(deal);
    }

    function _forfeit(uint256 deal, address provider) private {
        _bids[deal][provider].state = BidState.Forfeited;
        ++_auctions[deal].unavailable;
        emit Unavailable(deal, provider);
    }

    /// @dev Hands the deal on. Calls other contracts: nothing else may follow.
    function _assign(uint256 deal, Entry memory winner, uint256 paidWei) private {
        Auction storage auction = _auctions[deal];
        auction.stage = Stage.Assigned;
        _bids[deal][winner.provider].state = BidState.Released;
        emit Assigned(deal, winner.provider, winner.registration, paidWei);

        TOKEN.forceApprove(address(DEALS), uint256(auction.fpWei) + auction.bondWei);
        // slither-disable-next-line calls-loop -- once, and the loop ends
        DEALS.assign(deal, _assignment(auction, winner, paidWei));
    }

    function _close(uint256 deal) private {
        Auction storage auction = _auctions[deal];
        auction.stage = Stage.Closed;
        ankrOf[auction.requester] += auction.fpWei;
        emit Closed(deal, auction.fpWei);
    }

    function _assignment(Auction storage auction, Entry memory winner, uint256 paidWei)
        private
        view
        returns (IDeals.Assignment memory)
    {
        return IDeals.Assignment({
            requester: auction.requester,
            provider: winner.provider,
            registration: winner.registration,
            projectType: auction.projectType,
            lengthS: auction.lengthS,
            failBelowPpm: auction.failBelowPpm,
            need: auction.need,
            fpWei: auction.fpWei,
            paidWei: paidWei,
            bondWei: auction.bondWei,
            ethStakeWei: auction.ethStakeWei,
            expectedProfitWei: auction.expectedProfitWei
        });
    }

    /// @dev What the winner is paid (Q1). No bid is above the fixed price, so neither is this.
    function _paidWei(Auction storage auction, Entry[] memory entries, uint256 index)
        private
        view
        returns (uint256)
    {
        uint256 ownWei = entries[index].priceWei;
        if (auction.rule != Rule.Vickrey) return ownWei;
        return entries.length == 1 ? auction.fpWei : Math.max(ownWei, entries[1].priceWei);
    }

    function _shortlisted(uint256 deal, Auction storage auction, address provider)
        private
        view
        returns (Entry memory)
    {
        Entry[] memory entries = entriesOf(deal);
        uint256 count = Shortlist.cut(entries, auction.shortlist);
        for (uint256 i = 0; i < count; ++i) {
            if (entries[i].provider == provider) return entries[i];
        }
        revert NotShortlisted(deal, provider);
    }

    function _canServe(Auction storage auction, Entry memory entry) private view returns (bool) {
        // slither-disable-next-line calls-loop -- a draw asks about 32 at the most
        return _isEligible(auction, entry.provider)
            && PROVIDERS.isFree(entry.provider, entry.registration);
    }

    function _isClosable(Auction storage auction) private view returns (bool) {
        if (block.timestamp >= auction.drawUntilS) return true;
        if (auction.committed == 0) {
            return msg.sender == auction.requester || block.timestamp >= auction.commitUntilS;
        }
        return auction.revealed == 0 && block.timestamp >= auction.revealUntilS;
    }

    function _endedAuction(uint256 deal) private view returns (Auction storage auction) {
        auction = _auctions[deal];
        bool isOver = auction.stage == Stage.Assigned || auction.stage == Stage.Closed;
        if (!isOver) revert NotOver(deal);
    }

    /// @dev Weights of those of `entries` that are in the draw: the first so many.
    function _weights(Auction storage auction, Entry[] memory entries)
        private
        view
        returns (uint256[] memory)
    {
        uint256 count = Shortlist.cut(entries, auction.shortlist);
        uint256[] memory prices = new uint256[](count);
        uint256[] memory stakes = new uint256[](count);
        uint256[] memory reliabilities = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            prices[i] = entries[i].priceWei;
            stakes[i] = entries[i].stakeWei;
            reliabilities[i] = entries[i].reliabilityPpm;
        }
        return Draw.weightsOf(prices, stakes, reliabilities, auction.stakeWeiMax);
    }
}
