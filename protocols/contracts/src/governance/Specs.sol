// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Parameter, Spec} from "../interfaces/IPolicy.sol";

/// @title  What each parameter of the policy may be
/// @notice Bounds are wide enough for every sound choice, and keep out what would break another
///         contract: a period of nothing, a council of nobody, a bond that shuts everybody out.
/// @dev    The same table, with why each bound is where it is, stands in `protocols/policy.md`.
library Specs {
    string private constant ANKR = "wei ANKR";
    string private constant ETH = "wei ETH";
    string private constant USD = "10^-18 USD per hour";
    string private constant BPS = "bps";
    string private constant PPM = "ppm";
    string private constant SECONDS = "seconds";
    string private constant COUNT = "count";

    /// @dev A thousandth of a thousandth of all ANKR: no bond keeps an honest bidder out.
    uint256 private constant BOND_MAX = 10_000 ether;

    /// @dev A hundredth of all ANKR: at least a hundred can always take part.
    uint256 private constant STAKE_MAX = 100_000_000 ether;

    /// @notice The name, unit and bounds of `parameter`.
    function specOf(Parameter parameter) internal pure returns (Spec memory) {
        if (parameter <= Parameter.KEthUntrusted) return _money(parameter);
        if (parameter <= Parameter.ProfitBpsPerYear) return _quote(parameter);
        if (parameter <= Parameter.StartS) return _auctionPeriod(parameter);
        if (parameter <= Parameter.DisqualifyS) return _dealPeriod(parameter);
        if (parameter <= Parameter.PriceConfirmS) return _threshold(parameter);
        return _council(parameter);
    }

    function _money(Parameter parameter) private pure returns (Spec memory) {
        if (parameter == Parameter.RewardBps) return Spec("RewardBps", BPS, 0, 5_000);
        if (parameter == Parameter.InsuranceBps) return Spec("InsuranceBps", BPS, 0, 5_000);
        if (parameter == Parameter.StakeMin) return Spec("StakeMin", ANKR, 1 ether, STAKE_MAX);
        if (parameter == Parameter.StakeMax) {
            return Spec("StakeMax", ANKR, 1 ether, 10 * STAKE_MAX);
        }
        if (parameter == Parameter.ProviderPriceMax) {
            return Spec("ProviderPriceMax", ANKR, 1 ether, STAKE_MAX);
        }
        if (parameter == Parameter.BidBond) return Spec("BidBond", ANKR, 1 ether, BOND_MAX);
        if (parameter == Parameter.ChallengeBond) {
            return Spec("ChallengeBond", ANKR, 1 ether, BOND_MAX);
        }
        return Spec("KEthUntrusted", ETH, 16 ether, 32 ether);
    }

    /// @dev A price of nothing would make a project cost nothing.
    function _quote(Parameter parameter) private pure returns (Spec memory) {
        if (parameter == Parameter.UsdPerCoreHour) {
            return Spec("UsdPerCoreHour", USD, 1, 1_000 ether);
        }
        if (parameter == Parameter.UsdPerRamGbHour) {
            return Spec("UsdPerRamGbHour", USD, 1, 1_000 ether);
        }
        if (parameter == Parameter.UsdPerStorageGbHour) {
            return Spec("UsdPerStorageGbHour", USD, 1, 1_000 ether);
        }
        if (parameter == Parameter.UsdPerMbpsHour) {
            return Spec("UsdPerMbpsHour", USD, 1, 1_000 ether);
        }
        return Spec("ProfitBpsPerYear", BPS, 0, 10_000);
    }

    /// @dev Money waits at most this long, so that nobody's is held for good.
    function _auctionPeriod(Parameter parameter) private pure returns (Spec memory) {
        if (parameter == Parameter.CommitS) return Spec("CommitS", SECONDS, 1, 7 days);
        if (parameter == Parameter.RevealS) return Spec("RevealS", SECONDS, 1, 7 days);
        if (parameter == Parameter.DrawS) return Spec("DrawS", SECONDS, 1, 7 days);
        if (parameter == Parameter.ChoiceS) return Spec("ChoiceS", SECONDS, 1, 7 days);
        if (parameter == Parameter.FundS) return Spec("FundS", SECONDS, 1, 30 days);
        return Spec("StartS", SECONDS, 1, 30 days);
    }

    function _dealPeriod(Parameter parameter) private pure returns (Spec memory) {
        if (parameter == Parameter.ReviewS) return Spec("ReviewS", SECONDS, 1, 30 days);
        if (parameter == Parameter.DisputeS) return Spec("DisputeS", SECONDS, 1, 90 days);
        if (parameter == Parameter.AnswerS) return Spec("AnswerS", SECONDS, 1, 30 days);
        if (parameter == Parameter.UnbondS) return Spec("UnbondS", SECONDS, 1, 365 days);
        return Spec("DisqualifyS", SECONDS, 1, 365 days);
    }

    /// @dev A threshold of nothing would punish nobody; one of everything would punish everybody.
    function _threshold(Parameter parameter) private pure returns (Spec memory) {
        if (parameter == Parameter.FailBelowPpm) {
            return Spec("FailBelowPpm", PPM, 100_000, 950_000);
        }
        if (parameter == Parameter.DisqualifyBelowPpm) {
            return Spec("DisqualifyBelowPpm", PPM, 100_000, 950_000);
        }
        if (parameter == Parameter.PriceAgeSMax) return Spec("PriceAgeSMax", SECONDS, 60, 7 days);
        if (parameter == Parameter.PriceMoveBpsMax) {
            return Spec("PriceMoveBpsMax", BPS, 100, 5_000);
        }
        return Spec("PriceConfirmS", SECONDS, 1, 1 days);
    }

    /// @dev A quorum of all seats would let one absent governor block everything for good, and with
    ///      it the lowering of the quorum.
    function _council(Parameter parameter) private pure returns (Spec memory) {
        if (parameter == Parameter.CouncilN) return Spec("CouncilN", COUNT, 1, 31);
        if (parameter == Parameter.GovernorStakeMin) {
            return Spec("GovernorStakeMin", ANKR, 1 ether, STAKE_MAX);
        }
        if (parameter == Parameter.VotingS) return Spec("VotingS", SECONDS, 1, 30 days);
        if (parameter == Parameter.QuorumBps) return Spec("QuorumBps", BPS, 2_000, 8_000);
        if (parameter == Parameter.ReferendumQuorumBps) {
            return Spec("ReferendumQuorumBps", BPS, 100, 5_000);
        }
        if (parameter == Parameter.MissedVotesMax) return Spec("MissedVotesMax", COUNT, 1, 10);
        if (parameter == Parameter.AbsenceSlashBps) return Spec("AbsenceSlashBps", BPS, 1, 5_000);
        return Spec("ElectionS", SECONDS, 1, 30 days);
    }
}
