// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Epochs} from "./Epochs.sol";
import {IRegistry} from "./interfaces/IRegistry.sol";

/// @title Who takes part: operators, their nodes, and what they stake
/// @dev   Holds exactly the sum of `stake` of all registrations, plus what others sent by mistake.
contract Registry is IRegistry, Epochs {
    using Checkpoints for Checkpoints.Trace160;
    using SafeERC20 for IERC20;

    /// @inheritdoc IRegistry
    uint64 public constant ACTIVATION_EPOCHS = 3;

    /// @inheritdoc IRegistry
    uint256 public constant ADDRESSES_BYTES_MAX = 512;

    /// @inheritdoc IRegistry
    uint256 public constant NAME_BYTES_MAX = 64;

    /// @inheritdoc IRegistry
    uint256 public constant ROSTER_PAGE_MAX = 1024;

    uint256 private constant CLAIM_BYTES = 64;

    /// @inheritdoc IRegistry
    uint32 public immutable UNBONDING_EPOCHS;

    /// @notice The token that is staked. It must move exactly what it is told to: no fee, no rebase.
    IERC20 public immutable TOKEN;

    uint256 private immutable MIN_STAKE_FULL;
    uint256 private immutable MIN_STAKE_LIGHT;

    /// @inheritdoc IRegistry
    mapping(address operator => uint64) public nextNonce;

    Registration[] private _registrations;

    /// @dev Stake by the epoch from which it counts; 0 from the exit on.
    mapping(uint256 registration => Checkpoints.Trace160) private _stakes;

    /// @dev Number of the latest registration of a node by an operator, plus 1.
    mapping(address operator => mapping(bytes32 nodeId => uint256)) private _latest;

    /// @param token            What is staked: ANKR.
    /// @param genesisMs        When epoch 0 starts: Unix time in milliseconds.
    /// @param epochMs          How long an epoch lasts, in milliseconds.
    /// @param minStakeFull     Least stake for a full member, in 10^-18 ANKR; more than 0.
    /// @param minStakeLight    Least stake for a light member, in 10^-18 ANKR; more than 0.
    /// @param unbondingEpochs  How many epochs after leaving the roster the stake stays.
    constructor(
        IERC20 token,
        uint64 genesisMs,
        uint64 epochMs,
        uint256 minStakeFull,
        uint256 minStakeLight,
        uint32 unbondingEpochs
    ) Epochs(genesisMs, epochMs) {
        if (minStakeFull == 0 || minStakeLight == 0) revert ZeroMinStake();
        TOKEN = token;
        MIN_STAKE_FULL = minStakeFull;
        MIN_STAKE_LIGHT = minStakeLight;
        UNBONDING_EPOCHS = unbondingEpochs;
    }

    /// @inheritdoc IRegistry
    function register(
        bytes32 nodeId,
        Kind kind,
        uint256 stake,
        bytes calldata claim,
        bytes calldata addresses
    ) external returns (uint256 registration) {
        if (nodeId == bytes32(0)) revert ZeroNodeId();
        if (claim.length != CLAIM_BYTES) revert BadClaimLength(claim.length);
        if (stake < minStake(kind)) revert StakeTooLow(stake, minStake(kind));
        _checkAddresses(addresses);
        _checkUnregistered(msg.sender, nodeId);

        registration = _registrations.length;
        uint64 nonce = nextNonce[msg.sender]++;
        _registrations.push(
            Registration({
                nodeId: nodeId,
                operator: msg.sender,
                nonce: nonce,
                kind: kind,
                status: Status.Active,
                exitEpoch: 0,
                stake: SafeCast.toUint128(stake)
            })
        );
        _latest[msg.sender][nodeId] = registration + 1;
        uint64 effectiveEpoch = _setStake(registration, stake);
        emit Registered(
            registration, nodeId, msg.sender, nonce, kind, stake, effectiveEpoch, claim, addresses
        );

        TOKEN.safeTransferFrom(msg.sender, address(this), stake);
    }

    /// @inheritdoc IRegistry
    function addStake(uint256 registration, uint256 amount) external {
        Registration storage held = _ownRegistration(registration);
        if (held.status != Status.Active) revert NotActive(registration);
        if (amount == 0) revert ZeroStake();

        uint256 stakeTotal = held.stake + amount;
        held.stake = SafeCast.toUint128(stakeTotal);
        emit StakeAdded(registration, stakeTotal, _setStake(registration, stakeTotal));

        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IRegistry
    function exit(uint256 registration) external {
        Registration storage held = _ownRegistration(registration);
        if (held.status != Status.Active) revert NotActive(registration);

        held.status = Status.Exiting;
        held.exitEpoch = _setStake(registration, 0);
        emit Exited(registration, held.exitEpoch);
    }

    /// @inheritdoc IRegistry
    function withdraw(uint256 registration) external {
        Registration storage held = _ownRegistration(registration);
        if (held.status != Status.Exiting) revert NotExiting(registration);
        uint256 untilMs = _startMs(uint256(held.exitEpoch) + UNBONDING_EPOCHS);
        if (block.timestamp * 1000 < untilMs) revert StillBonded(registration, untilMs);

        uint256 amount = held.stake;
        held.status = Status.Withdrawn;
        held.stake = 0;
        emit Withdrawn(registration, msg.sender, amount);

        TOKEN.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IRegistry
    function setAddresses(uint256 registration, bytes calldata addresses) external {
        _ownRegistration(registration);
        _checkAddresses(addresses);
        emit AddressesSet(registration, addresses);
    }

    /// @inheritdoc IRegistry
    function setOperatorName(string calldata name) external {
        uint256 length = bytes(name).length;
        if (length > NAME_BYTES_MAX) revert NameTooLong(length, NAME_BYTES_MAX);
        emit OperatorNamed(msg.sender, name);
    }

    /// @inheritdoc IRegistry
    function rosterAt(uint64 epoch, uint256 from, uint256 count)
        external
        view
        returns (Entry[] memory entries)
    {
        if (count > ROSTER_PAGE_MAX) revert PageTooLong(count, ROSTER_PAGE_MAX);
        uint256 end = Math.min(Math.saturatingAdd(from, count), _registrations.length);
        entries = new Entry[](Math.saturatingSub(end, from));
        uint256 found = 0;
        for (uint256 registration = from; registration < end; ++registration) {
            uint256 stake = stakeAt(registration, epoch);
            if (stake != 0) entries[found++] = _entry(registration, stake);
        }
        assembly ("memory-safe") {
            // Cuts the array to the members found; it only ever gets shorter.
            mstore(entries, found)
        }
    }

    /// @inheritdoc IRegistry
    function registrationCount() external view returns (uint256) {
        return _registrations.length;
    }

    /// @inheritdoc IRegistry
    function registrationAt(uint256 registration) external view returns (Registration memory) {
        return _registration(registration);
    }

    /// @inheritdoc IRegistry
    function registrationOf(address operator, bytes32 nodeId) external view returns (uint256) {
        uint256 latest = _latest[operator][nodeId];
        if (latest == 0) revert NotRegistered(operator, nodeId);
        return latest - 1;
    }

    /// @inheritdoc IRegistry
    function stakeAt(uint256 registration, uint64 epoch) public view returns (uint256) {
        return _stakes[registration].upperLookupRecent(epoch);
    }

    /// @inheritdoc IRegistry
    function effectiveEpochAt(uint256 timestamp) public view returns (uint64) {
        return _hasStarted(timestamp) ? epochAt(timestamp) + ACTIVATION_EPOCHS : 0;
    }

    /// @inheritdoc IRegistry
    function minStake(Kind kind) public view returns (uint256) {
        return kind == Kind.Full ? MIN_STAKE_FULL : MIN_STAKE_LIGHT;
    }

    /// @dev Lets `stake` count from the next epoch not yet fixed, and returns that epoch.
    function _setStake(uint256 registration, uint256 stake)
        private
        returns (uint64 effectiveEpoch)
    {
        effectiveEpoch = effectiveEpochAt(block.timestamp);
        // slither-disable-next-line unused-return -- what was there before is of no interest
        _stakes[registration].push(effectiveEpoch, SafeCast.toUint160(stake));
    }

    function _registration(uint256 registration) private view returns (Registration storage) {
        if (registration >= _registrations.length) revert NoSuchRegistration(registration);
        return _registrations[registration];
    }

    function _ownRegistration(uint256 registration)
        private
        view
        returns (Registration storage held)
    {
        held = _registration(registration);
        if (held.operator != msg.sender) revert NotOperator(registration, msg.sender);
    }

    function _entry(uint256 registration, uint256 stake) private view returns (Entry memory) {
        Registration storage held = _registrations[registration];
        return Entry({
            registration: registration,
            nodeId: held.nodeId,
            operator: held.operator,
            nonce: held.nonce,
            kind: held.kind,
            stake: stake
        });
    }

    function _checkUnregistered(address operator, bytes32 nodeId) private view {
        uint256 latest = _latest[operator][nodeId];
        if (latest != 0 && _registrations[latest - 1].status == Status.Active) {
            revert AlreadyRegistered(operator, nodeId, latest - 1);
        }
    }

    function _checkAddresses(bytes calldata addresses) private pure {
        if (addresses.length > ADDRESSES_BYTES_MAX) {
            revert AddressesTooLong(addresses.length, ADDRESSES_BYTES_MAX);
        }
    }
}
