// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEpochs} from "./IEpochs.sol";

/// @title  Who takes part: operators, their nodes, and what they stake
/// @notice An operator registers a node and stakes ANKR for it. Each change takes effect in a later
///         epoch, so the roster of epoch e is what was registered before epoch e - 2 began, and
///         nobody can pick an identity after the epoch's seed is known.
/// @dev    The contract cannot check an Ed25519 signature. A registration therefore carries the
///         node's own signature, the claim, and whoever reads the roster leaves out members whose
///         claim is false. So that a squatter cannot keep the owner out, several operators may
///         register the same node id; of those with a true claim the earliest counts.
interface IRegistry is IEpochs {
    /// @notice What a member brings to the network.
    /// @param  Full   A sidecar bound to one blockchain node: it audits and is audited.
    /// @param  Light  A sidecar alone: it audits and stakes only.
    enum Kind {
        Full,
        Light
    }

    /// @notice How far a registration has come.
    /// @param  Active     In the roster, or about to be.
    /// @param  Exiting    Leaving; the stake is still held.
    /// @param  Withdrawn  Left, and the stake paid back.
    enum Status {
        Active,
        Exiting,
        Withdrawn
    }

    /// @notice One member of a roster.
    /// @param  registration  Number of the registration, counted from 0.
    /// @param  nodeId        The node's Ed25519 public key.
    /// @param  operator      Who runs the node and staked for it.
    /// @param  nonce         Which of the operator's registrations it is, counted from 0.
    /// @param  kind          What the member brings.
    /// @param  stake         Stake that counts in the roster's epoch, in 10^-18 ANKR.
    struct Entry {
        uint256 registration;
        bytes32 nodeId;
        address operator;
        uint64 nonce;
        Kind kind;
        uint256 stake;
    }

    /// @notice A registration as it stands now.
    /// @param  nodeId     The node's Ed25519 public key.
    /// @param  operator   Who runs the node and staked for it.
    /// @param  nonce      Which of the operator's registrations it is, counted from 0.
    /// @param  kind       What the member brings.
    /// @param  status     How far it has come.
    /// @param  exitEpoch  First epoch without it; 0 while active.
    /// @param  stake      What the contract holds for it, in 10^-18 ANKR.
    struct Registration {
        bytes32 nodeId;
        address operator;
        uint64 nonce;
        Kind kind;
        Status status;
        uint64 exitEpoch;
        uint128 stake;
    }

    /// @notice A node was registered.
    /// @param  registration    Number of the registration, counted from 0.
    /// @param  nodeId          The node's Ed25519 public key.
    /// @param  operator        Who registered it.
    /// @param  nonce           Which of the operator's registrations it is, counted from 0.
    /// @param  kind            What the member brings.
    /// @param  stake           Stake, in 10^-18 ANKR.
    /// @param  effectiveEpoch  First epoch whose roster has it.
    /// @param  claim           The node's Ed25519 signature, 64 bytes; not checked here.
    /// @param  addresses       Where peers may find it; opaque here.
    event Registered(
        uint256 indexed registration,
        bytes32 indexed nodeId,
        address indexed operator,
        uint64 nonce,
        Kind kind,
        uint256 stake,
        uint64 effectiveEpoch,
        bytes claim,
        bytes addresses
    );

    /// @notice Stake was added to a registration.
    /// @param  registration    Number of the registration.
    /// @param  stakeTotal      All its stake from `effectiveEpoch` on, in 10^-18 ANKR.
    /// @param  effectiveEpoch  First epoch in which the new total counts.
    event StakeAdded(uint256 indexed registration, uint256 stakeTotal, uint64 effectiveEpoch);

    /// @notice A registration is leaving.
    /// @param  registration    Number of the registration.
    /// @param  effectiveEpoch  First epoch whose roster is without it.
    event Exited(uint256 indexed registration, uint64 effectiveEpoch);

    /// @notice A registration's stake was paid back.
    /// @param  registration  Number of the registration.
    /// @param  operator      Who was paid.
    /// @param  amount        How much, in 10^-18 ANKR.
    event Withdrawn(uint256 indexed registration, address indexed operator, uint256 amount);

    /// @notice A member may be found elsewhere from now on.
    /// @param  registration  Number of the registration.
    /// @param  addresses     Where; opaque here.
    event AddressesSet(uint256 indexed registration, bytes addresses);

    /// @notice An operator says what it is called.
    /// @param  operator  Who.
    /// @param  name      The name, UTF-8; not checked, and not unique.
    event OperatorNamed(address indexed operator, string name);

    /// @notice Deployment: a minimum stake of 0 would let registrations be free.
    error ZeroMinStake();

    /// @notice A node id of all zeros is nobody's key.
    error ZeroNodeId();

    /// @notice A claim is an Ed25519 signature: 64 bytes.
    error BadClaimLength(uint256 length);

    /// @notice The addresses are longer than `ADDRESSES_BYTES_MAX`.
    error AddressesTooLong(uint256 length, uint256 lengthMax);

    /// @notice The name is longer than `NAME_BYTES_MAX`.
    error NameTooLong(uint256 length, uint256 lengthMax);

    /// @notice The stake is below the minimum for this kind.
    error StakeTooLow(uint256 stake, uint256 stakeMin);

    /// @notice Adding no stake changes nothing.
    error ZeroStake();

    /// @notice The operator has this node registered already; exit that registration first.
    error AlreadyRegistered(address operator, bytes32 nodeId, uint256 registration);

    /// @notice The operator has never registered this node.
    error NotRegistered(address operator, bytes32 nodeId);

    /// @notice There is no registration of this number.
    error NoSuchRegistration(uint256 registration);

    /// @notice Only the operator of a registration may change it.
    error NotOperator(uint256 registration, address caller);

    /// @notice The registration is leaving or has left.
    error NotActive(uint256 registration);

    /// @notice The registration has not asked to leave, or its stake is paid back already.
    error NotExiting(uint256 registration);

    /// @notice The stake stays until `untilMs` (Unix milliseconds), so that it can answer for what
    ///         the member did.
    error StillBonded(uint256 registration, uint256 untilMs);

    /// @notice A page asked for has more than `ROSTER_PAGE_MAX` registrations.
    error PageTooLong(uint256 count, uint256 countMax);

    /// @notice Registers a node and takes its stake, which must be approved before.
    /// @dev    Nonces run in the order of the operator's registrations: read `nextNonce` and let the
    ///         node sign for it, or the claim is false and peers leave the member out.
    /// @param  nodeId     The node's Ed25519 public key.
    /// @param  kind       What the member brings.
    /// @param  stake      Stake in 10^-18 ANKR, at least `minStake(kind)`.
    /// @param  claim      The node's Ed25519 signature over network, operator, node id and nonce, 64
    ///                    bytes (`protocols/roster.md`). Not checked here.
    /// @param  addresses  Where peers may find it, at most `ADDRESSES_BYTES_MAX` bytes; opaque here.
    /// @return registration Its number.
    function register(
        bytes32 nodeId,
        Kind kind,
        uint256 stake,
        bytes calldata claim,
        bytes calldata addresses
    ) external returns (uint256 registration);

    /// @notice Adds to the stake of an active registration. Only its operator may.
    /// @param  registration  Its number.
    /// @param  amount        How much more, in 10^-18 ANKR; more than 0, approved before.
    function addStake(uint256 registration, uint256 amount) external;

    /// @notice Leaves the roster at the next epoch not yet fixed. Only the operator may.
    /// @dev    The operator may register the same node again at once.
    /// @param  registration  Its number.
    function exit(uint256 registration) external;

    /// @notice Pays the stake back to the operator, `UNBONDING_EPOCHS` after the exit took effect.
    /// @param  registration  Its number.
    function withdraw(uint256 registration) external;

    /// @notice Says where peers may find the node from now on. Only the operator may, at any time.
    /// @param  registration  Its number.
    /// @param  addresses     At most `ADDRESSES_BYTES_MAX` bytes; opaque here.
    function setAddresses(uint256 registration, bytes calldata addresses) external;

    /// @notice Says what the caller is called as an operator.
    /// @param  name  At most `NAME_BYTES_MAX` bytes of UTF-8.
    function setOperatorName(string calldata name) external;

    /// @notice Members of an epoch's roster, by order of registration.
    /// @dev    Final once epoch `epoch - 2` has begun. A page looks at `count` registrations and may
    ///         return fewer members, even none, while later pages have some.
    /// @param  epoch  Whose roster.
    /// @param  from   First registration to look at.
    /// @param  count  How many to look at, at most `ROSTER_PAGE_MAX`.
    function rosterAt(uint64 epoch, uint256 from, uint256 count)
        external
        view
        returns (Entry[] memory);

    /// @notice How many registrations there have been; they are numbered from 0.
    function registrationCount() external view returns (uint256);

    /// @notice A registration as it stands now.
    function registrationAt(uint256 registration) external view returns (Registration memory);

    /// @notice Number of the operator's latest registration of a node.
    function registrationOf(address operator, bytes32 nodeId) external view returns (uint256);

    /// @notice Stake that counts for a registration in an epoch, in 10^-18 ANKR; 0 if not a member.
    function stakeAt(uint256 registration, uint64 epoch) external view returns (uint256);

    /// @notice The nonce of the operator's next registration.
    function nextNonce(address operator) external view returns (uint64);

    /// @notice The first epoch that a change made at this time takes effect in.
    /// @param  timestamp  Unix time in seconds, as blocks have it.
    /// @return 0 before epoch 0 starts, else the current epoch + `ACTIVATION_EPOCHS`.
    function effectiveEpochAt(uint256 timestamp) external view returns (uint64);

    /// @notice The least stake for a member of this kind, in 10^-18 ANKR.
    function minStake(Kind kind) external view returns (uint256);

    /// @notice How many epochs after the current one a change takes effect.
    function ACTIVATION_EPOCHS() external view returns (uint64);

    /// @notice How many epochs after leaving the roster the stake stays.
    function UNBONDING_EPOCHS() external view returns (uint32);

    /// @notice The most bytes of addresses a registration may have.
    function ADDRESSES_BYTES_MAX() external view returns (uint256);

    /// @notice The most bytes of an operator's name.
    function NAME_BYTES_MAX() external view returns (uint256);

    /// @notice The most registrations that one page of a roster looks at.
    function ROSTER_PAGE_MAX() external view returns (uint256);
}
