// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { Netuid } from "../types/Types.sol";
import { Evictions } from "./Evictions.sol";
import { Hotkeys } from "./Hotkeys.sol";
import { HyperparameterPacking } from "./HyperparameterPacking.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { LiveSubnets } from "./LiveSubnets.sol";
import { RegistrationPrices } from "./RegistrationPrices.sol";
import { SubnetOwners } from "./SubnetOwners.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Multicall } from "@openzeppelin/contracts/utils/Multicall.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title SubnetRegistry
/// @notice Promises, units and errors are documented on ISubnetRegistry. Here: what is bought, and who is paid for it.
contract SubnetRegistry is Evictions, SubnetOwners, RegistrationPrices, ReentrancyGuardTransient, Multicall {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    uint256 private constant MAX_NAME_BYTES = 32;
    Netuid private constant UNATTRIBUTED = Netuid.wrap(0);

    IERC20 public immutable TNDM;
    IERC20 public immutable USDC;
    IEmissionController public immutable CONTROLLER;
    ILaunchGate public immutable GATE;

    constructor(
        Config memory config,
        GenesisSubnet[] memory genesisSubnets,
        HotkeyBinding[] memory bindings
    ) LiveSubnets(config) Hotkeys(bindings) Evictions(config) SubnetOwners(config) RegistrationPrices(config) {
        TNDM = IERC20(config.tndm);
        USDC = IERC20(config.usdc);
        CONTROLLER = IEmissionController(config.controller);
        GATE = ILaunchGate(config.gate);
        if (genesisSubnets.length > config.maxSubnets) revert SubnetRegistry_TooManySubnets(config.maxSubnets);
        for (uint256 i = 0; i < genesisSubnets.length; ++i) {
            GenesisSubnet memory subnet = genesisSubnets[i];
            Netuid netuid = _create(subnet.owner, subnet.name, 0, 0, true);
            emit SubnetRegistered(netuid, subnet.owner, subnet.name, 0, 0, 0);
        }
    }

    /// @inheritdoc ISubnetRegistry
    function registerSubnet(
        string calldata name,
        uint256 maxLock
    ) external nonReentrant returns (Netuid netuid) {
        uint256 openedAt = _marketsOpenedAt();
        if (openedAt == 0) revert SubnetRegistry_MarketsClosed();
        uint64 epoch = currentEpoch();
        uint64 settledThrough = CONTROLLER.settledThrough();
        // The pool starts at the median of settled prices, and settling asks who was alive: it must not matter who settles when.
        if (settledThrough < epoch) revert SubnetRegistry_NotSettled(epoch, settledThrough);
        uint256 lock = _lockPrice(openedAt);
        if (lock > maxLock) revert SubnetRegistry_PriceAboveLimit(lock, maxLock);
        uint256 burned = lock / 2;
        uint256 seed = lock - burned;

        Netuid victim = _makeRoom();
        _raiseLockPrice(lock);
        netuid = _create(msg.sender, name, lock, epoch, false);
        if (!victim.isZero()) {
            POOLS.stop(victim, epoch + 1);
            _tellStaking(victim, address(0));
            emit SubnetPruned(victim, epoch + 1, netuid);
        }

        _burnPart(burned, seed);
        CONTROLLER.creditBurn(netuid, burned);
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
        State storage state = _joinable(netuid, hotkey);
        uid = state.neuronCount;
        if (!_hasRoom(netuid, uid)) revert SubnetRegistry_SubnetFull(netuid, uid);
        _register(netuid, state, uid, hotkey, endpoint, maxPrice);
    }

    /// @inheritdoc ISubnetRegistry
    function registerNeuronEvicting(
        Netuid netuid,
        address hotkey,
        string calldata endpoint,
        uint256 maxPrice,
        PruneProof calldata proof
    ) external nonReentrant returns (uint16 uid) {
        State storage state = _joinable(netuid, hotkey);
        uid = state.neuronCount;
        if (!_hasRoom(netuid, uid)) uid = _evict(netuid, state, proof);
        _register(netuid, state, uid, hotkey, endpoint, maxPrice);
    }

    /// @inheritdoc ISubnetRegistry
    function lockPrice() external view returns (uint256) {
        return _lockPrice(_marketsOpenedAt());
    }

    /// @inheritdoc ISubnetRegistry
    function neuronPrice(
        Netuid netuid
    ) external view returns (uint256) {
        _known(netuid);
        return _neuronPrice(netuid, _marketsOpenedAt() != 0);
    }

    /// @inheritdoc ISubnetRegistry
    function subnetOf(
        Netuid netuid
    ) external view returns (Subnet memory) {
        State storage state = _known(netuid);
        return Subnet({
            owner: state.owner,
            registeredAt: state.registeredAt,
            registeredEpoch: state.registeredEpoch,
            genesis: state.genesis,
            lockPaid: state.lockPaid,
            neuronCount: neuronCountAt(netuid, _nextEpoch()),
            name: state.name
        });
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
        State storage state;
        (netuid, state) = _appendLive();
        state.registeredEpoch = uint256(epoch).toUint32();
        state.registeredAt = block.timestamp.toUint48();
        state.genesis = genesis;
        state.lockPaid = lock.toUint96();
        state.name = name;
        _setOwner(netuid, state, owner, genesis ? 0 : _nextEpoch());
    }

    function _hasRoom(
        Netuid netuid,
        uint16 count
    ) private view returns (bool) {
        return count < HyperparameterPacking.maxUidsOf(_hyperparametersAt(netuid, currentEpoch()));
    }

    function _register(
        Netuid netuid,
        State storage state,
        uint16 uid,
        address hotkey,
        string memory endpoint,
        uint256 maxPrice
    ) private {
        bool markets = _marketsOpenedAt() != 0;
        uint256 price = _neuronPrice(netuid, markets);
        if (price > maxPrice) revert SubnetRegistry_PriceAboveLimit(price, maxPrice);
        uint256 subnets = _seat(netuid, state, uid, msg.sender, hotkey, endpoint);
        // One more subnet divides the hotkey's bond.
        if (subnets > 1) _tellStaking(netuid, hotkey);
        _raiseNeuronPrice(netuid, markets, price);
        if (price != 0) _collect(netuid, price, markets);
        emit NeuronRegistered(netuid, uid, msg.sender, hotkey, endpoint, price);
    }

    /// @dev Take a neuron's price from the caller: a USDC fee for the auction before markets; after, TNDM to burn and to buy alpha with.
    /// The purchase has no minimum: its alpha is burned, so whoever moves the price around it takes from no account's balance, and pays
    /// the pool's fee twice on what it moves. What the caller pays is bound by `maxPrice` alone.
    function _collect(
        Netuid netuid,
        uint256 price,
        bool markets
    ) private {
        if (!markets) {
            USDC.safeTransferFrom(msg.sender, address(this), price);
            // No allowance is ever left over: approving needs no detour.
            USDC.approve(address(AUCTION), price);
            AUCTION.fund(UNATTRIBUTED, price);
            return;
        }
        uint256 buying = price / 2;
        _burnPart(price - buying, buying);
        POOLS.buyAndBurn(netuid, buying);
    }

    /// @dev Takes TNDM from the caller, burns one part and leaves the other for the pools to take.
    function _burnPart(
        uint256 burned,
        uint256 forPools
    ) private {
        TNDM.safeTransferFrom(msg.sender, address(this), burned + forPools);
        ERC20Burnable(address(TNDM)).burn(burned);
        TNDM.approve(address(POOLS), forPools);
    }

    /// @dev 0 before.
    function _marketsOpenedAt() private view returns (uint256) {
        return GATE.marketsOpenedAt();
    }
}
