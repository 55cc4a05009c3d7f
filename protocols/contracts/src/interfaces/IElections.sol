// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  How governors are elected (R17, R18, Q22)
/// @notice Anyone opens an election that is due, and anyone closes it after its time. In between
///         whoever has the stake may stand, with the own stake as the first votes, and every other
///         stake backs one candidate. Most votes win; of equal ones, who stood first.
/// @dev    Both to stand and to back take stake from before the election opened. Votes only grow, so
///         the best are kept as they come, in order, at most as many as there are seats: no call
///         costs more with more voters or candidates.
///
///         A renewal that fewer win than it takes (`winnersMin`) leaves the list as it is, and is due
///         again at once. The dates of the next ones do not move.
interface IElections {
    /// @notice An election.
    /// @param  openedAt    When it was opened, Unix seconds.
    /// @param  closesAt    Until when one may stand and back, Unix seconds.
    /// @param  ballot      The ballot it is.
    /// @param  stakeMin    What a candidate has at least, in 10^-18 ANKR.
    /// @param  n           The list has at most 2n + 1 seats afterwards.
    /// @param  seatsMax    How many are elected at most.
    /// @param  winnersMin  How many must win, or nobody does.
    /// @param  candidates  How many stand.
    /// @param  isRenewal   Whether the whole list is elected.
    /// @param  isClosed    Whether it is over.
    struct Election {
        uint48 openedAt;
        uint48 closesAt;
        uint64 ballot;
        uint208 stakeMin;
        uint8 n;
        uint8 seatsMax;
        uint8 winnersMin;
        uint32 candidates;
        bool isRenewal;
        bool isClosed;
    }

    /// @notice Somebody who stands.
    /// @param  nodeId  Its node's Ed25519 public key; 0 if it does not stand.
    /// @param  votes   Own stake and that of its backers, in 10^-18 ANKR.
    /// @param  place   In which order it came to stand: 1 was first.
    struct Candidate {
        bytes32 nodeId;
        uint208 votes;
        uint48 place;
    }

    /// @notice An election was opened.
    event ElectionOpened(uint64 indexed election, Election given);

    /// @notice Somebody stands.
    event Stood(uint64 indexed election, address indexed account, bytes32 nodeId, uint256 votes);

    /// @notice A staker backs a candidate.
    event Backed(
        uint64 indexed election,
        address indexed candidate,
        address indexed account,
        uint256 weight,
        uint256 votes
    );

    /// @notice An election is over. If fewer won than `winnersMin`, nobody was seated.
    event ElectionClosed(uint64 indexed election, uint256 winners, uint256 winnersMin);

    /// @notice No election is due before `dueAt`, Unix seconds.
    error ElectionNotDue(uint48 dueAt);

    /// @notice This election is open and must be closed first.
    error ElectionOpen(uint64 election);

    /// @notice This election is not open.
    error ElectionNotOpen(uint64 election);

    /// @notice The election takes nobody and no vote from `closesAt` on, Unix seconds.
    error ElectionOver(uint64 election, uint48 closesAt);

    /// @notice The election is closed from `closesAt` on, Unix seconds.
    error ElectionRuns(uint64 election, uint48 closesAt);

    /// @notice Who was invited accepts, and is not elected besides.
    error IsInvited(address account);

    /// @notice A node id of 0 is no key.
    error ZeroNode();

    /// @notice The account does not stand in this election.
    error NotCandidate(uint64 election, address account);

    /// @notice Opens the election that is due. Anyone may.
    /// @return election  Its number.
    function openElection() external returns (uint64 election);

    /// @notice Stands in an election. The caller's stake must reach the election's `stakeMin`, now and
    ///         at the snapshot; it is bound until the election is closed, and longer if it wins.
    /// @param  election  Number of the open election.
    /// @param  nodeId    The caller's node's Ed25519 public key, for the council's keys.
    function stand(uint64 election, bytes32 nodeId) external;

    /// @notice Gives the caller's stake at the snapshot to a candidate, for good.
    /// @param  election   Number of the open election.
    /// @param  candidate  Who stands in it.
    function back(uint64 election, address candidate) external;

    /// @notice Closes the election whose time is over and seats who won. Anyone may.
    function closeElection() external;

    /// @notice From when on the next election may be opened, Unix seconds.
    function dueAt() external view returns (uint48);

    /// @notice An election, by its number.
    function electionAt(uint64 election) external view returns (Election memory);

    /// @notice A candidate of an election.
    function candidateOf(uint64 election, address account) external view returns (Candidate memory);

    /// @notice Who would win an election as it stands, best first; who won it, once it is closed.
    function standings(uint64 election) external view returns (address[] memory);

    /// @notice Number of the election opened last, counted from 1; 0 if none was.
    function latestElection() external view returns (uint64);

    /// @notice An election lasts the policy's `ElectionS`, but at least so many seconds: what that was
    ///         at deployment. No council can make its renewal too short to stand in.
    function ELECTION_S_MIN() external view returns (uint48);
}
