// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { IAlphaPools } from "../market/IAlphaPools.sol";
import { IBurnAuction } from "../market/IBurnAuction.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, Phase } from "../types/Types.sol";
import { HyperparameterPacking } from "./HyperparameterPacking.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { decayedUp } from "./PriceDecay.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title Subnets and neurons. What it promises is written in ISubnetRegistry.
contract SubnetRegistry is ISubnetRegistry, EpochClock, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace160;
    using Checkpoints for Checkpoints.Trace208;
    using HyperparameterPacking for Hyperparameters;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev A price as of `since`; it decays from there.
    struct Decaying {
        uint128 price;
        uint64 since;
    }

    uint256 private constant MAX_NAME_BYTES = 32;
    uint256 private constant MAX_ENDPOINT_BYTES = 256;
    /// @dev A registration multiplies the next lock price by 2 and the next neuron price by 126 / 100.
    uint256 private constant LOCK_GROWTH = 2;
    uint256 private constant NEURON_GROWTH_NUMERATOR = 126;
    uint256 private constant NEURON_GROWTH_DENOMINATOR = 100;
    Netuid private constant UNATTRIBUTED = Netuid.wrap(0);

    IERC20 public immutable TNDM;
    IERC20 public immutable USDC;
    IAlphaPools public immutable POOLS;
    IEmissionController public immutable CONTROLLER;
    IBurnAuction public immutable AUCTION;
    ILaunchGate public immutable GATE;
    uint256 public immutable FIRST_LOCK;
    uint256 public immutable FLOOR_LOCK;
    uint256 public immutable LOCK_HALF_LIFE;
    uint256 public immutable NEURON_FEE_USDC;
    uint256 public immutable NEURON_PRICE_TNDM;
    uint256 public immutable NEURON_HALF_LIFE;
    uint16 public immutable MAX_SUBNETS;
    uint208 private immutable _DEFAULTS;

    uint16 private _count;
    Decaying private _lock;
    mapping(Netuid => Subnet) private _subnets;
    mapping(Netuid => address) private _offered;
    mapping(Netuid => Checkpoints.Trace160) private _owners;
    mapping(Netuid => Checkpoints.Trace208) private _hyperparameters;
    mapping(Netuid => Neuron[]) private _neurons;
    mapping(Netuid => Decaying) private _usdcPrice;
    mapping(Netuid => Decaying) private _tndmPrice;
    mapping(Netuid => mapping(address hotkey => uint256)) private _uidPlusOne;
    mapping(address hotkey => address) private _hotkeyOwner;
    mapping(address hotkey => Checkpoints.Trace208) private _subnetsOfHotkey;

    constructor(
        Config memory config,
        GenesisSubnet[] memory genesisSubnets
    ) EpochClock(config.genesis, config.epochLength) {
        if (
            config.lockHalfLife == 0 || config.neuronHalfLife == 0 || config.firstLock < config.floorLock
                || config.floorLock == 0 || config.firstLock > type(uint128).max
                || config.neuronFeeUsdc > type(uint128).max || config.neuronPriceTndm > type(uint128).max
        ) revert SubnetRegistry_BadConfig();
        config.defaults.check();
        TNDM = IERC20(config.tndm);
        USDC = IERC20(config.usdc);
        POOLS = IAlphaPools(config.pools);
        CONTROLLER = IEmissionController(config.controller);
        AUCTION = IBurnAuction(config.auction);
        GATE = ILaunchGate(config.gate);
        FIRST_LOCK = config.firstLock;
        FLOOR_LOCK = config.floorLock;
        LOCK_HALF_LIFE = config.lockHalfLife;
        NEURON_FEE_USDC = config.neuronFeeUsdc;
        NEURON_PRICE_TNDM = config.neuronPriceTndm;
        NEURON_HALF_LIFE = config.neuronHalfLife;
        MAX_SUBNETS = config.maxSubnets;
        _DEFAULTS = config.defaults.pack();
        if (genesisSubnets.length > config.maxSubnets) revert SubnetRegistry_TooManySubnets(config.maxSubnets);
        for (uint256 i = 0; i < genesisSubnets.length; ++i) {
            _create(genesisSubnets[i].owner, genesisSubnets[i].name, 0, 0, 0, true);
        }
    }

    /// @inheritdoc ISubnetRegistry
    function registerSubnet(
        string calldata name,
        uint256 maxLock
    ) external nonReentrant returns (Netuid netuid) {
        if (GATE.phase() != Phase.Markets) revert SubnetRegistry_MarketsClosed();
        if (_count >= MAX_SUBNETS) revert SubnetRegistry_TooManySubnets(MAX_SUBNETS);
        uint256 lock = lockPrice();
        if (lock > maxLock) revert SubnetRegistry_PriceAboveLimit(lock, maxLock);
        uint256 burned = lock / 2;
        uint256 seed = lock - burned;

        _lock = Decaying({ price: (lock * LOCK_GROWTH).toUint128(), since: block.timestamp.toUint64() });
        uint64 epoch = currentEpoch();
        netuid = _create(msg.sender, name, lock, epoch, epoch + 1, false);

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
        if (hotkey == address(0)) revert SubnetRegistry_ZeroAddress();
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
        subnets.push(_key(epoch + 1), subnets.latest() + 1);
        (markets ? _tndmPrice : _usdcPrice)[netuid] = Decaying({
            price: Math.mulDiv(price, NEURON_GROWTH_NUMERATOR, NEURON_GROWTH_DENOMINATOR, Math.Rounding.Ceil)
                .toUint128(),
            since: block.timestamp.toUint64()
        });

        if (price != 0) _collect(netuid, price, markets);
        emit NeuronRegistered(netuid, uid, msg.sender, hotkey, endpoint, price);
    }

    /// @inheritdoc ISubnetRegistry
    function bindHotkey(
        address owner
    ) external {
        if (owner == address(0)) revert SubnetRegistry_ZeroAddress();
        _bind(msg.sender, owner);
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
        _hyperparameters[netuid].push(_key(fromEpoch), checked.pack());
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
        Decaying memory last = _lock;
        if (last.since == 0) {
            uint64 opened = GATE.marketsOpenedAt();
            last = Decaying({ price: FIRST_LOCK.toUint128(), since: opened == 0 ? block.timestamp.toUint64() : opened });
        }
        return Math.max(FLOOR_LOCK, decayedUp(last.price, block.timestamp - last.since, LOCK_HALF_LIFE));
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
    function ownerOfHotkey(
        address hotkey
    ) external view returns (address) {
        return _hotkeyOwner[hotkey];
    }

    /// @inheritdoc ISubnetRegistry
    function subnetsOfAt(
        address hotkey,
        uint64 epoch
    ) external view returns (uint256) {
        return _subnetsOfHotkey[hotkey].upperLookupRecent(_key(epoch));
    }

    /// @inheritdoc ISubnetRegistry
    function hyperparametersAt(
        Netuid netuid,
        uint64 epoch
    ) public view returns (Hyperparameters memory) {
        _checkSubnet(netuid);
        uint208 word = _hyperparameters[netuid].upperLookupRecent(_key(epoch));
        return HyperparameterPacking.unpack(word == 0 ? _DEFAULTS : word);
    }

    /// @dev `ownerFrom` is the first epoch in which the owner counts.
    function _create(
        address owner,
        string memory name,
        uint256 lock,
        uint64 epoch,
        uint64 ownerFrom,
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
        _owners[netuid].push(ownerFrom, uint160(owner));
    }

    /// @dev A hotkey has one owner in all subnets, or its bond and its name would be anybody's to use.
    function _bind(
        address hotkey,
        address owner
    ) private {
        address bound = _hotkeyOwner[hotkey];
        if (bound == owner) return;
        if (bound != address(0)) revert SubnetRegistry_HotkeyOwnedBy(hotkey, bound);
        _hotkeyOwner[hotkey] = owner;
        emit HotkeyBound(hotkey, owner);
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

    function _neuronPrice(
        Netuid netuid,
        bool markets
    ) private view returns (uint256) {
        Decaying memory last = (markets ? _tndmPrice : _usdcPrice)[netuid];
        uint256 floor = markets ? NEURON_PRICE_TNDM : NEURON_FEE_USDC;
        return Math.max(floor, decayedUp(last.price, block.timestamp - last.since, NEURON_HALF_LIFE));
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

    function _key(
        uint64 epoch
    ) private pure returns (uint48) {
        return uint256(epoch).toUint48();
    }
}
