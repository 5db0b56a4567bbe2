// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "../market/IAlphaPools.sol";
import { IBurnAuction } from "../market/IBurnAuction.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid } from "../types/Types.sol";
import { EpochCheckpoints } from "./EpochCheckpoints.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { NetuidList } from "./NetuidList.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @dev No vote raises the number of live subnets above this: settling, pruning and reports walk over all of them.
uint16 constant SUBNETS_BOUND = 256;

/// @title Which subnets are alive, how many may be, and which one goes when a new one comes
/// @dev Subnets are added and pruned only while all ended epochs are settled. So who was alive has to be at hand for the epoch of the last
/// change and those after it; earlier ones are recounted from what each subnet remembers of itself.
abstract contract LiveSubnets is ISubnetRegistry, EpochClock, AccessManaged {
    using Checkpoints for Checkpoints.Trace208;
    using EpochCheckpoints for Checkpoints.Trace208;
    using NetuidList for NetuidList.List;
    using SafeCast for uint256;

    /// @dev Two words and the name: who owns it; what a registration reads and writes. Epochs have 32 bits here: enough for a century
    /// of epochs of a second.
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

    IAlphaPools public immutable POOLS;
    IBurnAuction public immutable AUCTION;
    /// @notice Live subnets that genesis allows: no vote goes below.
    uint16 public immutable MAX_SUBNETS;
    /// @notice Seconds after its registration in which a subnet cannot be pruned.
    uint64 public immutable SUBNET_IMMUNITY;

    /// @inheritdoc ISubnetRegistry
    uint16 public subnetCount;
    /// @dev Epoch of the last registration or pruning.
    uint32 private _changedIn;
    Checkpoints.Trace208 private _limits;
    mapping(Netuid => State) private _states;
    /// @dev Ascending. Those pruned in epoch `_changedIn` are struck out: they count until its end, and are removed by the next change.
    /// They are among the first 256: as many as were alive when the epoch began, and whoever came since is immune.
    NetuidList.List private _live;

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
        _limits.push(0, config.maxSubnets);
    }

    /// @inheritdoc ISubnetRegistry
    function setMaxSubnets(
        uint16 limit
    ) external restricted {
        if (limit < MAX_SUBNETS || limit > SUBNETS_BOUND) {
            revert SubnetRegistry_BadLimit(limit, MAX_SUBNETS, SUBNETS_BOUND);
        }
        uint32 from = _nextEpoch();
        _limits.push(from, limit);
        emit MaxSubnetsScheduled(from, limit);
    }

    /// @inheritdoc ISubnetRegistry
    function maxSubnets() public view returns (uint16) {
        return uint16(_limits.lookupAt(currentEpoch()));
    }

    /// @inheritdoc ISubnetRegistry
    function exists(
        Netuid netuid
    ) external view returns (bool) {
        return _states[netuid].owner != address(0);
    }

    /// @inheritdoc ISubnetRegistry
    function prunedFromOf(
        Netuid netuid
    ) external view returns (uint64) {
        return _known(netuid).prunedFrom;
    }

    /// @inheritdoc ISubnetRegistry
    function liveAt(
        uint64 epoch
    ) external view returns (uint16[] memory) {
        if (epoch < _changedIn) return _recounted(epoch);
        return epoch == _changedIn ? _live.all() : _live.standing();
    }

    /// @inheritdoc ISubnetRegistry
    function nextVictim() public view returns (Netuid victim) {
        if (_live.countStanding() < maxSubnets()) return victim;
        uint16[] memory live = _live.standing();
        uint256 lowest = 0;
        for (uint256 i = 0; i < live.length; ++i) {
            Netuid netuid = Netuid.wrap(live[i]);
            if (block.timestamp < uint256(_states[netuid].registeredAt) + SUBNET_IMMUNITY) continue;
            uint256 revenue = AUCTION.revenueOf(netuid);
            if (!victim.isZero()) {
                if (revenue > lowest) continue;
                // Netuids ascend: among equals the first stays.
                if (revenue == lowest && _emaOf(netuid) >= _emaOf(victim)) continue;
            }
            (victim, lowest) = (netuid, revenue);
        }
    }

    /// @dev Where the limit is reached, take the victim off the list from the next epoch on.
    /// @return victim Zero if there was room.
    function _makeRoom() internal returns (Netuid victim) {
        uint256 limit = maxSubnets();
        if (_live.countStanding() < limit) return victim;
        victim = nextVictim();
        if (victim.isZero()) revert SubnetRegistry_AllSubnetsImmune(limit);
        _enterEpoch();
        _states[victim].prunedFrom = _nextEpoch();
        _live.strike(Netuid.unwrap(victim));
    }

    /// @dev The next netuid, alive from the running epoch on; its state is the caller's to fill.
    function _appendLive() internal returns (Netuid netuid, State storage state) {
        _enterEpoch();
        uint16 id = ++subnetCount;
        _live.push(id);
        netuid = Netuid.wrap(id);
        state = _states[netuid];
    }

    /// @dev A subnet that was ever registered.
    function _known(
        Netuid netuid
    ) internal view returns (State storage state) {
        state = _states[netuid];
        if (state.owner == address(0)) revert SubnetRegistry_UnknownSubnet(netuid);
    }

    /// @dev A subnet that will not be pruned when the running epoch ends either.
    function _alive(
        Netuid netuid
    ) internal view returns (State storage state) {
        state = _known(netuid);
        uint64 prunedFrom = state.prunedFrom;
        if (prunedFrom != 0) revert SubnetRegistry_SubnetPruned(netuid, prunedFrom);
    }

    /// @dev Whether the subnet was pruned in or before `epoch`.
    function _prunedBy(
        State storage state,
        uint64 epoch
    ) internal view returns (bool) {
        uint64 prunedFrom = state.prunedFrom;
        return prunedFrom != 0 && prunedFrom <= epoch;
    }

    function _nextEpoch() internal view returns (uint32) {
        return (uint256(currentEpoch()) + 1).toUint32();
    }

    /// @dev The first change of an epoch removes the victims of an earlier one.
    function _enterEpoch() private {
        uint32 epoch = uint256(currentEpoch()).toUint32();
        if (_changedIn == epoch) return;
        _changedIn = epoch;
        _live.compact();
    }

    function _emaOf(
        Netuid netuid
    ) private view returns (uint256) {
        return POOLS.emaOf(netuid);
    }

    function _recounted(
        uint64 epoch
    ) private view returns (uint16[] memory netuids) {
        uint16 count = subnetCount;
        netuids = new uint16[](count);
        uint256 found = 0;
        for (uint16 id = 1; id <= count; ++id) {
            State storage state = _states[Netuid.wrap(id)];
            if (state.registeredEpoch <= epoch && !_prunedBy(state, epoch)) netuids[found++] = id;
        }
        // Shorter than it was allocated: what lies behind stays unused.
        assembly ("memory-safe") {
            mstore(netuids, found)
        }
    }
}
