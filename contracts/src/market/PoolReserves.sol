// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { MAX_SUPPLY, halvedPerEpochDown } from "../emission/Halving.sol";
import { alphaAddress } from "../token/AlphaAddress.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { ConstantProduct } from "./ConstantProduct.sol";
import { EpochPrices } from "./EpochPrices.sol";
import { IAlphaPools } from "./IAlphaPools.sol";
import { EPOCH_SECONDS_BITS, History, HistoryWord, Ledger, Reserves, ReservesWord, Running } from "./PoolWords.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The reserves of all pools and an epoch's chores
/// @notice What changes a pool beside swaps, once per epoch each: burning the accrued fees, and pouring emission in.
abstract contract PoolReserves is IAlphaPools, EpochPrices {
    /// @dev A pool as stored. A swap reads and writes the first two words, settling an epoch reads the second and writes the third.
    struct Words {
        Reserves reserves;
        Running running;
        Ledger ledger;
        History history;
        uint256 worth; // USED | alpha that the pending emission was worth when it was granted
    }

    /// @dev WAD. A pool is poured into only while its price lies within this factor of the last TWAP, either way. Moving ΔT of TNDM from one
    /// pool into another by a swap of alpha, and back, costs fees of 2·feeRate·ΔT. Where the swap moves the first price down by x² and the second
    /// up by y², pours in between give away at most pourCap·ΔT·((x − 1) + (y − 1)/y). Honest prices may stand at one end of the band and
    /// be pushed to the other, so x and y are at most this factor: with 1.25 that is below 0.9 of the cost while pourCap < 4·feeRate. A push of one
    /// pool costs the same and brings less.
    ///
    /// Nor is it poured into at more than this factor above the price at which its pending emission was granted, however long a higher one is held:
    /// participants had alpha for the same amount at that price. With u the emission in parts of the pool's TNDM and t² the factor, all alpha
    /// together sells for no more than was poured in while u >= (t − 1)², and for less than a push costs in fees below.
    uint256 private constant POUR_BAND = 1.25e18;
    uint256 private constant POUR_CAP_DIVIDED_BY_FEE = 4;
    /// @dev In `worth` from the first grant on: a slot that falls to zero would cost the next grant thrice as much.
    uint256 internal constant USED = 2 ** 255;

    IERC20 public immutable TNDM;
    address public immutable FACTORY;
    /// @inheritdoc IAlphaPools
    uint256 public immutable override FEE_RATE;
    uint256 public immutable POUR_CAP;
    uint256 public immutable ALPHA_PER_DAY;

    mapping(Netuid => Words) internal _words;

    constructor(
        Config memory config
    ) {
        if (config.feeRate >= WAD || config.emaRate > WAD || config.pourCap > WAD) revert AlphaPools_BadConfig();
        if (config.pourCap >= POUR_CAP_DIVIDED_BY_FEE * config.feeRate) revert AlphaPools_BadConfig();
        if (config.epochLength >> EPOCH_SECONDS_BITS != 0) revert AlphaPools_BadConfig();
        TNDM = IERC20(config.tndm);
        FACTORY = config.factory;
        FEE_RATE = config.feeRate;
        POUR_CAP = config.pourCap;
        ALPHA_PER_DAY = config.alphaPerDay;
    }

    /// @dev What precedes every swap: sum up the price that stood until now, and do an epoch's chores once. What it returns is not stored
    /// yet, except where an epoch was entered.
    function _touch(
        Netuid netuid,
        Words storage w
    ) internal returns (Reserves r, Running b) {
        bool entered;
        (r, b, entered) = _observeOrEnter(netuid, w);
        if (entered) (r, b,,) = _pour(netuid, w, r, b);
    }

    /// @dev The first touch in an epoch ends the last one and burns its fees.
    function _observeOrEnter(
        Netuid netuid,
        Words storage w
    ) internal returns (Reserves r, Running b, bool entered) {
        (r, b) = _load(netuid, w);
        if (_isTouched(b)) return (r, b.observed(block.timestamp), false);
        (b, w.history) = _enter(netuid, b, w.history, currentEpoch());
        uint256 burned = r.burnable();
        r = ReservesWord.pack(r.tndm(), r.alpha(), 0);
        w.reserves = r;
        w.running = b;
        if (burned != 0) {
            emit FeesBurned(netuid, burned);
            ERC20Burnable(address(TNDM)).burn(burned);
        }
        return (r, b, true);
    }

    /// @dev Stores what it changes.
    function _pour(
        Netuid netuid,
        Words storage w,
        Reserves r,
        Running b
    ) internal returns (Reserves, Running, uint256 tndm, uint256 alpha) {
        Ledger l = w.ledger;
        History h = w.history;
        (tndm, alpha) = _pourableDown(w, r, b, l, h.lastTwap());
        if (tndm == 0) return (r, b, 0, 0);
        uint256 worth = _worthOf(w);
        w.worth = USED | (worth - worth * tndm / l.pending());
        r = ReservesWord.pack(r.tndm() + tndm, r.alpha() + alpha, r.burnable());
        b = _store(w, r, b.withPoured(true));
        w.ledger = l.with(l.pending() - tndm, l.issued() + alpha);
        w.history = HistoryWord.pack(h.injected() + alpha, h.lastTwap(), h.stopEpoch());
        emit Poured(netuid, tndm, alpha);
        return (r, b, tndm, alpha);
    }

    /// @dev Notes the price of the reserves beside them.
    function _store(
        Words storage w,
        Reserves r,
        Running b
    ) internal returns (Running) {
        b = b.withPrice(ConstantProduct.price(r.tndm(), r.alpha()));
        w.reserves = r;
        w.running = b;
        return b;
    }

    /// @dev A pool that trades.
    function _load(
        Netuid netuid,
        Words storage w
    ) internal view returns (Reserves r, Running b) {
        b = w.running;
        if (b.price() == 0) revert AlphaPools_UnknownPool(netuid);
        if (b.stopping() && currentEpoch() >= w.history.stopEpoch()) revert AlphaPools_Stopped(netuid);
        r = w.reserves;
    }

    /// @dev In the running epoch.
    function _isTouched(
        Running b
    ) internal view returns (bool) {
        return block.timestamp - b.touchedAt() <= _passed();
    }

    /// @dev What `_touch` would return.
    function _ahead(
        Netuid netuid
    ) internal view returns (Reserves r) {
        Words storage w = _words[netuid];
        Running b;
        (r, b) = _load(netuid, w);
        if (_isTouched(b)) return r;
        uint256 anchor = _twapBefore(b, w.history, currentEpoch());
        (uint256 tndm, uint256 alpha) = _pourableDown(w, r, b.withPoured(false), w.ledger, anchor);
        return ReservesWord.pack(r.tndm() + tndm, r.alpha() + alpha, 0);
    }

    function _known(
        Netuid netuid
    ) internal view returns (Words storage w, Running b) {
        w = _words[netuid];
        b = w.running;
        if (b.price() == 0) revert AlphaPools_UnknownPool(netuid);
    }

    function _tokenOf(
        Netuid netuid
    ) internal view returns (IERC20) {
        return IERC20(alphaAddress(FACTORY, netuid));
    }

    /// @dev Both sides or none: one without the other would move the price.
    function _pourableDown(
        Words storage w,
        Reserves r,
        Running b,
        Ledger l,
        uint256 lastTwap
    ) private view returns (uint256 tndm, uint256 alpha) {
        if (b.poured() || l.pending() == 0) return (0, 0);
        if (_isPushed(b.price(), lastTwap == 0 ? l.ema() : lastTwap)) return (0, 0);
        // Prices and amounts of 85 bits, and a sum of such amounts.
        if (b.price() * _worthOf(w) > l.pending() * POUR_BAND) return (0, 0);
        tndm = Math.min(l.pending(), r.tndm() * POUR_CAP / WAD);
        alpha = tndm * r.alpha() / r.tndm();
        uint256 limit = _injectableDown(b, l.issued());
        if (alpha > limit) {
            alpha = limit;
            tndm = limit * r.tndm() / r.alpha();
        }
        if (tndm == 0 || alpha == 0) return (0, 0);
    }

    function _worthOf(
        Words storage w
    ) private view returns (uint256) {
        return w.worth & ~USED;
    }

    /// @dev Liquidity added at a pushed price pays whoever pushed it once the price returns. What must be held for an epoch to
    /// count is the reference.
    function _isPushed(
        uint256 price,
        uint256 anchor
    ) private pure returns (bool) {
        return price > anchor * POUR_BAND / WAD || price < anchor * WAD / POUR_BAND;
    }

    /// @dev The schedule of one epoch, and room for the budgets of all epochs that may still be granted one as of a past
    /// boundary: so a late closing never meets an emptied vault, and what it grants does not depend on being late [EM-2].
    function _injectableDown(
        Running b,
        uint256 issued
    ) private view returns (uint256) {
        uint256 scheduled = halvedPerEpochDown(ALPHA_PER_DAY, LENGTH, MAX_SUPPLY, issued);
        uint256 open = currentEpoch() + 1 - _firstUnsettled(b);
        uint256 kept = open * Math.mulDiv(ALPHA_PER_DAY, LENGTH, 1 days);
        return Math.min(scheduled, Math.saturatingSub(MAX_SUPPLY - issued, kept));
    }
}
