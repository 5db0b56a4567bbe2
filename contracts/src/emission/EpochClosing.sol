// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../epoch/IRewardDistributor.sol";
import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { IAlphaPools } from "../market/IAlphaPools.sol";
import { IStaking } from "../subnet/IStaking.sol";
import { ISubnetRegistry } from "../subnet/ISubnetRegistry.sol";
import { RollingYear } from "../types/RollingYear.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { Allowances } from "./Allowances.sol";
import { GrantWord, MAX_PER_EPOCH, packGrant } from "./GrantWord.sol";
import { EMISSION_CAP, MAX_SUPPLY, halvedPerEpochDown } from "./Halving.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title The closing of epochs
/// @notice The right side of the law: what is emitted comes off allowances, here alone. A call works in memory. What of a half closed
/// epoch the next call could not read again where it came from is stored when a call stops within it; calls that stop at an
/// epoch's end store results alone.
abstract contract EpochClosing is Allowances {
    using SafeCast for uint256;
    using RollingYear for RollingYear.Year;

    /// @dev A subnet in the closing of an epoch, in memory.
    struct Part {
        uint256 price; // EMA before this closing; 0: takes no part in emission
        uint256 twap; // of the epoch
        uint256 allowance; // as of the epoch's end
        uint256 wanted; // allowance / smoothing
        uint256 given; // of it, by the first pass
        bool eligible;
        bool known; // weighed, by this call or an earlier one
        bool stored; // by an earlier one
    }

    /// @dev A subnet that was weighed by an earlier call.
    struct Weighed {
        uint128 price;
        uint120 twap;
        bool eligible;
    }

    /// @dev How far the closing of an epoch has come, in memory.
    struct Closing {
        uint64 epoch;
        uint256 next;
        Pass pass;
        bool begun;
        bool trading; // markets were open before the epoch's end, so every live subnet has a pool
        bool emitting; // markets were open at the epoch's start
        uint256 ceiling;
        uint256 shared; // Σ of the first pass
        uint256 unmet; // Σ of what the first pass left of a_i / smoothing
        uint256 prices; // Σ EMA of those that take part
        uint256 emitted; // Σ of the second pass
        uint256 owed; // TNDM that this call emitted, of all epochs
        uint16[] live;
        Part[] parts; // of `live`
    }

    /// @dev The sums of a half closed epoch.
    struct Sums {
        uint80 ceiling;
        uint80 shared;
        uint80 emitted;
        uint96 unmet;
        uint160 prices;
    }

    /// @dev Grants of so many epochs are remembered.
    uint64 internal constant RING = 256;
    /// @dev A pool is born with a tenth of all alpha at most.
    uint256 private constant SEED_DIVISOR = 10;
    /// @dev Alpha leaves the vault by injection and by budgets, each on the schedule.
    uint256 private constant SCHEDULES = 2;

    IAlphaPools public immutable POOLS;
    IRewardDistributor public immutable DISTRIBUTOR;
    ISubnetRegistry public immutable REGISTRY;
    IStaking public immutable STAKING;
    ILaunchGate public immutable GATE;
    uint256 public immutable SMOOTHING;
    uint256 public immutable EMISSION_PER_DAY;
    uint256 public immutable ALPHA_PER_DAY;

    Sums private _sums;
    mapping(Netuid netuid => Weighed) private _weighed;
    mapping(Netuid netuid => GrantWord[RING]) internal _grants;
    RollingYear.Year internal _year;

    constructor(
        Config memory config
    ) {
        uint256 perDay = Math.max(config.emissionPerDay, config.alphaPerDay);
        if (config.smoothing == 0 || Math.mulDiv(perDay, config.epochLength, 1 days) > MAX_PER_EPOCH) {
            revert EmissionController_BadConfig();
        }
        POOLS = IAlphaPools(config.pools);
        DISTRIBUTOR = IRewardDistributor(config.distributor);
        REGISTRY = ISubnetRegistry(config.registry);
        STAKING = IStaking(config.staking);
        GATE = ILaunchGate(config.gate);
        SMOOTHING = config.smoothing;
        EMISSION_PER_DAY = config.emissionPerDay;
        ALPHA_PER_DAY = config.alphaPerDay;
    }

    /// @dev Takes up the closing of an epoch, at its beginning or where the last call stopped.
    function _begin(
        Closing memory c,
        uint256 emittedBefore
    ) internal view {
        uint256 openedAt = GATE.marketsOpenedAt();
        c.begun = true;
        c.trading = openedAt != 0 && openedAt < endOf(c.epoch);
        c.emitting = openedAt != 0 && openedAt <= startOf(c.epoch);
        c.live = REGISTRY.liveAt(c.epoch);
        c.parts = new Part[](c.live.length);
        if (c.next == 0 && c.pass == Pass.Weigh) {
            c.ceiling = c.emitting ? _ceilingAfter(emittedBefore) : 0;
        } else {
            Sums memory sums = _sums;
            (c.ceiling, c.shared, c.unmet) = (sums.ceiling, sums.shared, sums.unmet);
            (c.prices, c.emitted) = (sums.prices, sums.emitted);
        }
    }

    /// @dev Visits subnets until the epoch is closed or `left` visits are made.
    /// @return Visits that are left.
    function _advance(
        Closing memory c,
        uint256 left
    ) internal returns (uint256) {
        uint256 count = c.live.length;
        // An epoch without subnets is a visit too.
        if (count == 0) --left;
        while (count > 0) {
            uint256 end = Math.min(count, c.next + Math.min(left, count));
            left -= end - c.next;
            if (c.pass == Pass.Weigh) _weigh(c, end);
            else if (c.pass == Pass.Share) _share(c, end);
            else _pay(c, end);
            if (end < count) return left;
            c.next = 0;
            if (c.pass == Pass.Pay) break;
            c.pass = c.pass == Pass.Weigh && c.prices > 0 ? Pass.Share : Pass.Pay;
        }
        _finish(c);
        return left;
    }

    function _finish(
        Closing memory c
    ) private {
        if (c.emitted > 0) _year.add(endOf(c.epoch), c.emitted, 0);
        emit EpochSettled(c.epoch, c.ceiling, c.emitted);
        ++c.epoch;
        c.pass = Pass.Weigh;
        c.begun = false;
        (c.shared, c.unmet, c.prices, c.emitted) = (0, 0, 0, 0);
    }

    /// @dev For the call that will go on.
    function _storeHalfClosed(
        Closing memory c
    ) internal {
        _sums = Sums({
            ceiling: c.ceiling.toUint80(),
            shared: c.shared.toUint80(),
            emitted: c.emitted.toUint80(),
            unmet: c.unmet.toUint96(),
            prices: c.prices.toUint160()
        });
        uint256 first = c.pass == Pass.Pay ? c.next : 0;
        for (uint256 i = first; i < c.live.length; ++i) {
            Part memory p = c.parts[i];
            if (!p.known || p.stored) continue;
            _weighed[Netuid.wrap(c.live[i])] =
                Weighed({ price: p.price.toUint128(), twap: p.twap.toUint120(), eligible: p.eligible });
        }
    }

    /// @dev First visit: the allowance as of the epoch's boundary, the price, who takes part.
    function _weigh(
        Closing memory c,
        uint256 end
    ) private {
        for (; c.next < end; ++c.next) {
            Netuid netuid = Netuid.wrap(c.live[c.next]);
            Part memory p = c.parts[c.next];
            p.known = true;
            p.eligible = STAKING.checkEligible(netuid, c.epoch);
            p.allowance = _allowanceAt(netuid, _ledgers[netuid], c.epoch, c.emitting);
            if (!c.trading) continue;
            (uint256 price, uint256 twap) = POOLS.closeEpoch(netuid, c.epoch);
            if (!c.emitting || !p.eligible || p.allowance == 0) continue;
            p.price = price;
            // At a price beyond 2^120 there is nothing to issue for any emission.
            p.twap = Math.min(twap, type(uint120).max);
            c.prices += price;
        }
    }

    /// @dev Second visit: what the share of the ceiling by price gives.
    function _share(
        Closing memory c,
        uint256 end
    ) private view {
        for (; c.next < end; ++c.next) {
            Part memory p = c.parts[c.next];
            if (!p.known) _recall(c, p);
            else _shareDown(c, p);
            c.shared += p.given;
            c.unmet += p.wanted - p.given;
        }
    }

    /// @dev Third visit: the unused part of the ceiling to what is unmet, then everything is granted.
    function _pay(
        Closing memory c,
        uint256 end
    ) private {
        for (; c.next < end; ++c.next) {
            Part memory p = c.parts[c.next];
            if (!p.known) _recall(c, p);
            _grant(c, p, Netuid.wrap(c.live[c.next]));
        }
    }

    function _grant(
        Closing memory c,
        Part memory p,
        Netuid netuid
    ) private {
        uint256 emitted;
        uint256 alphaOut;
        if (p.price > 0) {
            emitted = p.given + _topUpDown(c, p.wanted - p.given);
            alphaOut = _alphaOutDown(c.epoch, netuid, emitted, Math.max(p.price, p.twap));
            c.emitted += emitted;
            c.owed += emitted;
            POOLS.grant(netuid, emitted, alphaOut);
        }
        uint256 left = p.allowance - emitted;
        bool changed = _closeLedger(netuid, _ledgers[netuid], c.epoch, left, emitted);
        uint256 usdc = DISTRIBUTOR.closeEpoch(c.epoch, netuid, p.eligible, alphaOut);
        if (emitted > 0 || usdc > 0) {
            _grants[netuid][c.epoch % RING] = packGrant(emitted, alphaOut, usdc, c.epoch / RING + 1);
        } else if (!changed) {
            return;
        }
        emit Granted(c.epoch, netuid, emitted, alphaOut, usdc, left, p.price);
    }

    /// @dev A subnet that an earlier call has weighed, as far as it has come.
    function _recall(
        Closing memory c,
        Part memory p
    ) private view {
        Netuid netuid = Netuid.wrap(c.live[c.next]);
        Weighed memory weighed = _weighed[netuid];
        (p.price, p.twap, p.eligible) = (weighed.price, weighed.twap, weighed.eligible);
        p.allowance = _allowanceAt(netuid, _ledgers[netuid], c.epoch, c.emitting);
        (p.known, p.stored) = (true, true);
        _shareDown(c, p);
    }

    /// @dev What the subnet may have, smoothed, and its share of the ceiling as far as that goes. Prices are below 2^128, the
    /// ceiling is below 2^80.
    function _shareDown(
        Closing memory c,
        Part memory p
    ) private view {
        if (p.price == 0) return;
        p.wanted = p.allowance / SMOOTHING;
        p.given = Math.min(c.ceiling * p.price / c.prices, p.wanted);
    }

    function _topUpDown(
        Closing memory c,
        uint256 unmet
    ) private pure returns (uint256) {
        uint256 unused = c.ceiling - c.shared;
        return unused >= c.unmet ? unmet : unused * unmet / c.unmet;
    }

    /// @dev Alpha worth what was emitted, within the schedule and the supply [EM-3].
    function _alphaOutDown(
        uint64 epoch,
        Netuid netuid,
        uint256 emitted,
        uint256 price
    ) private view returns (uint256) {
        return Math.min(emitted * WAD / price, _scheduledDown(epoch, netuid));
    }

    /// @dev Until the largest seed and all of both schedules since genesis would come to half of the supply, no rate can have halved,
    /// and the pools need not be asked.
    function _scheduledDown(
        uint64 epoch,
        Netuid netuid
    ) private view returns (uint256) {
        uint256 rate = ALPHA_PER_DAY * LENGTH / 1 days;
        uint256 most = MAX_SUPPLY / SEED_DIVISOR + SCHEDULES * rate * (uint256(epoch) + 1);
        if (most < MAX_SUPPLY / 2) return rate;
        return halvedPerEpochDown(ALPHA_PER_DAY, LENGTH, MAX_SUPPLY, POOLS.issuedAt(netuid, epoch));
    }

    function _ceilingAfter(
        uint256 emitted
    ) internal view returns (uint256) {
        return halvedPerEpochDown(EMISSION_PER_DAY, LENGTH, EMISSION_CAP, emitted);
    }
}
