// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { WAD } from "../../src/types/Types.sol";
import { closePool } from "../support/Closings.sol";
import { PoolsWorld } from "../support/PoolsWorld.sol";

/// @notice What emission reads of pools: values as of an epoch's end, whenever they are asked for.
contract EpochPricesTest is PoolsWorld {
    uint64 private constant EPOCHS = 12;

    /// @dev How settling keeps up with time.
    enum Pace {
        Prompt, // each epoch as it ends
        HalfClosed, // closed as it ends, settled an epoch later: budgets are asked for in between
        Late, // all epochs at last, one by one
        AtOnce // all epochs at last, in one transaction: the controller's progress is written after it
    }

    uint256[EPOCHS] private _sums;
    uint256[EPOCHS] private _issued;
    uint256[EPOCHS] private _twaps;
    uint256[EPOCHS] private _emas;
    uint256[EPOCHS] private _issuedAsked;

    function test_epochsCloseInOrderEachOnceAndOnlyAfterTheyEnded() public {
        vm.startPrank(address(settler));
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_EpochNotEnded.selector, 0));
        closePool(pools, one, 0);
        vm.warp(pools.endOf(1));
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_WrongEpoch.selector, 1));
        closePool(pools, one, 1);
        (uint256 emaBefore, uint256 twap) = closePool(pools, one, 0);
        vm.assertEq(emaBefore, 0, "the epoch of creation");
        vm.assertEq(twap, PRICE);
        vm.assertEq(pools.emaOf(one), PRICE);
        vm.assertEq(pools.nextEpochOf(one), 1);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_WrongEpoch.selector, 0));
        closePool(pools, one, 0);
        settler.setSettledThrough(1);
        vm.assertEq(pools.nextEpochOf(one), 1);
        (emaBefore,) = closePool(pools, one, 1);
        vm.assertEq(emaBefore, PRICE);
        vm.assertEq(pools.nextEpochOf(one), 2);
        (emaBefore, twap) = closePool(pools, NOWHERE, 1);
        vm.assertEq(emaBefore + twap, 0, "no pool");
        vm.stopPrank();
    }

    function test_aPoolIsNotClosedForEpochsBeforeItsOwn() public {
        _toEpoch(5);
        one = registry.add(5);
        _createPool(one, SEED, PRICE);
        vm.assertEq(pools.nextEpochOf(one), 5);
        (uint256 emaBefore, uint256 twap) = _closeOne(one, 4);
        vm.assertEq(emaBefore + twap, 0);
        _toEpoch(6);
        (, twap) = _closeOne(one, 5);
        vm.assertEq(twap, PRICE);
    }

    /// @dev [AM-3]: input capped at twice the old EMA; the factor is emaRate·t/(t + 28 days) at the pool's age.
    function test_theEmaMovesByItsAgeAndAtMostTowardsItsDouble() public {
        _buy(one, 500_000e18); // the price explodes at the start of the epoch
        vm.warp(pools.endOf(0));
        (, uint256 twap) = _closeOne(one, 0);
        vm.assertGt(twap, 2 * PRICE);
        uint256 rate = uint256(0.086e18) * L / (L + 28 days);
        vm.assertEq(pools.emaOf(one), PRICE + PRICE * rate / WAD);
    }

    /// @dev [AM-3]: a price pushed for a block at the end of an epoch weighs as long as it stood.
    function test_whatIsNotHeldHardlyCounts() public {
        vm.warp(pools.endOf(0) - 12);
        uint256 held = _buy(one, 100_000e18);
        uint256 pushed = pools.spotPrice(one);
        vm.assertGt(pushed, 100 * PRICE);
        _toEpoch(1);
        _sell(one, held);
        (, uint256 twap) = _closeOne(one, 0);
        vm.assertEq(twap, (PRICE * (L - 12) + pushed * 12) / L);
        vm.assertLe(pools.emaOf(one), PRICE + PRICE * 0.086e18 * L / (L + 28 days) / WAD, "and is capped besides");
    }

    function test_theLastTwapNeedsNobodyToCloseIt() public {
        vm.assertEq(pools.lastTwapOf(one), 0);
        vm.warp(block.timestamp + L / 2);
        _buy(one, 1000e18);
        uint256 price = pools.spotPrice(one);
        uint256 average = (PRICE + price) * (L / 2) / L;
        _toEpoch(1);
        vm.assertEq(pools.lastTwapOf(one), average, "before the first touch");
        _buy(one, 1000e18);
        vm.assertEq(pools.lastTwapOf(one), average, "after it");
        price = pools.spotPrice(one);
        _toEpoch(3);
        vm.assertEq(pools.lastTwapOf(one), price, "of an epoch without trade");
        _buy(one, 1000e18);
        vm.assertEq(pools.lastTwapOf(one), price);
    }

    function test_issuedAtABoundaryIgnoresWhatIsPouredLater() public {
        uint256 seeded = pools.poolOf(one).issued;
        _givePending(one, 1000e18);
        _toEpoch(3);
        (, uint256 alpha) = pools.pour(one);
        vm.assertGt(alpha, 0);
        vm.assertEq(pools.issuedAt(one, 0), seeded);
        vm.assertEq(pools.issuedAt(one, 3), seeded + alpha);
        _grant(one, 0, 7);
        vm.assertEq(pools.issuedAt(one, 0), seeded + 7, "budgets count at once");
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_WrongEpoch.selector, 1));
        pools.issuedAt(one, 1);
        _closeAll();
        vm.assertEq(pools.issuedAt(one, 1), seeded + 7);
    }

    /// @dev [EM-2]: TWAPs equal the sums over every second, and they, the EMA and the alpha issued are the same at any pace of settling,
    /// whatever is traded and poured meanwhile.
    function testFuzz_averagesDoNotDependOnWhenEpochsAreClosed(
        uint256[12] memory moves
    ) public {
        _givePending(one, 2000e18);
        uint256 snapshot = vm.snapshotState();
        _trade(moves, Pace.Prompt);
        uint256[EPOCHS] memory twaps = _twaps;
        uint256[EPOCHS] memory emas = _emas;
        for (uint64 e = 0; e < EPOCHS; ++e) {
            vm.assertEq(twaps[e], _sums[e] / L, "reference");
            vm.assertEq(_issuedAsked[e], _issued[e], "issued");
        }
        for (uint8 pace = uint8(Pace.HalfClosed); pace <= uint8(Pace.AtOnce); ++pace) {
            vm.assertTrue(vm.revertToState(snapshot));
            snapshot = vm.snapshotState();
            _trade(moves, Pace(pace));
            for (uint64 e = 0; e < EPOCHS; ++e) {
                vm.assertEq(_twaps[e], twaps[e], "twap");
                vm.assertEq(_emas[e], emas[e], "ema");
                vm.assertEq(_issuedAsked[e], _issued[e], "issued");
            }
        }
    }

    /// @dev Trades as `moves` say until all epochs are over.
    function _trade(
        uint256[12] memory moves,
        Pace pace
    ) private {
        for (uint256 i = 0; i < moves.length; ++i) {
            _wait(bound(moves[i] & 0xffff, 0, 3 * L), pace);
            uint256 held = alphaOne.balanceOf(trader);
            uint256 size = moves[i] >> 16;
            if (size % 4 == 0) pools.pour(one);
            else if (size % 4 == 1) pools.flushFees(one);
            else if (size % 4 == 2 || held == 0) _buy(one, bound(size >> 2, 1e18, 3000e18));
            else _sell(one, bound(size >> 2, 1, held));
        }
        uint256 end = pools.endOf(EPOCHS - 1);
        if (block.timestamp < end) _wait(end - block.timestamp, pace);
        if (pace == Pace.Prompt) return;
        for (uint64 e = settler.settledThrough(); e < EPOCHS; ++e) {
            if (pools.nextEpochOf(one) == e || pace == Pace.AtOnce) _close(e);
            _issuedAsked[e] = pools.issuedAt(one, e);
            if (pace != Pace.AtOnce) settler.setSettledThrough(e + 1);
        }
    }

    function _wait(
        uint256 time,
        Pace pace
    ) private {
        while (time > 0) {
            uint64 epoch = pools.currentEpoch();
            uint256 part = pools.endOf(epoch) - block.timestamp;
            if (part > time) part = time;
            if (epoch < EPOCHS) _sums[epoch] += pools.spotPrice(one) * part;
            time -= part;
            vm.warp(block.timestamp + part);
            if (pools.currentEpoch() > epoch && epoch < EPOCHS) _passBoundary(epoch, pace);
        }
    }

    function _passBoundary(
        uint64 epoch,
        Pace pace
    ) private {
        _issued[epoch] = pools.poolOf(one).issued;
        if (pace == Pace.HalfClosed && epoch > 0) {
            _issuedAsked[epoch - 1] = pools.issuedAt(one, epoch - 1);
            settler.setSettledThrough(epoch);
        }
        if (pace == Pace.Prompt || pace == Pace.HalfClosed) _close(epoch);
        if (pace == Pace.Prompt) {
            _issuedAsked[epoch] = pools.issuedAt(one, epoch);
            settler.setSettledThrough(epoch + 1);
        }
    }

    function _close(
        uint64 epoch
    ) private {
        (, _twaps[epoch]) = _closeOne(one, epoch);
        _emas[epoch] = pools.emaOf(one);
    }
}
