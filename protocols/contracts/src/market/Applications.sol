// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {Parameter, Resources} from "../interfaces/IPolicy.sol";
import {IProviders} from "../interfaces/IProviders.sol";
import {IProviderStakes} from "../interfaces/IProviderStakes.sol";
import {Capacity} from "./Capacity.sol";
import {ProviderStakes} from "./ProviderStakes.sol";

/// @title How an account becomes a provider, and how it ends
abstract contract Applications is ProviderStakes {
    using Capacity for Resources;
    using EnumerableSet for EnumerableSet.AddressSet;

    /// @inheritdoc IProviders
    uint256 public constant NAME_BYTES_MAX = 64;

    /// @inheritdoc IProviders
    uint256 public constant DETAILS_BYTES_MAX = 256;

    uint256 private constant NODE_WEI = 32 ether;

    /// @dev All that are approved.
    EnumerableSet.AddressSet internal _approved;

    /// @dev Approved providers by the hash of their name.
    mapping(bytes32 nameHash => address) private _holders;

    /// @inheritdoc IProviders
    function apply_(
        string calldata name,
        Resources calldata capacity,
        uint128 priceWei,
        string calldata details
    ) external {
        Provider storage held = _providers[msg.sender];
        bool isOpen = held.status == Status.None || held.status == Status.Applied;
        if (!isOpen) revert WrongStatus(msg.sender, held.status);
        uint256 length = bytes(name).length;
        if (length == 0 || length > NAME_BYTES_MAX) revert BadNameLength(length, NAME_BYTES_MAX);
        _checkNameFree(name);

        held.status = Status.Applied;
        held.name = name;
        _setOffer(held, capacity, priceWei, details);
        emit Applied(msg.sender, name, capacity, priceWei, details);
    }

    /// @inheritdoc IProviders
    function update(Resources calldata capacity, uint128 priceWei, string calldata details)
        external
    {
        Provider storage held = _inStatus(msg.sender, Status.Approved);
        if (!Capacity.covers(capacity, held.inUse)) revert CapacityBelowUse(capacity, held.inUse);
        _setOffer(held, capacity, priceWei, details);
        emit Updated(msg.sender, capacity, priceWei, details);
    }

    /// @inheritdoc IProviders
    function approve(address account, string calldata name, Tier tier, uint128 kEthWei)
        external
        onlyTimelock
    {
        Provider storage held = _inStatus(account, Status.Applied);
        if (keccak256(bytes(name)) != keccak256(bytes(held.name))) revert OtherName(held.name);
        _checkNameFree(name);
        _checkTier(tier, kEthWei);

        held.status = Status.Approved;
        (held.tier, held.kEthWei) = (tier, kEthWei);
        _holders[keccak256(bytes(name))] = account;
        assert(_approved.add(account));
        emit Approved(account, name, tier, kEthWei);
    }

    /// @inheritdoc IProviders
    function reject(address account) external onlyTimelock {
        _forget(_inStatus(account, Status.Applied));
        emit Rejected(account);
    }

    /// @inheritdoc IProviders
    function setTier(address account, Tier tier, uint128 kEthWei) external onlyTimelock {
        Provider storage held = _inStatus(account, Status.Approved);
        _checkTier(tier, kEthWei);
        (held.tier, held.kEthWei) = (tier, kEthWei);
        emit TierSet(account, tier, kEthWei);
    }

    /// @inheritdoc IProviders
    function revoke(address account) external onlyTimelock {
        _end(account);
        emit Left(account, true);
    }

    /// @inheritdoc IProviderStakes
    function resign() external {
        _end(msg.sender);
        emit Left(msg.sender, false);
    }

    /// @inheritdoc IProviders
    function holderOf(string calldata name) external view returns (address) {
        return _holders[keccak256(bytes(name))];
    }

    /// @dev Ends an approval: the stake is on its way back, and the name is free.
    function _end(address account) private {
        Provider storage held = _inStatus(account, Status.Approved);
        held.status = Status.Leaving;
        delete _holders[keccak256(bytes(held.name))];
        assert(_approved.remove(account));
        _unbond(account, held.stake);
    }

    function _setOffer(
        Provider storage held,
        Resources calldata capacity,
        uint128 priceWei,
        string calldata details
    ) private {
        uint256 priceWeiMax = POLICY.get(Parameter.ProviderPriceMax);
        if (priceWei > priceWeiMax) revert PriceTooHigh(priceWei, priceWeiMax);
        uint256 length = bytes(details).length;
        if (length > DETAILS_BYTES_MAX) revert DetailsTooLong(length, DETAILS_BYTES_MAX);
        held.capacity = capacity;
        held.priceWei = priceWei;
        held.details = details;
    }

    function _checkNameFree(string calldata name) private view {
        address holder = _holders[keccak256(bytes(name))];
        if (holder != address(0)) revert NameTaken(name, holder);
    }

    /// @dev What a provider brings of 32 ETH, and the requester the rest (R27-R29).
    function _checkTier(Tier tier, uint256 kEthWei) private view {
        uint256 least = 0;
        if (tier == Tier.Untrusted) least = POLICY.get(Parameter.KEthUntrusted);
        if (tier == Tier.SemiTrusted) least = 1;
        uint256 most = tier == Tier.Trusted ? 0 : NODE_WEI;
        if (kEthWei < least || kEthWei > most) revert BadTier(tier, kEthWei);
    }
}
