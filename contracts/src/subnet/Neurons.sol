// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { Hotkeys } from "./Hotkeys.sol";
import { UIDS_BOUND } from "./HyperparameterPacking.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { LiveSubnets } from "./LiveSubnets.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Who has which uid, as of every epoch's start
/// @dev A registration is written once and kept. It names the registration that had its uid before, so that the neuron of an earlier epoch
/// is found by going back from the present one: as many steps as the uid changed hands since, which immunity and the rising price keep few.
/// This moment's neurons are those of the next epoch's start, as things stand.
abstract contract Neurons is LiveSubnets, Hotkeys {
    using SafeCast for uint256;

    /// @dev Two words and the endpoint. Ids count from 1 in each subnet; 0 is none.
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
        uint32 leftFrom; // 0: it still has the uid
    }

    uint256 private constant MAX_ENDPOINT_BYTES = 256;

    mapping(Netuid => mapping(uint256 id => Registration)) private _registrations;
    /// @dev Present registration of a uid, eight to a slot; 0: the uid's first one, whose id is uid + 1.
    mapping(Netuid => uint32[UIDS_BOUND]) private _present;
    mapping(Netuid => mapping(address hotkey => Seat)) private _seats;

    /// @inheritdoc ISubnetRegistry
    function setEndpoint(
        Netuid netuid,
        uint16 uid,
        string memory endpoint
    ) public {
        Registration storage r = _neuronAt(netuid, uid, _nextEpoch());
        if (msg.sender != r.owner && msg.sender != r.hotkey) revert SubnetRegistry_NotNeuron(netuid, uid, msg.sender);
        _setEndpoint(r, endpoint);
        emit EndpointChanged(netuid, uid, endpoint);
    }

    /// @inheritdoc ISubnetRegistry
    function leavePruned(
        Netuid netuid,
        uint16[] calldata uids
    ) external {
        State storage state = _known(netuid);
        if (state.prunedFrom == 0) revert SubnetRegistry_NotPruned(netuid);
        for (uint256 i = 0; i < uids.length; ++i) {
            uint16 uid = uids[i];
            if (uid >= state.neuronCount) revert SubnetRegistry_UnknownNeuron(netuid, uid);
            address hotkey = _holderOf(netuid, uid).hotkey;
            if (_seats[netuid][hotkey].leftFrom == 0) _leave(netuid, uid, hotkey);
        }
    }

    /// @inheritdoc ISubnetRegistry
    function neuronCount(
        Netuid netuid
    ) external view returns (uint16) {
        return neuronCountAt(netuid, _nextEpoch());
    }

    /// @inheritdoc ISubnetRegistry
    function neuronOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (Neuron memory) {
        return _asNeuron(_neuronAt(netuid, uid, _nextEpoch()));
    }

    /// @inheritdoc ISubnetRegistry
    function keysOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (address owner, address hotkey, uint64 registeredAt) {
        return keysAt(netuid, uid, _nextEpoch());
    }

    /// @inheritdoc ISubnetRegistry
    function neuronsOf(
        Netuid netuid
    ) external view returns (Neuron[] memory) {
        return neuronsAt(netuid, _nextEpoch());
    }

    /// @inheritdoc ISubnetRegistry
    function uidOf(
        Netuid netuid,
        address hotkey
    ) external view returns (uint256) {
        return uidAt(netuid, hotkey, _nextEpoch());
    }

    /// @inheritdoc ISubnetRegistry
    function neuronCountAt(
        Netuid netuid,
        uint64 epoch
    ) public view returns (uint16 count) {
        State storage state = _known(netuid);
        if (_prunedBy(state, epoch)) return 0;
        count = state.neuronCount;
        // uids are given in the order of time: the last ones are the youngest.
        while (count > 0 && _idAt(netuid, count - 1, epoch) == 0) --count;
    }

    /// @inheritdoc ISubnetRegistry
    function keysAt(
        Netuid netuid,
        uint16 uid,
        uint64 epoch
    ) public view returns (address owner, address hotkey, uint64 registeredAt) {
        Registration storage r = _neuronAt(netuid, uid, epoch);
        return (r.owner, r.hotkey, r.registeredAt);
    }

    /// @inheritdoc ISubnetRegistry
    function neuronsAt(
        Netuid netuid,
        uint64 epoch
    ) public view returns (Neuron[] memory neurons) {
        neurons = new Neuron[](neuronCountAt(netuid, epoch));
        for (uint16 uid = 0; uid < neurons.length; ++uid) {
            neurons[uid] = _asNeuron(_registrations[netuid][_idAt(netuid, uid, epoch)]);
        }
    }

    /// @inheritdoc ISubnetRegistry
    function uidAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) public view returns (uint256) {
        if (_prunedBy(_known(netuid), epoch)) return 0;
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

    /// @dev A subnet that the hotkey may join. Asked before anybody is evicted: none must take its own place and be immune again.
    function _joinable(
        Netuid netuid,
        address hotkey
    ) internal view returns (State storage state) {
        state = _alive(netuid);
        Seat memory seat = _seats[netuid][hotkey];
        if (seat.id != 0 && seat.leftFrom == 0) revert SubnetRegistry_HotkeyRegistered(netuid, hotkey);
    }

    /// @dev Gives `uid` to (owner, hotkey), which has none: the next free one, or one whose neuron has left.
    /// @return subnets In how many the hotkey is now.
    function _seat(
        Netuid netuid,
        State storage state,
        uint16 uid,
        address owner,
        address hotkey,
        string memory endpoint
    ) internal returns (uint256 subnets) {
        Seat memory last = _seats[netuid][hotkey];
        _bind(hotkey, owner);
        uint32 id = ++state.registrations;
        uint32 before = 0;
        if (uid == state.neuronCount) state.neuronCount = uid + 1;
        else before = _presentId(netuid, uid);
        // The first neuron of a uid needs no entry if no uid changed hands before it came.
        if (id != uint256(uid) + 1) _present[netuid][uid] = id;
        _seats[netuid][hotkey] = Seat({ id: id, leftFrom: 0 });
        Registration storage r = _registrations[netuid][id];
        r.owner = owner;
        r.registeredAt = block.timestamp.toUint48();
        r.before = before;
        r.uid = uid;
        r.hotkey = hotkey;
        r.hotkeyBefore = last.id;
        r.hotkeyLeft = last.leftFrom;
        _setEndpoint(r, endpoint);
        // What is registered before genesis is there when epoch 0 begins.
        return _joined(hotkey, block.timestamp < GENESIS ? 0 : _nextEpoch());
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

    /// @dev The present registration of a uid below `neuronCount`.
    function _holderOf(
        Netuid netuid,
        uint16 uid
    ) internal view returns (Registration storage) {
        return _registrations[netuid][_presentId(netuid, uid)];
    }

    function _neuronAt(
        Netuid netuid,
        uint16 uid,
        uint64 epoch
    ) private view returns (Registration storage) {
        State storage state = _known(netuid);
        uint32 id = 0;
        if (uid < state.neuronCount && !_prunedBy(state, epoch)) id = _idAt(netuid, uid, epoch);
        if (id == 0) revert SubnetRegistry_UnknownNeuron(netuid, uid);
        return _registrations[netuid][id];
    }

    /// @dev The registration that had the uid as of the epoch's start; 0 if none did.
    function _idAt(
        Netuid netuid,
        uint16 uid,
        uint64 epoch
    ) private view returns (uint32 id) {
        uint256 start = startOf(epoch);
        id = _presentId(netuid, uid);
        while (id != 0 && _registrations[netuid][id].registeredAt >= start) id = _registrations[netuid][id].before;
    }

    function _presentId(
        Netuid netuid,
        uint16 uid
    ) private view returns (uint32 id) {
        id = _present[netuid][uid];
        if (id == 0) id = uint32(uid) + 1;
    }

    function _asNeuron(
        Registration storage r
    ) private view returns (Neuron memory) {
        return Neuron({ owner: r.owner, hotkey: r.hotkey, registeredAt: r.registeredAt, endpoint: r.endpoint });
    }

    function _setEndpoint(
        Registration storage r,
        string memory endpoint
    ) private {
        uint256 length = bytes(endpoint).length;
        if (length > MAX_ENDPOINT_BYTES) revert SubnetRegistry_EndpointTooLong(length);
        r.endpoint = endpoint;
    }
}
