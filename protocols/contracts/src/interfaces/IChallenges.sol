// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ScoreMath} from "../ScoreMath.sol";
import {IReputationAnchor} from "./IReputationAnchor.sol";
import {IBonds} from "./IBonds.sol";
import {ICouncilKeys} from "./ICouncilKeys.sol";

/// @title  Epochs' results, and how a wrong one is overturned
/// @notice A score follows from the member's score before and from what its auditors saw, and all of
///         it stands in anchored trees. Whoever shows the leaves of one member lets this contract
///         compute its score again. If it is another one than was anchored, that anchor and all
///         after it are void, and the governors pay; if it is the same, the challenger does.
/// @dev    One step, no game: what was signed is enough. What cannot be shown in one step is in
///         `protocols/anchor.md`: above all that the evidence follows from the batches, which are
///         signed with keys that Ethereum cannot check cheaply.
interface IChallenges is IReputationAnchor, IBonds {
    /// @notice What is fixed at deployment.
    /// @param  key        The council's public key, G2 as EIP-2537 encodes it, 256 bytes.
    /// @param  genesisMs  When epoch 0 starts: Unix time in milliseconds.
    /// @param  epochMs    How long an epoch lasts, in milliseconds.
    /// @param  settleMs   How long after its end an epoch's batches may travel, in milliseconds.
    /// @param  council    Who governs.
    /// @param  token      What is bonded: ANKR. It must move exactly what it is told to.
    /// @param  policy     What an anchor is worth.
    /// @param  scoring    The preset's numbers that scores depend on.
    struct Setup {
        bytes key;
        uint64 genesisMs;
        uint64 epochMs;
        uint64 settleMs;
        ICouncilKeys council;
        IERC20 token;
        Policy policy;
        ScoreMath.Params scoring;
    }

    /// @notice A leaf of an anchored tree.
    /// @param  words  Its words; none if it is left out.
    /// @param  proof  Siblings from the leaf to the root.
    struct Leaf {
        bytes32[] words;
        bytes32[] proof;
    }

    /// @notice What stands against a score. Most of it is left out in most cases.
    /// @param  header        Of the epoch in question, as it is anchored.
    /// @param  headerBefore  Of the epoch before, as it is anchored; ignored in epoch 0.
    /// @param  score         The score in question: a leaf under `header.scoreRoot`.
    /// @param  old           The member's score before: a leaf under `headerBefore.scoreRoot`. Left
    ///                       out in epoch 0, and if the member is new.
    /// @param  newcomer      If it is new: members that leave no place for it in the roster before,
    ///                       leaves under `headerBefore.rosterRoot` (`faultOf`).
    /// @param  evidence      Of a full member: its leaf under `header.evidenceRoot`.
    /// @param  matrix        The bytes whose hash stands there: what its auditors saw, one after the
    ///                       other, a byte for each round it was drawn in.
    /// @param  light         Of a light member: its leaf under `header.rosterRoot`. It and the two
    ///                       before are left out if the epoch is void.
    /// @param  stranger      If the score is of nobody who was a member: members that leave no place
    ///                       for it in the roster, leaves under `header.rosterRoot`. All but `header`
    ///                       and `score` are ignored then.
    struct Challenge {
        Header header;
        Header headerBefore;
        Leaf score;
        Leaf old;
        Leaf[] newcomer;
        Leaf evidence;
        bytes matrix;
        Leaf light;
        Leaf[] stranger;
    }

    /// @notice An anchor was shown to be wrong. It and all after it are void.
    /// @param  epoch       The epoch whose anchor was wrong; it is to be anchored next.
    /// @param  voids       How often an anchor has been voided, with this time.
    /// @param  challenger  Who showed it.
    /// @param  fault       What is wrong, as `faultOf` says.
    event Voided(uint64 indexed epoch, uint64 voids, address indexed challenger, uint8 fault);

    /// @notice A right score was challenged; the deposit is the pool's.
    /// @param  epoch       The score's epoch.
    /// @param  challenger  Who paid.
    event ChallengeFailed(uint64 indexed epoch, address indexed challenger);

    /// @notice This is not the header of an anchored epoch, or not of the one before.
    error HeaderNotAnchored(uint64 epoch);

    /// @notice The epoch could be challenged until `untilS` (Unix seconds).
    error EpochFinal(uint64 epoch, uint256 untilS);

    /// @notice The score is not a leaf of the epoch's scores.
    error ScoreNotProved();

    /// @notice The score before is not a leaf of the scores before.
    error OldScoreNotProved();

    /// @notice The evidence is not a leaf of the epoch's.
    error EvidenceNotProved();

    /// @notice A member is not a leaf of its roster.
    error MemberNotProved();

    /// @notice A leaf is of another member than the score.
    error OtherMember();

    /// @notice The matrix is not the one whose hash stands in the evidence.
    error OtherMatrix();

    /// @notice A full member's score follows from evidence; only a light one's does without.
    error NotLight();

    /// @notice There is a place for the member in the roster before: show its score before.
    error NotNewcomer();

    /// @notice There is a place for the member in the roster.
    error NotStranger();

    /// @notice Voids an anchor by one wrong score, and all anchors after it; or loses the deposit.
    ///         Anyone may who has the deposit and approved it.
    /// @dev    The slashed part of the pool goes to the challenger and the sink. Reverts if it shows
    ///         less than it must, and never because a score is right.
    /// @param  given  What stands against the score.
    function challenge(Challenge calldata given) external;

    /// @notice What is wrong with a score; reverts as `challenge` does.
    /// @dev    A roster's members of a kind are ranked by node id. Two of them that follow each other
    ///         leave no place between them, nor does the first before it or the last behind it; a
    ///         member is not in a roster in which neither kind has a place for it. A node stands in a
    ///         roster once, so a leaf of the same node with another nonce shows it as well.
    /// @return 0 to 15, the number of a wrong word of the leaf; 16 if the score before cannot be one;
    ///         17 if the matrix has another size than the evidence says; 18 if it is nobody's score;
    ///         255 if it is right.
    function faultOf(Challenge calldata given) external view returns (uint8);

    /// @notice The preset's numbers that scores depend on.
    function scoring() external view returns (ScoreMath.Params memory);
}
