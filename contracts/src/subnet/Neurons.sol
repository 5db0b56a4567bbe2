// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { Hotkeys } from "./Hotkeys.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { LiveSubnets } from "./LiveSubnets.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Who has which uid, now and as of every epoch's start
/// @dev A registration is written once and kept. It names the registration that had its uid before, so that the neuron of an earlier epoch
/// is found by going back from the present one: as many steps as the uid changed hands since, which immunity and the rising price keep few.
/// Two words and the endpoint are all that a registration writes for it.
abstract contract Neurons is LiveSubnets, Hotkeys {
    using SafeCast for uint256;

    /// @dev Ids count from 1 in each subnet; 0 is none.
    struct Registration {
        address owner;
        uint48 registeredAt;
        uint32 before; // id of the registration that had this uid before
        uint16 uid;
        address hotkey;
        uint32 hotkeyBefore; // id of the registration that this hotkey had before
        uint32 hotkeyLeft; // from which epoch on the hotkey was without that one
        string endpoint;
    }

    /// @dev One word: a hotkey's last registration in a subnet.
    struct Seat {
        uint32 id;
        uint16 uid;
        uint32 leftFrom; // 0: it still has the uid
    }

    uint256 private constant MAX_ENDPOINT_BYTES = 256;
    /// @dev uids are below UIDS_BOUND.
    uint256 private constant UIDS = 256;

    mapping(Netuid => mapping(uint256 id => Registration)) private _registrations;
    /// @dev Present registration of a uid, eight to a slot; 0: the uid's first one, whose id is uid + 1.
    mapping(Netuid => uint32[UIDS]) private _present;
    mapping(Netuid => mapping(address hotkey => Seat)) private _seats;

    /// @inheritdoc ISubnetRegistry
    function setEndpoint(
        Netuid netuid,
        uint16 uid,
        string calldata endpoint
    ) external {
        Registration storage r = _neuron(netuid, uid);
        if (msg.sender != r.owner && msg.sender != r.hotkey) revert SubnetRegistry_NotNeuron(netuid, uid, msg.sender);
        _checkEndpoint(endpoint);
        r.endpoint = endpoint;
        emit EndpointChanged(netuid, uid, endpoint);
    }

    /// @inheritdoc ISubnetRegistry
    function leavePruned(
        Netuid netuid,
        uint16[] calldata uids
    ) external {
        _checkSubnet(netuid);
        if (_states[netuid].prunedFrom == 0) revert SubnetRegistry_NotPruned(netuid);
        uint256 count = _states[netuid].neuronCount;
        for (uint256 i = 0; i < uids.length; ++i) {
            uint16 uid = uids[i];
            if (uid >= count) revert SubnetRegistry_UnknownNeuron(netuid, uid);
            address hotkey = _registrations[netuid][_presentId(netuid, uid)].hotkey;
            if (_seats[netuid][hotkey].leftFrom == 0) _leave(netuid, uid, hotkey);
        }
    }

    /// @inheritdoc ISubnetRegistry
    function neuronCount(
        Netuid netuid
    ) public view returns (uint16) {
        _checkSubnet(netuid);
        return _prunedAt(netuid, currentEpoch()) ? 0 : _states[netuid].neuronCount;
    }

    /// @inheritdoc ISubnetRegistry
    function neuronOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (Neuron memory) {
        return _asNeuron(_neuron(netuid, uid));
    }

    /// @inheritdoc ISubnetRegistry
    function keysOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (address owner, address hotkey, uint64 registeredAt) {
        Registration storage r = _neuron(netuid, uid);
        return (r.owner, r.hotkey, r.registeredAt);
    }

    /// @inheritdoc ISubnetRegistry
    function neuronsOf(
        Netuid netuid
    ) external view returns (Neuron[] memory neurons) {
        neurons = new Neuron[](neuronCount(netuid));
        for (uint256 uid = 0; uid < neurons.length; ++uid) {
            neurons[uid] = _asNeuron(_registrations[netuid][_presentId(netuid, uid)]);
        }
    }

    /// @inheritdoc ISubnetRegistry
    function uidOf(
        Netuid netuid,
        address hotkey
    ) public view returns (uint256) {
        Seat memory seat = _seats[netuid][hotkey];
        if (seat.id == 0 || seat.leftFrom != 0 || _prunedAt(netuid, currentEpoch())) return 0;
        return uint256(seat.uid) + 1;
    }

    /// @inheritdoc ISubnetRegistry
    function neuronCountAt(
        Netuid netuid,
        uint64 epoch
    ) public view returns (uint16 count) {
        _checkSubnet(netuid);
        if (_prunedAt(netuid, epoch)) return 0;
        count = _states[netuid].neuronCount;
        // uids are given in the order of time: the last ones are the youngest.
        while (count > 0 && _idAt(netuid, count - 1, epoch) == 0) --count;
    }

    /// @inheritdoc ISubnetRegistry
    function keysAt(
        Netuid netuid,
        uint16 uid,
        uint64 epoch
    ) external view returns (address owner, address hotkey, uint64 registeredAt) {
        _checkSubnet(netuid);
        bool given = uid < _states[netuid].neuronCount && !_prunedAt(netuid, epoch);
        uint256 id = given ? _idAt(netuid, uid, epoch) : 0;
        if (id == 0) revert SubnetRegistry_UnknownNeuron(netuid, uid);
        Registration storage r = _registrations[netuid][id];
        return (r.owner, r.hotkey, r.registeredAt);
    }

    /// @inheritdoc ISubnetRegistry
    function neuronsAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (Neuron[] memory neurons) {
        neurons = new Neuron[](neuronCountAt(netuid, epoch));
        for (uint256 uid = 0; uid < neurons.length; ++uid) {
            neurons[uid] = _asNeuron(_registrations[netuid][_idAt(netuid, uid, epoch)]);
        }
    }

    /// @inheritdoc ISubnetRegistry
    function uidAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256) {
        if (_prunedAt(netuid, epoch)) return 0;
        uint256 start = startOf(epoch);
        Seat memory seat = _seats[netuid][hotkey];
        (uint256 id, uint256 leftFrom) = (seat.id, seat.leftFrom);
        while (id != 0) {
            Registration storage r = _registrations[netuid][id];
            if (r.registeredAt < start) return leftFrom == 0 || epoch < leftFrom ? uint256(r.uid) + 1 : 0;
            (id, leftFrom) = (r.hotkeyBefore, r.hotkeyLeft);
        }
        return 0;
    }

    /// @dev Gives `uid` to (owner, hotkey): the next free one, or one whose neuron has left.
    function _seat(
        Netuid netuid,
        uint16 uid,
        address owner,
        address hotkey,
        string calldata endpoint
    ) internal {
        _checkEndpoint(endpoint);
        if (uidOf(netuid, hotkey) != 0) revert SubnetRegistry_HotkeyRegistered(netuid, hotkey);
        _bind(hotkey, owner);
        State storage state = _states[netuid];
        uint32 id = ++state.registrations;
        uint256 before = 0;
        if (uid == state.neuronCount) state.neuronCount = uid + 1;
        else before = _presentId(netuid, uid);
        // The first neuron of a uid needs no entry if no uid changed hands before it came.
        if (id != uint256(uid) + 1) _present[netuid][uid] = id;
        Seat memory last = _seats[netuid][hotkey];
        _seats[netuid][hotkey] = Seat({ id: id, uid: uid, leftFrom: 0 });
        _registrations[netuid][id] = Registration({
            owner: owner,
            registeredAt: block.timestamp.toUint48(),
            before: before.toUint32(),
            uid: uid,
            hotkey: hotkey,
            hotkeyBefore: last.id,
            hotkeyLeft: last.leftFrom,
            endpoint: endpoint
        });
        _joined(hotkey, _countsFrom());
    }

    /// @dev The hotkey has the uid until the running epoch's end.
    function _leave(
        Netuid netuid,
        uint16 uid,
        address hotkey
    ) internal {
        uint32 from = _nextEpoch();
        _seats[netuid][hotkey].leftFrom = from;
        _left(hotkey, from);
        emit NeuronLeft(netuid, uid, hotkey, from);
    }

    /// @dev Who has a uid below `neuronCount` now.
    function _holderOf(
        Netuid netuid,
        uint16 uid
    ) internal view returns (address hotkey, uint256 registeredAt) {
        Registration storage r = _registrations[netuid][_presentId(netuid, uid)];
        return (r.hotkey, r.registeredAt);
    }

    function _neuron(
        Netuid netuid,
        uint16 uid
    ) private view returns (Registration storage) {
        if (uid >= neuronCount(netuid)) revert SubnetRegistry_UnknownNeuron(netuid, uid);
        return _registrations[netuid][_presentId(netuid, uid)];
    }

    function _presentId(
        Netuid netuid,
        uint256 uid
    ) private view returns (uint256 id) {
        id = _present[netuid][uid];
        if (id == 0) id = uid + 1;
    }

    /// @dev The registration that had the uid as of the epoch's start; 0 if none did.
    function _idAt(
        Netuid netuid,
        uint256 uid,
        uint64 epoch
    ) private view returns (uint256 id) {
        uint256 start = startOf(epoch);
        id = _presentId(netuid, uid);
        while (id != 0 && _registrations[netuid][id].registeredAt >= start) id = _registrations[netuid][id].before;
    }

    /// @dev From which epoch on a registration of this moment counts: what is registered before genesis is there when epoch 0 begins.
    function _countsFrom() private view returns (uint32) {
        return block.timestamp < GENESIS ? 0 : _nextEpoch();
    }

    function _asNeuron(
        Registration storage r
    ) private view returns (Neuron memory) {
        return Neuron({ owner: r.owner, hotkey: r.hotkey, registeredAt: r.registeredAt, endpoint: r.endpoint });
    }

    function _checkEndpoint(
        string calldata endpoint
    ) private pure {
        uint256 length = bytes(endpoint).length;
        if (length > MAX_ENDPOINT_BYTES) revert SubnetRegistry_EndpointTooLong(length);
    }
}
