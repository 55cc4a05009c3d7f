// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  The bulletin board on which a council makes its keys, and who sits in it
/// @notice Governors deal each other shares of the council's keys off chain. What all of them must
///         see alike stands here: hashes of the deals, complaints, what was revealed to answer
///         them, and the group each receiver came to. A threshold of the receivers that names one
///         group seats them as the council.
/// @dev    Of n governors, n odd, n / 2 + 1 are a threshold. Nobody else decides anything: there is
///         no owner. The contract counts and keeps time; it checks no key and no share, and what a
///         session's outcome is the participants compute from its posts.
///
///         A session runs through four phases, in order. Each lasts at most `PHASE_S` and ends
///         early once nothing is left to wait for: a block's time is in a phase if it is at or after
///         the end of the one before and before its own end. What ends a phase early ends it at the
///         time of its block, so a later post of the same block may be in the next phase.
///
///         A list's hash is `keccak256(abi.encode(list))`. A governor's index is its place in the
///         list, counted from 0.
interface ICouncilKeys {
    /// @notice One seat in a list.
    /// @param  account  Who posts for it.
    /// @param  nodeId   Its node's Ed25519 public key.
    struct Governor {
        address account;
        bytes32 nodeId;
    }

    /// @notice What a session makes.
    /// @param  Fresh    The council's first keys. The sitting list deals to itself.
    /// @param  Reshare  New shares of the same keys. The sitting list deals to the list that was
    ///                  supported, which may be the same.
    enum Kind {
        Fresh,
        Reshare
    }

    /// @notice How far a session has come.
    /// @param  Deal        Dealers post the hashes of their deals. Ends early when all have. If
    ///                     fewer than a threshold of the dealers have by its end, the session fails.
    /// @param  Respond     Receivers say which deals they complain about. Ends early when all have.
    /// @param  Justify     Dealers reveal the shares complained about. Left out if there are none to
    ///                     reveal, ends early when all are.
    /// @param  Confirm     Receivers name the group they came to.
    /// @param  Confirmed   A threshold of the receivers named one group. They sit now.
    /// @param  Failed      They did not in time.
    /// @param  Superseded  It was under way when the next session opened.
    enum Phase {
        Deal,
        Respond,
        Justify,
        Confirm,
        Confirmed,
        Failed,
        Superseded
    }

    /// @notice A share that its dealer revealed.
    /// @param  dealer    The dealer's index.
    /// @param  receiver  The index of the receiver that complained.
    /// @param  shares    What it was dealt, 32 bytes a purpose.
    struct Justification {
        uint8 dealer;
        uint8 receiver;
        bytes shares;
    }

    /// @notice A session as it stands now, with all that a participant needs. Times are Unix
    ///         seconds; the end of a phase not yet over is the latest it may be, as things stand.
    /// @param  number              Its number, counted from 1.
    /// @param  kind                What it makes.
    /// @param  phase               How far it has come.
    /// @param  openedAt            When it was opened.
    /// @param  dealEndsAt          When the phase `Deal` ends.
    /// @param  respondEndsAt       When the phase `Respond` ends.
    /// @param  justifyEndsAt       When the phase `Justify` ends.
    /// @param  confirmEndsAt       When the phase `Confirm` ends.
    /// @param  startsAt            From when on the new shares count; 0 unless confirmed.
    /// @param  dealersThreshold    How many deals it takes.
    /// @param  receiversThreshold  How many shares make a signature, and how many confirmations of
    ///                             one group seat the receivers.
    /// @param  groupHash           The group that was confirmed; 0 unless confirmed.
    /// @param  dealers             Who deals.
    /// @param  receivers           Who gets shares.
    /// @param  dealHashes          Hash of each dealer's deal; 0 if it posted none.
    /// @param  responded           Bit j is set if receiver j responded.
    /// @param  complaints          Each receiver's complaints: bit i is set if against dealer i.
    /// @param  justifications      What was revealed, in the order of the posts.
    /// @param  confirmations       Hash of the group each receiver named; 0 if it named none.
    struct Session {
        uint64 number;
        Kind kind;
        Phase phase;
        uint64 openedAt;
        uint64 dealEndsAt;
        uint64 respondEndsAt;
        uint64 justifyEndsAt;
        uint64 confirmEndsAt;
        uint64 startsAt;
        uint256 dealersThreshold;
        uint256 receiversThreshold;
        bytes32 groupHash;
        Governor[] dealers;
        Governor[] receivers;
        bytes32[] dealHashes;
        uint64 responded;
        uint64[] complaints;
        Justification[] justifications;
        bytes32[] confirmations;
    }

    /// @notice Who governs now.
    /// @param  session    The session that seated them; 0 for the list given at deployment, which
    ///                    has no key.
    /// @param  startsAt   From when on their shares count, Unix seconds; 0 if there is no key.
    /// @param  groupHash  The group they confirmed; 0 if there is no key.
    /// @param  governors  Their list.
    struct Sitting {
        uint64 session;
        uint64 startsAt;
        bytes32 groupHash;
        Governor[] governors;
    }

    /// @notice A list was seen for the first time.
    /// @param  listHash  Its hash.
    /// @param  list      The list.
    event ListProposed(bytes32 indexed listHash, Governor[] list);

    /// @notice A sitting governor wants a list to be the next session's receivers.
    /// @param  session   Number of that session.
    /// @param  listHash  The list's hash.
    /// @param  account   Who wants it. What it supported before no longer counts.
    /// @param  supporters  How many want it now.
    event ListSupported(
        uint64 indexed session,
        bytes32 indexed listHash,
        address indexed account,
        uint256 supporters
    );

    /// @notice A session was opened. Whatever session was under way is superseded.
    /// @param  session        Its number.
    /// @param  kind           What it makes.
    /// @param  dealersHash    Hash of the list that deals.
    /// @param  receiversHash  Hash of the list that gets shares.
    event SessionOpened(
        uint64 indexed session, Kind kind, bytes32 dealersHash, bytes32 receiversHash
    );

    /// @notice A dealer committed to its deal.
    /// @param  session   Number of the session.
    /// @param  dealer    The dealer's index.
    /// @param  dealHash  SHA-256 of the deal.
    event DealPosted(uint64 indexed session, uint256 indexed dealer, bytes32 dealHash);

    /// @notice A receiver looked at all deals.
    /// @param  session     Number of the session.
    /// @param  receiver    The receiver's index.
    /// @param  complaints  Bit i is set if it complains about dealer i.
    event Responded(uint64 indexed session, uint256 indexed receiver, uint64 complaints);

    /// @notice A dealer revealed a share.
    /// @param  session   Number of the session.
    /// @param  dealer    The dealer's index.
    /// @param  receiver  The index of the receiver that complained.
    /// @param  shares    What it was dealt, 32 bytes a purpose.
    event Justified(
        uint64 indexed session, uint256 indexed dealer, uint256 indexed receiver, bytes shares
    );

    /// @notice A receiver named the group it came to.
    /// @param  session        Number of the session.
    /// @param  receiver       The receiver's index.
    /// @param  groupHash      Hash of the group.
    /// @param  confirmations  How many named that group by now.
    event GroupConfirmed(
        uint64 indexed session, uint256 indexed receiver, bytes32 groupHash, uint256 confirmations
    );

    /// @notice A session's receivers sit from now on.
    /// @param  session    Number of the session.
    /// @param  groupHash  The group they confirmed.
    /// @param  startsAt   From when on their shares count, Unix seconds.
    event CouncilSeated(uint64 indexed session, bytes32 groupHash, uint64 startsAt);

    /// @notice A governor of the list before sits no longer.
    /// @param  session  Number of the session that seated the others.
    /// @param  account  Who left.
    /// @param  untilS   Until when its shares count, Unix seconds: the session's `startsAt`.
    event GovernorLeft(uint64 indexed session, address indexed account, uint64 untilS);

    /// @notice A phase must last at least a second and at most `PHASE_S_MAX`.
    error BadPhaseLength(uint64 phaseS, uint64 phaseSMax);

    /// @notice A list has an odd number of governors, at most `GOVERNORS_MAX`.
    error BadGovernorCount(uint256 count, uint256 countMax);

    /// @notice Account 0 cannot post.
    error ZeroAccount(uint256 index);

    /// @notice Node id 0 is no key.
    error ZeroNodeId(uint256 index);

    /// @notice An account has one seat in a list.
    error DuplicateAccount(uint256 index, uint256 duplicateIndex);

    /// @notice A node has one seat in a list.
    error DuplicateNodeId(uint256 index, uint256 duplicateIndex);

    /// @notice Only who sits in the council decides on its next session.
    error NotGovernor(address account);

    /// @notice As long as there is no key, the sitting list makes it and no other.
    error NotSittingList(bytes32 listHash, bytes32 sittingHash);

    /// @notice Only the session after the latest can be opened. A support that comes too late for
    ///         one does not count for another.
    error NotNextSession(uint64 session, uint64 next);

    /// @notice The governor supports this list for the next session already.
    error AlreadySupported(address account, bytes32 listHash);

    /// @notice There is no session of this number.
    error NoSuchSession(uint64 session);

    /// @notice Posts are for the latest session only.
    error NotLatestSession(uint64 session, uint64 latest);

    /// @notice The session is in another phase than the one for this post.
    error WrongPhase(uint64 session, Phase phase, Phase phaseOfPost);

    /// @notice The caller is not among those who deal in this session.
    error NotDealer(uint64 session, address account);

    /// @notice The caller is not among those who get shares in this session.
    error NotReceiver(uint64 session, address account);

    /// @notice A dealer commits to one deal.
    error AlreadyDealt(uint64 session, uint256 dealer);

    /// @notice A receiver responds once.
    error AlreadyResponded(uint64 session, uint256 receiver);

    /// @notice A complaint is answered once.
    error AlreadyJustified(uint64 session, uint256 dealer, uint256 receiver);

    /// @notice A receiver names one group.
    error AlreadyConfirmed(uint64 session, uint256 receiver);

    /// @notice A hash of 0 stands for none.
    error ZeroHash();

    /// @notice Some of these complaints are about nobody who dealt; bit i of `dealt` is set if
    ///         dealer i did.
    error NoSuchDeal(uint64 complaints, uint64 dealt);

    /// @notice The receiver does not complain about this dealer.
    error NoSuchComplaint(uint64 session, uint256 dealer, uint256 receiver);

    /// @notice With so many complaints the dealer is out, and need not answer: all its shares taken
    ///         together would give its secret away.
    error DealerEvicted(uint64 session, uint256 dealer, uint256 complaints, uint256 threshold);

    /// @notice Shares are `SHARES_BYTES` long.
    error BadSharesLength(uint256 length);

    /// @notice Supports a list as the receivers of the next session, and opens that session once a
    ///         threshold of the sitting governors do. Only they may.
    /// @dev    Supports are for one next session and by one sitting list: once another session opens
    ///         or another list sits, all start anew. This is also how a session that is stuck is
    ///         given up: the next one supersedes it.
    /// @param  session  Number of the next session: `latestSession() + 1`.
    /// @param  list     The receivers; the sitting list itself as long as there is no key.
    function support(uint64 session, Governor[] calldata list) external;

    /// @notice Commits to a deal in the phase `Deal`. Only dealers may, each once.
    /// @param  session   The latest session.
    /// @param  dealHash  SHA-256 of the deal; not 0.
    function postDeal(uint64 session, bytes32 dealHash) external;

    /// @notice Says which deals are bad, or did not come, in the phase `Respond`. Only receivers may,
    ///         each once.
    /// @param  session     The latest session.
    /// @param  complaints  Bit i is set to complain about dealer i, which must have dealt.
    function respond(uint64 session, uint64 complaints) external;

    /// @notice Reveals a share in the phase `Justify`. Only the dealer that a receiver complains about
    ///         may, once for each complaint.
    /// @dev    Not checked here: whether the share fits the deal is for the participants to see.
    /// @param  session   The latest session.
    /// @param  receiver  The receiver's index.
    /// @param  shares    What it was dealt, `SHARES_BYTES` long.
    function justify(uint64 session, uint256 receiver, bytes calldata shares) external;

    /// @notice Names the group that the session comes to, in the phase `Confirm`. Only receivers may,
    ///         each once. A threshold of one hash seats them.
    /// @param  session    The latest session.
    /// @param  groupHash  Hash of the group; not 0.
    function confirm(uint64 session, bytes32 groupHash) external;

    /// @notice Who governs now.
    function sitting() external view returns (Sitting memory);

    /// @notice Number of the session that seated them; 0 if none has been confirmed.
    function sittingSession() external view returns (uint64);

    /// @notice Number of the session opened last; 0 if none was.
    function latestSession() external view returns (uint64);

    /// @notice A session as it stands now.
    /// @param  session  Its number, from 1 to `latestSession()`.
    function sessionAt(uint64 session) external view returns (Session memory);

    /// @notice A list that was proposed or sits; empty if there is none of this hash.
    function listOf(bytes32 listHash) external view returns (Governor[] memory);

    /// @notice How many sitting governors support a list for the next session.
    function supportersOf(bytes32 listHash) external view returns (uint256);

    /// @notice Whether the account supports the list for the next session.
    function hasSupported(address account, bytes32 listHash) external view returns (bool);

    /// @notice Whether the account sits in the council.
    function isGovernor(address account) external view returns (bool);

    /// @notice Until when an account governs, Unix seconds.
    /// @return The end of time (2^64 - 1) while it sits, then until when its shares count; 0 if it
    ///         never sat.
    function satUntil(address account) external view returns (uint64);

    /// @notice How long a phase may last, in seconds. As long again after a session is confirmed the
    ///         new shares start to count.
    function PHASE_S() external view returns (uint64);

    /// @notice The longest phase there may be, in seconds.
    function PHASE_S_MAX() external view returns (uint64);

    /// @notice The most governors in a list.
    function GOVERNORS_MAX() external view returns (uint256);

    /// @notice Length of the shares that answer a complaint: 32 bytes a purpose.
    function SHARES_BYTES() external view returns (uint256);
}
