// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Subnets, neurons (uids), registration prices and hyperparameters.
/// @notice Genesis subnets are netuids 1..g, created in the constructor; the public registers more once markets are open.
/// Everything that an epoch reads here is as of that epoch's start [SN-2]: a change made during epoch e counts from e + 1 on,
/// and what was true for an epoch that has begun never changes again. Neurons are append-only: a uid is given once and a
/// full subnet refuses further neurons.
interface ISubnetRegistry {
    /// @notice `lockPaid` in TNDM (18 decimals), zero for genesis subnets; `registeredEpoch` is 0 for them.
    struct Subnet {
        address owner;
        uint64 registeredAt;
        uint64 registeredEpoch;
        bool genesis;
        uint128 lockPaid;
        uint16 neuronCount;
        string name;
    }

    /// @notice `hotkey` signs commitments and weights; `owner` earns. One hotkey has at most one uid in a subnet and belongs
    /// to one owner in all of them.
    struct Neuron {
        address owner;
        address hotkey;
        uint64 registeredAt;
        string endpoint;
    }

    /// @notice Units as in Yuma: `kappa` and `bondsPenalty` are u16 fractions of 65,535, `bondsMovingAverage` is per million,
    /// `activityCutoff` counts epochs.
    struct Hyperparameters {
        uint16 kappa;
        uint32 bondsMovingAverage;
        uint16 bondsPenalty;
        uint16 maxValidators;
        uint16 maxUids;
        uint64 activityCutoff;
    }

    /// @notice A subnet that exists from birth.
    struct GenesisSubnet {
        address owner;
        string name;
    }

    /// @notice A hotkey that is bound to its owner from birth, so that nobody can register it before its owner does.
    struct HotkeyBinding {
        address hotkey;
        address owner;
    }

    /// @notice Locks and `neuronPriceTndm` in TNDM (18 decimals), `neuronFeeUsdc` in USDC (6); half-lives in seconds.
    /// `neuronFeeUsdc` and `neuronPriceTndm` are first price and floor at once.
    struct Config {
        address tndm;
        address usdc;
        address pools;
        address controller;
        address auction;
        address gate;
        uint64 genesis;
        uint64 epochLength;
        uint256 firstLock;
        uint256 floorLock;
        uint64 lockHalfLife;
        uint256 neuronFeeUsdc;
        uint256 neuronPriceTndm;
        uint64 neuronHalfLife;
        uint16 maxSubnets;
        Hyperparameters defaults;
    }

    event SubnetRegistered(
        Netuid indexed netuid, address indexed owner, string name, uint256 lock, uint256 burned, uint256 seeded
    );
    event NeuronRegistered(
        Netuid indexed netuid, uint16 indexed uid, address indexed owner, address hotkey, string endpoint, uint256 price
    );
    event EndpointChanged(Netuid indexed netuid, uint16 indexed uid, string endpoint);
    event HyperparametersScheduled(Netuid indexed netuid, uint64 indexed fromEpoch, Hyperparameters params);
    event SubnetOwnerChanged(Netuid indexed netuid, address indexed from, address indexed to);
    event SubnetOffered(Netuid indexed netuid, address indexed from, address indexed to);
    event HotkeyBound(address indexed hotkey, address indexed owner);

    error SubnetRegistry_UnknownSubnet(Netuid netuid);
    error SubnetRegistry_UnknownNeuron(Netuid netuid, uint16 uid);
    error SubnetRegistry_MarketsClosed();
    /// @dev Epochs before the running `epoch` wait for `IEmissionController.settle`.
    error SubnetRegistry_NotSettled(uint64 epoch, uint64 settledThrough);
    error SubnetRegistry_TooManySubnets(uint256 limit);
    error SubnetRegistry_SubnetFull(Netuid netuid, uint256 maxUids);
    error SubnetRegistry_PriceAboveLimit(uint256 price, uint256 limit);
    error SubnetRegistry_HotkeyRegistered(Netuid netuid, address hotkey);
    error SubnetRegistry_HotkeyOwnedBy(address hotkey, address owner);
    error SubnetRegistry_ZeroAddress();
    error SubnetRegistry_BadNameLength(uint256 length);
    error SubnetRegistry_EndpointTooLong(uint256 length);
    error SubnetRegistry_NotSubnetOwner(Netuid netuid, address caller);
    error SubnetRegistry_NotOffered(Netuid netuid, address caller);
    error SubnetRegistry_NotNeuron(Netuid netuid, uint16 uid, address caller);
    /// @dev `field` is the hyperparameter's name.
    error SubnetRegistry_BadHyperparameter(bytes32 field, uint256 value);
    error SubnetRegistry_BadConfig();

    /// @notice Create a subnet owned by the caller, in the markets phase only. The lock price is pulled in TNDM: half is burned
    /// and credited to the subnet's allowance, once [EM-1]; the other half (the larger one if the price is odd) seeds the pool at
    /// the median EMA price. All ended epochs must be settled before, so that this price is the same whoever settles.
    /// @param name 1 to 32 bytes.
    /// @param maxLock Refuse a lock price above this many TNDM.
    function registerSubnet(
        string calldata name,
        uint256 maxLock
    ) external returns (Netuid netuid);

    /// @notice Take the next uid for (owner = caller, hotkey). It counts from the next epoch on. Before markets the price is a
    /// USDC fee that goes to the auction unattributed; after, it is TNDM of which half (rounded up) is burned unattributed and
    /// half buys alpha that is burned.
    /// @param hotkey Not yet in this subnet; not bound to another owner.
    /// @param endpoint At most 256 bytes; may be empty.
    /// @param maxPrice Refuse a price above this (units of `neuronPrice`).
    function registerNeuron(
        Netuid netuid,
        address hotkey,
        string calldata endpoint,
        uint256 maxPrice
    ) external returns (uint16 uid);

    /// @notice Bind the caller, a hotkey, to the one owner who may register it. The first registration binds as well, to whoever
    /// made it; binding first, which is possible before genesis, keeps strangers from taking a known hotkey. Final.
    function bindHotkey(
        address owner
    ) external;

    /// @notice By the neuron's owner or hotkey; at most 256 bytes.
    function setEndpoint(
        Netuid netuid,
        uint16 uid,
        string calldata endpoint
    ) external;

    /// @notice By the subnet's owner; bounds are checked; counts from the next epoch on. The last call of an epoch wins.
    function setHyperparameters(
        Netuid netuid,
        Hyperparameters calldata params
    ) external;

    /// @notice By the subnet's owner: offer the ownership to `to` (zero withdraws the offer).
    function transferSubnet(
        Netuid netuid,
        address to
    ) external;

    /// @notice By the account it was offered to. Owner rewards go to the new owner from the next epoch on.
    function acceptSubnet(
        Netuid netuid
    ) external;

    /// @notice Present lock price in TNDM, rounded up: the first lock when markets open, doubled by each registration, halved per
    /// half-life (see PriceDecay.sol for the curve), never below the floor.
    function lockPrice() external view returns (uint256);

    /// @notice Present price of a uid, rounded up: USDC units before markets, TNDM after. Each registration raises it by 26 %, it
    /// halves per half-life down to the configured price. USDC fee and TNDM price move apart from each other.
    function neuronPrice(
        Netuid netuid
    ) external view returns (uint256);

    function subnetCount() external view returns (uint16);
    function exists(
        Netuid netuid
    ) external view returns (bool);
    function subnetOf(
        Netuid netuid
    ) external view returns (Subnet memory);
    function ownerOfSubnet(
        Netuid netuid
    ) external view returns (address);

    /// @notice The owner as of the epoch's start; zero before the subnet's first epoch.
    function ownerOfSubnetAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (address);

    /// @notice To whom the subnet is offered; zero if to nobody.
    function offeredTo(
        Netuid netuid
    ) external view returns (address);

    /// @notice Epoch in which the subnet was registered; 0 for genesis subnets.
    function registeredEpochOf(
        Netuid netuid
    ) external view returns (uint64);

    /// @notice Neurons at present; uids are 0 to count − 1.
    function neuronCount(
        Netuid netuid
    ) external view returns (uint16);
    function neuronOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (Neuron memory);

    /// @notice `neuronOf` without the endpoint, for contracts that walk over uids.
    function keysOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (address owner, address hotkey, uint64 registeredAt);

    /// @notice All neurons of a subnet, by uid.
    function neuronsOf(
        Netuid netuid
    ) external view returns (Neuron[] memory);

    /// @notice uid + 1, or 0.
    function uidOf(
        Netuid netuid,
        address hotkey
    ) external view returns (uint256);

    /// @notice The owner that a hotkey is bound to; zero if it is free.
    function ownerOfHotkey(
        address hotkey
    ) external view returns (address);

    /// @notice Number of subnets in which the hotkey had a uid as of the epoch's start.
    function subnetsOfAt(
        address hotkey,
        uint64 epoch
    ) external view returns (uint256);

    /// @notice As of the epoch's start; the defaults before the first change.
    function hyperparametersAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (Hyperparameters memory);
    // constructor(Config config, GenesisSubnet[] genesisSubnets, HotkeyBinding[] bindings)
}
