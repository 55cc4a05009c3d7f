// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IMarket} from "../src/interfaces/IMarket.sol";
import {Rule} from "../src/interfaces/IPolicy.sol";
import {IReceiver} from "../src/interfaces/IReceiver.sol";
import {Market} from "../src/market/Market.sol";
import {MarketKit} from "./lib/MarketKit.sol";
import {TellingToken, Told} from "./lib/TellingToken.sol";

/// @dev Calls the market again whenever it pays, is paid, or is handed lost bonds.
contract MarketSchemer is Told, IReceiver {
    address private _market;
    IERC20 private _token;

    /// @notice How often it was told, and how often a call of its own went through then.
    uint256 public told;
    uint256 public gained;

    bytes[] private _calls;
    bool private _isBusy;

    function aim(address market, IERC20 token) external {
        (_market, _token) = (market, token);
        require(token.approve(market, type(uint256).max), "a test token approves");
    }

    function plan(bytes calldata call) external {
        _calls.push(call);
    }

    function take(uint256 ankr) external payable {
        require(_token.transferFrom(msg.sender, address(this), ankr), "a test token pays");
        onTransfer();
    }

    function onTransfer() public {
        ++told;
        if (_isBusy) return;
        _isBusy = true;
        for (uint256 i = 0; i < _calls.length; ++i) {
            (bool ok,) = _market.call(_calls[i]);
            if (ok) ++gained;
        }
        _isBusy = false;
    }
}

/// @dev Re-entrancy on every payout: whoever calls again in the middle of one gets nothing more.
contract MarketReentryTest is MarketKit {
    TellingToken private token;
    MarketSchemer private sink;

    function setUp() public {
        _begin(3);
        token = new TellingToken();
        sink = new MarketSchemer();
        IMarket.Setup memory setup = _setupOf(BEACON_PERIOD_MS);
        setup.token = token;
        setup.insurance = sink;
        market = new Market(setup);
        deals.take(token);
        sink.aim(address(market), token);
        for (uint256 i = 0; i < 3; ++i) {
            _scheme(_who(i));
        }
        _scheme(RITA);
    }

    /// @dev Puts a schemer's code at an account that has its records already.
    function _scheme(address account) private {
        vm.etch(account, address(sink).code);
        MarketSchemer(account).aim(address(market), token);
        require(token.transfer(account, WEALTH), "a test token pays");
        token.tell(account);
    }

    function test_Reentrancy_ARefundIsCollectedOnce() public {
        uint256 deal = _open();
        _toReveal(deal);
        market.close(deal);
        _plan(RITA, abi.encodeCall(IMarket.collect, ()));
        _plan(RITA, abi.encodeCall(IMarket.close, (deal)));
        vm.prank(RITA);
        market.collect();
        _gains(RITA, 0);
        vm.assertEq(token.balanceOf(RITA), WEALTH);
        vm.assertEq(token.balanceOf(address(market)), 0);
    }

    function test_Reentrancy_ABondIsReclaimedOnce() public {
        _setType(Rule.FirstPrice, 1);
        uint256 deal = _open();
        _bidAll(deal, _list(60, 70, 75));
        _toDraw(deal);
        _draw(deal);
        _plan(_who(1), abi.encodeCall(IMarket.reclaim, (deal)));
        _plan(_who(1), abi.encodeCall(IMarket.collect, ()));
        vm.prank(_who(1));
        market.reclaim(deal);
        _gains(_who(1), 0);
        vm.assertEq(token.balanceOf(_who(1)), WEALTH);
        vm.assertEq(token.balanceOf(address(market)), BOND);
    }

    function test_Reentrancy_LostBondsAreFlushedOnce() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        _toChoice(deal);
        market.close(deal);
        _plan(address(sink), abi.encodeCall(IMarket.flush, (deal)));
        market.flush(deal);
        _gains(address(sink), 0);
        vm.assertEq(token.balanceOf(address(sink)), BOND);
        vm.assertEq(token.balanceOf(address(market)), FP);
    }

    function test_Reentrancy_ABidIsSealedOnce() public {
        uint256 deal = _open();
        _plan(_who(0), abi.encodeCall(IMarket.commit, (deal, "again")));
        _commit(deal, 0, 60 ether);
        _gains(_who(0), 0);
        vm.assertEq(token.balanceOf(_who(0)), WEALTH - BOND);
        vm.assertEq(market.auctionOf(deal).committed, 1);
    }

    /// @dev An auction that its requester closes while it pays is paid back once, and no more.
    function test_Reentrancy_AnAuctionClosedWhileItIsPaidIsPaidBackOnce() public {
        _plan(RITA, abi.encodeCall(IMarket.close, (1)));
        _plan(RITA, abi.encodeCall(IMarket.collect, ()));
        _plan(RITA, abi.encodeCall(IMarket.collect, ()));
        _open();
        _gains(RITA, 2);
        vm.assertEq(token.balanceOf(RITA), WEALTH);
        vm.assertEq(token.balanceOf(address(market)), 0);
    }

    function _plan(address account, bytes memory call) private {
        MarketSchemer(account).plan(call);
    }

    function _gains(address account, uint256 expected) private view {
        vm.assertTrue(MarketSchemer(account).told() > 0);
        vm.assertEq(MarketSchemer(account).gained(), expected);
    }
}
