// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { MAX_SUPPLY, halvedPerEpochDown } from "../emission/Halving.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { ConstantProduct } from "./ConstantProduct.sol";
import { EpochPrices } from "./EpochPrices.sol";
import { IAlphaPools } from "./IAlphaPools.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title The reserves of all pools and an epoch's chores
/// @notice What changes a pool beside swaps, once per epoch each: burning the accrued fees, and pouring emission in.
abstract contract PoolReserves is IAlphaPools, EpochPrices {
    using SafeCast for uint256;
    using Checkpoints for Checkpoints.Trace208;

    /// @dev A pool as stored; what it means is said at IAlphaPools.Pool.
    struct State {
        uint128 tndm;
        uint128 alpha;
        uint128 burnable;
        uint64 flushEpoch;
        uint128 pending;
        uint64 pourEpoch;
        uint64 createdEpoch;
        uint128 issued;
        address token;
    }

    /// @dev WAD. A pool is poured into only while its price lies within this factor of the anchor, either way. Pushing a price
    /// by a factor x² costs fees of 2·feeRate·T·(x − 1)/x at least and brings what a pour then gives away, at most
    /// pourCap·T·(x − 1)²/x; with x <= 1.5 it costs more than it brings while pourCap < 4·feeRate (0.3 % and 1 %: 0.84 of the cost).
    uint256 private constant POUR_BAND = 1.5e18;
    uint256 private constant POUR_CAP_DIVIDED_BY_FEE = 4;

    IERC20 public immutable TNDM;
    uint256 public immutable POUR_CAP;
    uint256 public immutable ALPHA_PER_DAY;

    mapping(Netuid => State) internal _states;
    /// @dev Seed and injected alpha by the epoch it was moved in, cumulative.
    mapping(Netuid => Checkpoints.Trace208) internal _injected;

    constructor(
        Config memory config
    ) {
        if (config.feeRate >= WAD || config.emaRate > WAD || config.pourCap > WAD) revert AlphaPools_BadConfig();
        if (config.pourCap >= POUR_CAP_DIVIDED_BY_FEE * config.feeRate) revert AlphaPools_BadConfig();
        TNDM = IERC20(config.tndm);
        POUR_CAP = config.pourCap;
        ALPHA_PER_DAY = config.alphaPerDay;
    }

    function _flush(
        Netuid netuid,
        State storage s
    ) internal returns (uint256 burned) {
        uint64 epoch = currentEpoch();
        if (epoch == s.flushEpoch || s.burnable == 0) return 0;
        burned = s.burnable;
        s.burnable = 0;
        s.flushEpoch = epoch;
        emit FeesBurned(netuid, burned);
        ERC20Burnable(address(TNDM)).burn(burned);
    }

    function _pour(
        Netuid netuid,
        State storage s
    ) internal returns (uint256 tndm, uint256 alpha) {
        (tndm, alpha) = _pourableDown(netuid, s);
        if (tndm == 0) return (0, 0);
        uint64 epoch = currentEpoch();
        s.tndm += tndm.toUint128();
        s.alpha += alpha.toUint128();
        s.pending -= tndm.toUint128();
        s.issued += alpha.toUint128();
        s.pourEpoch = epoch;
        Checkpoints.Trace208 storage injected = _injected[netuid];
        injected.push(uint256(epoch).toUint48(), (injected.latest() + alpha).toUint208());
        emit Poured(netuid, tndm, alpha);
    }

    function _known(
        Netuid netuid
    ) internal view returns (State storage s) {
        s = _states[netuid];
        if (s.token == address(0)) revert AlphaPools_UnknownPool(netuid);
    }

    function _spot(
        State storage s
    ) internal view returns (uint128) {
        return ConstantProduct.price(s.tndm, s.alpha);
    }

    function _reservesAfterPour(
        Netuid netuid
    ) internal view returns (uint256 tndm, uint256 alpha) {
        State storage s = _known(netuid);
        (tndm, alpha) = _pourableDown(netuid, s);
        tndm += s.tndm;
        alpha += s.alpha;
    }

    /// @dev Both sides or none: one without the other would move the price.
    function _pourableDown(
        Netuid netuid,
        State storage s
    ) private view returns (uint256 tndm, uint256 alpha) {
        uint64 epoch = currentEpoch();
        if (s.pending == 0 || epoch == s.pourEpoch || _isPushed(netuid, s)) return (0, 0);
        tndm = Math.min(s.pending, Math.mulDiv(s.tndm, POUR_CAP, WAD));
        alpha = Math.mulDiv(tndm, s.alpha, s.tndm);
        uint256 limit = _injectableDown(netuid, s.issued, epoch);
        if (alpha > limit) {
            alpha = limit;
            tndm = Math.mulDiv(limit, s.tndm, s.alpha);
        }
        if (tndm == 0 || alpha == 0) return (0, 0);
    }

    /// @dev Liquidity added at a pushed price pays whoever pushed it once the price returns. What must be held for an epoch to
    /// count is the reference: the last TWAP, before there is one the EMA.
    function _isPushed(
        Netuid netuid,
        State storage s
    ) private view returns (bool) {
        Average storage average = _averageOf(netuid);
        uint256 anchor = average.twap == 0 ? average.ema : average.twap;
        uint256 price = _spot(s);
        return price > Math.mulDiv(anchor, POUR_BAND, WAD) || price < Math.mulDiv(anchor, WAD, POUR_BAND);
    }

    /// @dev The schedule of one epoch, and room for the budgets of all epochs that may still be granted one as of a past
    /// boundary: so a late closing never meets an emptied vault, and what it grants does not depend on being late [EM-2].
    function _injectableDown(
        Netuid netuid,
        uint256 issued,
        uint64 epoch
    ) private view returns (uint256) {
        uint256 scheduled = halvedPerEpochDown(ALPHA_PER_DAY, LENGTH, MAX_SUPPLY, issued);
        uint256 open = epoch + 1 - _averageOf(netuid).nextEpoch;
        uint256 kept = open * Math.mulDiv(ALPHA_PER_DAY, LENGTH, 1 days);
        return Math.min(scheduled, Math.saturatingSub(MAX_SUPPLY - issued, kept));
    }
}
