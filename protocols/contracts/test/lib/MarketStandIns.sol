// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {Parameter, ProjectType, Resources} from "../../src/interfaces/IPolicy.sol";
import {IProviders, ScoreProof} from "../../src/interfaces/IProviders.sol";
import {IReceiver} from "../../src/interfaces/IReceiver.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";

/// @dev The governors' numbers, without bounds.
contract SomePolicy {
    mapping(Parameter => uint256) public get;
    mapping(uint16 id => ProjectType) private _types;

    function set(Parameter parameter, uint256 value) external {
        get[parameter] = value;
    }

    function setProjectType(uint16 id, ProjectType calldata given) external {
        _types[id] = given;
    }

    function projectType(uint16 id) external view returns (ProjectType memory) {
        return _types[id];
    }
}

/// @dev One price of ANKR, as a test wants it.
contract SomePrices {
    uint256 public usdPerAnkr;

    error Stale();

    function set(uint256 usd) external {
        usdPerAnkr = usd;
    }

    function ankrOfUsd(uint256 usd) external view returns (uint256) {
        if (usdPerAnkr == 0) revert Stale();
        return (usd * 1 ether + usdPerAnkr - 1) / usdPerAnkr;
    }
}

/// @dev Providers with one node each, of the same number. Scores are proved against the real anchor.
contract SomeProviders {
    IReputationAnchor private immutable ANCHOR;

    mapping(address account => uint128) public stakeOf;
    mapping(address account => bool) public isBanned;
    mapping(uint256 registration => address) public ownerOf;
    mapping(uint256 registration => bool) public isBusy;

    error NotProved();

    constructor(IReputationAnchor anchor) {
        ANCHOR = anchor;
    }

    function add(address account, uint256 registration, uint128 stake) external {
        ownerOf[registration] = account;
        stakeOf[account] = stake;
    }

    function ban(address account) external {
        isBanned[account] = true;
    }

    function occupy(uint256 registration) external {
        isBusy[registration] = true;
    }

    function providerOf(address account) external view returns (IProviders.Provider memory found) {
        found.stake = stakeOf[account];
    }

    function isEligible(address account, Resources calldata, uint32) external view returns (bool) {
        return stakeOf[account] != 0 && !isBanned[account];
    }

    function isFree(address account, uint256 registration) external view returns (bool) {
        return ownerOf[registration] == account && !isBusy[registration];
    }

    function provedScore(uint256 registration, ScoreProof calldata shown)
        external
        view
        returns (uint32, uint32, uint8)
    {
        bool isProved = uint256(shown.words[0]) == registration
            && ANCHOR.isFinal(shown.header.epoch)
            && ANCHOR.verifyScore(shown.header, shown.words, shown.proof);
        if (!isProved) revert NotProved();
        // forge-lint: disable-start(unsafe-typecast) -- it was anchored
        return (
            uint32(uint256(shown.words[14])),
            uint32(uint256(shown.words[12])),
            uint8(uint256(shown.words[10]))
        );
        // forge-lint: disable-end(unsafe-typecast)
    }
}

/// @dev Keeps what the market assigns, and takes the money.
contract SomeDeals {
    IERC20 private immutable TOKEN;

    mapping(uint256 deal => IDeals.Assignment) private _assignments;

    error AssignedTwice();

    constructor(IERC20 token) {
        TOKEN = token;
    }

    function assign(uint256 deal, IDeals.Assignment calldata given) external {
        if (_assignments[deal].provider != address(0)) revert AssignedTwice();
        _assignments[deal] = given;
        uint256 ankr = given.fpWei + given.bondWei;
        require(TOKEN.transferFrom(msg.sender, address(this), ankr), "a test token pays");
    }

    function assignmentOf(uint256 deal) external view returns (IDeals.Assignment memory) {
        return _assignments[deal];
    }
}

/// @dev Takes shares.
contract SomePot is IReceiver {
    IERC20 private immutable TOKEN;

    constructor(IERC20 token) {
        TOKEN = token;
    }

    function take(uint256 ankr) external payable {
        require(TOKEN.transferFrom(msg.sender, address(this), ankr), "a test token pays");
    }
}
