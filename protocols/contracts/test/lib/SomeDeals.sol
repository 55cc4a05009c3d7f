// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {IProviders} from "../../src/interfaces/IProviders.sol";

/// @dev Keeps what the market assigns, occupies the node and takes the money, as the real one does.
contract SomeDeals {
    IERC20 private _token;
    IProviders private _providers;
    mapping(uint256 deal => IDeals.Assignment) private _assignments;

    error AssignedTwice();

    constructor(IERC20 token) {
        _token = token;
    }

    /// @dev From now on in another token.
    function take(IERC20 token) external {
        _token = token;
    }

    function serve(IProviders providers) external {
        _providers = providers;
    }

    function assign(uint256 deal, IDeals.Assignment calldata given) external {
        if (_assignments[deal].provider != address(0)) revert AssignedTwice();
        _assignments[deal] = given;
        _providers.occupy(given.provider, given.registration, given.need);
        uint256 ankr = given.fpWei + given.bondWei;
        require(_token.transferFrom(msg.sender, address(this), ankr), "a test token pays");
    }

    function assignmentOf(uint256 deal) external view returns (IDeals.Assignment memory) {
        return _assignments[deal];
    }
}
