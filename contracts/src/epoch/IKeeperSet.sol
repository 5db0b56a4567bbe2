// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title Keepers, their USDC bonds, the threshold and the config digest.
/// @notice A set takes effect at an epoch's start and holds until the next one does; what holds for an epoch that has begun never
/// changes again [SN-2].
interface IKeeperSet {
    /// @notice `keepers` strictly ascending, `endpoints` beside them as they are now (not part of the digest).
    /// configDigest = keccak256(abi.encode(block.chainid, address(this), fromEpoch, keepers, threshold)).
    struct Set {
        uint64 fromEpoch;
        uint16 threshold;
        bytes32 configDigest;
        address[] keepers;
        string[] endpoints;
    }

    event SetScheduled(uint64 indexed fromEpoch, bytes32 configDigest, address[] keepers, uint16 threshold);
    event Bonded(address indexed keeper, address indexed from, uint256 usdc);
    event BondWithdrawn(address indexed keeper, address to, uint256 usdc);
    event EndpointChanged(address indexed keeper, string endpoint);

    error KeeperSet_BadSize(uint256 keepers);
    error KeeperSet_BadThreshold(uint256 threshold, uint256 keepers);
    error KeeperSet_NotAscending(uint256 position);
    error KeeperSet_EndpointTooLong(uint256 length);
    error KeeperSet_ZeroAmount();
    error KeeperSet_ZeroAddress();
    error KeeperSet_StillServing(address keeper);
    error KeeperSet_StillBound(address keeper, uint256 releaseAt);
    error KeeperSet_NoBond(address keeper);

    /// @notice restricted: a new set from the next epoch on; a second call in one epoch replaces the first. At least 4 and at most 31
    /// keepers, strictly ascending, threshold ⌊2n/3⌋ + 1. A devnet may have fewer than 4, with any majority as threshold.
    function schedule(
        address[] calldata keepers,
        uint16 threshold
    ) external;

    /// @notice The caller's HTTP endpoint (at most 256 bytes).
    function setEndpoint(
        string calldata endpoint
    ) external;

    /// @notice Add USDC, pulled from the caller, to a keeper's bond. It belongs to the keeper from then on.
    function bond(
        address keeper,
        uint256 usdc
    ) external;

    /// @notice By a keeper that has been out of every set for the unbonding period: its whole bond, to `to`.
    function withdrawBond(
        address to
    ) external;

    /// @notice The set that holds for `epoch`.
    function setAt(
        uint64 epoch
    ) external view returns (Set memory);

    /// @notice `setAt` without endpoints, for contracts.
    function membersAt(
        uint64 epoch
    ) external view returns (address[] memory keepers, uint16 threshold, bytes32 configDigest);
    function isKeeperAt(
        uint64 epoch,
        address keeper
    ) external view returns (bool);
    function thresholdAt(
        uint64 epoch
    ) external view returns (uint16);
    function configDigestAt(
        uint64 epoch
    ) external view returns (bytes32);
    function endpointOf(
        address keeper
    ) external view returns (string memory);

    /// @notice USDC (6 decimals).
    function bondOf(
        address keeper
    ) external view returns (uint256);

    /// @notice Until when the keeper serves or served: type(uint64).max while it is in the newest set, 0 if it never was in one.
    function servesUntil(
        address keeper
    ) external view returns (uint64);
    // constructor(address authority, address usdc, address[] keepers, uint16 threshold, bool devnet, uint64 unbondingPeriod, uint64 genesis, uint64 epochLength)
}
