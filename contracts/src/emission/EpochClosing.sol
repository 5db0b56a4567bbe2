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
import { LedgerWord } from "./LedgerWord.sol";
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
        LedgerWord ledger; // as stored
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
    /// @dev The upper of two amounts in a word.
    uint256 private constant HIGH = 128;

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
        uint16[] memory netuids = _part(c.live, c.next, end);
        bool[] memory eligible = STAKING.checkEligible(netuids, c.epoch);
        uint256[] memory prices;
        if (c.trading) prices = POOLS.closeEpoch(netuids, c.epoch);
        uint256 sum = c.prices;
        for (uint256 i = 0; i < netuids.length; ++i) {
            Netuid netuid = Netuid.wrap(netuids[i]);
            Part memory p = c.parts[c.next + i];
            p.known = true;
            p.eligible = eligible[i];
            p.ledger = _ledgers[netuid];
            p.allowance = _allowanceAt(netuid, p.ledger, c.epoch, c.emitting);
            if (!c.emitting || !p.eligible || p.allowance == 0) continue;
            uint256 both = prices[i];
            // forge-lint: disable-next-line(unsafe-typecast) the low half
            p.price = uint128(both);
            p.twap = both >> HIGH;
            // Below 2^85 each.
            unchecked {
                sum += p.price;
            }
        }
        (c.prices, c.next) = (sum, end);
    }

    /// @dev Second visit: what the share of the ceiling by price gives.
    function _share(
        Closing memory c,
        uint256 end
    ) private view {
        for (uint256 i = c.next; i < end; ++i) {
            Part memory p = c.parts[i];
            if (!p.known) _recall(c, p, Netuid.wrap(c.live[i]));
            else _shareDown(c, p);
            // Allowances, all together below the supply of TNDM; nobody is given more than it wants.
            unchecked {
                c.shared += p.given;
                c.unmet += p.wanted - p.given;
            }
        }
        c.next = end;
    }

    /// @dev Third visit: the unused part of the ceiling to what is unmet, then everything is granted.
    function _pay(
        Closing memory c,
        uint256 end
    ) private {
        uint16[] memory netuids = _part(c.live, c.next, end);
        GrantWord[] memory grants = new GrantWord[](netuids.length);
        uint256 unused = c.ceiling - c.shared;
        uint256 scheduled = _flatScheduleAt(c.epoch);
        uint256 sum = 0;
        for (uint256 i = 0; i < netuids.length; ++i) {
            Netuid netuid = Netuid.wrap(netuids[i]);
            Part memory p = c.parts[c.next + i];
            if (!p.known) _recall(c, p, netuid);
            GrantWord word = _grantDown(c, p, netuid, unused, scheduled);
            sum += word.emitted();
            grants[i] = word;
        }
        if (sum > 0) {
            c.emitted += sum;
            c.owed += sum;
            POOLS.grant(netuids, grants);
        }
        uint256[] memory usdc = DISTRIBUTOR.closeEpoch(c.epoch, netuids, grants);
        _record(c, netuids, grants, usdc);
        c.next = end;
    }

    /// @dev Alpha worth what is emitted, within the schedule and the supply [EM-3].
    function _grantDown(
        Closing memory c,
        Part memory p,
        Netuid netuid,
        uint256 unused,
        uint256 scheduled
    ) private view returns (GrantWord) {
        if (p.price == 0) return packGrant(0, 0, 0, p.eligible);
        uint256 emitted = p.given + _topUpDown(unused, c.unmet, p.wanted - p.given);
        uint256 worth = emitted * WAD / Math.max(p.price, p.twap);
        if (scheduled == 0) scheduled = _scheduledDown(c.epoch, netuid);
        return packGrant(emitted, Math.min(worth, scheduled), worth, p.eligible);
    }

    /// @dev Ledgers, the memory of grants and the event of subnets that are paid.
    function _record(
        Closing memory c,
        uint16[] memory netuids,
        GrantWord[] memory grants,
        uint256[] memory usdc
    ) private {
        uint256[] memory told = new uint256[](netuids.length);
        uint256[] memory states = new uint256[](netuids.length);
        uint256 count = 0;
        for (uint256 i = 0; i < netuids.length; ++i) {
            Part memory p = c.parts[c.next + i];
            (uint16 netuid, GrantWord word, uint256 budget) = (netuids[i], grants[i], usdc[i]);
            if (!_keep(c.epoch, p, Netuid.wrap(netuid), word, budget)) continue;
            told[count] = GrantWord.unwrap(word.beside(budget, netuid));
            states[count++] = (p.allowance - word.emitted()) | p.price << HIGH;
        }
        if (count == 0) return;
        // Shorter than they were allocated: what lies behind stays unused.
        assembly ("memory-safe") {
            mstore(told, count)
            mstore(states, count)
        }
        emit Granted(c.epoch, told, states);
    }

    /// @return There was something to write.
    function _keep(
        uint64 epoch,
        Part memory p,
        Netuid netuid,
        GrantWord word,
        uint256 usdc
    ) private returns (bool) {
        uint256 emitted = word.emitted();
        bool changed = _closeLedger(netuid, p.ledger, epoch, p.allowance - emitted, emitted);
        if (emitted == 0 && usdc == 0) return changed;
        _grants[netuid][epoch % RING] = word.beside(usdc, epoch / RING + 1);
        return true;
    }

    /// @dev A subnet that an earlier call has weighed, as far as it has come.
    function _recall(
        Closing memory c,
        Part memory p,
        Netuid netuid
    ) private view {
        Weighed memory weighed = _weighed[netuid];
        (p.price, p.twap, p.eligible) = (weighed.price, weighed.twap, weighed.eligible);
        p.ledger = _ledgers[netuid];
        p.allowance = _allowanceAt(netuid, p.ledger, c.epoch, c.emitting);
        (p.known, p.stored) = (true, true);
        _shareDown(c, p);
    }

    /// @dev What the subnet may have, smoothed, and its share of the ceiling as far as that goes.
    function _shareDown(
        Closing memory c,
        Part memory p
    ) private view {
        if (p.price == 0) return;
        p.wanted = p.allowance / SMOOTHING;
        // Prices are below 2^128, the ceiling is below 2^80, and this price is one of the sum.
        unchecked {
            p.given = Math.min(c.ceiling * p.price / c.prices, p.wanted);
        }
    }

    function _topUpDown(
        uint256 unused,
        uint256 unmetOfAll,
        uint256 unmet
    ) private pure returns (uint256) {
        return unused >= unmetOfAll ? unmet : unused * unmet / unmetOfAll;
    }

    /// @dev What every subnet's budget of `epoch` is scheduled to be, if no rate can have halved: until the largest seed and all of both schedules
    /// since genesis would come to half of the supply. Else zero, and the pools have to be asked.
    function _flatScheduleAt(
        uint64 epoch
    ) private view returns (uint256) {
        uint256 rate = ALPHA_PER_DAY * LENGTH / 1 days;
        uint256 most = MAX_SUPPLY / SEED_DIVISOR + SCHEDULES * rate * (uint256(epoch) + 1);
        return most < MAX_SUPPLY / 2 ? rate : 0;
    }

    function _scheduledDown(
        uint64 epoch,
        Netuid netuid
    ) private view returns (uint256) {
        return halvedPerEpochDown(ALPHA_PER_DAY, LENGTH, MAX_SUPPLY, POOLS.issuedAt(netuid, epoch));
    }

    /// @dev Entries `from` to before `to`; all of them are not copied.
    function _part(
        uint16[] memory netuids,
        uint256 from,
        uint256 to
    ) private pure returns (uint16[] memory part) {
        if (to - from == netuids.length) return netuids;
        part = new uint16[](to - from);
        for (uint256 i = 0; i < part.length; ++i) {
            part[i] = netuids[from + i];
        }
    }

    function _ceilingAfter(
        uint256 emitted
    ) internal view returns (uint256) {
        return halvedPerEpochDown(EMISSION_PER_DAY, LENGTH, EMISSION_CAP, emitted);
    }
}
