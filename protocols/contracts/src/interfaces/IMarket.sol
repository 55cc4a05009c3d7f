// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IBeaconVerifier} from "./IBeaconVerifier.sol";
import {IDeals} from "./IDeals.sol";
import {IPolicy, Resources, Rule} from "./IPolicy.sol";
import {IPrices} from "./IPrices.sol";
import {IProviders, ScoreProof} from "./IProviders.sol";
import {IReceiver} from "./IReceiver.sol";
import {IReputationAnchor} from "./IReputationAnchor.sol";

/// @title  The market: sealed bids and a draw that anyone can check (R32, R47-R51)
/// @notice A requester pays the fixed price and opens an auction. Eligible providers seal bids, then
///         open them with their anchored scores. A round of the beacon that was fixed at the opening,
///         and that nobody knew before the last bid was opened, draws one of the lowest.
/// @dev    What a requester sees of each provider (R48): `IProviders.providersAt` pages the eligible
///         ones, and `providerOf` has capacity, stake and the price asked; the expected return is
///         `quote`'s; performance and reputation are uptime and reliability in anchored scores. Scores
///         are not kept on chain: a client adds them from an epoch's leaves with their proofs. Those
///         of revealed bids were proved, and `entriesOf` has them beside price and stake.
interface IMarket {
    /// @notice What is fixed at deployment.
    /// @param  token           ANKR. It must move exactly what it is told to: no fee, no rebase.
    /// @param  policy          The governors' numbers.
    /// @param  prices          Prices of ANKR.
    /// @param  providers       Who may bid.
    /// @param  deals           Where assigned deals go on.
    /// @param  beacon          Checks the beacon's rounds.
    /// @param  beaconGenesisMs When the beacon's round 1 is due: Unix time in milliseconds.
    /// @param  beaconPeriodMs  Time from one round to the next, in milliseconds; more than 0.
    /// @param  anchor          Epochs' results: says which epoch is the latest final one.
    /// @param  insurance       Gets the bonds that are lost.
    struct Setup {
        IERC20 token;
        IPolicy policy;
        IPrices prices;
        IProviders providers;
        IDeals deals;
        IBeaconVerifier beacon;
        uint64 beaconGenesisMs;
        uint64 beaconPeriodMs;
        IReputationAnchor anchor;
        IReceiver insurance;
    }

    /// @notice What a requester asks for.
    /// @param  projectType The policy's type of project.
    /// @param  lengthS     How long it shall run, in seconds; more than 0, at most `LENGTH_S_MAX`.
    /// @param  need        What it needs; at least what the type says.
    /// @param  scoreEpoch  The latest final epoch: bidders prove their scores in it.
    struct Request {
        uint16 projectType;
        uint32 lengthS;
        Resources need;
        uint64 scoreEpoch;
    }

    /// @notice How far an auction has come.
    enum Stage {
        None,
        Open,
        Assigned,
        Closed
    }

    /// @notice An auction. All but `stage`, the counts and `isFlushed` is fixed when it opens, so that
    ///         nothing the governors or the bidders do later changes its rules.
    /// @param  requester         Who asked and paid.
    /// @param  drawRound         The beacon's round that draws.
    /// @param  stage             How far it has come.
    /// @param  rule              How it ends.
    /// @param  shortlist         How many of the lowest bids are in the draw.
    /// @param  isFlushed         Whether the lost bonds went to the insurance.
    /// @param  commitUntilS      Before it bids are sealed, Unix seconds.
    /// @param  revealUntilS      Before it bids are opened.
    /// @param  chooseUntilS      Before it the requester chooses, where the rule lets it.
    /// @param  drawUntilS        Before it the draw is made; from then on there is a refund.
    /// @param  scoreEpoch        The epoch of all bidders' scores.
    /// @param  failBelowPpm      Anchored uptime below which the deal will fail.
    /// @param  fpWei             The fixed price, in 10^-18 ANKR.
    /// @param  bondWei           The bond for a bid, in 10^-18 ANKR.
    /// @param  ethStakeWei       What requester and provider will stake together, in wei.
    /// @param  expectedProfitWei What the project is expected to bring, in wei.
    /// @param  stakeWeiMax       Up to where a provider's stake counts in the draw, in 10^-18 ANKR.
    /// @param  lengthS           How long it shall run, in seconds.
    /// @param  projectType       The policy's type of project.
    /// @param  reliabilityPpmMin Least anchored reliability.
    /// @param  uptimePpmMin      Least anchored uptime: the type's, or `FailBelowPpm` if that is more, so
    ///                           that the score one bids with does not fail the deal.
    /// @param  need              What it needs.
    /// @param  failuresMax       Most failed projects a provider may have had.
    /// @param  committed         How many bids were sealed.
    /// @param  revealed          How many of them were opened.
    /// @param  unavailable       How many were drawn and could not serve.
    struct Auction {
        address requester;
        uint64 drawRound;
        Stage stage;
        Rule rule;
        uint8 shortlist;
        bool isFlushed;
        uint40 commitUntilS;
        uint40 revealUntilS;
        uint40 chooseUntilS;
        uint40 drawUntilS;
        uint64 scoreEpoch;
        uint32 failBelowPpm;
        uint128 fpWei;
        uint128 bondWei;
        uint128 ethStakeWei;
        uint128 expectedProfitWei;
        uint128 stakeWeiMax;
        uint32 lengthS;
        uint16 projectType;
        uint32 reliabilityPpmMin;
        uint32 uptimePpmMin;
        Resources need;
        uint32 failuresMax;
        uint32 committed;
        uint32 revealed;
        uint32 unavailable;
    }

    /// @notice What became of a bid and its bond.
    /// @param  None      There is none.
    /// @param  Committed Sealed. Lost unless it is opened in time.
    /// @param  Revealed  Opened: the bond comes back when the auction is over.
    /// @param  Released  The bond came back, or went with the deal.
    /// @param  Forfeited The bond is lost: drawn, and could not serve.
    enum BidState {
        None,
        Committed,
        Revealed,
        Released,
        Forfeited
    }

    /// @notice A bid by one provider.
    struct Bid {
        bytes32 commitment;
        BidState state;
    }

    /// @notice An opened bid, with all that the draw depends on.
    /// @param  provider       Who bids.
    /// @param  registration   The provider's node that would serve.
    /// @param  reliabilityPpm Anchored reliability.
    /// @param  uptimePpm      Anchored uptime.
    /// @param  priceWei       What it asks, in 10^-18 ANKR.
    /// @param  stakeWei       Its stake when it opened the bid, in 10^-18 ANKR.
    struct Entry {
        address provider;
        uint64 registration;
        uint32 reliabilityPpm;
        uint32 uptimePpm;
        uint112 priceWei;
        uint112 stakeWei;
    }

    /// @notice An auction was opened and its fixed price paid. The rest is in `auctionOf`.
    event Opened(
        uint256 indexed deal,
        address indexed requester,
        uint16 indexed projectType,
        uint256 fpWei,
        uint64 drawRound,
        uint64 scoreEpoch
    );

    /// @notice A bid was sealed.
    event Committed(uint256 indexed deal, address indexed provider, bytes32 commitment);

    /// @notice A bid was opened.
    event Revealed(uint256 indexed deal, address indexed provider, Entry entry);

    /// @notice The beacon's round is there: the draw follows from it and from the opened bids.
    event Drawn(uint256 indexed deal, uint64 round, bytes32 randomness);

    /// @notice A provider was drawn that can no longer serve. Its bond is lost, and the draw goes on as
    ///         if it had not bid.
    event Unavailable(uint256 indexed deal, address indexed provider);

    /// @notice A provider has the deal.
    event Assigned(
        uint256 indexed deal, address indexed provider, uint256 registration, uint256 paidWei
    );

    /// @notice An auction came to nothing; the requester is owed the fixed price.
    event Closed(uint256 indexed deal, uint256 fpWei);

    /// @notice A bidder got its bond back.
    event Reclaimed(uint256 indexed deal, address indexed provider, uint256 bondWei);

    /// @notice The lost bonds of an auction went to the insurance.
    event Flushed(uint256 indexed deal, uint256 ankr);

    /// @notice An account was paid what it was owed.
    event Collected(address indexed account, uint256 ankr);

    /// @notice The beacon's rounds must take time.
    error ZeroBeaconPeriod();

    /// @notice No projects of this type are taken.
    error TypeClosed(uint16 projectType);

    /// @notice The project needs less than its type says, or nothing at all that has a price.
    error NeedTooSmall(uint16 projectType);

    /// @notice A project must take time.
    error ZeroLength();

    /// @notice A project is too long; both in seconds.
    error LengthTooLong(uint256 lengthS, uint256 lengthSMax);

    /// @notice Scores are taken from the latest final epoch, and it is another one.
    error NotLatestEpoch(uint64 epoch);

    /// @notice The fixed price is above what the requester is ready to pay.
    error FixedPriceAbove(uint256 fpWei, uint256 fpWeiMax);

    /// @notice No such auction, or it is over.
    error NotOpen(uint256 deal);

    /// @notice No such auction, or it is not over yet.
    error NotOver(uint256 deal);

    /// @notice It is not the time for this: that is from `earliestS` on and before `untilS`.
    error OutsideTime(uint256 deal, uint256 earliestS, uint256 untilS);

    /// @notice The provider may not bid on this project, or no longer (R44, R45, R61).
    error NotEligible(uint256 deal, address provider);

    /// @notice One bid for each provider.
    error AlreadyCommitted(uint256 deal, address provider);

    /// @notice The caller sealed no such bid, or opened it already.
    error NotCommitted(uint256 deal, address provider, bytes32 commitment);

    /// @notice The bid is above the fixed price.
    error BidAboveFixedPrice(uint256 priceWei, uint256 fpWei);

    /// @notice The node is not the provider's, or it serves another deal.
    error NodeNotFree(address provider, uint256 registration);

    /// @notice The score is of another epoch than the auction's.
    error OtherEpoch(uint64 epoch, uint64 scoreEpoch);

    /// @notice The node's anchored score is below the type's minimum, or the node is suspended.
    error ScoreTooLow(uint32 reliabilityPpm, uint32 uptimePpm, uint8 state);

    /// @notice Only the requester may.
    error NotRequester(uint256 deal, address caller);

    /// @notice The rule leaves the choice to the draw.
    error NoChoice(uint256 deal);

    /// @notice The provider is not among the lowest bids.
    error NotShortlisted(uint256 deal, address provider);

    /// @notice No bid was opened: there is nobody to draw. `close` refunds.
    error NobodyRevealed(uint256 deal);

    /// @notice Bids are there or may come in, and the draw can still be made (R60).
    error StillUnderWay(uint256 deal);

    /// @notice There is no bond of this account to give back.
    error NothingToReclaim(uint256 deal, address account);

    /// @notice No bond was lost, or the insurance has them.
    error NothingToFlush(uint256 deal);

    /// @notice The account is owed nothing.
    error NothingOwed(address account);

    /// @notice What a project costs and is expected to bring (R47).
    /// @dev    The price is the published prices' sum over need and time, in USD and rounded up, and
    ///         then in ANKR, rounded up; 1,000 MB are a GB. The expected profit is rounded down.
    /// @return fpWei             The fixed price, in 10^-18 ANKR.
    /// @return ethStakeWei       What requester and provider stake together, in wei.
    /// @return expectedProfitWei In wei, over the whole length.
    function quote(uint16 projectType, Resources calldata need, uint32 lengthS)
        external
        view
        returns (uint256 fpWei, uint256 ethStakeWei, uint256 expectedProfitWei);

    /// @notice The longest project that is auctioned, in seconds.
    function LENGTH_S_MAX() external view returns (uint256);

    /// @notice Opens an auction and takes the fixed price from the caller (R40, R43, R49).
    /// @param  fpWeiMax The most the caller will pay, in 10^-18 ANKR.
    /// @return deal     Its number, counted from 1.
    function open(Request calldata request, uint256 fpWeiMax) external returns (uint256 deal);

    /// @notice Seals a bid; takes the bond. It cannot be taken back.
    /// @param  commitment `commitmentOf` the bid. Take a salt that nobody can guess.
    function commit(uint256 deal, bytes32 commitment) external;

    /// @notice Opens the caller's sealed bid. Who does not in time, or no longer may, loses the bond.
    /// @dev    A bidder can know beforehand whether it will be able to: the rules and the epoch of the
    ///         score were fixed before it sealed. A node is bid for one project at a time: who is
    ///         drawn with a node that serves another one loses the bond.
    /// @param  priceWei In 10^-18 ANKR; at most the fixed price.
    /// @param  score    The node's score in the auction's epoch.
    function reveal(
        uint256 deal,
        uint256 registration,
        uint256 priceWei,
        bytes32 salt,
        ScoreProof calldata score
    ) external;

    /// @notice Lets the requester choose, where the rule is `RequesterChoice`.
    function choose(uint256 deal, address provider) external;

    /// @notice Draws the provider by the deal's beacon round. Anyone may.
    /// @dev    If nobody of those drawn can serve any more, the auction closes.
    /// @param  signature The round's signature: G1, uncompressed, 128 bytes.
    function draw(uint256 deal, bytes calldata signature) external;

    /// @notice Ends an auction that can come to nothing any more, and refunds. Anyone may: where no
    ///         bid was sealed or none opened in time, or the draw was not made in time.
    /// @dev    Before any bid is sealed the requester may at any time. From the first one on it may
    ///         not (R60): bidders have paid their bonds for an auction that takes place.
    function close(uint256 deal) external;

    /// @notice Pays the caller's bond back, once the auction is over and if the bid was opened.
    function reclaim(uint256 deal) external;

    /// @notice Sends the lost bonds of an auction that is over to the insurance. Anyone may.
    function flush(uint256 deal) external;

    /// @notice Pays the caller what it is owed.
    function collect() external;

    /// @notice How many auctions there have been; the latest one's number.
    function deals() external view returns (uint256);

    /// @notice An auction; zeros if there is none.
    function auctionOf(uint256 deal) external view returns (Auction memory);

    /// @notice A provider's bid.
    function bidOf(uint256 deal, address provider) external view returns (Bid memory);

    /// @notice The lowest opened bids, 32 at most, by price and then by who opened first.
    function entriesOf(uint256 deal) external view returns (Entry[] memory);

    /// @notice Those of `entriesOf` that are in the draw, and their weights.
    /// @dev    With the randomness of the event `Drawn` anyone can draw again.
    function shortlistOf(uint256 deal)
        external
        view
        returns (Entry[] memory entries, uint256[] memory weights);

    /// @notice What a bid is sealed as. Ask a node of your own: whoever answers learns the bid.
    /// @dev    keccak256(abi.encode(bytes32("stkr/market-bid/1"), chain id, this contract, deal,
    ///         provider, registration, priceWei, salt)).
    function commitmentOf(
        uint256 deal,
        address provider,
        uint256 registration,
        uint256 priceWei,
        bytes32 salt
    ) external view returns (bytes32);

    /// @notice What an account can collect, in 10^-18 ANKR.
    function ankrOf(address account) external view returns (uint256);
}
