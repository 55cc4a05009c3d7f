// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IPolicy, Parameter, ProjectType, Resources} from "../interfaces/IPolicy.sol";
import {IPrices} from "../interfaces/IPrices.sol";
import {Capacity} from "./Capacity.sol";

/// @title What a project costs and is expected to bring
abstract contract Quotes is IMarket {
    uint256 private constant BPS = 10_000;
    uint256 private constant YEAR_S = 365 days;

    /// @dev Prices are per hour, and per core and GB where needs are in thousandths.
    uint256 private constant MILLI = 1_000;
    uint256 private constant MILLI_HOUR_S = MILLI * 1 hours;

    IPolicy internal immutable POLICY;
    IPrices private immutable PRICES;

    constructor(IPolicy policy, IPrices prices) {
        POLICY = policy;
        PRICES = prices;
    }

    /// @inheritdoc IMarket
    function quote(uint16 projectType, Resources calldata need, uint32 lengthS)
        external
        view
        returns (uint256 fpWei, uint256 ethStakeWei, uint256 expectedProfitWei)
    {
        ProjectType memory kind = _kindOf(projectType);
        (fpWei, expectedProfitWei) = _quote(kind, Request(projectType, lengthS, need, 0));
        ethStakeWei = kind.ethStakeWei;
    }

    function _kindOf(uint16 projectType) internal view returns (ProjectType memory kind) {
        kind = POLICY.projectType(projectType);
        if (!kind.isOpen) revert TypeClosed(projectType);
    }

    function _quote(ProjectType memory kind, Request memory request)
        internal
        view
        returns (uint256 fpWei, uint256 expectedProfitWei)
    {
        if (request.lengthS == 0) revert ZeroLength();
        uint256 usdPerMilliHour = _usdPerMilliHour(request.need);
        bool isEnough = Capacity.covers(request.need, kind.need) && usdPerMilliHour != 0;
        if (!isEnough) revert NeedTooSmall(request.projectType);
        fpWei = PRICES.ankrOfUsd(Math.ceilDiv(usdPerMilliHour * request.lengthS, MILLI_HOUR_S));
        uint256 profitBps = POLICY.get(Parameter.ProfitBpsPerYear);
        expectedProfitWei = kind.ethStakeWei * profitBps * request.lengthS / (BPS * YEAR_S);
    }

    /// @dev What a thousand hours cost, in 10^-18 USD.
    function _usdPerMilliHour(Resources memory need) private view returns (uint256 usd) {
        usd = need.cpuMilli * POLICY.get(Parameter.UsdPerCoreHour);
        usd += need.ramMb * POLICY.get(Parameter.UsdPerRamGbHour);
        usd += MILLI * need.storageGb * POLICY.get(Parameter.UsdPerStorageGbHour);
        usd += MILLI * need.bandwidthMbps * POLICY.get(Parameter.UsdPerMbpsHour);
    }
}
