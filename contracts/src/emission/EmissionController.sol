// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../epoch/IRewardDistributor.sol";
import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { IAlphaPools } from "../market/IAlphaPools.sol";
import { IStaking } from "../subnet/IStaking.sol";
import { ISubnetRegistry } from "../subnet/ISubnetRegistry.sol";
import { ITandemToken } from "../token/ITandemToken.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { RollingYear } from "../types/RollingYear.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { Allowances } from "./Allowances.sol";
import { EMISSION_CAP, MAX_SUPPLY, halvedPerEpochDown } from "./Halving.sol";
import { IEmissionController } from "./IEmissionController.sol";
import { LedgerWord } from "./LedgerWord.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title EmissionController
/// @notice The law [EM-1], kept by construction:
///
///     Σ emitted + Σ allowance + Σ faded + Σ waiting = Σ ⌊φ · burned⌋ <= φ · Σ burned <= φ · (21,000,000 − totalSupply)
///
/// where an allowance of a pruned subnet is never emitted. TNDM leaves this contract in one place (`_suspend`), as the sum of
/// what `_pay` took off allowances; allowances grow in one place (`Allowances._allowanceAt`), by ⌊φ · burned⌋ of burns
/// that the token's lost supply covers.
///
/// A call of `settle` works in memory. What of a half closed epoch the next call cannot read again where it came from is
/// stored when a call stops within it; calls that stop at an epoch's end store nothing but results.
contract EmissionController is IEmissionController, Allowances, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;
    using Checkpoints for Checkpoints.Trace208;
    using RollingYear for RollingYear.Year;

    /// @dev A subnet in the closing of an epoch, in memory.
    struct Part {
        uint256 price; // EMA before this closing; 0: takes no part in emission
        uint256 twap; // of the epoch
        uint256 allowance; // as of the epoch's end
        bool eligible;
        bool known; // the fields above are set
        bool stored; // as Weighed
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

    /// @dev A grant; what it means is said at IEmissionController.Grant. Belongs to the epoch that `lap` names.
    struct Granted256 {
        uint80 emitted;
        uint80 alphaOut;
        uint64 usdc;
        uint32 lap; // epoch / ring size + 1
    }

    uint256 private constant MAX_PHI = 0.95e18;
    /// @dev Bound of what an epoch can emit or issue: `Sums` and `Granted256` hold it.
    uint256 private constant MAX_PER_EPOCH = type(uint80).max;
    /// @dev Grants of so many epochs are remembered.
    uint64 private constant RING = 256;

    IAlphaPools public immutable POOLS;
    IRewardDistributor public immutable DISTRIBUTOR;
    ISubnetRegistry public immutable REGISTRY;
    IStaking public immutable STAKING;
    ILaunchGate public immutable GATE;
    address public immutable AUCTION;
    uint256 public immutable SMOOTHING;
    uint256 public immutable EMISSION_PER_DAY;
    uint256 public immutable ALPHA_PER_DAY;

    Sums private _sums;
    mapping(Netuid netuid => Weighed) private _weighed;
    mapping(Netuid netuid => Granted256[RING]) private _grants;
    RollingYear.Year private _year;
    Checkpoints.Trace208 private _circulating;

    constructor(
        Config memory config
    ) EpochClock(config.genesis, config.epochLength) Allowances(config.tndm, config.phi, config.fadePeriod) {
        uint256 perDay = Math.max(config.emissionPerDay, config.alphaPerDay);
        if (
            config.phi > MAX_PHI || config.smoothing == 0 || config.fadePeriod < config.epochLength
                || Math.mulDiv(perDay, config.epochLength, 1 days) > MAX_PER_EPOCH
        ) revert EmissionController_BadConfig();
        POOLS = IAlphaPools(config.pools);
        DISTRIBUTOR = IRewardDistributor(config.distributor);
        REGISTRY = ISubnetRegistry(config.registry);
        STAKING = IStaking(config.staking);
        GATE = ILaunchGate(config.gate);
        AUCTION = config.auction;
        SMOOTHING = config.smoothing;
        EMISSION_PER_DAY = config.emissionPerDay;
        ALPHA_PER_DAY = config.alphaPerDay;
    }

    /// @inheritdoc IEmissionController
    function creditBurn(
        Netuid netuid,
        uint256 burned
    ) external nonReentrant {
        if (msg.sender != address(REGISTRY)) revert EmissionController_OnlyBurners(msg.sender);
        _countDestroyed(burned);
        _credit(netuid, burned, Source.Lock);
    }

    /// @inheritdoc IEmissionController
    function creditBurns(
        Netuid[] calldata netuids,
        uint256[] calldata burned
    ) external nonReentrant {
        if (msg.sender != AUCTION) revert EmissionController_OnlyBurners(msg.sender);
        uint256 sum = 0;
        for (uint256 i = 0; i < netuids.length; ++i) {
            sum += burned[i];
            _credit(netuids[i], burned[i], Source.Auction);
        }
        _countDestroyed(sum);
    }

    /// @inheritdoc IEmissionController
    function sponsor(
        Netuid netuid,
        uint256 amount
    ) external nonReentrant {
        if (!REGISTRY.exists(netuid)) revert EmissionController_UnknownSubnet(netuid);
        if (REGISTRY.prunedFromOf(netuid) != 0) revert EmissionController_PrunedSubnet(netuid);
        ERC20Burnable(address(TNDM)).burnFrom(msg.sender, amount);
        _countDestroyed(amount);
        _credit(netuid, amount, Source.Sponsor);
    }

    /// @inheritdoc IEmissionController
    function settle(
        uint256 maxSubnets
    ) external nonReentrant returns (uint64) {
        Head memory head = _head;
        Closing memory c;
        (c.epoch, c.next, c.pass) = (head.epoch, head.next, head.pass);
        for (uint256 left = maxSubnets; left > 0 && block.timestamp >= endOf(c.epoch); --left) {
            if (!c.begun) _begin(c, head.emitted + c.owed);
            _step(c);
        }
        _suspend(c, head);
        return c.epoch;
    }

    /// @inheritdoc IEmissionController
    function settledThrough() external view returns (uint64) {
        return _head.epoch;
    }

    /// @inheritdoc IEmissionController
    function grantOf(
        uint64 epoch,
        Netuid netuid
    ) external view returns (Grant memory grant) {
        uint64 settled = _head.epoch;
        if (epoch >= settled || epoch + RING < settled) {
            revert EmissionController_NoGrant(epoch, settled > RING ? settled - RING : 0, settled);
        }
        Granted256 memory granted = _grants[netuid][epoch % RING];
        if (granted.lap == epoch / RING + 1) {
            (grant.emitted, grant.alphaOut, grant.usdc) = (granted.emitted, granted.alphaOut, granted.usdc);
        }
        grant.eligible = STAKING.eligibleAt(netuid, epoch);
    }

    /// @inheritdoc IEmissionController
    function ledgerOf(
        Netuid netuid
    ) external view returns (Ledger memory ledger) {
        LedgerWord word = _ledgers[netuid];
        ledger.burned = word.burned().toUint128();
        ledger.emitted = word.emitted().toUint128();
        if (word.allowance() == 0) return ledger;
        uint64 prunedFrom = REGISTRY.prunedFromOf(netuid);
        if (prunedFrom == 0 || _head.epoch < prunedFrom) ledger.allowance = word.allowance().toUint128();
    }

    /// @inheritdoc IEmissionController
    function totalEmitted() external view returns (uint256) {
        return _head.emitted;
    }

    /// @inheritdoc IEmissionController
    function totalBurned() external view returns (uint256) {
        return _head.burned;
    }

    /// @inheritdoc IEmissionController
    function emittedInYear() external view returns (uint256 emitted) {
        (emitted,) = _year.sumsAt(block.timestamp);
    }

    /// @inheritdoc IEmissionController
    function circulatingAt(
        uint256 timepoint
    ) external view returns (uint256) {
        return _circulating.upperLookupRecent(timepoint.toUint48());
    }

    /// @inheritdoc IEmissionController
    function phi() external view returns (uint256) {
        return PHI;
    }

    /// @inheritdoc IEmissionController
    function ceiling() external view returns (uint256) {
        return _ceilingAfter(_head.emitted);
    }

    /// @dev Takes up the closing of an epoch, at its beginning or where the last call stopped.
    function _begin(
        Closing memory c,
        uint256 emittedBefore
    ) private view {
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

    /// @dev One visit to one subnet, and what follows when it was the last of its pass.
    function _step(
        Closing memory c
    ) private {
        uint256 count = c.live.length;
        if (count > 0) {
            if (c.pass == Pass.Weigh) _weigh(c, c.next);
            else if (c.pass == Pass.Share) _share(c, c.next);
            else _pay(c, c.next);
            if (++c.next < count) return;
            c.next = 0;
            if (c.pass != Pass.Pay) {
                c.pass = c.pass == Pass.Weigh && c.prices > 0 ? Pass.Share : Pass.Pay;
                return;
            }
        }
        _finish(c);
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

    /// @dev Puts down what this call has done. Only here does TNDM leave the vault.
    function _suspend(
        Closing memory c,
        Head memory head
    ) private {
        bool finished = c.epoch > head.epoch;
        if (c.begun) _storeHalfClosed(c);
        head.epoch = uint256(c.epoch).toUint40();
        head.next = c.next.toUint16();
        head.pass = c.pass;
        head.emitted = (head.emitted + c.owed).toUint88();
        _head = head;
        if (c.owed > 0) TNDM.safeTransfer(address(POOLS), c.owed);
        if (finished) {
            uint256 supply = ITandemToken(address(TNDM)).circulatingSupply();
            _circulating.push(block.timestamp.toUint48(), supply.toUint208());
        }
    }

    function _storeHalfClosed(
        Closing memory c
    ) private {
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
        uint256 i
    ) private {
        Netuid netuid = Netuid.wrap(c.live[i]);
        Part memory p = c.parts[i];
        p.known = true;
        p.eligible = STAKING.eligibleAt(netuid, c.epoch);
        p.allowance = _allowanceAt(netuid, _ledgers[netuid], c.epoch, c.emitting);
        if (!c.trading) return;
        (uint256 price, uint256 twap) = POOLS.closeEpoch(netuid, c.epoch);
        if (!c.emitting || !p.eligible || p.allowance == 0) return;
        p.price = price;
        // At a price beyond 2^120 there is nothing to issue for any emission.
        p.twap = Math.min(twap, type(uint120).max);
        c.prices += price;
    }

    /// @dev Second visit: what the share of the ceiling by price gives.
    function _share(
        Closing memory c,
        uint256 i
    ) private view {
        Part memory p = _recall(c, i);
        if (p.price == 0) return;
        (uint256 wanted, uint256 given) = _firstPassDown(c, p);
        c.shared += given;
        c.unmet += wanted - given;
    }

    /// @dev Third visit: the unused part of the ceiling to what is unmet, then everything is granted.
    function _pay(
        Closing memory c,
        uint256 i
    ) private {
        Netuid netuid = Netuid.wrap(c.live[i]);
        Part memory p = _recall(c, i);
        uint256 emitted;
        uint256 alphaOut;
        if (p.price > 0) {
            emitted = _emittedDown(c, p);
            alphaOut = _alphaOutDown(c.epoch, netuid, emitted, Math.max(p.price, p.twap));
            c.emitted += emitted;
            c.owed += emitted;
            POOLS.grant(netuid, emitted, alphaOut);
        }
        uint256 left = p.allowance - emitted;
        bool changed = _closeLedger(netuid, _ledgers[netuid], c.epoch, left, emitted);
        uint256 usdc = DISTRIBUTOR.closeEpoch(c.epoch, netuid, p.eligible, alphaOut);
        if (emitted > 0 || usdc > 0) _remember(c.epoch, netuid, emitted, alphaOut, usdc);
        else if (!changed) return;
        emit Granted(c.epoch, netuid, emitted, alphaOut, usdc, left, p.price);
    }

    function _remember(
        uint64 epoch,
        Netuid netuid,
        uint256 emitted,
        uint256 alphaOut,
        uint256 usdc
    ) private {
        _grants[netuid][epoch % RING] = Granted256({
            emitted: emitted.toUint80(),
            alphaOut: alphaOut.toUint80(),
            usdc: uint64(Math.min(usdc, type(uint64).max)),
            lap: uint256(epoch / RING + 1).toUint32()
        });
    }

    /// @dev The subnet as it was weighed, by this call or by an earlier one.
    function _recall(
        Closing memory c,
        uint256 i
    ) private view returns (Part memory p) {
        p = c.parts[i];
        if (p.known) return p;
        Netuid netuid = Netuid.wrap(c.live[i]);
        Weighed memory weighed = _weighed[netuid];
        (p.price, p.twap, p.eligible) = (weighed.price, weighed.twap, weighed.eligible);
        p.allowance = _allowanceAt(netuid, _ledgers[netuid], c.epoch, c.emitting);
        (p.known, p.stored) = (true, true);
    }

    /// @dev What the subnet may have, smoothed, and its share of the ceiling as far as that goes. Prices are below 2^128, the
    /// ceiling is below 2^80.
    function _firstPassDown(
        Closing memory c,
        Part memory p
    ) private view returns (uint256 wanted, uint256 given) {
        wanted = p.allowance / SMOOTHING;
        given = Math.min(c.ceiling * p.price / c.prices, wanted);
    }

    function _emittedDown(
        Closing memory c,
        Part memory p
    ) private view returns (uint256) {
        (uint256 wanted, uint256 given) = _firstPassDown(c, p);
        uint256 unused = c.ceiling - c.shared;
        return given + (unused >= c.unmet ? wanted - given : unused * (wanted - given) / c.unmet);
    }

    /// @dev Alpha worth what was emitted, within the schedule and the supply [EM-3].
    function _alphaOutDown(
        uint64 epoch,
        Netuid netuid,
        uint256 emitted,
        uint256 price
    ) private view returns (uint256) {
        uint256 scheduled = halvedPerEpochDown(ALPHA_PER_DAY, LENGTH, MAX_SUPPLY, POOLS.issuedAt(netuid, epoch));
        return Math.min(emitted * WAD / price, scheduled);
    }

    function _ceilingAfter(
        uint256 emitted
    ) private view returns (uint256) {
        return halvedPerEpochDown(EMISSION_PER_DAY, LENGTH, EMISSION_CAP, emitted);
    }
}
