// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {Parameter, ProjectType, Rule} from "../interfaces/IPolicy.sol";
import {IProviders, ScoreProof} from "../interfaces/IProviders.sol";
import {IReputationAnchor} from "../interfaces/IReputationAnchor.sol";
import {Draw} from "./Draw.sol";
import {Quotes} from "./Quotes.sol";
import {Shortlist} from "./Shortlist.sol";

/// @title Auctions from the opening to the last opened bid
abstract contract Auctions is Quotes {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;
    using Shortlist for Shortlist.List;

    /// @inheritdoc IMarket
    /// @dev What a failure may cost the insurance grows with the length: no requester names any.
    uint256 public constant LENGTH_S_MAX = 365 days;

    uint8 private constant SUSPENDED = 3;
    IERC20 internal immutable TOKEN;
    IProviders internal immutable PROVIDERS;

    IReputationAnchor private immutable ANCHOR;
    uint64 private immutable BEACON_GENESIS_MS;
    uint64 private immutable BEACON_PERIOD_MS;

    /// @inheritdoc IMarket
    uint256 public deals;

    mapping(uint256 deal => Auction) internal _auctions;
    mapping(uint256 deal => mapping(address provider => Bid)) internal _bids;

    mapping(uint256 deal => Shortlist.List) private _lists;

    constructor(Setup memory setup) Quotes(setup.policy, setup.prices) {
        if (setup.beaconPeriodMs == 0) revert ZeroBeaconPeriod();
        TOKEN = setup.token;
        PROVIDERS = setup.providers;
        ANCHOR = setup.anchor;
        BEACON_GENESIS_MS = setup.beaconGenesisMs;
        BEACON_PERIOD_MS = setup.beaconPeriodMs;
    }

    /// @inheritdoc IMarket
    function open(Request calldata request, uint256 fpWeiMax) external returns (uint256 deal) {
        ProjectType memory kind = _kindOf(request.projectType);
        if (request.lengthS > LENGTH_S_MAX) revert LengthTooLong(request.lengthS, LENGTH_S_MAX);
        if (!_isLatestFinal(request.scoreEpoch)) revert NotLatestEpoch(request.scoreEpoch);
        (uint256 fpWei, uint256 expectedProfitWei) = _quote(kind, request);
        if (fpWei > fpWeiMax) revert FixedPriceAbove(fpWei, fpWeiMax);

        deal = ++deals;
        Auction storage auction = _auctions[deal];
        auction.requester = msg.sender;
        auction.stage = Stage.Open;
        auction.fpWei = fpWei.toUint112();
        auction.expectedProfitWei = expectedProfitWei.toUint128();
        _fixRules(auction, kind, request);
        _fixTimes(auction);
        emit Opened(
            deal, msg.sender, request.projectType, fpWei, auction.drawRound, request.scoreEpoch
        );

        TOKEN.safeTransferFrom(msg.sender, address(this), fpWei);
    }

    /// @inheritdoc IMarket
    function commit(uint256 deal, bytes32 commitment) external {
        Auction storage auction = _openAuction(deal);
        _checkTime(deal, 0, auction.commitUntilS);
        if (!_isEligible(auction, msg.sender)) revert NotEligible(deal, msg.sender);
        Bid storage bid = _bids[deal][msg.sender];
        if (bid.state != BidState.None) revert AlreadyCommitted(deal, msg.sender);

        bid.commitment = commitment;
        bid.state = BidState.Committed;
        ++auction.committed;
        emit Committed(deal, msg.sender, commitment);

        TOKEN.safeTransferFrom(msg.sender, address(this), auction.bondWei);
    }

    /// @inheritdoc IMarket
    function reveal(
        uint256 deal,
        uint256 registration,
        uint256 priceWei,
        bytes32 salt,
        ScoreProof calldata score
    ) external {
        Auction storage auction = _openAuction(deal);
        _checkTime(deal, auction.commitUntilS, auction.revealUntilS);
        _unseal(deal, commitmentOf(deal, msg.sender, registration, priceWei, salt));
        if (priceWei > auction.fpWei) revert BidAboveFixedPrice(priceWei, auction.fpWei);
        if (!_isEligible(auction, msg.sender)) revert NotEligible(deal, msg.sender);
        if (!PROVIDERS.isFree(msg.sender, registration)) {
            revert NodeNotFree(msg.sender, registration);
        }
        Entry memory entry = _scored(auction, registration, score);
        entry.provider = msg.sender;
        entry.registration = registration.toUint64();
        entry.priceWei = priceWei.toUint112();
        entry.stakeWei = uint256(PROVIDERS.providerOf(msg.sender).stake).toUint112();

        _lists[deal].add(_kept(auction), entry);
        ++auction.revealed;
        emit Revealed(deal, msg.sender, entry);
    }

    /// @inheritdoc IMarket
    function auctionOf(uint256 deal) external view returns (Auction memory) {
        return _auctions[deal];
    }

    /// @inheritdoc IMarket
    function bidOf(uint256 deal, address provider) external view returns (Bid memory) {
        return _bids[deal][provider];
    }

    /// @inheritdoc IMarket
    function entriesOf(uint256 deal) public view returns (Entry[] memory) {
        return _lists[deal].load(_kept(_auctions[deal]));
    }

    /// @inheritdoc IMarket
    function commitmentOf(
        uint256 deal,
        address provider,
        uint256 registration,
        uint256 priceWei,
        bytes32 salt
    ) public view returns (bytes32) {
        return Draw.commitmentOf(deal, provider, registration, priceWei, salt);
    }

    function _openAuction(uint256 deal) internal view returns (Auction storage auction) {
        auction = _auctions[deal];
        if (auction.stage != Stage.Open) revert NotOpen(deal);
    }

    function _checkTime(uint256 deal, uint256 earliestS, uint256 untilS) internal view {
        bool isTime = block.timestamp >= earliestS && block.timestamp < untilS;
        if (!isTime) revert OutsideTime(deal, earliestS, untilS);
    }

    function _isEligible(Auction storage auction, address provider) internal view returns (bool) {
        // slither-disable-next-line calls-loop -- a draw asks about 32 at the most
        return PROVIDERS.isEligible(provider, auction.need, auction.failuresMax);
    }

    /// @dev When a round of the beacon is due: Unix seconds, rounded up.
    function _dueS(uint256 round) internal view returns (uint256) {
        return Math.ceilDiv(BEACON_GENESIS_MS + (round - 1) * BEACON_PERIOD_MS, 1000);
    }

    function _unseal(uint256 deal, bytes32 commitment) private {
        Bid storage bid = _bids[deal][msg.sender];
        bool isSealed = bid.state == BidState.Committed && bid.commitment == commitment;
        if (!isSealed) revert NotCommitted(deal, msg.sender, commitment);
        bid.state = BidState.Revealed;
    }

    /// @dev What the governors may change while the auction runs is kept as it is now.
    function _fixRules(Auction storage auction, ProjectType memory kind, Request calldata request)
        private
    {
        auction.rule = kind.rule;
        auction.shortlist = kind.shortlist;
        auction.scoreEpoch = request.scoreEpoch;
        auction.bondWei = POLICY.get(Parameter.BidBond).toUint128();
        auction.ethStakeWei = kind.ethStakeWei;
        auction.stakeWeiMax = POLICY.get(Parameter.StakeMax).toUint128();
        auction.lengthS = request.lengthS;
        auction.projectType = request.projectType;
        auction.reliabilityPpmMin = kind.reliabilityPpmMin;
        uint32 failBelowPpm = POLICY.get(Parameter.FailBelowPpm).toUint32();
        auction.uptimePpmMin = Math.max(kind.uptimePpmMin, failBelowPpm).toUint32();
        auction.need = request.need;
        auction.failuresMax = kind.failuresMax;
        auction.failBelowPpm = failBelowPpm;
    }

    /// @dev The draw's round is due a period or more after the last bid, and choice, could be made.
    function _fixTimes(Auction storage auction) private {
        uint256 timeS = block.timestamp + POLICY.get(Parameter.CommitS);
        auction.commitUntilS = timeS.toUint40();
        timeS += POLICY.get(Parameter.RevealS);
        auction.revealUntilS = timeS.toUint40();
        // slither-disable-next-line incorrect-equality -- one of three rules
        if (auction.rule == Rule.RequesterChoice) timeS += POLICY.get(Parameter.ChoiceS);
        auction.chooseUntilS = timeS.toUint40();
        uint256 round = _roundFrom(timeS * 1000 + BEACON_PERIOD_MS);
        auction.drawRound = round.toUint64();
        auction.drawUntilS = (_dueS(round) + POLICY.get(Parameter.DrawS)).toUint40();
    }

    function _scored(Auction storage auction, uint256 registration, ScoreProof calldata score)
        private
        view
        returns (Entry memory entry)
    {
        uint64 epoch = score.header.epoch;
        if (epoch != auction.scoreEpoch) revert OtherEpoch(epoch, auction.scoreEpoch);
        uint8 state;
        (entry.reliabilityPpm, entry.uptimePpm, state) = PROVIDERS.provedScore(registration, score);
        bool isEnough = entry.reliabilityPpm >= auction.reliabilityPpmMin
            && entry.uptimePpm >= auction.uptimePpmMin && state != SUSPENDED;
        if (!isEnough) revert ScoreTooLow(entry.reliabilityPpm, entry.uptimePpm, state);
    }

    /// @dev How many opened bids are kept.
    function _kept(Auction storage auction) private view returns (uint256) {
        return Math.min(auction.revealed, Shortlist.ENTRIES_MAX);
    }

    function _isLatestFinal(uint64 epoch) private view returns (bool) {
        return ANCHOR.isFinal(epoch) && !ANCHOR.isFinal(epoch + 1);
    }

    /// @dev The first round due at a time or after it.
    function _roundFrom(uint256 timeMs) private view returns (uint256) {
        if (timeMs <= BEACON_GENESIS_MS) return 1;
        return Math.ceilDiv(timeMs - BEACON_GENESIS_MS, BEACON_PERIOD_MS) + 1;
    }
}
