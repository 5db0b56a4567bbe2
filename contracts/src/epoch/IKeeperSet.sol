// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title Keepers, USDC bonds, threshold, config digest. A set takes effect at an epoch's start.
interface IKeeperSet {
    /// @notice configDigest = keccak256(abi.encode(block.chainid, address(this), fromEpoch, keepers, threshold)).
    struct Set { uint64 fromEpoch; uint16 threshold; bytes32 configDigest; address[] keepers; /* strictly ascending */ string[] endpoints; }
    event SetScheduled(uint64 indexed fromEpoch, bytes32 configDigest, address[] keepers, uint16 threshold);
    event Bonded(address indexed keeper, address indexed from, uint256 usdc);
    event BondWithdrawn(address indexed keeper, address to, uint256 usdc);
    event EndpointChanged(address indexed keeper, string endpoint);
    /// @notice restricted: a new set from the next epoch on; at most 31 keepers, threshold ⌊2n/3⌋+1 (a genesis override exists for devnets with fewer than 4).
    function schedule(address[] calldata keepers, uint16 threshold) external;
    /// @notice The caller's HTTP endpoint (at most 256 bytes).
    function setEndpoint(string calldata endpoint) external;
    function bond(address keeper, uint256 usdc) external; // USDC pulled from the caller
    /// @notice By a keeper that has been out of every set for unbondingPeriod.
    function withdrawBond(address to) external;
    function setAt(uint64 epoch) external view returns (Set memory);
    function isKeeperAt(uint64 epoch, address keeper) external view returns (bool);
    function thresholdAt(uint64 epoch) external view returns (uint16);
    function configDigestAt(uint64 epoch) external view returns (bytes32);
    function endpointOf(address keeper) external view returns (string memory);
    function bondOf(address keeper) external view returns (uint256);
    // constructor(address authority, address usdc, address[] keepers, uint16 threshold, bool devnet, uint64 unbondingPeriod, uint64 genesis, uint64 epochLength)
}
