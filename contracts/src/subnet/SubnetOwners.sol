// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { EpochCheckpoints } from "./EpochCheckpoints.sol";
import { HyperparameterPacking } from "./HyperparameterPacking.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { LiveSubnets } from "./LiveSubnets.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title Who owns a subnet, and the hyperparameters that its owner sets
abstract contract SubnetOwners is LiveSubnets {
    using Checkpoints for Checkpoints.Trace208;
    using EpochCheckpoints for Checkpoints.Trace208;
    using HyperparameterPacking for Hyperparameters;
    using SafeCast for uint256;

    /// @notice Least seconds between two changes of one subnet's hyperparameters.
    uint64 public immutable HYPERPARAMETER_PERIOD;
    uint208 private immutable _DEFAULTS;

    mapping(Netuid => address) private _offered;
    mapping(Netuid => Checkpoints.Trace208) private _owners;
    mapping(Netuid => Checkpoints.Trace208) private _hyperparameters;

    constructor(
        Config memory config
    ) {
        config.defaults.check();
        _DEFAULTS = config.defaults.pack();
        HYPERPARAMETER_PERIOD = config.hyperparameterPeriod;
    }

    /// @inheritdoc ISubnetRegistry
    function setHyperparameters(
        Netuid netuid,
        Hyperparameters calldata params
    ) external {
        State storage state = _owned(netuid);
        Hyperparameters memory checked = params;
        checked.check();
        uint256 changedAt = state.changedAt;
        // What does not count yet may be corrected at any time.
        bool pending = epochAt(changedAt) == currentEpoch();
        uint256 opensAt = changedAt + HYPERPARAMETER_PERIOD;
        if (changedAt != 0 && !pending && block.timestamp < opensAt) {
            revert SubnetRegistry_ChangedTooOften(netuid, opensAt);
        }
        uint32 fromEpoch = _nextEpoch();
        state.changedAt = block.timestamp.toUint48();
        _hyperparameters[netuid].push(fromEpoch, checked.pack());
        emit HyperparametersScheduled(netuid, fromEpoch, checked);
    }

    /// @inheritdoc ISubnetRegistry
    function transferSubnet(
        Netuid netuid,
        address to
    ) external {
        _owned(netuid);
        _offered[netuid] = to;
        emit SubnetOffered(netuid, msg.sender, to);
    }

    /// @inheritdoc ISubnetRegistry
    function acceptSubnet(
        Netuid netuid
    ) external {
        State storage state = _alive(netuid);
        if (_offered[netuid] != msg.sender) revert SubnetRegistry_NotOffered(netuid, msg.sender);
        address from = state.owner;
        delete _offered[netuid];
        _setOwner(netuid, state, msg.sender, _nextEpoch());
        emit SubnetOwnerChanged(netuid, from, msg.sender);
    }

    /// @inheritdoc ISubnetRegistry
    function ownerOfSubnet(
        Netuid netuid
    ) external view returns (address) {
        return _known(netuid).owner;
    }

    /// @inheritdoc ISubnetRegistry
    function ownerOfSubnetAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (address) {
        if (_prunedBy(_known(netuid), epoch)) return address(0);
        return address(uint160(_owners[netuid].lookupAt(epoch)));
    }

    /// @inheritdoc ISubnetRegistry
    function offeredTo(
        Netuid netuid
    ) external view returns (address) {
        return _offered[netuid];
    }

    /// @inheritdoc ISubnetRegistry
    function hyperparametersAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (Hyperparameters memory) {
        _known(netuid);
        return HyperparameterPacking.unpack(_hyperparametersAt(netuid, epoch));
    }

    function _setOwner(
        Netuid netuid,
        State storage state,
        address owner,
        uint32 fromEpoch
    ) internal {
        state.owner = owner;
        _owners[netuid].push(fromEpoch, uint160(owner));
    }

    /// @dev Packed; the defaults before the first change.
    function _hyperparametersAt(
        Netuid netuid,
        uint64 epoch
    ) internal view returns (uint208 word) {
        word = _hyperparameters[netuid].lookupAt(epoch);
        if (word == 0) word = _DEFAULTS;
    }

    function _owned(
        Netuid netuid
    ) private view returns (State storage state) {
        state = _alive(netuid);
        if (msg.sender != state.owner) revert SubnetRegistry_NotSubnetOwner(netuid, msg.sender);
    }
}
