// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { HyperparameterPacking } from "./HyperparameterPacking.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { LiveSubnets } from "./LiveSubnets.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title Who owns a subnet, and the hyperparameters that its owner sets
abstract contract SubnetOwners is LiveSubnets {
    using Checkpoints for Checkpoints.Trace160;
    using Checkpoints for Checkpoints.Trace208;
    using HyperparameterPacking for Hyperparameters;
    using SafeCast for uint256;

    /// @notice Least seconds between two changes of one subnet's hyperparameters.
    uint64 public immutable HYPERPARAMETER_PERIOD;
    uint208 private immutable _DEFAULTS;

    mapping(Netuid => address) private _offered;
    mapping(Netuid => Checkpoints.Trace160) private _owners;
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
        _checkSubnetOwner(netuid);
        Hyperparameters memory checked = params;
        checked.check();
        uint256 changedAt = _states[netuid].changedAt;
        // What does not count yet may be corrected at any time.
        bool pending = epochAt(changedAt) == currentEpoch();
        uint256 opensAt = changedAt + HYPERPARAMETER_PERIOD;
        if (changedAt != 0 && !pending && block.timestamp < opensAt) {
            revert SubnetRegistry_ChangedTooOften(netuid, opensAt);
        }
        uint32 fromEpoch = _nextEpoch();
        _states[netuid].changedAt = block.timestamp.toUint48();
        _hyperparameters[netuid].push(fromEpoch, checked.pack());
        emit HyperparametersScheduled(netuid, fromEpoch, checked);
    }

    /// @inheritdoc ISubnetRegistry
    function transferSubnet(
        Netuid netuid,
        address to
    ) external {
        _checkSubnetOwner(netuid);
        _offered[netuid] = to;
        emit SubnetOffered(netuid, msg.sender, to);
    }

    /// @inheritdoc ISubnetRegistry
    function acceptSubnet(
        Netuid netuid
    ) external {
        _checkLive(netuid);
        if (_offered[netuid] != msg.sender) revert SubnetRegistry_NotOffered(netuid, msg.sender);
        address from = _states[netuid].owner;
        delete _offered[netuid];
        _setOwner(netuid, msg.sender, _nextEpoch());
        emit SubnetOwnerChanged(netuid, from, msg.sender);
    }

    /// @inheritdoc ISubnetRegistry
    function ownerOfSubnet(
        Netuid netuid
    ) external view returns (address) {
        _checkSubnet(netuid);
        return _states[netuid].owner;
    }

    /// @inheritdoc ISubnetRegistry
    function ownerOfSubnetAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (address) {
        _checkSubnet(netuid);
        return _prunedAt(netuid, epoch) ? address(0) : address(_owners[netuid].upperLookupRecent(epoch));
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
        _checkSubnet(netuid);
        return HyperparameterPacking.unpack(_hyperparametersAt(netuid, epoch));
    }

    function _setOwner(
        Netuid netuid,
        address owner,
        uint32 fromEpoch
    ) internal {
        _states[netuid].owner = owner;
        _owners[netuid].push(fromEpoch, uint160(owner));
    }

    /// @dev Packed; the defaults before the first change.
    function _hyperparametersAt(
        Netuid netuid,
        uint64 epoch
    ) internal view returns (uint208 word) {
        word = _hyperparameters[netuid].upperLookupRecent(uint256(epoch).toUint48());
        if (word == 0) word = _DEFAULTS;
    }

    function _checkSubnetOwner(
        Netuid netuid
    ) private view {
        _checkLive(netuid);
        if (msg.sender != _states[netuid].owner) revert SubnetRegistry_NotSubnetOwner(netuid, msg.sender);
    }
}
