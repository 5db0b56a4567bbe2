// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { ConstantProduct } from "./ConstantProduct.sol";
import { IAlphaPools } from "./IAlphaPools.sol";
import { PartialFill } from "./PartialFill.sol";
import { PoolReserves } from "./PoolReserves.sol";
import { Ledger, Reserves, Running, inRange } from "./PoolWords.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { Arrays } from "@openzeppelin/contracts/utils/Arrays.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What can be read of pools
/// @notice Quotes take the way that swaps take: the same reserves, the chores of the epoch done, and the same arithmetic [AM-1].
abstract contract PoolViews is PoolReserves {
    using SafeCast for uint256;

    /// @dev Of all pools that are not wound up, in no order.
    Netuid[] internal _netuids;

    /// @inheritdoc IAlphaPools
    function quoteBuy(
        Netuid netuid,
        uint256 tndmIn
    ) external view returns (uint256 alphaOut) {
        _checkAmount(tndmIn);
        Reserves r = _ahead(netuid);
        (alphaOut,) = ConstantProduct.buyDown(r.tndm(), r.alpha(), tndmIn, FEE_RATE);
    }

    /// @inheritdoc IAlphaPools
    function quoteSell(
        Netuid netuid,
        uint256 alphaIn
    ) external view returns (uint256 tndmOut) {
        _checkAmount(alphaIn);
        Reserves r = _ahead(netuid);
        (tndmOut,) = ConstantProduct.sellDown(r.tndm(), r.alpha(), alphaIn, FEE_RATE);
    }

    /// @inheritdoc IAlphaPools
    function quoteBuyUntil(
        Netuid netuid,
        uint256 tndmIn,
        uint256 maxPrice
    ) external view returns (uint256 tndmUsed, uint256 alphaOut) {
        Reserves r = _ahead(netuid);
        tndmUsed = _fillable(r, tndmIn, maxPrice, true);
        (alphaOut,) = ConstantProduct.buyDown(r.tndm(), r.alpha(), tndmUsed, FEE_RATE);
    }

    /// @inheritdoc IAlphaPools
    function quoteSellUntil(
        Netuid netuid,
        uint256 alphaIn,
        uint256 minPrice
    ) external view returns (uint256 alphaUsed, uint256 tndmOut) {
        Reserves r = _ahead(netuid);
        alphaUsed = _fillable(r, alphaIn, minPrice, false);
        (tndmOut,) = ConstantProduct.sellDown(r.tndm(), r.alpha(), alphaUsed, FEE_RATE);
    }

    /// @inheritdoc IAlphaPools
    function quoteSwap(
        Netuid from,
        Netuid to,
        uint256 alphaIn
    ) external view returns (uint256 alphaOut) {
        _checkAmount(alphaIn);
        if (from == to) revert AlphaPools_SamePool(from);
        Reserves r = _ahead(from);
        (uint256 tndm,) = ConstantProduct.sellDown(r.tndm(), r.alpha(), alphaIn, FEE_RATE);
        r = _ahead(to);
        alphaOut = ConstantProduct.alphaForDown(r.tndm(), r.alpha(), tndm);
    }

    /// @inheritdoc IAlphaPools
    function reservesAhead(
        Netuid netuid
    ) external view returns (uint256 tndm, uint256 alpha) {
        Reserves r = _ahead(netuid);
        return (r.tndm(), r.alpha());
    }

    /// @inheritdoc IAlphaPools
    function exists(
        Netuid netuid
    ) external view returns (bool) {
        return _words[netuid].running.price() != 0;
    }

    /// @inheritdoc IAlphaPools
    function poolOf(
        Netuid netuid
    ) external view returns (Pool memory) {
        Words storage w = _words[netuid];
        Reserves r = w.reserves;
        Running b = w.running;
        Ledger l = w.ledger;
        return Pool({
            token: alphaOf(netuid),
            tndm: r.tndm().toUint128(),
            alpha: r.alpha().toUint128(),
            burnable: r.burnable().toUint128(),
            pending: l.pending().toUint128(),
            issued: l.issued().toUint128(),
            createdEpoch: b.createdEpoch(),
            touchedAt: b.touchedAt().toUint64(),
            poured: b.poured(),
            stopEpoch: w.history.stopEpoch()
        });
    }

    /// @inheritdoc IAlphaPools
    function spotPrice(
        Netuid netuid
    ) external view returns (uint256) {
        (, Running b) = _known(netuid);
        return b.price();
    }

    /// @inheritdoc IAlphaPools
    function emaOf(
        Netuid netuid
    ) external view returns (uint256) {
        return _words[netuid].ledger.ema();
    }

    /// @inheritdoc IAlphaPools
    function lastTwapOf(
        Netuid netuid
    ) external view returns (uint256) {
        Words storage w = _words[netuid];
        return _twapBefore(w.running, w.history, currentEpoch());
    }

    /// @inheritdoc IAlphaPools
    function nextEpochOf(
        Netuid netuid
    ) external view returns (uint64 epoch) {
        (Words storage w, Running b) = _known(netuid);
        epoch = _firstUnsettled(b);
        // The controller closes all pools' epochs before it calls an epoch settled, and no later one in between.
        if (w.ledger.oddNext() != (epoch & 1 == 1)) ++epoch;
    }

    /// @inheritdoc IAlphaPools
    function medianEma() external view returns (uint256) {
        uint256 count = _netuids.length;
        if (count == 0) return 0;
        uint256[] memory emas = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            emas[i] = _words[_netuids[i]].ledger.ema();
        }
        Arrays.sort(emas);
        return Math.average(emas[(count - 1) / 2], emas[count / 2]);
    }

    /// @inheritdoc IAlphaPools
    function circulatingAlpha(
        Netuid netuid
    ) external view returns (uint256) {
        if (_words[netuid].running.price() == 0) return 0;
        IERC20 token = _tokenOf(netuid);
        return token.totalSupply() - token.balanceOf(address(this));
    }

    /// @inheritdoc IAlphaPools
    function issuedAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (uint256) {
        Words storage w = _words[netuid];
        uint256 issued = w.ledger.issued();
        if (epochAt(w.running.touchedAt()) <= epoch) return issued;
        return issued - (w.history.injected() - _injectedAt(netuid, epoch));
    }

    /// @inheritdoc IAlphaPools
    function alphaOf(
        Netuid netuid
    ) public view returns (address token) {
        if (_words[netuid].running.price() != 0) token = address(_tokenOf(netuid));
    }

    function _fillable(
        Reserves r,
        uint256 offered,
        uint256 limit,
        bool buying
    ) internal view returns (uint256 used) {
        _checkAmount(offered);
        used = PartialFill.fillDown(
            PartialFill.Bound({ tndm: r.tndm(), alpha: r.alpha(), feeRate: FEE_RATE, limit: limit, buying: buying }),
            offered
        );
        if (used == 0) revert AlphaPools_PriceBeyondLimit(ConstantProduct.price(r.tndm(), r.alpha()), limit);
    }

    function _checkAmount(
        uint256 amount
    ) internal pure {
        if (amount == 0) revert AlphaPools_ZeroAmount();
        inRange(amount);
    }
}
