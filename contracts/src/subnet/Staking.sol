// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { IAlphaPools } from "../market/IAlphaPools.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { IStaking } from "./IStaking.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title Staking
/// @notice Promises, units and errors are documented on IStaking.
contract Staking is IStaking, EpochClock, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev What is the same for every hotkey of an epoch.
    struct Reading {
        uint64 epoch;
        uint256 start;
        uint256 rootWeight;
        uint256 virtualShare;
    }

    /// @dev Owners whose validators must hold the minimum before a subnet is granted anything.
    uint256 private constant DISTINCT_OWNERS = 3;

    IERC20 public immutable TNDM;
    IAlphaPools public immutable POOLS;
    ISubnetRegistry public immutable REGISTRY;
    ILaunchGate public immutable GATE;
    uint64 public immutable UNBONDING_PERIOD;
    uint64 public immutable VIRTUAL_FADE;
    uint256 public immutable MINIMUM_STAKE_SHARE;
    uint256 public immutable ROOT_WEIGHT_START;
    uint256 public immutable ROOT_WEIGHT_FLOOR;
    uint64 public immutable ROOT_WEIGHT_GLIDE;

    mapping(Netuid => mapping(address hotkey => Checkpoints.Trace208)) private _totalStake;
    mapping(Netuid => mapping(address hotkey => mapping(address account => uint256))) private _stakes;
    mapping(address hotkey => Checkpoints.Trace208) private _totalBond;
    mapping(address hotkey => mapping(address account => uint256)) private _bonds;
    mapping(Netuid => mapping(address hotkey => uint256)) private _virtual;
    mapping(Netuid => Checkpoints.Trace208) private _circulating;
    mapping(uint256 unbondingId => Unbonding) private _unbondings;
    uint256 private _unbondingCount;

    constructor(
        Config memory config,
        Virtual[] memory meshValidators
    ) EpochClock(config.genesis, config.epochLength) {
        if (
            config.unbondingPeriod < config.epochLength || config.virtualFade == 0 || config.rootWeightGlide == 0
                || config.rootWeightStart < config.rootWeightFloor || config.rootWeightStart > WAD
                || config.minimumStakeShare > WAD
        ) revert Staking_BadConfig();
        TNDM = IERC20(config.tndm);
        POOLS = IAlphaPools(config.pools);
        REGISTRY = ISubnetRegistry(config.registry);
        GATE = ILaunchGate(config.gate);
        UNBONDING_PERIOD = config.unbondingPeriod;
        VIRTUAL_FADE = config.virtualFade;
        MINIMUM_STAKE_SHARE = config.minimumStakeShare;
        ROOT_WEIGHT_START = config.rootWeightStart;
        ROOT_WEIGHT_FLOOR = config.rootWeightFloor;
        ROOT_WEIGHT_GLIDE = config.rootWeightGlide;
        for (uint256 i = 0; i < meshValidators.length; ++i) {
            Virtual memory v = meshValidators[i];
            if (_virtual[v.netuid][v.hotkey] != 0) revert Staking_DuplicateVirtual(v.netuid, v.hotkey);
            _virtual[v.netuid][v.hotkey] = v.weight;
            emit VirtualStakeGiven(v.netuid, v.hotkey, v.weight);
        }
    }

    /// @inheritdoc IStaking
    function stake(
        Netuid netuid,
        address hotkey,
        uint256 alphaAmount
    ) external nonReentrant {
        if (alphaAmount == 0) revert Staking_ZeroAmount();
        if (REGISTRY.uidOf(netuid, hotkey) == 0) revert Staking_UnknownHotkey(netuid, hotkey);
        IERC20 alpha = _alphaOf(netuid);
        _stakes[netuid][hotkey][msg.sender] += alphaAmount;
        Checkpoints.Trace208 storage total = _totalStake[netuid][hotkey];
        total.push(_nextKey(), (total.latest() + alphaAmount).toUint208());
        alpha.safeTransferFrom(msg.sender, address(this), alphaAmount);
        emit Staked(netuid, hotkey, msg.sender, alphaAmount);
        _sample(netuid);
    }

    /// @inheritdoc IStaking
    function unstake(
        Netuid netuid,
        address hotkey,
        uint256 alphaAmount
    ) external nonReentrant returns (uint256 unbondingId) {
        if (alphaAmount == 0) revert Staking_ZeroAmount();
        uint256 held = _stakes[netuid][hotkey][msg.sender];
        if (alphaAmount > held) revert Staking_Insufficient(alphaAmount, held);
        _stakes[netuid][hotkey][msg.sender] = held - alphaAmount;
        Checkpoints.Trace208 storage total = _totalStake[netuid][hotkey];
        total.push(_nextKey(), (total.latest() - alphaAmount).toUint208());
        uint64 releaseAt;
        (unbondingId, releaseAt) = _queue(address(_alphaOf(netuid)), alphaAmount);
        emit Unstaked(netuid, hotkey, msg.sender, alphaAmount, unbondingId, releaseAt);
        _sample(netuid);
    }

    /// @inheritdoc IStaking
    function bond(
        address hotkey,
        uint256 tndmAmount
    ) external nonReentrant {
        if (tndmAmount == 0) revert Staking_ZeroAmount();
        if (REGISTRY.subnetsOfAt(hotkey, currentEpoch() + 1) == 0) {
            revert Staking_UnknownHotkey(Netuid.wrap(0), hotkey);
        }
        _bonds[hotkey][msg.sender] += tndmAmount;
        Checkpoints.Trace208 storage total = _totalBond[hotkey];
        total.push(_nextKey(), (total.latest() + tndmAmount).toUint208());
        TNDM.safeTransferFrom(msg.sender, address(this), tndmAmount);
        emit Bonded(hotkey, msg.sender, tndmAmount);
    }

    /// @inheritdoc IStaking
    function unbond(
        address hotkey,
        uint256 tndmAmount
    ) external nonReentrant returns (uint256 unbondingId) {
        if (tndmAmount == 0) revert Staking_ZeroAmount();
        uint256 held = _bonds[hotkey][msg.sender];
        if (tndmAmount > held) revert Staking_Insufficient(tndmAmount, held);
        _bonds[hotkey][msg.sender] = held - tndmAmount;
        Checkpoints.Trace208 storage total = _totalBond[hotkey];
        total.push(_nextKey(), (total.latest() - tndmAmount).toUint208());
        uint64 releaseAt;
        (unbondingId, releaseAt) = _queue(address(TNDM), tndmAmount);
        emit Unbonded(hotkey, msg.sender, tndmAmount, unbondingId, releaseAt);
    }

    /// @inheritdoc IStaking
    function withdraw(
        uint256 unbondingId
    ) external nonReentrant {
        Unbonding memory entry = _unbondings[unbondingId];
        if (entry.account == address(0)) revert Staking_UnknownUnbonding(unbondingId);
        if (block.timestamp < entry.releaseAt) revert Staking_StillBound(unbondingId, entry.releaseAt);
        delete _unbondings[unbondingId];
        IERC20(entry.asset).safeTransfer(entry.account, entry.amount);
        emit Withdrawn(unbondingId, entry.account, entry.amount);
    }

    /// @inheritdoc IStaking
    function sampleCirculation(
        Netuid netuid
    ) external {
        _alphaOf(netuid);
        _sample(netuid);
    }

    /// @inheritdoc IStaking
    function stakeOf(
        Netuid netuid,
        address hotkey,
        address account
    ) external view returns (uint256) {
        return _stakes[netuid][hotkey][account];
    }

    /// @inheritdoc IStaking
    function bondOf(
        address hotkey,
        address account
    ) external view returns (uint256) {
        return _bonds[hotkey][account];
    }

    /// @inheritdoc IStaking
    function unbondingOf(
        uint256 unbondingId
    ) external view returns (Unbonding memory) {
        return _unbondings[unbondingId];
    }

    /// @inheritdoc IStaking
    function unbondingCount() external view returns (uint256) {
        return _unbondingCount;
    }

    /// @inheritdoc IStaking
    function virtualStakeOf(
        Netuid netuid,
        address hotkey
    ) external view returns (uint256) {
        return _virtual[netuid][hotkey];
    }

    /// @inheritdoc IStaking
    function totalStakeAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256) {
        return _totalStake[netuid][hotkey].upperLookupRecent(_key(epoch));
    }

    /// @inheritdoc IStaking
    function totalBondAt(
        address hotkey,
        uint64 epoch
    ) external view returns (uint256) {
        return _totalBond[hotkey].upperLookupRecent(_key(epoch));
    }

    /// @inheritdoc IStaking
    function rootWeightAt(
        uint64 epoch
    ) public view returns (uint256) {
        uint256 elapsed = Math.min(_sinceMarkets(epoch), ROOT_WEIGHT_GLIDE);
        return ROOT_WEIGHT_START - Math.mulDiv(ROOT_WEIGHT_START - ROOT_WEIGHT_FLOOR, elapsed, ROOT_WEIGHT_GLIDE);
    }

    /// @inheritdoc IStaking
    function virtualShareAt(
        uint64 epoch
    ) public view returns (uint256) {
        uint256 elapsed = Math.min(_sinceMarkets(epoch), VIRTUAL_FADE);
        return Math.mulDiv(WAD, VIRTUAL_FADE - elapsed, VIRTUAL_FADE);
    }

    /// @inheritdoc IStaking
    function weightAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256) {
        uint256 uidPlusOne = REGISTRY.uidOf(netuid, hotkey);
        if (uidPlusOne == 0) return 0;
        (,, uint64 registeredAt) = REGISTRY.keysOf(netuid, (uidPlusOne - 1).toUint16());
        Reading memory r = _reading(epoch);
        return registeredAt < r.start ? _weight(netuid, hotkey, r) : 0;
    }

    /// @inheritdoc IStaking
    function weightsAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (uint256[] memory weights) {
        Reading memory r = _reading(epoch);
        uint16 count = REGISTRY.neuronCount(netuid);
        weights = new uint256[](count);
        for (uint16 uid = 0; uid < count; ++uid) {
            (, address hotkey, uint64 registeredAt) = REGISTRY.keysOf(netuid, uid);
            if (registeredAt < r.start) weights[uid] = _weight(netuid, hotkey, r);
        }
    }

    /// @inheritdoc IStaking
    function eligibleAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (bool) {
        Reading memory r = _reading(epoch);
        uint256 minimum = minimumStakeAt(netuid, epoch);
        uint16 count = REGISTRY.neuronCount(netuid);
        address[DISTINCT_OWNERS] memory owners;
        uint256 found = 0;
        for (uint16 uid = 0; uid < count; ++uid) {
            (address owner, address hotkey, uint64 registeredAt) = REGISTRY.keysOf(netuid, uid);
            // uids are given in order of time: all later ones came later still.
            if (registeredAt >= r.start) break;
            if (owner == owners[0] || owner == owners[1]) continue;
            if (_weight(netuid, hotkey, r) < minimum) continue;
            owners[found] = owner;
            if (++found == DISTINCT_OWNERS) return true;
        }
        return false;
    }

    /// @inheritdoc IStaking
    function minimumStakeAt(
        Netuid netuid,
        uint64 epoch
    ) public view returns (uint256) {
        if (_sinceMarkets(epoch) == 0) return 1;
        uint256 circulating = _circulating[netuid].upperLookupRecent(_key(epoch));
        return Math.max(1, Math.mulDiv(circulating, MINIMUM_STAKE_SHARE, WAD, Math.Rounding.Ceil));
    }

    /// @dev The hotkey is known to have had a uid in the subnet as of the epoch's start.
    function _weight(
        Netuid netuid,
        address hotkey,
        Reading memory r
    ) private view returns (uint256 weight) {
        uint48 key = _key(r.epoch);
        weight = _totalStake[netuid][hotkey].upperLookupRecent(key);
        weight += Math.mulDiv(_virtual[netuid][hotkey], r.virtualShare, WAD);
        uint256 bonded = _totalBond[hotkey].upperLookupRecent(key);
        // A bond is taken only behind a registered hotkey and counts no earlier than its registration: the divisor is not zero.
        if (bonded != 0) weight += Math.mulDiv(bonded, r.rootWeight, WAD * REGISTRY.subnetsOfAt(hotkey, r.epoch));
    }

    function _reading(
        uint64 epoch
    ) private view returns (Reading memory) {
        return Reading({
            epoch: epoch, start: startOf(epoch), rootWeight: rootWeightAt(epoch), virtualShare: virtualShareAt(epoch)
        });
    }

    /// @dev Seconds between the opening of markets and the epoch's start; zero before. The opening time is set once, so that
    /// the answer for an epoch that has begun never changes.
    function _sinceMarkets(
        uint64 epoch
    ) private view returns (uint256) {
        uint256 opened = GATE.marketsOpenedAt();
        uint256 start = startOf(epoch);
        return opened == 0 || start <= opened ? 0 : start - opened;
    }

    function _queue(
        address asset,
        uint256 amount
    ) private returns (uint256 unbondingId, uint64 releaseAt) {
        releaseAt = (block.timestamp + UNBONDING_PERIOD).toUint64();
        unbondingId = ++_unbondingCount;
        _unbondings[unbondingId] =
            Unbonding({ account: msg.sender, asset: asset, amount: amount.toUint128(), releaseAt: releaseAt });
    }

    /// @dev Lower the next epoch's sample to what is outside the vault now, or take its first.
    function _sample(
        Netuid netuid
    ) private {
        uint48 key = _nextKey();
        uint208 circulating = POOLS.circulatingAlpha(netuid).toUint208();
        Checkpoints.Trace208 storage trace = _circulating[netuid];
        (bool any, uint48 lastKey, uint208 last) = trace.latestCheckpoint();
        if (any && lastKey == key && last <= circulating) return;
        trace.push(key, circulating);
        emit CirculationSampled(netuid, key, circulating);
    }

    function _alphaOf(
        Netuid netuid
    ) private view returns (IERC20) {
        if (!POOLS.exists(netuid)) revert Staking_NoPool(netuid);
        return IERC20(POOLS.alphaOf(netuid));
    }

    function _nextKey() private view returns (uint48) {
        return _key(currentEpoch() + 1);
    }

    function _key(
        uint64 epoch
    ) private pure returns (uint48) {
        return uint256(epoch).toUint48();
    }
}
