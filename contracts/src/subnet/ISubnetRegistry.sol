// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Subnets, neurons (uids), registration prices, hyperparameters. Genesis subnets are netuids 1..g, created in the constructor.
interface ISubnetRegistry {
    struct Subnet { address owner; uint64 registeredAt; uint64 registeredEpoch; bool genesis; uint128 lockPaid; uint16 neuronCount; string name; }
    /// @notice hotkey signs commitments and weights; owner earns. One hotkey has at most one uid in a subnet.
    struct Neuron { address owner; address hotkey; uint64 registeredAt; string endpoint; }
    /// @notice Units as in Yuma: u16 fractions of 65,535; bondsMovingAverage per million.
    struct Hyperparameters { uint16 kappa; uint32 bondsMovingAverage; uint16 bondsPenalty; uint16 maxValidators; uint16 maxUids; uint64 activityCutoff; /* epochs */ }

    event SubnetRegistered(Netuid indexed netuid, address indexed owner, string name, uint256 lock, uint256 burned, uint256 seeded);
    event NeuronRegistered(Netuid indexed netuid, uint16 indexed uid, address indexed owner, address hotkey, string endpoint, uint256 price);
    event EndpointChanged(Netuid indexed netuid, uint16 indexed uid, string endpoint);
    event HyperparametersScheduled(Netuid indexed netuid, uint64 indexed fromEpoch, Hyperparameters params);
    event SubnetOwnerChanged(Netuid indexed netuid, address indexed from, address indexed to); // two steps

    /// @notice Markets phase. Lock price (TNDM pulled): half burned and credited to the allowance, half seeds the pool at the median EMA price.
    function registerSubnet(string calldata name, uint256 maxLock) external returns (Netuid netuid);
    /// @notice Next uid for (owner = caller, hotkey). Before markets a USDC fee (to BurnAuction.fund(0)); after: TNDM, half burned, half buys alpha that is burned.
    function registerNeuron(Netuid netuid, address hotkey, string calldata endpoint, uint256 maxPrice) external returns (uint16 uid);
    function setEndpoint(Netuid netuid, uint16 uid, string calldata endpoint) external; // owner or hotkey; <= 256 bytes
    /// @notice Subnet owner; bounds checked; from the next epoch on.
    function setHyperparameters(Netuid netuid, Hyperparameters calldata params) external;
    function transferSubnet(Netuid netuid, address to) external;
    function acceptSubnet(Netuid netuid) external;

    function lockPrice() external view returns (uint256);
    function neuronPrice(Netuid netuid) external view returns (uint256); // USDC units before markets, TNDM after
    function subnetCount() external view returns (uint16);
    function exists(Netuid netuid) external view returns (bool);
    function subnetOf(Netuid netuid) external view returns (Subnet memory);
    function ownerOfSubnet(Netuid netuid) external view returns (address);
    /// @notice Epoch in which the subnet was registered; 0 for genesis subnets.
    function registeredEpochOf(Netuid netuid) external view returns (uint64);
    function neuronCount(Netuid netuid) external view returns (uint16);
    function neuronOf(Netuid netuid, uint16 uid) external view returns (Neuron memory);
    /// @notice All neurons of a subnet, by uid.
    function neuronsOf(Netuid netuid) external view returns (Neuron[] memory);
    /// @notice uid + 1, or 0.
    function uidOf(Netuid netuid, address hotkey) external view returns (uint256);
    function hyperparametersAt(Netuid netuid, uint64 epoch) external view returns (Hyperparameters memory);

    struct GenesisSubnet { address owner; string name; }
    struct Config { address tndm; address usdc; address pools; address controller; address auction; address gate; uint64 genesis; uint64 epochLength;
        uint256 firstLock; uint256 floorLock; uint64 lockHalfLife; uint256 neuronFeeUsdc; uint256 neuronPriceTndm; uint64 neuronHalfLife; uint16 maxSubnets; Hyperparameters defaults; }
    // constructor(Config config, GenesisSubnet[] genesisSubnets)
}
