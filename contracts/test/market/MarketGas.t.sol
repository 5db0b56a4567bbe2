// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { AlphaPools } from "../../src/market/AlphaPools.sol";
import { AlphaRouter } from "../../src/market/AlphaRouter.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { AlphaFactory } from "../../src/token/AlphaFactory.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Netuid } from "../../src/types/Types.sol";
import { closePool, grantTo } from "../support/Closings.sol";
import { ControllerStand } from "../support/Neighbours.sol";
import { Test } from "../support/Test.sol";

/// @notice Guards the gas of swaps in steady state: an epoch that was touched, unlimited approvals, a trader without a delegate who holds
/// both tokens. Each measured call runs as a transaction of its own, and its figure is the whole transaction, in the build of the tests: the
/// deployed one is leaner (FOUNDRY_PROFILE=deploy). `-vvvv` shows the figures.
contract MarketGasTest is Test {
    uint256 private constant AMOUNT = 1.234567890123456789e18;

    event Gas(string what, uint256 used);

    Netuid private one = Netuid.wrap(1);
    Netuid private two = Netuid.wrap(2);
    ControllerStand private controller;
    TandemToken private tndm;
    AlphaPools private pools;
    AlphaRouter private router;
    address private trader = makeActor("trader");

    function setUp() public {
        vm.warp(1_800_000_000);
        controller = new ControllerStand();
        uint256 nonce = vm.getNonce(address(this));
        address poolsAhead = vm.computeCreateAddress(address(this), nonce + 2);
        ITandemToken.Mint[] memory mints = new ITandemToken.Mint[](1);
        mints[0] = ITandemToken.Mint({ to: address(this), amount: 21_000_000e18 });
        tndm = new TandemToken(mints, new address[](0));
        address factory = address(new AlphaFactory(poolsAhead, address(this)));
        pools = new AlphaPools(_config(factory));
        router = new AlphaRouter(address(tndm), address(pools));
        tndm.approve(address(pools), type(uint256).max);
        pools.create(one, 5000e18, 0.05e18);
        pools.create(two, 5000e18, 0.05e18);
        tndm.transfer(trader, 100_000e18);
        vm.startPrank(trader);
        tndm.approve(address(pools), type(uint256).max);
        tndm.approve(address(router), type(uint256).max);
        TandemToken(pools.alphaOf(one)).approve(address(pools), type(uint256).max);
        TandemToken(pools.alphaOf(two)).approve(address(pools), type(uint256).max);
        for (uint64 epoch = 0; epoch < 2; ++epoch) {
            vm.warp(pools.startOf(epoch) + 60);
            pools.buy(one, 1234e18, 0, block.timestamp);
            pools.buy(two, 1234e18, 0, block.timestamp);
        }
        vm.stopPrank();
    }

    /// forge-config: default.isolate = true
    function test_swapsInSteadyState() public {
        _wait();
        uint256 min = pools.quoteBuy(one, AMOUNT) * 99 / 100;
        vm.prank(trader);
        pools.buy(one, AMOUNT, min, block.timestamp + 60);
        vm.assertLt(_used("buy"), 83_500);
        _wait();
        min = pools.quoteSell(one, AMOUNT) * 99 / 100;
        vm.prank(trader);
        pools.sell(one, AMOUNT, min, block.timestamp + 60);
        vm.assertLt(_used("sell"), 83_500);
        _wait();
        min = pools.quoteSwap(one, two, AMOUNT) * 99 / 100;
        vm.prank(trader);
        pools.swap(one, two, AMOUNT, min, block.timestamp + 60);
        vm.assertLt(_used("alpha for alpha"), 96_500);
        _wait();
        vm.prank(trader);
        pools.buyUntil(one, AMOUNT, 1e18, 1, trader, block.timestamp + 60);
        vm.assertLt(_used("buy within a limit"), 86_500);
        _wait();
        uint256 limit = pools.spotPrice(one) * 101 / 100;
        vm.prank(trader);
        pools.buyUntil(one, 1000e18, limit, 1, trader, block.timestamp + 60);
        vm.assertLt(_used("buy up to a limit"), 96_500);
        vm.prank(trader);
        router.buyExact(one, AMOUNT, 1e18, trader, block.timestamp + 60);
        _wait();
        vm.prank(trader);
        router.buyExact(one, AMOUNT, 1e18, trader, block.timestamp + 60);
        vm.assertLt(_used("buy an exact amount through the router"), 106_000);
    }

    /// forge-config: default.isolate = true
    function test_theFirstSwapOfAnEpochPaysForItsChores() public {
        vm.prank(address(controller));
        grantTo(pools, one, 1e18, 0, 20e18);
        tndm.transfer(address(pools), 1e18);
        vm.warp(pools.startOf(2));
        vm.prank(trader);
        pools.buy(one, AMOUNT, 1, block.timestamp + 60);
        vm.assertLt(_used("buy, first of an epoch, with a pour"), 185_000);
    }

    /// forge-config: default.isolate = true
    function test_settlingWritesFewWordsOfAPool() public {
        vm.warp(pools.startOf(2));
        vm.startPrank(address(controller));
        closePool(pools, one, 0);
        vm.assertLt(_used("closeEpoch, touched since"), 35_000);
        closePool(pools, one, 1);
        vm.assertLt(_used("closeEpoch"), 33_500);
        grantTo(pools, one, 1e18, 1e18, 20e18);
        vm.assertLt(_used("grant, the first"), 52_000);
        grantTo(pools, one, 1e18, 1e18, 20e18);
        vm.assertLt(_used("grant"), 35_500);
        vm.stopPrank();
    }

    function _config(
        address factory
    ) private view returns (IAlphaPools.Config memory) {
        return IAlphaPools.Config({
            tndm: address(tndm),
            factory: factory,
            registry: address(this),
            gate: address(this),
            controller: address(controller),
            genesis: uint64(block.timestamp),
            epochLength: 1 hours,
            feeRate: 0.003e18,
            emaRate: 0.086e18,
            emaHalfAge: 28 days,
            pourCap: 0.01e18,
            alphaPerDay: 3600e18
        });
    }

    function _wait() private {
        vm.warp(block.timestamp + 12);
    }

    function _used(
        string memory what
    ) private returns (uint256 used) {
        used = vm.lastCallGas().gasTotalUsed;
        emit Gas(what, used);
    }
}
