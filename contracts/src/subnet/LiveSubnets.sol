// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "../market/IAlphaPools.sol";
import { IBurnAuction } from "../market/IBurnAuction.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid } from "../types/Types.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { IRevenue } from "./RegistryNeighbours.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @dev No vote raises the number of live subnets above this: settling, pruning and reports walk over all of them.
uint16 constant SUBNETS_BOUND = 256;

/// @title Which subnets are alive, how many may be, and which one goes when a new one comes
/// @dev Subnets are added and pruned only while all ended epochs are settled. So who was alive has to be at hand for the epoch of the last
/// change and those after it; earlier ones are recounted from what each subnet remembers of itself.
abstract contract LiveSubnets is ISubnetRegistry, EpochClock, AccessManaged {
    using SafeCast for uint256;

    /// @dev Three words and more: who owns it; what a registration reads and writes; the name. Epochs have 32 bits here: enough for
    /// a century of epochs of a second.
    struct State {
        address owner;
        uint48 registeredAt;
        uint48 changedAt; // when hyperparameters were last set
        bool genesis;
        uint32 registeredEpoch;
        uint32 prunedFrom; // 0: alive
        uint96 lockPaid;
        uint16 neuronCount;
        uint32 registrations; // of neurons, evicted ones included
        string name;
    }

    /// @dev One word: `limit` until epoch `nextFrom`, `nextLimit` from there on.
    struct Bounds {
        uint16 count; // subnets ever; the last netuid
        uint16 limit;
        uint16 nextLimit;
        uint32 nextFrom;
        uint32 changedIn; // epoch of the last registration or pruning
    }

    IAlphaPools public immutable POOLS;
    IBurnAuction public immutable AUCTION;
    /// @notice Live subnets that genesis allows: no vote goes below.
    uint16 public immutable MAX_SUBNETS;
    /// @notice Seconds after its registration in which a subnet cannot be pruned.
    uint64 public immutable SUBNET_IMMUNITY;

    mapping(Netuid => State) internal _states;
    Bounds private _bounds;
    /// @dev Netuids by ascending number, sixteen to a slot.
    uint16[] private _live;
    /// @dev Those pruned in epoch `_bounds.changedIn`, in the order of time: they count until its end.
    uint16[] private _victims;

    constructor(
        Config memory config
    ) EpochClock(config.genesis, config.epochLength) AccessManaged(config.authority) {
        // A subnet that could be pruned in the epoch in which it was registered would never have been alive.
        if (config.maxSubnets > SUBNETS_BOUND || config.subnetImmunity < config.epochLength) {
            revert SubnetRegistry_BadConfig();
        }
        POOLS = IAlphaPools(config.pools);
        AUCTION = IBurnAuction(config.auction);
        MAX_SUBNETS = config.maxSubnets;
        SUBNET_IMMUNITY = config.subnetImmunity;
        (_bounds.limit, _bounds.nextLimit) = (config.maxSubnets, config.maxSubnets);
    }

    /// @inheritdoc ISubnetRegistry
    function setMaxSubnets(
        uint16 limit
    ) external restricted {
        if (limit < MAX_SUBNETS || limit > SUBNETS_BOUND) {
            revert SubnetRegistry_BadLimit(limit, MAX_SUBNETS, SUBNETS_BOUND);
        }
        uint32 from = _nextEpoch();
        _bounds.limit = maxSubnets();
        (_bounds.nextLimit, _bounds.nextFrom) = (limit, from);
        emit MaxSubnetsScheduled(from, limit);
    }

    /// @inheritdoc ISubnetRegistry
    function maxSubnets() public view returns (uint16) {
        return currentEpoch() < _bounds.nextFrom ? _bounds.limit : _bounds.nextLimit;
    }

    /// @inheritdoc ISubnetRegistry
    function subnetCount() public view returns (uint16) {
        return _bounds.count;
    }

    /// @inheritdoc ISubnetRegistry
    function liveCount() public view returns (uint16) {
        return _live.length.toUint16();
    }

    /// @inheritdoc ISubnetRegistry
    function exists(
        Netuid netuid
    ) public view returns (bool) {
        return _states[netuid].owner != address(0);
    }

    /// @inheritdoc ISubnetRegistry
    function registeredEpochOf(
        Netuid netuid
    ) external view returns (uint64) {
        _checkSubnet(netuid);
        return _states[netuid].registeredEpoch;
    }

    /// @inheritdoc ISubnetRegistry
    function prunedFromOf(
        Netuid netuid
    ) external view returns (uint64) {
        _checkSubnet(netuid);
        return _states[netuid].prunedFrom;
    }

    /// @inheritdoc ISubnetRegistry
    function liveAt(
        uint64 epoch
    ) external view returns (uint16[] memory netuids) {
        uint64 changedIn = _bounds.changedIn;
        if (epoch < changedIn) return _recounted(epoch);
        netuids = _live;
        return epoch == changedIn ? _merged(netuids, _victims) : netuids;
    }

    /// @inheritdoc ISubnetRegistry
    function nextVictim() public view returns (Netuid victim) {
        uint16[] memory live = _live;
        if (live.length < maxSubnets()) return victim;
        uint256 lowest = 0;
        for (uint256 i = 0; i < live.length; ++i) {
            Netuid netuid = Netuid.wrap(live[i]);
            if (block.timestamp < uint256(_states[netuid].registeredAt) + SUBNET_IMMUNITY) continue;
            uint256 revenue = IRevenue(address(AUCTION)).revenueOf(netuid);
            if (!victim.isZero()) {
                if (revenue > lowest) continue;
                // Netuids ascend: among equals the first stays.
                if (revenue == lowest && POOLS.emaOf(netuid) >= POOLS.emaOf(victim)) continue;
            }
            (victim, lowest) = (netuid, revenue);
        }
    }

    /// @dev Where the limit is reached, take the victim off the list from the next epoch on.
    /// @return victim Zero if there was room.
    function _makeRoom() internal returns (Netuid victim) {
        uint256 limit = maxSubnets();
        if (_live.length < limit) return victim;
        victim = nextVictim();
        if (victim.isZero()) revert SubnetRegistry_AllSubnetsImmune(limit);
        _enterEpoch();
        _states[victim].prunedFrom = _nextEpoch();
        _victims.push(Netuid.unwrap(victim));
        _remove(Netuid.unwrap(victim));
    }

    /// @dev The next netuid, alive from `epoch` on, the running one.
    function _appendLive(
        uint64 epoch
    ) internal returns (Netuid netuid) {
        _enterEpoch();
        uint16 id = ++_bounds.count;
        netuid = Netuid.wrap(id);
        _states[netuid].registeredEpoch = uint256(epoch).toUint32();
        _live.push(id);
    }

    /// @dev The subnet exists.
    function _checkSubnet(
        Netuid netuid
    ) internal view {
        if (!exists(netuid)) revert SubnetRegistry_UnknownSubnet(netuid);
    }

    /// @dev The subnet exists and will not be pruned at the running epoch's end either.
    function _checkLive(
        Netuid netuid
    ) internal view {
        _checkSubnet(netuid);
        uint64 prunedFrom = _states[netuid].prunedFrom;
        if (prunedFrom != 0) revert SubnetRegistry_SubnetPruned(netuid, prunedFrom);
    }

    /// @dev Whether the subnet was pruned in or before `epoch`.
    function _prunedAt(
        Netuid netuid,
        uint64 epoch
    ) internal view returns (bool) {
        uint64 prunedFrom = _states[netuid].prunedFrom;
        return prunedFrom != 0 && prunedFrom <= epoch;
    }

    function _nextEpoch() internal view returns (uint32) {
        return (uint256(currentEpoch()) + 1).toUint32();
    }

    /// @dev The first change of an epoch forgets the victims of an earlier one.
    function _enterEpoch() private {
        uint32 epoch = uint256(currentEpoch()).toUint32();
        if (_bounds.changedIn == epoch) return;
        _bounds.changedIn = epoch;
        delete _victims;
    }

    function _remove(
        uint16 netuid
    ) private {
        uint256 last = _live.length - 1;
        bool found = false;
        for (uint256 i = 0; i < last; ++i) {
            found = found || _live[i] == netuid;
            if (found) _live[i] = _live[i + 1];
        }
        _live.pop();
    }

    function _recounted(
        uint64 epoch
    ) private view returns (uint16[] memory netuids) {
        uint16 count = _bounds.count;
        netuids = new uint16[](count);
        uint256 found = 0;
        for (uint16 id = 1; id <= count; ++id) {
            Netuid netuid = Netuid.wrap(id);
            if (_states[netuid].registeredEpoch <= epoch && !_prunedAt(netuid, epoch)) netuids[found++] = id;
        }
        // Shorter than it was allocated: what lies behind stays unused.
        assembly ("memory-safe") {
            mstore(netuids, found)
        }
    }

    function _merged(
        uint16[] memory ascending,
        uint16[] memory more
    ) private pure returns (uint16[] memory all) {
        uint256 length = ascending.length;
        if (more.length == 0) return ascending;
        all = new uint16[](length + more.length);
        for (uint256 i = 0; i < length; ++i) {
            all[i] = ascending[i];
        }
        for (uint256 i = 0; i < more.length; ++i) {
            uint256 place = length + i;
            for (; place > 0 && all[place - 1] > more[i]; --place) {
                all[place] = all[place - 1];
            }
            all[place] = more[i];
        }
    }
}
