// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid, RewardKind } from "../types/Types.sol";

/// @title Cumulative Merkle claims against on-chain budgets [EP-3]; also the USDC incentive pots.
/// Leaf: keccak256(bytes.concat(keccak256(abi.encode(uint256 index, uint8 kind, uint16 netuid, address account, uint256 cumulative)))).
/// Node: keccak256(left ‖ right), position-bound: the tree has 2^proof.length leaves, unused ones zero; leaf i sits where npm SimpleMerkleTree (sortLeaves: false) puts value i,
/// so at each level the node is the LEFT child where the index bit is 1 and the RIGHT child where it is 0.
interface IRewardDistributor {
    struct Claim { uint256 index; RewardKind kind; Netuid netuid; address account; uint256 cumulative; }
    struct Budget { uint128 granted; uint128 claimed; }

    event Contributed(Netuid indexed netuid, uint64 indexed epoch, address indexed from, uint256 usdc);
    event BudgetGranted(uint64 indexed epoch, Netuid indexed netuid, uint256 alpha, uint256 usdc);
    event PotCarried(uint64 indexed epoch, Netuid indexed netuid, uint256 usdc);
    event RootActivated(uint64 indexed epoch, bytes32 root);
    event Claimed(Netuid indexed netuid, RewardKind indexed kind, address indexed account, address to, uint256 amount, uint256 cumulativePaid);
    event ClaimSkipped(uint256 indexed position, bytes reason);
    event PayoutChanged(address indexed account, address to);

    /// @notice By anyone: USDC (pulled) for the participants of a subnet; counts in the epoch of this block.
    function contribute(Netuid netuid, uint256 usdc) external;
    /// @notice Only the controller: grants the pot of `epoch` (carried to the next when not eligible) and `alphaOut`, split by role; returns the USDC granted.
    /// alpha: 18/41/41 owner/validators/contributors; USDC: 18/39/39/4 with keepers; rounding dust to contributors.
    function closeEpoch(uint64 epoch, Netuid netuid, bool eligible, uint256 alphaOut) external returns (uint256 usdcGranted);
    /// @notice Only the oracle: a report became active. The last two roots are valid.
    function activateRoot(uint64 epoch, bytes32 root) external;
    /// @notice By anyone for anyone; pays min(cumulative − paid, budget left) to the account's payout address; never reverts for an empty budget.
    function claim(Claim calldata c, bytes32[] calldata proof) external returns (uint256 amount);
    /// @notice A failing claim is skipped with an event.
    function claimBatch(Claim[] calldata cs, bytes32[][] calldata proofs) external returns (uint256 paidCount);
    function setPayout(address to) external;

    function payoutOf(address account) external view returns (address);
    function budgetOf(Netuid netuid, RewardKind kind) external view returns (Budget memory);
    function paidTo(Netuid netuid, RewardKind kind, address account) external view returns (uint256);
    /// @notice Number of distinct active epochs in which this account was paid as a contributor (the launch counts verified contributors by it).
    function verifiedEpochs(address account) external view returns (uint32);
    function potOf(uint64 epoch, Netuid netuid) external view returns (uint256);
    function roots() external view returns (bytes32 current, bytes32 previous, uint64 epoch);
    // constructor(address usdc, address pools, address controller, address oracle, uint64 genesis, uint64 epochLength)
}
