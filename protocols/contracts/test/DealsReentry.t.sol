// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IDeals} from "../src/interfaces/IDeals.sol";
import {ILedger} from "../src/interfaces/ILedger.sol";
import {DealsKit} from "./lib/DealsKit.sol";
import {Told} from "./lib/TellingToken.sol";

/// @dev A party that calls back whenever it gets or gives something, or refuses ETH.
contract DealsSchemer is Told {
    address private immutable DEALS;

    bool public isRefusing;

    /// @notice How often it was called, and how often a call of its own went through then.
    uint256 public told;
    uint256 public gained;

    bytes[] private _calls;
    bool private _isBusy;

    constructor(address deals, IERC20 token) {
        DEALS = deals;
        require(token.approve(deals, type(uint256).max), "a test token approves");
    }

    receive() external payable {
        require(!isRefusing, "I take no ETH");
        onTransfer();
    }

    function refuse() external {
        isRefusing = true;
    }

    function plan(bytes calldata call) external {
        _calls.push(call);
    }

    function start(bytes calldata call, uint256 ethWei) external {
        (bool ok, bytes memory answer) = DEALS.call{value: ethWei}(call);
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }

    function onTransfer() public {
        ++told;
        if (_isBusy) return;
        _isBusy = true;
        for (uint256 i = 0; i < _calls.length; ++i) {
            (bool ok,) = DEALS.call(_calls[i]);
            if (ok) ++gained;
        }
        _isBusy = false;
    }
}

/// @dev Every payout, to a party that calls back into everything, by ETH and by a token that tells.
contract DealsReentryTest is DealsKit {
    DealsSchemer private schemer;

    function setUp() public {
        _build();
        schemer = new DealsSchemer(address(deals), token);
        require(token.transfer(address(schemer), 1_000 ether), "a test token pays");
        vm.deal(address(schemer), 1_000 ether);
        token.tell(address(schemer));
        parties.push(address(schemer));
    }

    function test_reentryOnCollect_paysOnce() public {
        uint256 deal = _runningOfSchemer();
        _complete(deal);
        _planAll(deal);
        (uint256 ankrWei, uint256 ethWei) =
            (token.balanceOf(address(schemer)), address(schemer).balance);
        schemer.start(abi.encodeCall(ILedger.collect, ()), 0);
        vm.assertEq(schemer.told(), 2);
        vm.assertEq(schemer.gained(), 0);
        vm.assertEq(token.balanceOf(address(schemer)), ankrWei + 20 ether);
        vm.assertEq(address(schemer).balance, ethWei + ETH_STAKE - K_ETH);
        _isConserved();
    }

    function test_reentryOnCollectTo_paysOnce() public {
        uint256 deal = _runningOfSchemer();
        _fail(deal);
        _planAll(deal);
        uint256 ethWei = address(schemer).balance;
        uint256 owedWei = deals.ethOf(address(schemer));
        schemer.start(abi.encodeCall(ILedger.collectTo, (address(schemer))), 0);
        vm.assertEq(schemer.gained(), 0);
        vm.assertEq(address(schemer).balance, ethWei + owedWei);
        _isConserved();
    }

    /// @dev Its own tokens are on their way when the profit is counted already.
    function test_reentryOnAddProfit_settlesNothing() public {
        uint256 deal = _runningOfSchemer();
        vm.warp(deals.completableAt(deal));
        _refreshPrices();
        _planAll(deal);
        schemer.start(abi.encodeCall(IDeals.addProfit, (deal, 1 ether)), 1 ether);
        vm.assertEq(schemer.told(), 1);
        vm.assertEq(schemer.gained(), 0);
        _isState(deal, IDeals.State.Running);
        _isConserved();
    }

    /// @dev The market's tokens are on their way when the deal is known already.
    function test_reentryOnAssign_changesNothing() public {
        uint256 deal = dealCount + 1;
        vm.etch(MARKET, address(schemer).code);
        token.tell(MARKET);
        DealsSchemer(payable(MARKET)).plan(abi.encodeCall(IDeals.abandon, (deal)));
        DealsSchemer(payable(MARKET)).plan(abi.encodeCall(ILedger.collect, ()));
        _assign();
        vm.assertEq(DealsSchemer(payable(MARKET)).told(), 1);
        vm.assertEq(DealsSchemer(payable(MARKET)).gained(), 0);
        _isConserved();
    }

    /// @dev Nobody else waits for a requester that refuses its ETH, and it may name another account.
    function test_requesterRefusingEth_blocksNobody() public {
        uint256 deal = _runningOfSchemer();
        schemer.refuse();
        _complete(deal);
        vm.prank(PROVIDER);
        deals.collect();
        deals.flush(address(rewards));
        deals.flush(address(insurance));
        vm.expectRevert(abi.encodeWithSelector(ILedger.EthRefused.selector, address(schemer)));
        schemer.start(abi.encodeCall(ILedger.collect, ()), 0);
        vm.assertEq(deals.ethOf(address(schemer)), ETH_STAKE - K_ETH);
        schemer.start(abi.encodeCall(ILedger.collectTo, (STRANGER)), 0);
        vm.assertEq(address(deals).balance, 0);
        vm.assertEq(token.balanceOf(address(deals)), 0);
    }

    function _runningOfSchemer() private returns (uint256 deal) {
        IDeals.Assignment memory given = _assignment();
        given.requester = address(schemer);
        deal = _assign(given);
        schemer.start(abi.encodeCall(IDeals.fund, (deal)), ETH_STAKE - K_ETH);
        _start(deal);
    }

    /// @dev All that it could call again in the middle.
    function _planAll(uint256 deal) private {
        schemer.plan(abi.encodeCall(ILedger.collect, ()));
        schemer.plan(abi.encodeCall(ILedger.collectTo, (STRANGER)));
        schemer.plan(abi.encodeCall(ILedger.flush, (address(rewards))));
        schemer.plan(abi.encodeCall(IDeals.complete, (deal)));
        schemer.plan(abi.encodeCall(IDeals.compensate, (deal)));
        schemer.plan(abi.encodeCall(IDeals.insure, (deal)));
        schemer.plan(abi.encodeCall(IDeals.addProfit, (deal, 1)));
        schemer.plan(abi.encodeCall(IDeals.abandon, (deal)));
        schemer.plan(abi.encodeCall(IDeals.dispute, (deal, "")));
    }
}
