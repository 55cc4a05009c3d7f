// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ScoreMath} from "../ScoreMath.sol";
import {Timelocked} from "../governance/Timelocked.sol";
import {IDeals} from "../interfaces/IDeals.sol";
import {IEpochs} from "../interfaces/IEpochs.sol";
import {Parameter} from "../interfaces/IPolicy.sol";
import {ScoreProof} from "../interfaces/IProviders.sol";
import {Disputes} from "./Disputes.sol";
import {Ledger} from "./Ledger.sol";
import {Losses} from "./Losses.sol";
import {Money} from "./Money.sol";
import {Records} from "./Records.sol";

/// @title Deals from the draw to the last payment
contract Deals is Disputes {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @notice Assigns deals.
    address public immutable MARKET;

    /// @notice When epochs are: where scores are anchored.
    IEpochs public immutable EPOCHS;

    /// @param setup What is fixed at deployment.
    constructor(Setup memory setup)
        Ledger(setup.token, setup.insurance, setup.rewards)
        Records(setup.policy, setup.providers)
        Losses(setup.prices)
        Timelocked(setup.timelock)
    {
        MARKET = setup.market;
        EPOCHS = setup.epochs;
    }

    /// @inheritdoc IDeals
    /// @dev If the requester has nothing to stake, the provider is the next.
    function assign(uint256 deal, Assignment calldata given) external nonReentrant {
        if (msg.sender != MARKET) revert NotAllowed(msg.sender, MARKET);
        Deal storage held = _note(deal, given);
        held.dueAt = _after(POLICY.get(Parameter.FundS));
        emit Assigned(
            deal, given.requester, given.provider, given.registration, given.fpWei, given.paidWei
        );
        if (_requesterEthWei(held) == 0) _fund(deal, held, 0);
        PROVIDERS.lock(given.provider);
        PROVIDERS.occupy(given.provider, given.registration, given.need);
        // slither-disable-next-line arbitrary-send-erc20 -- the market is the caller, and allowed it
        TOKEN.safeTransferFrom(MARKET, address(this), given.fpWei + given.bondWei);
    }

    /// @inheritdoc IDeals
    function fund(uint256 deal) external payable nonReentrant {
        Deal storage held = _in(deal, State.Assigned);
        _checkTurn(deal, held, held.requester, _requesterEthWei(held));
        _noteStake(msg.sender, msg.value);
        _fund(deal, held, msg.value);
    }

    /// @inheritdoc IDeals
    function start(uint256 deal) external payable nonReentrant {
        Deal storage held = _in(deal, State.Funded);
        _checkTurn(deal, held, held.provider, held.kEthWei);
        held.state = State.Running;
        held.startedAt = uint64(block.timestamp);
        held.endsAt = _after(held.lengthS);
        emit Started(deal, msg.value, held.endsAt);
        _credit(deal, held.provider, held.bondWei, 0);
    }

    /// @inheritdoc IDeals
    function abandon(uint256 deal) external nonReentrant {
        Deal storage held = _any(deal);
        bool isFunded = held.state == State.Funded;
        if (!isFunded && held.state != State.Assigned) revert WrongState(deal, held.state);
        if (block.timestamp <= held.dueAt) revert TooEarly(deal, uint256(held.dueAt) + 1);
        address provider = held.provider;
        emit Abandoned(deal, isFunded ? provider : held.requester);
        held.state = State.Abandoned;
        if (isFunded) {
            uint256 ankrWei = uint256(held.fpWei) + held.bondWei;
            _credit(deal, held.requester, ankrWei, _requesterEthWei(held));
        } else {
            // Nobody has to bring its ETH to a provider that is disqualified.
            uint256 lostBps = _isDisqualified(provider) ? 0 : held.terms.rewardBps;
            uint256 lostWei = Math.mulDiv(held.fpWei, lostBps, Money.BPS);
            _credit(deal, address(REWARDS), lostWei, 0);
            _credit(deal, held.requester, held.fpWei - lostWei, 0);
            _credit(deal, provider, held.bondWei, 0);
        }

        _free(held);
        PROVIDERS.unlock(provider);
        if (isFunded) PROVIDERS.recordFailure(provider);
    }

    /// @inheritdoc IDeals
    function addProfit(uint256 deal, uint256 ankrWei) external payable nonReentrant {
        Deal storage held = _running(deal);
        if (ankrWei == 0 && msg.value == 0) revert NoProfit(deal);
        held.ankrProfitWei += ankrWei.toUint128();
        held.ethProfitWei += msg.value.toUint128();
        emit ProfitAdded(deal, msg.sender, ankrWei, msg.value);
        if (ankrWei > 0) TOKEN.safeTransferFrom(msg.sender, address(this), ankrWei);
    }

    /// @inheritdoc IDeals
    function complete(uint256 deal) external nonReentrant {
        Deal storage held = _running(deal);
        uint256 earliestS = _completableAt(held);
        if (block.timestamp < earliestS) revert TooEarly(deal, earliestS);
        Money.Sum memory sum = Money.Sum({
            ankrWei: uint256(held.fpWei) + held.ankrProfitWei,
            ethWei: held.ethProfitWei,
            paidWei: held.paidWei,
            rewardBps: held.terms.rewardBps,
            insuranceBps: held.terms.insuranceBps
        });
        uint256 ankrPerEthWei = Money.needsPrice(sum) ? PRICES.ankrPerEth() : 0;
        emit Completed(deal, sum.ankrWei, sum.ethWei);
        held.state = State.Completed;
        _pay(deal, held, Money.split(sum, ankrPerEthWei));

        _free(held);
        PROVIDERS.unlock(held.provider);
    }

    /// @inheritdoc IDeals
    function fail(uint256 deal, ScoreProof calldata shown) external nonReentrant {
        Deal storage held = _unfrozen(deal);
        uint64 epoch = shown.header.epoch;
        uint256 endS = Math.min(block.timestamp, held.endsAt);
        bool isInside = _startMs(epoch) >= uint256(held.startedAt) * 1000
            && _startMs(uint256(epoch) + 1) <= endS * 1000;
        if (!isInside) revert EpochOutsideRun(deal, epoch);
        // slither-disable-next-line unused-return -- reliability is for choosing, not for judging
        (, uint32 uptimePpm, uint8 state) = PROVIDERS.provedScore(held.registration, shown);
        bool isSeen = !shown.header.isVoid && shown.words[ScoreMath.N] != 0;
        bool isLow = uptimePpm < held.terms.failBelowPpm || state == ScoreMath.SUSPENDED;
        if (!isSeen || !isLow) revert NotFailing(deal, uptimePpm, state);
        _fail(deal, held, Cause.Score, _startMs(epoch) / 1000, 0);
    }

    /// @inheritdoc IDeals
    function failSilent(uint256 deal, uint256 challenge) external nonReentrant {
        Deal storage held = _unfrozen(deal);
        (bool isSilent, uint256 registration, uint64 challengedAt) = PROVIDERS.silence(challenge);
        // The first whole epoch after the challenge is the one to answer with.
        uint256 answeredMs = _startMs(uint256(EPOCHS.epochAt(challengedAt)) + 2);
        bool isInside = challengedAt >= held.startedAt && answeredMs <= uint256(held.endsAt) * 1000;
        if (!isSilent || registration != held.registration || !isInside) {
            revert NotSilent(deal, challenge);
        }
        _fail(deal, held, Cause.Silence, challengedAt, 0);
    }

    /// @dev The requester's ETH is there; now it is the provider's turn.
    function _fund(uint256 deal, Deal storage held, uint256 ethWei) private {
        held.state = State.Funded;
        held.dueAt = _after(held.terms.startS);
        emit Funded(deal, ethWei);
    }

    /// @dev Credits what everybody gets of a completed deal; ETH that was staked goes back.
    function _pay(uint256 deal, Deal storage held, Money.Shares memory to) private {
        _credit(deal, held.provider, to.providerAnkrWei, held.kEthWei);
        _credit(deal, address(REWARDS), to.rewardAnkrWei, to.rewardEthWei);
        _credit(deal, address(INSURANCE), to.insuranceAnkrWei, to.insuranceEthWei);
        uint256 ethWei = to.requesterEthWei + _requesterEthWei(held);
        _credit(deal, held.requester, to.requesterAnkrWei, ethWei);
    }

    /// @dev The caller is the next, in time, and brings what it should.
    function _checkTurn(uint256 deal, Deal storage held, address next, uint256 ethWei)
        private
        view
    {
        if (msg.sender != next) revert NotAllowed(msg.sender, next);
        if (block.timestamp > held.dueAt) revert TooLate(deal, held.dueAt);
        if (msg.value != ethWei) revert WrongEth(msg.value, ethWei);
    }

    /// @dev When an epoch starts, in Unix milliseconds.
    function _startMs(uint256 epoch) private view returns (uint256) {
        return EPOCHS.GENESIS_MS() + epoch * EPOCHS.EPOCH_MS();
    }

    /// @dev So many seconds from now, in Unix seconds.
    function _after(uint256 durationS) private view returns (uint64) {
        return (block.timestamp + durationS).toUint64();
    }
}
