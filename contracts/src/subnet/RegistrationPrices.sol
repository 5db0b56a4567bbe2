// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { decayedUp } from "./PriceDecay.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What a subnet and a uid cost: prices that jump with each registration and halve with time.
abstract contract RegistrationPrices {
    using SafeCast for uint256;

    /// @dev A price as of `since`; it decays from there.
    struct Decaying {
        uint128 price;
        uint64 since;
    }

    /// @dev A registration multiplies the next lock price by 2 and the next neuron price by 126 / 100.
    uint256 private constant LOCK_GROWTH = 2;
    uint256 private constant NEURON_GROWTH_NUMERATOR = 126;
    uint256 private constant NEURON_GROWTH_DENOMINATOR = 100;

    uint256 private immutable _FIRST_LOCK;
    uint256 private immutable _FLOOR_LOCK;
    uint256 private immutable _LOCK_HALF_LIFE;
    uint256 private immutable _NEURON_FEE_USDC;
    uint256 private immutable _NEURON_PRICE_TNDM;
    uint256 private immutable _NEURON_HALF_LIFE;

    Decaying private _lock;
    mapping(Netuid => Decaying) private _usdcPrice;
    mapping(Netuid => Decaying) private _tndmPrice;

    constructor(
        ISubnetRegistry.Config memory config
    ) {
        if (
            config.lockHalfLife == 0 || config.neuronHalfLife == 0 || config.floorLock == 0
                || config.firstLock < config.floorLock || config.firstLock > type(uint128).max
                || config.neuronFeeUsdc > type(uint128).max || config.neuronPriceTndm > type(uint128).max
        ) revert ISubnetRegistry.SubnetRegistry_BadConfig();
        _FIRST_LOCK = config.firstLock;
        _FLOOR_LOCK = config.floorLock;
        _LOCK_HALF_LIFE = config.lockHalfLife;
        _NEURON_FEE_USDC = config.neuronFeeUsdc;
        _NEURON_PRICE_TNDM = config.neuronPriceTndm;
        _NEURON_HALF_LIFE = config.neuronHalfLife;
    }

    /// @dev The first lock decays from the opening of markets on; `marketsOpenedAt` is zero before.
    function _lockPrice(
        uint256 marketsOpenedAt
    ) internal view returns (uint256) {
        Decaying memory last = _lock;
        if (last.since != 0) return Math.max(_FLOOR_LOCK, _decayedUp(last, _LOCK_HALF_LIFE));
        if (marketsOpenedAt == 0) return _FIRST_LOCK;
        return Math.max(_FLOOR_LOCK, decayedUp(_FIRST_LOCK, block.timestamp - marketsOpenedAt, _LOCK_HALF_LIFE));
    }

    /// @dev A subnet was registered for `paid`.
    function _raiseLockPrice(
        uint256 paid
    ) internal {
        _lock = Decaying({ price: (paid * LOCK_GROWTH).toUint128(), since: block.timestamp.toUint64() });
    }

    /// @dev In TNDM while markets are open, else in USDC units.
    function _neuronPrice(
        Netuid netuid,
        bool markets
    ) internal view returns (uint256) {
        Decaying memory last = (markets ? _tndmPrice : _usdcPrice)[netuid];
        return Math.max(markets ? _NEURON_PRICE_TNDM : _NEURON_FEE_USDC, _decayedUp(last, _NEURON_HALF_LIFE));
    }

    /// @dev A neuron was registered for `paid`.
    function _raiseNeuronPrice(
        Netuid netuid,
        bool markets,
        uint256 paid
    ) internal {
        uint256 next = Math.ceilDiv(paid * NEURON_GROWTH_NUMERATOR, NEURON_GROWTH_DENOMINATOR);
        (markets ? _tndmPrice : _usdcPrice)[netuid] =
            Decaying({ price: next.toUint128(), since: block.timestamp.toUint64() });
    }

    function _decayedUp(
        Decaying memory last,
        uint256 halfLife
    ) private view returns (uint256) {
        return decayedUp(last.price, block.timestamp - last.since, halfLife);
    }
}
