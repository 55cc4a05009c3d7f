// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A call that the timelock makes.
/// @param  target  Whom it calls.
/// @param  value   What ETH it sends along, in wei.
/// @param  data    The call.
struct Call {
    address target;
    uint256 value;
    bytes data;
}

/// @title  How governors decide (R15, R20, R62, Q8, Q21)
/// @notice A governor proposes calls, governors vote: each has one vote, whatever its stake. Enough
///         votes, abstentions among them, and more yes than no: then the timelock makes the calls
///         after its delay, whoever asks it to. A referendum passes only if stakers say yes as well.
///         A proposal without calls is an open vote on any matter.
/// @dev    Who took a seat after a proposal was opened does not vote on it. A proposal ends with the
///         term it was opened in: the next council is bound by no vote of the one before that is
///         still open.
///
///         A proposal goes by the policy that stood when it was opened, in its quorums and in what it
///         costs to miss it.
///
///         Proposals are closed in the order of their numbers, so all agree on which votes somebody
///         missed one after the other. Deadlines never decrease with the number: none waits for an
///         earlier one once its own time is over.
interface IProposals {
    /// @notice What one votes.
    enum Choice {
        Abstain,
        Yes,
        No
    }

    /// @notice What became of a proposal.
    /// @param  Open      Not yet closed.
    /// @param  Passed    The timelock has its calls, if any.
    /// @param  Rejected  Too few voted, or not enough of them yes.
    /// @param  Lapsed    The term was over first.
    enum Outcome {
        Open,
        Passed,
        Rejected,
        Lapsed
    }

    /// @notice A proposal.
    /// @param  proposer   Who proposed it.
    /// @param  openedAt   When, Unix seconds.
    /// @param  closesAt   Until when it takes votes, Unix seconds.
    /// @param  operation  Its number at the timelock (`TimelockController.hashOperationBatch`).
    /// @param  voted      Bit i is set if the governor in seat i voted.
    /// @param  term       The term it belongs to.
    /// @param  ballot     The stakers' ballot; 0 unless it is a referendum.
    /// @param  seatCount  Seats that were taken: who may vote.
    /// @param  votesMin   Votes, abstentions among them, that it takes.
    /// @param  yes        Governors for it.
    /// @param  no         Governors against it.
    /// @param  abstain    Governors that voted neither.
    /// @param  outcome    What became of it.
    struct Proposal {
        address proposer;
        uint48 openedAt;
        uint48 closesAt;
        bytes32 operation;
        uint64 voted;
        uint64 term;
        uint64 ballot;
        uint8 seatCount;
        uint8 votesMin;
        uint8 yes;
        uint8 no;
        uint8 abstain;
        Outcome outcome;
    }

    /// @notice What stakers said in a referendum.
    /// @param  yes  For it, in 10^-18 ANKR.
    /// @param  no   Against it, in 10^-18 ANKR.
    struct Tally {
        uint128 yes;
        uint128 no;
    }

    /// @notice Something was proposed.
    /// @param  proposal  Its number.
    /// @param  given     The proposal.
    /// @param  calls     What the timelock is to call.
    /// @param  summary   What it is about.
    event Proposed(uint64 indexed proposal, Proposal given, Call[] calls, string summary);

    /// @notice A governor voted.
    event Voted(uint64 indexed proposal, address indexed account, Choice choice);

    /// @notice A staker voted in a referendum.
    /// @param  weight  Its stake at the snapshot, in 10^-18 ANKR.
    event StakerVoted(
        uint64 indexed proposal, address indexed account, Choice choice, uint256 weight
    );

    /// @notice A governor did not vote.
    /// @param  missed  How many votes it missed one after the other.
    event VoteMissed(uint64 indexed proposal, address indexed account, uint256 missed);

    /// @notice A proposal is over.
    event ProposalClosed(uint64 indexed proposal, Outcome outcome);

    /// @notice A governor has one open proposal at a time.
    error ProposalOpen(address proposer, uint64 proposal);

    /// @notice A proposal makes at most `CALLS_MAX` calls.
    error TooManyCalls(uint256 count, uint256 countMax);

    /// @notice Calls and summary have at most `PROPOSAL_BYTES_MAX`.
    error TooManyBytes(uint256 length, uint256 lengthMax);

    /// @notice Of the timelock's own functions only `updateDelay` is up for vote: its roles stay as they
    ///         were deployed.
    error CallForbidden(bytes4 selector);

    /// @notice There is no proposal of this number.
    error NoSuchProposal(uint64 proposal);

    /// @notice The proposal takes no votes from `closesAt` on, Unix seconds.
    error VotingOver(uint64 proposal, uint48 closesAt);

    /// @notice The proposal is closed from `closesAt` on, Unix seconds.
    error VotingRuns(uint64 proposal, uint48 closesAt);

    /// @notice The proposal was put to the council of another term.
    error OtherTerm(uint64 proposal, uint64 term);

    /// @notice The account took its seat after the proposal was opened.
    error SeatedLater(uint64 proposal, address account);

    /// @notice A governor votes once on a proposal.
    error AlreadyVoted(uint64 proposal, address account);

    /// @notice Stakers vote on referenda only.
    error NotReferendum(uint64 proposal);

    /// @notice Proposals are closed in order; this one is next.
    error NotNextProposal(uint64 proposal, uint64 next);

    /// @notice These are not the calls that were proposed.
    error OtherCalls(bytes32 operation, bytes32 proposed);

    /// @notice Proposes calls to the timelock. Only governors with enough stake may.
    /// @param  calls         What the timelock is to call; none for an open vote on any matter.
    /// @param  isReferendum  Whether stakers must say yes too.
    /// @param  summary       What it is about, in words or as an address of a text.
    /// @return proposal      Its number.
    function propose(Call[] calldata calls, bool isReferendum, string calldata summary)
        external
        returns (uint64 proposal);

    /// @notice Votes on a proposal. Only governors with enough stake that sat when it was opened may.
    ///         To abstain is to vote (Q8).
    function vote(uint64 proposal, Choice choice) external;

    /// @notice Votes in a referendum with the caller's stake at its snapshot. Who governs may as well.
    function voteAsStaker(uint64 proposal, Choice choice) external;

    /// @notice Closes the next proposal once its time is over: counts, hands the calls to the timelock
    ///         if it passed, and slashes who missed too many votes one after the other. Anyone may.
    /// @param  proposal  Its number: `nextToClose()`.
    /// @param  calls     The calls as they were proposed; read only if it passed.
    function close(uint64 proposal, Call[] calldata calls) external;

    /// @notice A proposal, by its number.
    function proposalAt(uint64 proposal) external view returns (Proposal memory);

    /// @notice What stakers said in a referendum so far.
    function tallyOf(uint64 proposal) external view returns (Tally memory);

    /// @notice How many votes an account missed one after the other. It starts anew with a vote and with
    ///         a slash, not with a term.
    function missedOf(address account) external view returns (uint256);

    /// @notice Number of the latest proposal, counted from 1; 0 if there is none.
    function latestProposal() external view returns (uint64);

    /// @notice Number of the proposal that is closed next.
    function nextToClose() external view returns (uint64);

    /// @notice The most calls of a proposal.
    function CALLS_MAX() external view returns (uint256);

    /// @notice The most bytes that all calls and the summary of a proposal have, as ABI data.
    function PROPOSAL_BYTES_MAX() external view returns (uint256);

    /// @notice A vote lasts the policy's `VotingS`, but at least so many seconds: what that was at
    ///         deployment. No majority can make votes too short for the others, and slash them for it.
    function VOTING_S_MIN() external view returns (uint48);
}
