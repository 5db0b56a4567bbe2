// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title Keepers, their USDC bonds, the threshold and the config digest.
/// @notice A set takes effect at an epoch's start and holds until the next one does; what holds for an epoch that has begun never
/// changes again [SN-2]. Bonds answer for what a keeper signs: only the slashing contract takes from them, on proof, for as
/// long as they are here, which is the unbonding period beyond the keeper's last epoch at least.
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

    /// @notice `unbondingPeriod` in seconds; a `devnet` may have fewer than four keepers.
    struct Config {
        address authority;
        address usdc;
        address auction;
        address oracle;
        address slashing;
        bool devnet;
        uint64 unbondingPeriod;
        uint64 genesis;
        uint64 epochLength;
    }

    event SetScheduled(uint64 indexed fromEpoch, bytes32 configDigest, address[] keepers, uint16 threshold);
    event Bonded(address indexed keeper, address indexed from, uint256 usdc);
    event BondWithdrawn(address indexed keeper, address to, uint256 usdc);
    /// @notice `usdc` left the bond: `toProver` to the prover, the rest to the burn auction, unattributed.
    event BondSlashed(address indexed keeper, address indexed prover, uint256 usdc, uint256 toProver);
    event EndpointChanged(address indexed keeper, string endpoint);

    /// @notice A set has 4 to 31 keepers (1 to 31 on a devnet).
    error KeeperSet_BadSize(uint256 keepers);
    /// @notice The threshold is not ⌊2n/3⌋ + 1 (a devnet with n < 4: not a majority of n).
    error KeeperSet_BadThreshold(uint256 threshold, uint256 keepers);
    /// @notice The keeper at this position is not above the one before it.
    error KeeperSet_NotAscending(uint256 position);
    error KeeperSet_EndpointTooLong(uint256 length);
    error KeeperSet_ZeroAmount();
    error KeeperSet_ZeroAddress();
    /// @notice The keeper is in the newest set.
    error KeeperSet_StillServing(address keeper);
    /// @notice The unbonding period after the keeper's last epoch is not over.
    error KeeperSet_StillBound(address keeper, uint256 releaseAt);
    error KeeperSet_NoBond(address keeper);
    error KeeperSet_OnlySlashing(address caller);
    /// @notice More than the whole bond, in WAD.
    error KeeperSet_ShareAboveOne(uint256 share);

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

    /// @notice Only the slashing contract: `share` (WAD, at most 1) of the keeper's bond, rounded down, leaves it; half of that, rounded
    /// down, goes to `prover`, the rest to the burn auction. Serving, unbonding or gone: what is there counts.
    /// @return usdc what left the bond; zero where there is nothing to take.
    function slash(
        address keeper,
        uint256 share,
        address prover
    ) external returns (uint256 usdc);

    /// @notice The set that holds for `epoch`.
    function setAt(
        uint64 epoch
    ) external view returns (Set memory);

    /// @notice `setAt` without endpoints, for contracts.
    function membersAt(
        uint64 epoch
    ) external view returns (address[] memory keepers, uint16 threshold, bytes32 configDigest);

    /// @notice The contract whose code is the set that holds for `epoch`, as KeeperTable reads it.
    function tableAt(
        uint64 epoch
    ) external view returns (address);

    /// @notice The table of the newest set, which may not hold yet, and the epoch from which it does.
    function newest() external view returns (address table, uint64 fromEpoch);
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
    // constructor(Config config, address[] keepers, uint16 threshold)
}
