// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILiveness} from "./ILiveness.sol";
import {Resources} from "./IPolicy.sol";
import {IProviderStakes} from "./IProviderStakes.sol";
import {IRegistry} from "./IRegistry.sol";
import {IScores, MemberProof, ScoreProof} from "./IScores.sol";

/// @title  Providers: who they are, what they have, what they stake (R26-R29, R31, R34, R35, R44-R46)
/// @notice Anyone applies; governors approve through the timelock. An approved provider binds its
///         registered full sidecars to the blockchain nodes that they run, one to one, and bids with
///         them as long as its stake, its record and its capacity allow it. Failures are counted for
///         good: they outlive leaving and applying again.
interface IProviders is IProviderStakes, ILiveness, IScores {
    /// @notice How far a provider is trusted, and what it brings to 32 ETH (R27-R29).
    /// @param  Untrusted    At least the policy's KEthUntrusted.
    /// @param  SemiTrusted  What governors say.
    /// @param  Trusted      Nothing.
    enum Tier {
        Untrusted,
        SemiTrusted,
        Trusted
    }

    /// @notice How far a provider has come.
    /// @param  None      Never applied, was rejected, or has left and taken its stake.
    /// @param  Applied   Waits for the governors.
    /// @param  Approved  May stake, add nodes and bid.
    /// @param  Leaving   Left or was revoked; the stake is still held.
    enum Status {
        None,
        Applied,
        Approved,
        Leaving
    }

    /// @notice A provider's record (R34).
    /// @param  status             How far it has come.
    /// @param  tier               How far it is trusted.
    /// @param  failures           How many of its projects failed, ever.
    /// @param  runningDeals       How many of its nodes serve a deal now.
    /// @param  locks              How many deals and claims keep its stake.
    /// @param  disqualifiedUntil  It gets no deals before, Unix seconds.
    /// @param  unbondedAt         When `unbonding` may be withdrawn, Unix seconds.
    /// @param  kEthWei            What it brings of 32 ETH for each node, in wei.
    /// @param  stake              What it stakes, in 10^-18 ANKR; without `unbonding`.
    /// @param  unbonding          What is on its way back, in 10^-18 ANKR.
    /// @param  priceWei           What it asks by its application, in 10^-18 ANKR; bids are its own.
    /// @param  capacity           All that it has.
    /// @param  inUse              What of it serves deals now.
    /// @param  name               Its brand name, UTF-8.
    /// @param  details            Where more stands about it: a URI, or a hash.
    struct Provider {
        Status status;
        Tier tier;
        uint32 failures;
        uint32 runningDeals;
        uint32 locks;
        uint64 disqualifiedUntil;
        uint64 unbondedAt;
        uint128 kEthWei;
        uint128 stake;
        uint128 unbonding;
        uint128 priceWei;
        Resources capacity;
        Resources inUse;
        string name;
        string details;
    }

    /// @notice A sidecar and its blockchain node (R9, R31, R35).
    /// @dev    What it is to check and what it saw is not kept here: that follows from the epoch's
    ///         seed, and is proved by the anchors' `verifyEvidence`.
    /// @param  isInstalled    Whether its registration is active.
    /// @param  kind           Full or light (Q20).
    /// @param  operator       Who runs it: the provider's account.
    /// @param  nodeId         Its Ed25519 public key.
    /// @param  chainNode      Id of the blockchain node it controls; 0 if it is not bound.
    /// @param  isBusy         Whether it serves a deal.
    /// @param  challenge      Number of its latest liveness challenge; 0 if there was none.
    /// @param  answeredEpoch  Epoch with which it answered last.
    /// @param  answeredBlock  Number of the block in which it did; 0 if it never did.
    struct Sidecar {
        bool isInstalled;
        IRegistry.Kind kind;
        address operator;
        bytes32 nodeId;
        bytes32 chainNode;
        bool isBusy;
        uint256 challenge;
        uint64 answeredEpoch;
        uint64 answeredBlock;
    }

    /// @notice An account applied, or applied anew (R44).
    event Applied(
        address indexed account, string name, Resources capacity, uint128 priceWei, string details
    );

    /// @notice An application was turned down.
    event Rejected(address indexed account);

    /// @notice An application was approved (R45).
    event Approved(address indexed account, string name, Tier tier, uint128 kEthWei);

    /// @notice A provider is trusted more, or less (R29).
    event TierSet(address indexed account, Tier tier, uint128 kEthWei);

    /// @notice A provider is one no more. `isRevoked` if governors said so.
    event Left(address indexed account, bool isRevoked);

    /// @notice A provider says anew what it has and asks.
    event Updated(address indexed account, Resources capacity, uint128 priceWei, string details);

    /// @notice A sidecar was bound to a blockchain node (R35).
    event NodeAdded(
        address indexed account, uint256 indexed registration, bytes32 indexed chainNode
    );

    /// @notice A sidecar is bound to no blockchain node any more.
    event NodeRemoved(
        address indexed account, uint256 indexed registration, bytes32 indexed chainNode
    );

    /// @notice A node serves a deal from now on.
    event Occupied(address indexed account, uint256 indexed registration, Resources need);

    /// @notice A node serves nobody any more.
    event Released(address indexed account, uint256 indexed registration, Resources need);

    /// @notice A project of a provider failed (R59).
    event Failed(address indexed account, uint256 failures);

    /// @notice A provider gets no deals until `untilS`, Unix seconds (R61).
    event Disqualified(address indexed account, uint256 untilS);

    /// @notice The account's status does not allow it.
    error WrongStatus(address account, Status status);

    /// @notice A name has 1 to `lengthMax` bytes.
    error BadNameLength(uint256 length, uint256 lengthMax);

    /// @notice The details are longer than `DETAILS_BYTES_MAX`.
    error DetailsTooLong(uint256 length, uint256 lengthMax);

    /// @notice An approved provider has this name.
    error NameTaken(string name, address holder);

    /// @notice The account applied under another name than was approved.
    error OtherName(string applied);

    /// @notice The price is above the policy's maximum (R26).
    error PriceTooHigh(uint256 priceWei, uint256 priceWeiMax);

    /// @notice The capacity would be less than what serves deals now.
    error CapacityBelowUse(Resources capacity, Resources inUse);

    /// @notice The capacity that is left is too small (R44).
    error CapacityExceeded(Resources capacity, Resources inUse, Resources need);

    /// @notice The tier asks for another share of 32 ETH (R27-R29).
    error BadTier(Tier tier, uint256 kEthWei);

    /// @notice The registration is another operator's.
    error NotOperator(uint256 registration, address caller);

    /// @notice The registration is leaving or has left.
    error NotActive(uint256 registration);

    /// @notice A light sidecar controls no blockchain node (Q20).
    error LightSidecar(uint256 registration);

    /// @notice A blockchain node's id is not 0.
    error ZeroChainNode();

    /// @notice The sidecar controls a blockchain node already (R35).
    error AlreadyBound(uint256 registration, bytes32 chainNode);

    /// @notice Another sidecar controls this blockchain node (R26).
    error ChainNodeTaken(bytes32 chainNode, uint256 registration);

    /// @notice The sidecar is bound to no blockchain node.
    error NotBound(uint256 registration);

    /// @notice The node is not one of this provider's, or serves a deal.
    error NodeNotFree(address account, uint256 registration);

    /// @notice The node is not one of this provider's, or serves no deal.
    error NodeNotBusy(address account, uint256 registration);

    /// @notice A later epoch is final: what it says counts.
    error EpochNotLatest(uint64 epoch);

    /// @notice The epoch has disqualified the node's provider already.
    error AlreadyJudged(uint256 registration, uint64 epoch);

    /// @notice The score is good enough, or too young to judge by.
    error GoodEnough(uint256 uptimePpm, uint256 uptimePpmMin, uint8 state);

    /// @notice A page asked for has more than `PAGE_MAX` entries.
    error PageTooLong(uint256 count, uint256 countMax);

    /// @notice Applies to be a provider, or replaces the caller's application. Anyone may (R44).
    /// @dev    An application holds no name: of two with the same, the first that is approved has it.
    /// @param  name      Brand name, 1 to `NAME_BYTES_MAX` bytes (R26).
    /// @param  capacity  All that it has.
    /// @param  priceWei  What it asks, in 10^-18 ANKR; at most the policy's ProviderPriceMax.
    /// @param  details   At most `DETAILS_BYTES_MAX` bytes: a URI, or a hash.
    function apply_(
        string calldata name,
        Resources calldata capacity,
        uint128 priceWei,
        string calldata details
    ) external;

    /// @notice Says anew what the caller has and asks. Only an approved provider may.
    /// @param  capacity  At least what serves deals now.
    /// @param  priceWei  As in `apply_`.
    /// @param  details   As in `apply_`.
    function update(Resources calldata capacity, uint128 priceWei, string calldata details) external;

    /// @notice Approves an application (R45). Only the timelock may.
    /// @param  account  Who applied.
    /// @param  name     Under which name: so that nobody applies anew once the vote is under way.
    /// @param  tier     How far it is trusted.
    /// @param  kEthWei  What it brings of 32 ETH for each node, in wei, as the tier asks.
    function approve(address account, string calldata name, Tier tier, uint128 kEthWei) external;

    /// @notice Turns an application down. Only the timelock may.
    function reject(address account) external;

    /// @notice Trusts an approved provider more, or less (R29). Only the timelock may.
    function setTier(address account, Tier tier, uint128 kEthWei) external;

    /// @notice Ends a provider's approval, as if it had left. Only the timelock may.
    function revoke(address account) external;

    /// @notice Binds a sidecar of the caller's to a blockchain node. Only an approved provider may.
    /// @dev    One sidecar controls one blockchain node, and is the only one that does (R26, R35). A
    ///         binding whose registration was left, or whose provider is none any more, gives way.
    /// @param  registration  The caller's active registration of a full sidecar.
    /// @param  chainNode     Id of the blockchain node; not 0.
    /// @param  shown         The registration as a member in a final roster. So the node's own claim
    ///                       is known to be true, and its scores are the caller's.
    function addNode(uint256 registration, bytes32 chainNode, MemberProof calldata shown) external;

    /// @notice Unbinds a sidecar of the caller's that serves no deal.
    function removeNode(uint256 registration) external;

    /// @notice Disqualifies a provider for the policy's DisqualifyS (R61). Anyone may.
    /// @dev    The score is that of the latest final epoch, and each epoch counts once for a node. A
    ///         node past vetting that was seen, with an uptime below DisqualifyBelowPpm, is enough, or
    ///         a suspended one; to unbind it meanwhile does not help.
    /// @param  registration  A node that was added.
    /// @param  shown         Its score.
    function disqualify(uint256 registration, ScoreProof calldata shown) external;

    /// @notice Reserves a node and its resources for a deal. Only the deals' contract may.
    /// @dev    Reverts unless the provider is approved, the node is free and there is room; whoever
    ///         assigns asks `isEligible` and `isFree` before.
    function occupy(address account, uint256 registration, Resources calldata need) external;

    /// @notice Frees a node and its resources. Only the deals' contract may.
    /// @param  need  What it was occupied with.
    function release(address account, uint256 registration, Resources calldata need) external;

    /// @notice Records a failure and disqualifies for a period (R59, R61). Only the deals' contract may.
    function recordFailure(address account) external;

    /// @notice A provider's record.
    function providerOf(address account) external view returns (Provider memory);

    /// @notice The approved provider of this name; 0 if there is none.
    function holderOf(string calldata name) external view returns (address);

    /// @notice How many providers are approved.
    function providerCount() external view returns (uint256);

    /// @notice A page of the eligible list (R34, R45): of approved providers `from` to `from + count`
    ///         those that may bid on some project now. Providers that leave change the order.
    /// @param  count  At most `PAGE_MAX`.
    function providersAt(uint256 from, uint256 count) external view returns (address[] memory);

    /// @notice How many nodes of a provider are bound.
    function nodeCount(address account) external view returns (uint256);

    /// @notice A page of the registrations that a provider has bound, in no certain order.
    /// @param  count  At most `PAGE_MAX`.
    function nodesAt(address account, uint256 from, uint256 count)
        external
        view
        returns (uint256[] memory);

    /// @notice A sidecar's record (R35). Reverts if there is no such registration.
    function sidecarOf(uint256 registration) external view returns (Sidecar memory);

    /// @notice How many nodes that need `need` the provider's whole capacity allows (R44).
    function nodesMax(address account, Resources calldata need) external view returns (uint256);

    /// @notice Whether a provider may bid on a project that needs `need` now (R44, R45, R61).
    /// @dev    It is approved, stakes at least the policy's StakeMin, is not disqualified, failed no
    ///         more than `failuresMax` times, and has room.
    function isEligible(address account, Resources calldata need, uint32 failuresMax)
        external
        view
        returns (bool);

    /// @notice Whether `registration` is a node of `account` that is bound, registered, and serves
    ///         nobody now.
    function isFree(address account, uint256 registration) external view returns (bool);

    /// @notice The most bytes of a brand name.
    function NAME_BYTES_MAX() external view returns (uint256);

    /// @notice The most bytes of details.
    function DETAILS_BYTES_MAX() external view returns (uint256);

    /// @notice The most entries of a page.
    function PAGE_MAX() external view returns (uint256);
}
