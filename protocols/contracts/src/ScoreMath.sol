// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title  Verdicts and scores, version `score/1`, as every peer computes them
/// @notice The rules are those of `protocols/reputation.md`, in integers that are rounded alike:
///         down. A score is the words of its leaf; they have names below.
/// @dev    Numbers of a score that can be are below 2^64 (`canBe`), and what is added in an epoch is
///         below 2^40. No product of three of them comes near 2^256, so nothing here overflows.
library ScoreMath {
    /// @notice The numbers of a preset that scores depend on.
    /// @param  decayQ32          Share of a count that survives an epoch, in 1/2^32; more than 0.
    /// @param  designEffect      Observations that weigh as one; more than 0.
    /// @param  tenureEpochs      Age at which reliability is half of what uptime allows.
    /// @param  vettingEpochs     Age until which a member counts as vetting.
    /// @param  floorPpm          Uptime below which, with the leeway, a member goes to probation.
    /// @param  leewayPpm         How far below the median uptime it must also be.
    /// @param  probationEpochs   Epochs of probation before a suspension.
    /// @param  suspensionEpochs  How many epochs a suspension lasts.
    /// @param  dutyMax           Most observations that an auditor may owe in an epoch.
    struct Params {
        uint32 decayQ32;
        uint32 designEffect;
        uint32 tenureEpochs;
        uint32 vettingEpochs;
        uint32 floorPpm;
        uint32 leewayPpm;
        uint32 probationEpochs;
        uint32 suspensionEpochs;
        uint32 dutyMax;
    }

    /// @notice What an epoch brought one member.
    /// @param  ups        Its UP rounds.
    /// @param  decided    Its UP and DOWN rounds.
    /// @param  outages    How often DOWN followed on UP.
    /// @param  last       Verdict of its last decided round ever.
    /// @param  delivered  Observations it reported as an auditor.
    /// @param  owed       Observations it was assigned.
    struct Seen {
        uint256 ups;
        uint256 decided;
        uint256 outages;
        uint256 last;
        uint256 delivered;
        uint256 owed;
    }

    /// @notice What is said of a member's score after an epoch, and what it must follow from.
    /// @param  score      The score after the epoch; any words.
    /// @param  old        The score before it; any words.
    /// @param  auditors   How many auditors the member was assigned; 0 if it is a light one.
    /// @param  rounds     How many rounds it was drawn in; 0 if it is a light one.
    /// @param  epoch      The epoch.
    /// @param  medianPpm  Median uptime of the epoch.
    /// @param  isVoid     Whether the epoch changes no score.
    struct Claim {
        uint256[16] score;
        uint256[16] old;
        uint256 auditors;
        uint256 rounds;
        uint256 epoch;
        uint256 medianPpm;
        bool isVoid;
    }

    uint256 internal constant WORDS = 16;
    uint8 internal constant NODE = 0;
    uint8 internal constant NONCE = 1;
    uint8 internal constant S = 2;
    uint8 internal constant N = 3;
    uint8 internal constant UP_ROUNDS = 4;
    uint8 internal constant OUTAGES = 5;
    uint8 internal constant AGE_EPOCHS = 6;
    uint8 internal constant LAST_VERDICT = 7;
    uint8 internal constant DUTY_S = 8;
    uint8 internal constant DUTY_N = 9;
    uint8 internal constant STATE = 10;
    uint8 internal constant STATE_UNTIL = 11;
    uint8 internal constant UPTIME_PPM = 12;
    uint8 internal constant RUN_TIME_ROUNDS = 13;
    uint8 internal constant RELIABILITY_PPM = 14;
    uint8 internal constant DUTY_PPM = 15;

    /// @dev Faults beside a word's number: the score before cannot be one, the matrix has not the
    ///      size that the evidence says, and nothing is wrong.
    uint8 internal constant OLD_SCORE = 16;
    uint8 internal constant MATRIX = 17;
    uint8 internal constant RIGHT = 255;

    uint256 internal constant UP = 1;
    uint256 internal constant DOWN = 2;

    uint256 internal constant VETTING = 0;
    uint256 internal constant ACTIVE = 1;
    uint256 internal constant PROBATION = 2;
    uint256 internal constant SUSPENDED = 3;

    /// @dev Most auditors of one target, and most rounds of an epoch, in any preset.
    uint256 internal constant AUDITORS_MAX = 15;
    uint256 internal constant ROUNDS_MAX = 4096;

    /// @dev 1 in the fixed point of counts.
    uint256 private constant Q16 = 1 << 16;
    uint256 private constant ONE_PPM = 1_000_000;

    /// @dev What an outcome, of the byte that it numbers from the right, adds to a round's votes:
    ///      reports in the upper half of a byte, ups in the lower. OK and SLOW are both, WRONG and
    ///      UNREACHABLE reports only, all others nothing.
    uint256 private constant VOTES = 0x1010111100;

    /// @notice Returns what is wrong with a score.
    /// @dev    What the member owed and delivered as an auditor, the evidence about it does not say.
    ///         The score says it; here is checked that it can be.
    /// @param  claim   The score, and what it must follow from.
    /// @param  matrix  What the member's auditors saw, one after the other, a byte for each of its
    ///                 drawn rounds; any bytes. Empty for a light member.
    /// @param  params  The preset.
    /// @return A word's number, `OLD_SCORE`, `MATRIX`, or `RIGHT`.
    function fault(Claim memory claim, bytes calldata matrix, Params memory params)
        internal
        pure
        returns (uint8)
    {
        if (claim.isVoid) return firstDifference(claim.score, claim.old);
        if (!canBe(claim.old)) return OLD_SCORE;
        if (!isShape(matrix.length, claim.auditors, claim.rounds)) return MATRIX;
        Seen memory seen = tally(matrix, claim.auditors, claim.rounds, claim.old[LAST_VERDICT]);
        bool isWhole;
        (isWhole, seen.delivered) = _added(claim.score[DUTY_S], claim.old[DUTY_S], params.decayQ32);
        if (!isWhole) return DUTY_S;
        (isWhole, seen.owed) = _added(claim.score[DUTY_N], claim.old[DUTY_N], params.decayQ32);
        if (!isWhole || seen.owed > params.dutyMax || seen.delivered > seen.owed) {
            return DUTY_N;
        }
        return
            firstDifference(
                claim.score, next(claim.old, seen, claim.epoch, claim.medianPpm, params)
            );
    }

    /// @notice Says whether a matrix of outcomes is one of so many auditors and rounds.
    function isShape(uint256 length, uint256 auditors, uint256 rounds)
        internal
        pure
        returns (bool)
    {
        return auditors <= AUDITORS_MAX && rounds <= ROUNDS_MAX && length == auditors * rounds;
    }

    /// @notice Counts the verdicts on a target.
    /// @param  matrix    What its auditors saw, one after the other, a byte for each of its drawn
    ///                   rounds; its shape was checked.
    /// @param  auditors  How many were assigned.
    /// @param  rounds    How many rounds it was drawn in.
    /// @param  last      The verdict of its last decided round before.
    /// @return seen      The counts; nothing owed or delivered.
    function tally(bytes calldata matrix, uint256 auditors, uint256 rounds, uint256 last)
        internal
        pure
        returns (Seen memory seen)
    {
        seen.last = last;
        for (uint256 round = 0; round < rounds; ++round) {
            uint256 votes = 0;
            for (uint256 place = round; place < matrix.length;) {
                uint256 outcome = uint8(matrix[place]);
                unchecked {
                    // At most 15 votes of 0x11, and places below the length of calldata.
                    votes += (VOTES >> (outcome << 3)) & 0xff;
                    place += rounds;
                }
            }
            uint256 reports = votes >> 4;
            if (reports == 0 || 2 * reports < auditors) continue;
            ++seen.decided;
            if (2 * (votes & 0xf) > reports) {
                ++seen.ups;
                seen.last = UP;
            } else {
                if (seen.last != DOWN) ++seen.outages;
                seen.last = DOWN;
            }
        }
    }

    /// @notice Says whether a score can be one: its numbers are in range, and nothing was up more
    ///         often than it was decided on. All that follows from right scores is so.
    function canBe(uint256[WORDS] memory score) internal pure returns (bool) {
        for (uint256 i = S; i < WORDS; ++i) {
            if (score[i] > type(uint64).max) return false;
        }
        return score[S] <= score[N];
    }

    /// @notice Returns the first word in which two scores differ, `RIGHT` if there is none.
    function firstDifference(uint256[WORDS] memory left, uint256[WORDS] memory right)
        internal
        pure
        returns (uint8)
    {
        for (uint8 i = 0; i < WORDS; ++i) {
            if (left[i] != right[i]) return i;
        }
        return RIGHT;
    }

    /// @notice Returns the score after an epoch that is not void.
    /// @param  old        The score before, one that can be.
    /// @param  seen       What the epoch brought.
    /// @param  epoch      The epoch.
    /// @param  medianPpm  Median uptime of the epoch.
    /// @param  params     The preset.
    function next(
        uint256[WORDS] memory old,
        Seen memory seen,
        uint256 epoch,
        uint256 medianPpm,
        Params memory params
    ) internal pure returns (uint256[WORDS] memory score) {
        score = fold(old, seen, params);
        (score[STATE], score[STATE_UNTIL]) = nextState(score, epoch, medianPpm, params);
    }

    /// @notice Returns the score after an epoch that is not void, in the state that it was in.
    /// @param  old     The score before, one that can be.
    /// @param  seen    What the epoch brought.
    /// @param  params  The preset.
    function fold(uint256[WORDS] memory old, Seen memory seen, Params memory params)
        internal
        pure
        returns (uint256[WORDS] memory score)
    {
        uint256 age = old[AGE_EPOCHS] + 1;
        score[NODE] = old[NODE];
        score[NONCE] = old[NONCE];
        score[S] = _decayed(old[S], params.decayQ32) + seen.ups * Q16;
        score[N] = _decayed(old[N], params.decayQ32) + seen.decided * Q16;
        score[UP_ROUNDS] = old[UP_ROUNDS] + seen.ups;
        score[OUTAGES] = old[OUTAGES] + seen.outages;
        score[AGE_EPOCHS] = age;
        score[LAST_VERDICT] = seen.last;
        score[DUTY_S] = _decayed(old[DUTY_S], params.decayQ32) + seen.delivered * Q16;
        score[DUTY_N] = _decayed(old[DUTY_N], params.decayQ32) + seen.owed * Q16;
        score[STATE] = old[STATE];
        score[STATE_UNTIL] = old[STATE_UNTIL];
        score[UPTIME_PPM] = sharePpm(score[S], score[N]);
        score[RUN_TIME_ROUNDS] = score[UP_ROUNDS] / Math.max(1, score[OUTAGES]);
        score[RELIABILITY_PPM] =
            wilsonPpm(score[S], score[N], params.designEffect) * age / (age + params.tenureEpochs);
        score[DUTY_PPM] = sharePpm(score[DUTY_S], score[DUTY_N]);
    }

    /// @notice Returns the state after an epoch, and until when.
    /// @param  score      The score after the epoch, in the state before it.
    /// @param  epoch      The epoch.
    /// @param  medianPpm  Median uptime of the epoch.
    /// @param  params     The preset.
    function nextState(
        uint256[WORDS] memory score,
        uint256 epoch,
        uint256 medianPpm,
        Params memory params
    ) internal pure returns (uint256 state, uint256 until) {
        (state, until) = (score[STATE], score[STATE_UNTIL]);
        if (state == SUSPENDED && epoch < until) return (state, until);
        uint256 uptimePpm = score[UPTIME_PPM];
        bool isLow = uptimePpm < params.floorPpm && uptimePpm + params.leewayPpm < medianPpm;
        if (isLow && score[N] != 0) {
            if (state != PROBATION) return (PROBATION, epoch + params.probationEpochs);
            if (epoch < until) return (state, until);
            return (SUSPENDED, epoch + params.suspensionEpochs);
        }
        return (score[AGE_EPOCHS] < params.vettingEpochs ? VETTING : ACTIVE, 0);
    }

    /// @notice Returns the lower bound of s / n that observation supports (Wilson, z = 2), in ppm.
    /// @param  s             Ups, in 1/2^16; at most `n`.
    /// @param  n             Decided, in 1/2^16; 0 gives 0.
    /// @param  designEffect  Observations that weigh as one.
    function wilsonPpm(uint256 s, uint256 n, uint256 designEffect) internal pure returns (uint256) {
        s /= designEffect;
        n /= designEffect;
        if (n == 0) return 0;
        // slither-disable-next-line divide-before-multiply -- rounded as the protocol says
        uint256 root = Math.sqrt(((s * (n - s) / n) << 16) + (1 << 32));
        return Math.saturatingSub(s + 2 * Q16, 2 * root) * ONE_PPM / (n + 4 * Q16);
    }

    /// @notice Returns part / whole in ppm, 0 of nothing.
    function sharePpm(uint256 part, uint256 whole) internal pure returns (uint256) {
        return whole == 0 ? 0 : part * ONE_PPM / whole;
    }

    /// @dev What is left of a count after an epoch.
    function _decayed(uint256 count, uint256 decayQ32) private pure returns (uint256) {
        return (count * decayQ32) >> 32;
    }

    /// @dev How many whole observations were added to what is left of a count, if it was so.
    function _added(uint256 count, uint256 old, uint256 decayQ32)
        private
        pure
        returns (bool isWhole, uint256 added)
    {
        uint256 left = _decayed(old, decayQ32);
        if (count < left || (count - left) % Q16 != 0) return (false, 0);
        return (true, (count - left) / Q16);
    }
}
