// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid, WAD } from "../types/Types.sol";
import { DelegationPools } from "./DelegationPools.sol";
import { IStakeWeights } from "./IStakeWeights.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title What stake weighs in an epoch, as documented on IStakeWeights
abstract contract StakeWeights is DelegationPools {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;

    /// @dev What is the same for every hotkey of an epoch.
    struct Reading {
        uint64 epoch;
        uint256 rootWeight;
        uint256 virtualShare;
    }

    uint64 public immutable VIRTUAL_FADE;
    uint64 public immutable ROOT_WEIGHT_GLIDE;
    uint256 public immutable ROOT_WEIGHT_START;
    uint256 public immutable ROOT_WEIGHT_FLOOR;
    uint256 public immutable MINIMUM_STAKE_SHARE;

    mapping(Netuid => mapping(address hotkey => uint256)) private _virtual;
    mapping(Netuid => Checkpoints.Trace208) internal _circulating;

    constructor(
        Config memory config,
        Virtual[] memory meshValidators
    ) {
        if (
            config.virtualFade == 0 || config.rootWeightGlide == 0 || config.rootWeightStart < config.rootWeightFloor
                || config.rootWeightStart > WAD || config.minimumStakeShare > WAD
        ) revert Staking_BadConfig();
        VIRTUAL_FADE = config.virtualFade;
        ROOT_WEIGHT_GLIDE = config.rootWeightGlide;
        ROOT_WEIGHT_START = config.rootWeightStart;
        ROOT_WEIGHT_FLOOR = config.rootWeightFloor;
        MINIMUM_STAKE_SHARE = config.minimumStakeShare;
        for (uint256 i = 0; i < meshValidators.length; ++i) {
            Virtual memory v = meshValidators[i];
            if (_virtual[v.netuid][v.hotkey] != 0) revert Staking_DuplicateVirtual(v.netuid, v.hotkey);
            _virtual[v.netuid][v.hotkey] = v.weight;
            emit VirtualStakeGiven(v.netuid, v.hotkey, v.weight);
        }
    }

    /// @inheritdoc IStakeWeights
    function virtualStakeOf(
        Netuid netuid,
        address hotkey
    ) public view returns (uint256) {
        return _virtual[netuid][hotkey];
    }

    /// @inheritdoc IStakeWeights
    function rootWeightAt(
        uint64 epoch
    ) public view returns (uint256) {
        return _rootWeight(_sinceMarkets(epoch));
    }

    /// @inheritdoc IStakeWeights
    function virtualShareAt(
        uint64 epoch
    ) public view returns (uint256) {
        return _virtualShare(_sinceMarkets(epoch));
    }

    /// @inheritdoc IStakeWeights
    function weightAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256) {
        (uint256 alpha, uint256 bonded, uint256 virtualStake) = weightPartsAt(netuid, hotkey, epoch);
        return alpha + bonded + virtualStake;
    }

    /// @inheritdoc IStakeWeights
    function weightPartsAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) public view returns (uint256 alpha, uint256 bonded, uint256 virtualStake) {
        if (REGISTRY.uidAt(netuid, hotkey, epoch) == 0) return (0, 0, 0);
        return _parts(netuid, hotkey, _reading(epoch));
    }

    /// @inheritdoc IStakeWeights
    function weightsAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (uint256[] memory weights) {
        Reading memory r = _reading(epoch);
        uint16 count = REGISTRY.neuronCountAt(netuid, epoch);
        weights = new uint256[](count);
        for (uint16 uid = 0; uid < count; ++uid) {
            (, address hotkey,) = REGISTRY.keysAt(netuid, uid, epoch);
            weights[uid] = _weight(netuid, hotkey, r);
        }
    }

    /// @inheritdoc IStakeWeights
    function minimumStakeAt(
        Netuid netuid,
        uint64 epoch
    ) public view returns (uint256) {
        if (_sinceMarkets(epoch) == 0) return 1;
        uint256 circulating = _circulating[netuid].upperLookupRecent(_key(epoch));
        return Math.max(1, (circulating * MINIMUM_STAKE_SHARE + WAD - 1) / WAD);
    }

    function _weight(
        Netuid netuid,
        address hotkey,
        Reading memory r
    ) internal view returns (uint256) {
        (uint256 alpha, uint256 bonded, uint256 virtualStake) = _parts(netuid, hotkey, r);
        return alpha + bonded + virtualStake;
    }

    /// @dev The hotkey is known to have had a uid in the subnet as of the epoch's start.
    function _parts(
        Netuid netuid,
        address hotkey,
        Reading memory r
    ) private view returns (uint256 alpha, uint256 bonded, uint256 virtualStake) {
        alpha = totalStakeAt(netuid, hotkey, r.epoch);
        if (r.virtualShare != 0) virtualStake = _virtual[netuid][hotkey] * r.virtualShare / WAD;
        bonded = totalBondAt(hotkey, r.epoch);
        if (bonded != 0) bonded = bonded * r.rootWeight / (WAD * _subnetsOfAt(hotkey, r.epoch));
    }

    /// @dev Among how many subnets a bond is divided; one at least.
    function _subnetsOfAt(
        address hotkey,
        uint64 epoch
    ) internal view returns (uint256) {
        return Math.max(1, REGISTRY.subnetsOfAt(hotkey, epoch));
    }

    function _reading(
        uint64 epoch
    ) internal view returns (Reading memory) {
        uint256 elapsed = _sinceMarkets(epoch);
        return Reading({ epoch: epoch, rootWeight: _rootWeight(elapsed), virtualShare: _virtualShare(elapsed) });
    }

    /// @param elapsed Seconds since markets opened.
    function _rootWeight(
        uint256 elapsed
    ) internal view returns (uint256) {
        uint256 fall = ROOT_WEIGHT_START - ROOT_WEIGHT_FLOOR;
        return ROOT_WEIGHT_START - fall * Math.min(elapsed, ROOT_WEIGHT_GLIDE) / ROOT_WEIGHT_GLIDE;
    }

    /// @param elapsed Seconds since markets opened.
    function _virtualShare(
        uint256 elapsed
    ) internal view returns (uint256) {
        return WAD * (VIRTUAL_FADE - Math.min(elapsed, VIRTUAL_FADE)) / VIRTUAL_FADE;
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
}
