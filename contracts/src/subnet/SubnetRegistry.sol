// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { IAlphaPools } from "../market/IAlphaPools.sol";
import { IBurnAuction } from "../market/IBurnAuction.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, Phase } from "../types/Types.sol";
import { HotkeyOwners } from "./HotkeyOwners.sol";
import { HyperparameterPacking } from "./HyperparameterPacking.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { RegistrationPrices } from "./RegistrationPrices.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title SubnetRegistry
/// @notice Promises, units and errors are documented on ISubnetRegistry.
contract SubnetRegistry is HotkeyOwners, EpochClock, RegistrationPrices, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace160;
    using Checkpoints for Checkpoints.Trace208;
    using HyperparameterPacking for Hyperparameters;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    uint256 private constant MAX_NAME_BYTES = 32;
    uint256 private constant MAX_ENDPOINT_BYTES = 256;
    Netuid private constant UNATTRIBUTED = Netuid.wrap(0);

    IERC20 public immutable TNDM;
    IERC20 public immutable USDC;
    IAlphaPools public immutable POOLS;
    IEmissionController public immutable CONTROLLER;
    IBurnAuction public immutable AUCTION;
    ILaunchGate public immutable GATE;
    uint16 public immutable MAX_SUBNETS;
    uint208 private immutable _DEFAULTS;

    uint16 private _count;
    mapping(Netuid => Subnet) private _subnets;
    mapping(Netuid => address) private _offered;
    mapping(Netuid => Checkpoints.Trace160) private _owners;
    mapping(Netuid => Checkpoints.Trace208) private _hyperparameters;
    mapping(Netuid => Neuron[]) private _neurons;
    mapping(Netuid => mapping(address hotkey => uint256)) private _uidPlusOne;
    mapping(address hotkey => Checkpoints.Trace208) private _subnetsOfHotkey;

    constructor(
        Config memory config,
        GenesisSubnet[] memory genesisSubnets,
        HotkeyBinding[] memory bindings
    ) EpochClock(config.genesis, config.epochLength) RegistrationPrices(config) HotkeyOwners(bindings) {
        config.defaults.check();
        TNDM = IERC20(config.tndm);
        USDC = IERC20(config.usdc);
        POOLS = IAlphaPools(config.pools);
        CONTROLLER = IEmissionController(config.controller);
        AUCTION = IBurnAuction(config.auction);
        GATE = ILaunchGate(config.gate);
        MAX_SUBNETS = config.maxSubnets;
        _DEFAULTS = config.defaults.pack();
        if (genesisSubnets.length > config.maxSubnets) revert SubnetRegistry_TooManySubnets(config.maxSubnets);
        for (uint256 i = 0; i < genesisSubnets.length; ++i) {
            _create(genesisSubnets[i].owner, genesisSubnets[i].name, 0, 0, true);
        }
    }

    /// @inheritdoc ISubnetRegistry
    function registerSubnet(
        string calldata name,
        uint256 maxLock
    ) external nonReentrant returns (Netuid netuid) {
        if (GATE.phase() != Phase.Markets) revert SubnetRegistry_MarketsClosed();
        if (_count >= MAX_SUBNETS) revert SubnetRegistry_TooManySubnets(MAX_SUBNETS);
        uint64 epoch = currentEpoch();
        uint64 settledThrough = CONTROLLER.settledThrough();
        // The pool starts at the median of settled prices: it must not matter who settles when.
        if (settledThrough < epoch) revert SubnetRegistry_NotSettled(epoch, settledThrough);
        uint256 lock = lockPrice();
        if (lock > maxLock) revert SubnetRegistry_PriceAboveLimit(lock, maxLock);
        uint256 burned = lock / 2;
        uint256 seed = lock - burned;

        _raiseLockPrice(lock);
        netuid = _create(msg.sender, name, lock, epoch, false);

        TNDM.safeTransferFrom(msg.sender, address(this), lock);
        ERC20Burnable(address(TNDM)).burn(burned);
        CONTROLLER.creditBurn(netuid, burned);
        TNDM.forceApprove(address(POOLS), seed);
        POOLS.create(netuid, seed, POOLS.medianEma());
        emit SubnetRegistered(netuid, msg.sender, name, lock, burned, seed);
    }

    /// @inheritdoc ISubnetRegistry
    function registerNeuron(
        Netuid netuid,
        address hotkey,
        string calldata endpoint,
        uint256 maxPrice
    ) external nonReentrant returns (uint16 uid) {
        _checkSubnet(netuid);
        _checkEndpoint(endpoint);
        if (_uidPlusOne[netuid][hotkey] != 0) revert SubnetRegistry_HotkeyRegistered(netuid, hotkey);
        uint64 epoch = currentEpoch();
        uint256 maxUids = hyperparametersAt(netuid, epoch).maxUids;
        uid = _subnets[netuid].neuronCount;
        if (uid >= maxUids) revert SubnetRegistry_SubnetFull(netuid, maxUids);
        bool markets = GATE.phase() == Phase.Markets;
        uint256 price = _neuronPrice(netuid, markets);
        if (price > maxPrice) revert SubnetRegistry_PriceAboveLimit(price, maxPrice);

        _bind(hotkey, msg.sender);
        _subnets[netuid].neuronCount = uid + 1;
        _uidPlusOne[netuid][hotkey] = uint256(uid) + 1;
        _neurons[netuid].push(
            Neuron({ owner: msg.sender, hotkey: hotkey, registeredAt: block.timestamp.toUint64(), endpoint: endpoint })
        );
        Checkpoints.Trace208 storage subnets = _subnetsOfHotkey[hotkey];
        subnets.push((uint256(epoch) + 1).toUint48(), subnets.latest() + 1);
        _raiseNeuronPrice(netuid, markets, price);

        if (price != 0) _collect(netuid, price, markets);
        emit NeuronRegistered(netuid, uid, msg.sender, hotkey, endpoint, price);
    }

    /// @inheritdoc ISubnetRegistry
    function setEndpoint(
        Netuid netuid,
        uint16 uid,
        string calldata endpoint
    ) external {
        Neuron storage neuron = _neuron(netuid, uid);
        if (msg.sender != neuron.owner && msg.sender != neuron.hotkey) {
            revert SubnetRegistry_NotNeuron(netuid, uid, msg.sender);
        }
        _checkEndpoint(endpoint);
        neuron.endpoint = endpoint;
        emit EndpointChanged(netuid, uid, endpoint);
    }

    /// @inheritdoc ISubnetRegistry
    function setHyperparameters(
        Netuid netuid,
        Hyperparameters calldata params
    ) external {
        _checkSubnetOwner(netuid);
        Hyperparameters memory checked = params;
        checked.check();
        uint64 fromEpoch = currentEpoch() + 1;
        _hyperparameters[netuid].push(uint256(fromEpoch).toUint48(), checked.pack());
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
        _checkSubnet(netuid);
        if (_offered[netuid] != msg.sender) revert SubnetRegistry_NotOffered(netuid, msg.sender);
        address from = _subnets[netuid].owner;
        delete _offered[netuid];
        _subnets[netuid].owner = msg.sender;
        _owners[netuid].push(currentEpoch() + 1, uint160(msg.sender));
        emit SubnetOwnerChanged(netuid, from, msg.sender);
    }

    /// @inheritdoc ISubnetRegistry
    function lockPrice() public view returns (uint256) {
        return _lockPrice(GATE.marketsOpenedAt());
    }

    /// @inheritdoc ISubnetRegistry
    function neuronPrice(
        Netuid netuid
    ) external view returns (uint256) {
        _checkSubnet(netuid);
        return _neuronPrice(netuid, GATE.phase() == Phase.Markets);
    }

    /// @inheritdoc ISubnetRegistry
    function subnetCount() external view returns (uint16) {
        return _count;
    }

    /// @inheritdoc ISubnetRegistry
    function exists(
        Netuid netuid
    ) public view returns (bool) {
        return !netuid.isZero() && Netuid.unwrap(netuid) <= _count;
    }

    /// @inheritdoc ISubnetRegistry
    function subnetOf(
        Netuid netuid
    ) external view returns (Subnet memory) {
        _checkSubnet(netuid);
        return _subnets[netuid];
    }

    /// @inheritdoc ISubnetRegistry
    function ownerOfSubnet(
        Netuid netuid
    ) external view returns (address) {
        _checkSubnet(netuid);
        return _subnets[netuid].owner;
    }

    /// @inheritdoc ISubnetRegistry
    function ownerOfSubnetAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (address) {
        _checkSubnet(netuid);
        return address(_owners[netuid].upperLookupRecent(epoch));
    }

    /// @inheritdoc ISubnetRegistry
    function offeredTo(
        Netuid netuid
    ) external view returns (address) {
        return _offered[netuid];
    }

    /// @inheritdoc ISubnetRegistry
    function registeredEpochOf(
        Netuid netuid
    ) external view returns (uint64) {
        _checkSubnet(netuid);
        return _subnets[netuid].registeredEpoch;
    }

    /// @inheritdoc ISubnetRegistry
    function neuronCount(
        Netuid netuid
    ) external view returns (uint16) {
        _checkSubnet(netuid);
        return _subnets[netuid].neuronCount;
    }

    /// @inheritdoc ISubnetRegistry
    function neuronOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (Neuron memory) {
        return _neuron(netuid, uid);
    }

    /// @inheritdoc ISubnetRegistry
    function keysOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (address owner, address hotkey, uint64 registeredAt) {
        Neuron storage neuron = _neuron(netuid, uid);
        return (neuron.owner, neuron.hotkey, neuron.registeredAt);
    }

    /// @inheritdoc ISubnetRegistry
    function neuronsOf(
        Netuid netuid
    ) external view returns (Neuron[] memory) {
        _checkSubnet(netuid);
        return _neurons[netuid];
    }

    /// @inheritdoc ISubnetRegistry
    function uidOf(
        Netuid netuid,
        address hotkey
    ) external view returns (uint256) {
        return _uidPlusOne[netuid][hotkey];
    }

    /// @inheritdoc ISubnetRegistry
    function subnetsOfAt(
        address hotkey,
        uint64 epoch
    ) external view returns (uint256) {
        return _subnetsOfHotkey[hotkey].upperLookupRecent(uint256(epoch).toUint48());
    }

    /// @inheritdoc ISubnetRegistry
    function hyperparametersAt(
        Netuid netuid,
        uint64 epoch
    ) public view returns (Hyperparameters memory) {
        _checkSubnet(netuid);
        uint208 word = _hyperparameters[netuid].upperLookupRecent(uint256(epoch).toUint48());
        return HyperparameterPacking.unpack(word == 0 ? _DEFAULTS : word);
    }

    function _create(
        address owner,
        string memory name,
        uint256 lock,
        uint64 epoch,
        bool genesis
    ) private returns (Netuid netuid) {
        if (owner == address(0)) revert SubnetRegistry_ZeroAddress();
        uint256 length = bytes(name).length;
        if (length == 0 || length > MAX_NAME_BYTES) revert SubnetRegistry_BadNameLength(length);
        netuid = Netuid.wrap(++_count);
        _subnets[netuid] = Subnet({
            owner: owner,
            registeredAt: block.timestamp.toUint64(),
            registeredEpoch: epoch,
            genesis: genesis,
            lockPaid: lock.toUint128(),
            neuronCount: 0,
            name: name
        });
        _owners[netuid].push(genesis ? 0 : epoch + 1, uint160(owner));
    }

    /// @dev Take a neuron's price from the caller: a USDC fee for the auction before markets; after, TNDM to burn and to buy alpha with.
    function _collect(
        Netuid netuid,
        uint256 price,
        bool markets
    ) private {
        if (!markets) {
            USDC.safeTransferFrom(msg.sender, address(this), price);
            USDC.forceApprove(address(AUCTION), price);
            AUCTION.fund(UNATTRIBUTED, price);
            return;
        }
        uint256 buying = price / 2;
        TNDM.safeTransferFrom(msg.sender, address(this), price);
        ERC20Burnable(address(TNDM)).burn(price - buying);
        TNDM.forceApprove(address(POOLS), buying);
        POOLS.buyAndBurn(netuid, buying);
    }

    function _neuron(
        Netuid netuid,
        uint16 uid
    ) private view returns (Neuron storage) {
        if (uid >= _neurons[netuid].length) revert SubnetRegistry_UnknownNeuron(netuid, uid);
        return _neurons[netuid][uid];
    }

    function _checkSubnet(
        Netuid netuid
    ) private view {
        if (!exists(netuid)) revert SubnetRegistry_UnknownSubnet(netuid);
    }

    function _checkSubnetOwner(
        Netuid netuid
    ) private view {
        _checkSubnet(netuid);
        if (msg.sender != _subnets[netuid].owner) revert SubnetRegistry_NotSubnetOwner(netuid, msg.sender);
    }

    function _checkEndpoint(
        string calldata endpoint
    ) private pure {
        uint256 length = bytes(endpoint).length;
        if (length > MAX_ENDPOINT_BYTES) revert SubnetRegistry_EndpointTooLong(length);
    }
}
