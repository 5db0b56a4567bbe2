// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { Netuid } from "../../src/types/Types.sol";
import { closePool, grantTo } from "./Closings.sol";
import { EconomyWorld } from "./EconomyWorld.sol";
import { ControllerStand } from "./Neighbours.sol";

/// @notice The economy's world, but the pools obey a controller that the test plays: it closes epochs and grants when it likes.
abstract contract PoolsWorld is EconomyWorld {
    Netuid internal one;
    Netuid internal two;
    AlphaToken internal alphaOne;
    AlphaToken internal alphaTwo;
    Netuid internal constant NOWHERE = Netuid.wrap(99);

    ControllerStand internal settler;

    function setUp() public virtual override {
        settler = new ControllerStand();
        super.setUp();
        one = _addSubnet();
        two = _addSubnet();
        _openMarkets();
        alphaOne = AlphaToken(pools.alphaOf(one));
        alphaTwo = AlphaToken(pools.alphaOf(two));
        vm.startPrank(trader);
        alphaOne.approve(address(pools), type(uint256).max);
        alphaTwo.approve(address(pools), type(uint256).max);
        vm.stopPrank();
    }

    function _poolsConfig(
        address,
        address tndm_
    ) internal view override returns (IAlphaPools.Config memory) {
        return super._poolsConfig(address(settler), tndm_);
    }

    /// @dev TNDM of the treasury that waits to be poured.
    function _givePending(
        Netuid netuid,
        uint256 amount
    ) internal {
        _give(address(pools), amount);
        _grant(netuid, amount, 0);
    }

    function _grant(
        Netuid netuid,
        uint256 tndm_,
        uint256 alpha
    ) internal {
        // At the price that stands.
        uint256 worth = tndm_ * 1e18 / pools.spotPrice(netuid);
        vm.prank(address(settler));
        grantTo(pools, netuid, tndm_, alpha, worth);
    }

    function _closeOne(
        Netuid netuid,
        uint64 epoch
    ) internal returns (uint256 emaBefore, uint256 twap) {
        vm.prank(address(settler));
        return closePool(pools, netuid, epoch);
    }

    /// @dev Both pools, every epoch that is over.
    function _closeAll() internal {
        for (uint64 e = settler.settledThrough(); e < pools.currentEpoch(); ++e) {
            _closeOne(one, e);
            _closeOne(two, e);
            settler.setSettledThrough(e + 1);
        }
    }

    function _poured(
        Netuid netuid
    ) internal returns (uint256 amount) {
        (amount,) = pools.pour(netuid);
    }

    function _sell(
        Netuid netuid,
        uint256 alphaIn
    ) internal override returns (uint256) {
        AlphaToken token = AlphaToken(pools.alphaOf(netuid));
        vm.startPrank(trader);
        token.approve(address(pools), type(uint256).max);
        uint256 out = pools.sell(netuid, alphaIn, 0, block.timestamp);
        vm.stopPrank();
        return out;
    }

    function _swap(
        Netuid from,
        Netuid into,
        uint256 alphaIn
    ) internal returns (uint256) {
        vm.prank(trader);
        return pools.swap(from, into, alphaIn, 0, block.timestamp);
    }

    function _product(
        Netuid netuid
    ) internal view returns (uint256) {
        IAlphaPools.Pool memory pool = pools.poolOf(netuid);
        return uint256(pool.tndm) * pool.alpha;
    }
}
