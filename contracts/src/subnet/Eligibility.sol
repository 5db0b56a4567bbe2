// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid, WAD } from "../types/Types.sol";
import { IStakeWeights } from "./IStakeWeights.sol";
import { StakeWeights } from "./StakeWeights.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title Whether a subnet has validators enough, without looking at them every epoch
/// @dev `eligibleAt` is the definition. `checkEligible` may answer yes from one word, and does so only where `eligibleAt` would:
/// a trio is remembered if it suffices even with half of each member's alpha and bond, at the root weight and virtual share of
/// HORIZON epochs on, for every circulation up to a limit. Time cannot do worse within the horizon. What else could make it fail
/// is watched where it happens, and forgets the trio:
/// - a pool of a member falls below that half, by leaving or by a slash (`_onLowered`);
/// - a member loses its uid, the subnet is pruned, or a member divides its bond among more subnets (`onSeatsChanged`);
/// - a sample of the circulation passes the limit (`_sample`).
/// Changes count from the next epoch's start, and so does what is remembered: it is computed from pools as they will be then.
/// What is forgotten is forgotten for past epochs too; those are looked up again.
abstract contract Eligibility is StakeWeights {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;

    /// @dev One word for each subnet.
    struct Watch {
        uint88 sample; // the sample of circulation that stands
        uint40 sampledFor; // the first epoch that it counts in
        uint48 limit; // circulation in units of 2^40 wei up to which the trio suffices; 0: no trio
        uint40 from; // first epoch for which the trio answers
        uint40 breaks; // `_breaks` when the trio was found
    }

    /// @dev Owners whose validators must hold the minimum before a subnet is granted anything.
    uint256 private constant DISTINCT_OWNERS = 3;
    /// @dev Epochs for which a trio answers.
    uint64 private constant HORIZON = 256;
    /// @dev Part of a member's stake that may leave unnoticed: one half.
    uint256 private constant SLACK = 2;
    /// @dev Limits and floors are kept in units of 2^40 wei, rounded down.
    uint256 private constant UNIT_BITS = 40;
    /// @dev Samples that differ by less than this part of the one that stands are not noted.
    uint256 private constant SAMPLE_GRAIN = 64;

    mapping(Netuid => Watch) private _watched;
    /// @dev How often a bond that trios rely on broke. Bonds count in many subnets: all trios are forgotten then.
    uint40 private _breaks;

    /// @inheritdoc IStakeWeights
    function eligibleAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (bool found) {
        (found,) = _trioAt(netuid, epoch);
    }

    /// @inheritdoc IStakeWeights
    function checkEligible(
        uint16[] calldata netuids,
        uint64 epoch
    ) external returns (bool[] memory found) {
        found = new bool[](netuids.length);
        for (uint256 i = 0; i < netuids.length; ++i) {
            Netuid netuid = Netuid.wrap(netuids[i]);
            Watch memory watch = _watched[netuid];
            bool stands = _standsUntil(watch) > epoch;
            if (stands && epoch >= watch.from) {
                found[i] = true;
                continue;
            }
            address[DISTINCT_OWNERS] memory hotkeys;
            (found[i], hotkeys) = _trioAt(netuid, epoch);
            // A trio that answers for later epochs is left alone while earlier ones are looked up.
            if (found[i] && !stands) _remember(netuid, hotkeys);
        }
    }

    /// @inheritdoc IStakeWeights
    function nameTrio(
        Netuid netuid,
        address[3] calldata hotkeys
    ) external {
        if (_standsUntil(_watched[netuid]) > currentEpoch() + 1) return;
        address first = _ownerOf(hotkeys[0]);
        address second = _ownerOf(hotkeys[1]);
        address third = _ownerOf(hotkeys[2]);
        bool distinct = first != second && first != third && second != third;
        if (!distinct || !_remember(netuid, hotkeys)) revert Staking_NoTrio(netuid);
    }

    /// @inheritdoc IStakeWeights
    function onSeatsChanged(
        Netuid netuid,
        address hotkey
    ) external {
        if (msg.sender != address(REGISTRY)) revert Staking_OnlyRegistry(msg.sender);
        if (hotkey == address(0)) return _break(netuid);
        _onLowered(netuid, hotkey, 0);
        _onLowered(BOND, hotkey, 0);
    }

    /// @dev Whoever lowers a pool calls this.
    /// @param left What the pool holds still.
    function _onLowered(
        Netuid netuid,
        address hotkey,
        uint256 left
    ) internal {
        Ledger storage ledger = _ledgerOf(netuid, hotkey);
        if (left >= uint256(ledger.floor) << UNIT_BITS) return;
        ledger.floor = 0;
        _break(netuid);
    }

    /// @dev Lower the next epoch's sample to what is outside the vault now, or take its first.
    function _sample(
        Netuid netuid
    ) internal {
        uint48 key = _nextKey();
        uint256 circulating = POOLS.circulatingAlpha(netuid);
        Watch memory watch = _watched[netuid];
        uint256 grain = watch.sample / SAMPLE_GRAIN;
        if (circulating + grain >= watch.sample) {
            // Not lower: of an epoch's samples the lowest counts, and a first one that differs too little is not worth its gas.
            if (watch.sampledFor == key || circulating <= watch.sample + grain) return;
        }
        watch.sample = circulating.toUint88();
        watch.sampledFor = uint256(key).toUint40();
        if (circulating > uint256(watch.limit) << UNIT_BITS) watch.limit = 0;
        _watched[netuid] = watch;
        _circulating[netuid].push(key, circulating.toUint208());
        emit CirculationSampled(netuid, key, circulating);
    }

    /// @dev Looks at uids in order until the third owner is found.
    function _trioAt(
        Netuid netuid,
        uint64 epoch
    ) private view returns (bool, address[DISTINCT_OWNERS] memory hotkeys) {
        Reading memory r = _reading(epoch);
        uint256 minimum = minimumStakeAt(netuid, epoch);
        uint16 count = REGISTRY.neuronCountAt(netuid, epoch);
        address[DISTINCT_OWNERS] memory owners;
        uint256 found = 0;
        for (uint16 uid = 0; uid < count; ++uid) {
            (address owner, address hotkey,) = REGISTRY.keysAt(netuid, uid, epoch);
            if (owner == owners[0] || owner == owners[1]) continue;
            if (_weight(netuid, hotkey, r) < minimum) continue;
            owners[found] = owner;
            hotkeys[found] = hotkey;
            if (++found == DISTINCT_OWNERS) return (true, hotkeys);
        }
        return (false, hotkeys);
    }

    /// @dev The first epoch for which the trio no longer answers; 0 without one.
    function _standsUntil(
        Watch memory watch
    ) private view returns (uint64) {
        return watch.limit != 0 && watch.breaks == _breaks ? watch.from + HORIZON : 0;
    }

    /// @dev Remembers three hotkeys of distinct owners from the next epoch on, if they suffice with room to spare.
    function _remember(
        Netuid netuid,
        address[DISTINCT_OWNERS] memory hotkeys
    ) private returns (bool) {
        uint64 from = currentEpoch() + 1;
        Reading memory worst = _worstWithin(from);
        uint256 least = type(uint256).max;
        for (uint256 i = 0; i < DISTINCT_OWNERS; ++i) {
            if (REGISTRY.uidAt(netuid, hotkeys[i], from) == 0) return false;
            least = Math.min(least, _leastWeight(netuid, hotkeys[i], worst));
        }
        Watch memory watch = _watched[netuid];
        // The largest circulation of which the minimum, rounded up, is no more than `least`.
        uint256 limit = MINIMUM_STAKE_SHARE == 0 ? type(uint256).max : least * WAD / MINIMUM_STAKE_SHARE;
        limit = Math.min(limit >> UNIT_BITS, type(uint48).max);
        if (least == 0 || limit == 0 || watch.sample > limit << UNIT_BITS) return false;
        for (uint256 i = 0; i < DISTINCT_OWNERS; ++i) {
            _rely(netuid, hotkeys[i]);
            _rely(BOND, hotkeys[i]);
        }
        watch.limit = limit.toUint48();
        watch.from = uint256(from).toUint40();
        watch.breaks = _breaks;
        _watched[netuid] = watch;
        emit TrioFound(netuid, from, hotkeys, limit << UNIT_BITS);
        return true;
    }

    /// @dev What time alone makes of root weight and virtual share before the horizon, as if markets opened now if they are closed.
    function _worstWithin(
        uint64 from
    ) private view returns (Reading memory) {
        uint256 opened = GATE.marketsOpenedAt();
        if (opened == 0) opened = block.timestamp;
        uint256 end = startOf(from + HORIZON);
        uint256 elapsed = end > opened ? end - opened : 0;
        return Reading({ epoch: from, rootWeight: _rootWeight(elapsed), virtualShare: _virtualShare(elapsed) });
    }

    /// @dev What a hotkey weighs with as much stake as `_rely` insists on.
    function _leastWeight(
        Netuid netuid,
        address hotkey,
        Reading memory worst
    ) private view returns (uint256) {
        uint256 bonded = _floorOf(BOND, hotkey) << UNIT_BITS;
        return (_floorOf(netuid, hotkey) << UNIT_BITS) + virtualStakeOf(netuid, hotkey) * worst.virtualShare / WAD
            + bonded * worst.rootWeight / (WAD * _subnetsOfAt(hotkey, worst.epoch));
    }

    function _floorOf(
        Netuid netuid,
        address hotkey
    ) private view returns (uint256) {
        return _assetsOf(netuid, hotkey) / SLACK >> UNIT_BITS;
    }

    function _rely(
        Netuid netuid,
        address hotkey
    ) private {
        Ledger storage ledger = _ledgerOf(netuid, hotkey);
        uint256 floor = _floorOf(netuid, hotkey);
        if (netuid != BOND) {
            // Watched even without alpha, or its uid could go unnoticed.
            ledger.floor = Math.max(floor, 1).toUint48();
        } else if (floor > ledger.floor) {
            // Another subnet's trio may rely on more of the bond.
            ledger.floor = floor.toUint48();
        }
    }

    function _break(
        Netuid netuid
    ) private {
        if (netuid == BOND) ++_breaks;
        else _watched[netuid].limit = 0;
    }
}
