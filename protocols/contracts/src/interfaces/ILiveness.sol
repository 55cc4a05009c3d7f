// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IReputationAnchor} from "./IReputationAnchor.sol";
import {ScoreProof} from "./IScores.sol";

/// @title  Does a node still answer? (R41, Q15)
/// @notice Whoever doubts it challenges the node, with a bond. The answer is what the network's
///         auditors saw: the node's score in an epoch that began after the challenge, with its last
///         verdict UP. If such an epoch was anchored `AnswerS` ago and is final, and nobody has shown
///         an answer, the node was silent. From the challenge to that it takes at most the rest of
///         an epoch, the next one, its settling and anchoring, and the longer of `AnswerS` and the
///         time in which an anchor may be challenged.
/// @dev    The bond goes to the provider if the node answered, so doubting is never free for long; it
///         comes back if the node was silent. An open challenge keeps others away for an epoch. A
///         council that anchors nothing, or only void epochs, makes nobody silent: such a challenge
///         lapses. An open challenge locks nothing of the provider's.
interface ILiveness {
    /// @notice How far a challenge has come.
    enum ChallengeState {
        None,
        Open,
        Answered,
        Silent,
        Lapsed
    }

    /// @notice A challenge of a node.
    /// @param  state         How far it has come.
    /// @param  answerS       How long after an anchor there is to answer, in seconds.
    /// @param  challengedAt  When it was made, Unix seconds.
    /// @param  challenger    Who made it.
    /// @param  provider      Whose node it is.
    /// @param  registration  The node.
    /// @param  bond          In 10^-18 ANKR.
    struct Challenge {
        ChallengeState state;
        uint32 answerS;
        uint64 challengedAt;
        address challenger;
        address provider;
        uint256 registration;
        uint256 bond;
    }

    /// @notice A node was challenged.
    /// @param  challenge     Number of the challenge, counted from 1.
    /// @param  registration  The node.
    /// @param  challenger    Who doubts.
    /// @param  bond          What it costs if the node answers, in 10^-18 ANKR.
    event Challenged(
        uint256 indexed challenge,
        uint256 indexed registration,
        address indexed challenger,
        uint256 bond
    );

    /// @notice A node answered: it was up in `epoch`.
    event Answered(uint256 indexed challenge, uint256 indexed registration, uint64 epoch);

    /// @notice A node did not answer; `epoch` is what it could have answered with.
    event Silent(uint256 indexed challenge, uint256 indexed registration, uint64 epoch);

    /// @notice A challenge came to nothing.
    event Lapsed(uint256 indexed challenge, uint256 indexed registration);

    /// @notice An account was paid what bonds came to.
    event Collected(address indexed account, uint256 amount);

    /// @notice The node was challenged less than an epoch ago, and this challenge is open.
    error ChallengeOpen(uint256 registration, uint256 challenge);

    /// @notice The challenge does not exist, or is decided.
    error ChallengeNotOpen(uint256 challenge, ChallengeState state);

    /// @notice The epoch began before the challenge, which was at `challengedAt` (Unix seconds).
    error EpochTooEarly(uint64 epoch, uint256 challengedAt);

    /// @notice In a void epoch nothing was seen.
    error EpochVoid(uint64 epoch);

    /// @notice The score says that the node was not up.
    error NotUp(uint256 registration, uint64 epoch);

    /// @notice There is time until `untilS` (Unix seconds).
    error TooEarly(uint256 challenge, uint256 untilS);

    /// @notice Nothing is owed to the account.
    error NothingOwed(address account);

    /// @notice Challenges a node that is bound; takes the policy's ChallengeBond, which the caller
    ///         must approve before. An open challenge keeps others away for the length of an epoch,
    ///         and not longer: who runs the node could keep one of its own open.
    /// @param  registration  The node.
    /// @return challenge_    Number of the challenge.
    function challenge(uint256 registration) external returns (uint256 challenge_);

    /// @notice Answers a challenge. Anyone may, as long as it is open.
    /// @param  challenge_  The challenge.
    /// @param  shown       The node's score in an anchored epoch that is not void and began after the
    ///                     challenge, with its last verdict UP; the epoch need not be final.
    function answer(uint256 challenge_, ScoreProof calldata shown) external;

    /// @notice Shows that a node could have answered, and did not. Anyone may.
    /// @param  challenge_  The challenge.
    /// @param  header      Header of a final epoch that is not void, began after the challenge and was
    ///                     anchored `answerS` ago.
    function timeOut(uint256 challenge_, IReputationAnchor.Header calldata header) external;

    /// @notice Ends a challenge that nothing decided for `answerS` + `LAPSE_S`, and gives the bond
    ///         back. Anyone may.
    function lapse(uint256 challenge_) external;

    /// @notice Pays the caller what bonds came to.
    function collect() external;

    /// @notice A challenge; `None` and zeros if there is none of this number.
    function challengeOf(uint256 challenge_) external view returns (Challenge memory);

    /// @notice What `collect` would pay an account, in 10^-18 ANKR.
    function owedTo(address account) external view returns (uint256);

    /// @notice Whether a liveness challenge of a node timed out (R41), and when it was made.
    function silence(uint256 challenge_)
        external
        view
        returns (bool isSilent, uint256 registration, uint64 challengedAt);

    /// @notice How long after its time to answer an open challenge can be ended, in seconds.
    function LAPSE_S() external view returns (uint256);
}
