// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IEpochs} from "./IEpochs.sol";
import {ILedger} from "./ILedger.sol";
import {IPolicy, Resources} from "./IPolicy.sol";
import {IPrices} from "./IPrices.sol";
import {IProviders, ScoreProof} from "./IProviders.sol";
import {IInsurance, IReceiver} from "./IReceiver.sol";
import {ITimelocked} from "./ITimelocked.sol";

/// @title Deals from the draw to the last payment (R31, R36, R43, R51, R55, R58-R62)
/// @notice A requester and the provider that was drawn put their ETH in, the project runs, and then
///         its money is split; or the provider fails and makes good what was lost (Q12). Times are
///         Unix seconds. What a deal depends on of the policy is fixed when it is assigned.
interface IDeals is ILedger, ITimelocked {
    /// @notice Where a deal stands.
    /// @param  None       There is no such deal.
    /// @param  Assigned   Waits for the requester's ETH.
    /// @param  Funded     Waits for the provider to start, with its ETH.
    /// @param  Running    Runs, or ran and is in review.
    /// @param  Completed  Its money was split.
    /// @param  Failed     The provider failed; the requester got its money back.
    /// @param  Cancelled  The governors ended it, because the provider is disqualified (Q27).
    /// @param  Abandoned  One of the two did not put its ETH in, in time.
    enum State {
        None,
        Assigned,
        Funded,
        Running,
        Completed,
        Failed,
        Cancelled,
        Abandoned
    }

    /// @notice What shows that a provider failed.
    /// @param  Score    An anchored score (Q15).
    /// @param  Silence  A challenge of its liveness that timed out (R41).
    /// @param  Ruling   The governors' ruling in a dispute (R62).
    enum Cause {
        Score,
        Silence,
        Ruling
    }

    /// @notice What is fixed at deployment.
    /// @param  token      ANKR. It must move exactly what it is told to.
    /// @param  policy     The governors' numbers.
    /// @param  prices     What ANKR is worth in ETH.
    /// @param  providers  Keeps providers, their nodes and their stakes.
    /// @param  epochs     When epochs are: where scores are anchored.
    /// @param  market     Assigns deals.
    /// @param  timelock   Carries the governors' rulings out.
    /// @param  insurance  Gets its shares, and pays what a provider's collateral leaves open.
    /// @param  rewards    The reward pot; gets its shares.
    struct Setup {
        IERC20 token;
        IPolicy policy;
        IPrices prices;
        IProviders providers;
        IEpochs epochs;
        address market;
        address timelock;
        IInsurance insurance;
        IReceiver rewards;
    }

    /// @notice What an auction came to.
    /// @param  requester         Who asked and paid `fpWei`.
    /// @param  provider          Who was drawn or chosen.
    /// @param  registration      The provider's node that serves.
    /// @param  projectType       The policy's type of project.
    /// @param  lengthS           How long it runs, in seconds.
    /// @param  failBelowPpm      Less uptime than this is a failure, in ppm: what bidders were told.
    /// @param  need              What it needs.
    /// @param  fpWei             The fixed price, in 10^-18 ANKR.
    /// @param  paidWei           What the provider is paid, in 10^-18 ANKR; at most `fpWei`.
    /// @param  bondWei           The provider's bond for its bid, in 10^-18 ANKR.
    /// @param  ethStakeWei       What both stake together, in wei.
    /// @param  expectedProfitWei What the project is expected to bring, in wei.
    struct Assignment {
        address requester;
        address provider;
        uint256 registration;
        uint16 projectType;
        uint32 lengthS;
        uint32 failBelowPpm;
        Resources need;
        uint256 fpWei;
        uint256 paidWei;
        uint256 bondWei;
        uint256 ethStakeWei;
        uint256 expectedProfitWei;
    }

    /// @notice What a deal goes by of the policy, as it was when the deal was assigned; `failBelowPpm` as
    ///         it was when its auction opened.
    /// @param  rewardBps      The reward pot's share, in 1/10,000.
    /// @param  insuranceBps   The insurance pot's share, in 1/10,000.
    /// @param  failBelowPpm   Less uptime than this is a failure, in ppm.
    /// @param  startS         How long the provider has to start, in seconds.
    /// @param  reviewS        How long after its end a failure may still be shown, in seconds.
    /// @param  disputeS       How long the governors have for a dispute, in seconds.
    struct Terms {
        uint16 rewardBps;
        uint16 insuranceBps;
        uint32 failBelowPpm;
        uint32 startS;
        uint32 reviewS;
        uint32 disputeS;
    }

    /// @notice A deal.
    /// @param  requester          Who pays.
    /// @param  state              Where it stands.
    /// @param  projectType        The policy's type of project.
    /// @param  lengthS            How long it runs, in seconds.
    /// @param  disputes           1 if the requester has disputed it, plus 2 if the provider has.
    /// @param  provider           Who serves.
    /// @param  dueAt              Until when the next one has to put its ETH in, before it runs.
    /// @param  terms              What it goes by.
    /// @param  registration       The node that serves.
    /// @param  need               What it needs of the node.
    /// @param  startedAt          When it started; 0 before.
    /// @param  endsAt             When it ends, or would have; 0 before it started.
    /// @param  disputedAt         When it was disputed last; 0 if never.
    /// @param  frozenUntil        Until when that dispute keeps it from ending.
    /// @param  fpWei              The fixed price, in 10^-18 ANKR.
    /// @param  paidWei            What the provider is paid at completion, in 10^-18 ANKR.
    /// @param  bondWei            The provider's bond, in 10^-18 ANKR.
    /// @param  ethStakeWei        What both stake together, in wei.
    /// @param  kEthWei            The provider's part of that, in wei.
    /// @param  expectedProfitWei  What it is expected to bring, in wei.
    /// @param  ankrProfitWei      What it has brought, in 10^-18 ANKR.
    /// @param  ethProfitWei       What it has brought, in wei.
    /// @param  owedWei            What of the requester's loss is not covered yet, in wei.
    /// @param  isCompensated      Whether the provider has nothing more to give for that.
    struct Deal {
        address requester;
        State state;
        uint16 projectType;
        uint32 lengthS;
        uint8 disputes;
        address provider;
        uint64 dueAt;
        Terms terms;
        uint256 registration;
        Resources need;
        uint64 startedAt;
        uint64 endsAt;
        uint64 disputedAt;
        uint64 frozenUntil;
        uint128 fpWei;
        uint128 paidWei;
        uint128 bondWei;
        uint128 ethStakeWei;
        uint128 kEthWei;
        uint128 expectedProfitWei;
        uint128 ankrProfitWei;
        uint128 ethProfitWei;
        uint128 owedWei;
        bool isCompensated;
    }

    /// @notice What a node is doing (R31). What its provider has staked in ANKR is the provider's record.
    /// @param  deal             The deal it serves or served last; 0 if none.
    /// @param  provider         Whose node it is.
    /// @param  isServing        Whether the deal holds the node now.
    /// @param  providerEthWei   ETH that the provider has staked on it, in wei.
    /// @param  requesterEthWei  ETH that the requester has staked on it, in wei.
    /// @param  ankrRewardsWei   Rewards collected so far, in 10^-18 ANKR.
    /// @param  ethRewardsWei    Rewards collected so far, in wei.
    /// @param  inUse            The capacity that the deal takes.
    /// @param  startedAt        When the deal started; 0 before.
    /// @param  endsAt           When it ends; 0 before it started.
    struct NodeRecord {
        uint256 deal;
        address provider;
        bool isServing;
        uint256 providerEthWei;
        uint256 requesterEthWei;
        uint256 ankrRewardsWei;
        uint256 ethRewardsWei;
        Resources inUse;
        uint64 startedAt;
        uint64 endsAt;
    }

    /// @notice What a requester has done so far (R36).
    /// @param  deals      How many deals it had.
    /// @param  ankrWei    ANKR that it paid for them, in 10^-18 ANKR.
    /// @param  ethWei     ETH that it staked in them, in wei.
    struct Requester {
        uint64 deals;
        uint128 ankrWei;
        uint128 ethWei;
    }

    /// @notice What the governors decide in a dispute.
    /// @param  disputedAt  When the dispute was raised that it is about, in Unix seconds: a ruling
    ///                     that was not carried out in time counts in no other one.
    /// @param  isFailed    Whether the provider failed; if not, the deal goes on.
    /// @param  lossWei     What the requester lost beside the profit it will not have, in wei; at most
    ///                     what both staked (R52), and 0 if the provider did not fail.
    struct Ruling {
        uint64 disputedAt;
        bool isFailed;
        uint256 lossWei;
    }

    /// @notice A deal begins.
    event Assigned(
        uint256 indexed deal,
        address indexed requester,
        address indexed provider,
        uint256 registration,
        uint256 fpWei,
        uint256 paidWei
    );

    /// @notice The requester put its ETH in.
    /// @param  ethWei  How much, in wei.
    event Funded(uint256 indexed deal, uint256 ethWei);

    /// @notice The provider put its ETH in, and the project runs.
    /// @param  ethWei  How much, in wei.
    /// @param  endsAt  Until when it runs.
    event Started(uint256 indexed deal, uint256 ethWei, uint64 endsAt);

    /// @notice The project brought something.
    event ProfitAdded(uint256 indexed deal, address indexed from, uint256 ankrWei, uint256 ethWei);

    /// @notice The project's money was split (R55). What each got is in `Credited`.
    /// @param  ankrWei  All ANKR there was: price and profit.
    /// @param  ethWei   All ETH there was: profit, without what was staked.
    event Completed(uint256 indexed deal, uint256 ankrWei, uint256 ethWei);

    /// @notice The provider failed (R59).
    /// @param  cause       What shows it.
    /// @param  unservedS   From when it failed to the deal's end, in seconds.
    /// @param  lossWei     What the requester lost, in wei.
    /// @param  fromKEthWei What of that came out of the provider's ETH at once, in wei.
    event Failed(
        uint256 indexed deal,
        address indexed provider,
        Cause cause,
        uint256 unservedS,
        uint256 lossWei,
        uint256 fromKEthWei
    );

    /// @notice The provider's ANKR paid for a loss.
    /// @param  ankrWei  How much of it, in 10^-18 ANKR.
    /// @param  worthWei What of the loss that covers, in wei.
    /// @param  openWei  What is left for the insurance, in wei.
    event Compensated(uint256 indexed deal, uint256 ankrWei, uint256 worthWei, uint256 openWei);

    /// @notice The insurance paid for a loss.
    /// @param  ethWei  How much, in wei.
    /// @param  openWei What nobody has covered, in wei. It may be asked for again.
    event Insured(uint256 indexed deal, uint256 ethWei, uint256 openWei);

    /// @notice A party disputes a deal (R62).
    /// @param  by          Which one.
    /// @param  frozenUntil Until when the governors may rule.
    /// @param  evidence    What it says, or where that is.
    event Disputed(uint256 indexed deal, address indexed by, uint64 frozenUntil, string evidence);

    /// @notice The governors ruled.
    event Ruled(uint256 indexed deal, bool isFailed, uint256 lossWei);

    /// @notice The governors ended a deal, because the provider is disqualified.
    event Cancelled(uint256 indexed deal);

    /// @notice A deal ended before it ran.
    /// @param  by  Who did not put its ETH in.
    event Abandoned(uint256 indexed deal, address indexed by);

    /// @notice The deal is not in the state that this needs.
    error WrongState(uint256 deal, State state);

    /// @notice Only `allowed` may.
    error NotAllowed(address caller, address allowed);

    /// @notice Exactly this much ETH has to come along.
    error WrongEth(uint256 given, uint256 wanted);

    /// @notice The time for this was over at `untilS`.
    error TooLate(uint256 deal, uint256 untilS);

    /// @notice The time for this comes at `earliestS`.
    error TooEarly(uint256 deal, uint256 earliestS);

    /// @notice The deal was assigned before.
    error DealExists(uint256 deal);

    /// @notice The provider cannot be paid more than the price, and a project has a length.
    error BadAssignment(uint256 deal);

    /// @notice There must be some profit to add.
    error NoProfit(uint256 deal);

    /// @notice The deal is disputed until `untilS`.
    error Frozen(uint256 deal, uint256 untilS);

    /// @notice The deal is not disputed, or no longer.
    error NotDisputed(uint256 deal);

    /// @notice The ruling is about another dispute than the latest, which was raised at `disputedAt`.
    error OtherDispute(uint256 deal, uint256 disputedAt);

    /// @notice This party has disputed the deal before.
    error AlreadyDisputed(uint256 deal, address party);

    /// @notice Only requester and provider dispute a deal.
    error NotParty(uint256 deal, address caller);

    /// @notice The epoch does not lie wholly inside the run.
    error EpochOutsideRun(uint256 deal, uint64 epoch);

    /// @notice The score shows no failure: the node did what it should, or nothing was seen of it, or
    ///         the epoch is void.
    error NotFailing(uint256 deal, uint32 uptimePpm, uint8 state);

    /// @notice The challenge shows no silence of the deal's node inside the run.
    error NotSilent(uint256 deal, uint256 challenge);

    /// @notice A ruling gives at most what both staked, and only if the provider failed.
    error LossTooLarge(uint256 lossWei, uint256 lossWeiMax);

    /// @notice The provider is not disqualified.
    error NotDisqualified(address provider);

    /// @notice Nothing of a loss is left to be paid from there.
    error NothingLost(uint256 deal);

    /// @notice The insurance has nothing to give now.
    error InsuranceEmpty(uint256 deal);

    /// @notice What is left would not do to take what the provider owes: send more.
    error TooLittleGas(uint256 gasLeft, uint256 gasMin);

    /// @notice Begins a deal. Only the market may, and allows `fpWei + bondWei` to be taken.
    function assign(uint256 deal, Assignment calldata given) external;

    /// @notice Puts the requester's ETH in: exactly what the provider's part leaves (R43).
    function fund(uint256 deal) external payable;

    /// @notice Starts the project with exactly the provider's ETH (R51); its bond is free again.
    function start(uint256 deal) external payable;

    /// @notice Ends a deal whose next party did not put its ETH in, in time. Anybody may.
    /// @dev    A late requester pays the reward pot's share of the price, unless the provider is
    ///         disqualified, and gets the rest back. A late provider loses its bond to the requester and
    ///         has failed.
    function abandon(uint256 deal) external;

    /// @notice Adds what a running project brought: the ETH that comes along, and ANKR of the caller.
    /// @param  ankrWei  In 10^-18 ANKR; may be 0.
    function addProfit(uint256 deal, uint256 ankrWei) external payable;

    /// @notice Splits the money of a project after its end and review (R55, Q11). Anybody may.
    /// @dev    If the ANKR does not suffice for the pots and there is ETH, it needs a price, and waits
    ///         for one.
    function complete(uint256 deal) external;

    /// @notice Ends a deal whose provider failed, as a final anchored score of its node shows
    ///         (R59, Q12, Q15). Anybody may.
    /// @dev    Uptime is a mean that goes back before the run (`protocols/reputation.md`): how soon it
    ///         falls depends on what it was. A challenge (`failSilent`) finds a dead node sooner.
    /// @param  shown  A score in an epoch wholly inside the run that is not void: suspended, or with less
    ///                uptime than the deal's terms ask. Something must ever have been seen of the node.
    function fail(uint256 deal, ScoreProof calldata shown) external;

    /// @notice Ends a deal whose node was challenged and stayed silent (R41). Anybody may.
    /// @param  challenge  One made so early in the run that a whole epoch of the run came after it: that
    ///                    is what an answer is made of.
    function failSilent(uint256 deal, uint256 challenge) external;

    /// @notice Pays for a failure out of the provider's ANKR, at a fresh price. Anybody may.
    function compensate(uint256 deal) external;

    /// @notice Lets the insurance pay what the provider could not, as far as it has it. Anybody may,
    ///         and again if something stayed open.
    function insure(uint256 deal) external;

    /// @notice Freezes a running deal until the governors rule or their time is over. Each party may
    ///         once, before the review is over.
    /// @param  evidence  What it says, or where that is.
    function dispute(uint256 deal, string calldata evidence) external;

    /// @notice Rules in a dispute. Only the timelock may.
    function rule(uint256 deal, Ruling calldata ruling) external;

    /// @notice Ends a running deal whose provider is disqualified: everybody gets back what it put in,
    ///         and the requester what the project brought (Q27). Only the timelock may.
    function cancel(uint256 deal) external;

    /// @notice A deal; zeros if there is none.
    function dealOf(uint256 deal) external view returns (Deal memory);

    /// @notice From when on a running deal may be completed.
    function completableAt(uint256 deal) external view returns (uint256);

    /// @notice A node's record (R31).
    function nodeOf(uint256 registration) external view returns (NodeRecord memory);

    /// @notice A requester's record (R36).
    function requesterOf(address account) external view returns (Requester memory);

    /// @notice How many accounts had a deal as requesters.
    function requesterCount() external view returns (uint256);

    /// @notice Requesters in the order of their first deals.
    /// @param  first  The first one's number, counted from 0.
    /// @param  count  How many; fewer are returned if there are fewer.
    function requesters(uint256 first, uint256 count) external view returns (address[] memory);
}
