// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { GrantWord } from "../emission/GrantWord.sol";
import { Netuid, RewardKind } from "../types/Types.sol";

/// @title Cumulative Merkle claims against on-chain budgets, and the USDC incentive pots
/// @notice A reward root says what each account has earned in total; a budget, granted on chain epoch by epoch, says what
/// can be paid at all. What it promises: per (netuid, kind) never more is claimed than was granted, whatever a root says, and
/// during one epoch no more than four times the kind's last grant or a twentieth of what is unclaimed [EP-3]; nothing granted or
/// contributed is ever lost for want of a report [EP-4]; claiming carries no pause and no role [GV-2].
///
/// A kind's budget is its percentage of all that was ever granted to the subnet in its asset, rounded down: alpha 18/41/41
/// owner/validators/contributors, USDC 18/39/39/4 with keepers. The up to three units that rounding leaves wait for the next grant.
///
/// Leaf: keccak256(bytes.concat(keccak256(abi.encode(uint256 index, uint8 kind, uint16 netuid, address account, uint256 cumulative)))).
/// Node: keccak256(left ‖ right), position-bound: the tree has 2^proof.length leaves, unused ones zero; leaf i sits where npm
/// SimpleMerkleTree (sortLeaves: false) puts value i, so at each level the node is the LEFT child where the index bit is 1
/// and the RIGHT child where it is 0.
///
/// Amounts of alpha kinds have 18 decimals and are paid out of the vault in AlphaPools, by the token itself; USDC kinds have 6 and are paid from here.
interface IRewardDistributor {
    struct Claim {
        uint256 index;
        RewardKind kind;
        Netuid netuid;
        address account;
        uint256 cumulative;
    }

    struct Config {
        address usdc;
        address factory; // AlphaFactory
        address controller;
        address oracle;
        address registry;
        address auction;
        uint64 genesis;
        uint64 epochLength;
    }

    struct Budget {
        uint128 granted;
        uint128 claimed;
    }

    /// @notice `epoch` is the one in which it counts.
    event Contributed(Netuid indexed netuid, uint64 indexed epoch, address indexed from, uint256 usdc);
    /// @notice Closing `epoch` granted nothing of the pot. What it grants is told by the controller's Granted.
    event PotCarried(uint64 indexed epoch, Netuid indexed netuid, uint256 usdc);
    /// @notice The pot of a pruned subnet went to the burn auction, unattributed.
    event PotSwept(Netuid indexed netuid, uint256 usdc);
    event RootActivated(uint64 indexed epoch, bytes32 root);
    /// @notice The payment is the token's Transfer just before it, which says to whom; the sum of an account's amounts in a kind is
    /// what it was paid in total.
    event Claimed(address indexed account, RewardKind kind, Netuid netuid, uint256 amount);
    event ClaimSkipped(uint256 indexed position, bytes reason);
    event PayoutChanged(address indexed account, address to);

    error RewardDistributor_OnlyController(address caller);
    error RewardDistributor_OnlyOracle(address caller);
    /// @notice Nobody could be paid from that pot.
    error RewardDistributor_UnknownSubnet(Netuid netuid);
    error RewardDistributor_FutureEpoch(uint64 epoch, uint64 running);
    error RewardDistributor_NotPruned(Netuid netuid);
    /// @notice Epochs before `from`, the first without the subnet, are still to be closed and may be granted its pot.
    error RewardDistributor_NotSettled(uint64 from, uint64 settledThrough);
    /// @notice The proof leads to neither of the two valid roots.
    error RewardDistributor_InvalidProof();
    /// @notice A batch needs one proof per claim.
    error RewardDistributor_LengthMismatch(uint256 claims, uint256 proofs);

    /// @notice Adds USDC, pulled from the caller, to a subnet's pot; it counts in the epoch of this block. Zero is ignored.
    /// By anyone.
    function contribute(
        Netuid netuid,
        uint256 usdc
    ) external;

    /// @notice As `contribute`, for money that was earned in `epoch`, not after the running one: it counts there, or if that has been
    /// closed for the subnet, in the first epoch that has not.
    function contributeFor(
        Netuid netuid,
        uint64 epoch,
        uint256 usdc
    ) external;

    /// @notice Only the controller, once per subnet and epoch, in order: grants each subnet what its pot holds as of the end of `epoch`
    /// (all of it stays for the next one when it is not eligible) and its alpha.
    /// @return usdc that left each pot for the budgets.
    function closeEpoch(
        uint64 epoch,
        uint16[] calldata netuids,
        GrantWord[] calldata grants
    ) external returns (uint256[] memory usdc);

    /// @notice By anyone, once all epochs of a pruned subnet are closed: what its pot holds goes to the burn auction, unattributed. Looks at
    /// 256 epochs of late contributions at most; call again if there are more.
    function sweepPruned(
        Netuid netuid
    ) external returns (uint256 usdc);

    /// @notice Only the oracle: a report became active. The last two roots are valid.
    function activateRoot(
        uint64 epoch,
        bytes32 root
    ) external;

    /// @notice Pays min(cumulative − paid, claimableNow) to the account's payout address; zero, without an event, where
    /// nothing is due or nothing can be claimed: the rest can be claimed later. By anyone, for anyone. Reverts for a proof that no
    /// valid root confirms.
    function claim(
        Claim calldata c,
        bytes32[] calldata proof
    ) external returns (uint256 amount);

    /// @notice As `claim` of the leaf of the caller, paid to the caller itself, whatever its payout address is.
    function claimOwn(
        uint256 index,
        RewardKind kind,
        Netuid netuid,
        uint256 cumulative,
        bytes32[] calldata proof
    ) external returns (uint256 amount);

    /// @notice As `claim` for each; one that fails is skipped with an event and can be tried again.
    /// @return paidCount claims that paid more than zero.
    function claimBatch(
        Claim[] calldata cs,
        bytes32[][] calldata proofs
    ) external returns (uint256 paidCount);

    /// @notice From now on what anybody claims for the caller, itself included, is paid to `to`; zero means the account itself. `claimOwn` does
    /// not look.
    function setPayout(
        address to
    ) external;

    /// @notice Where claims of `account` are paid to.
    function payoutOf(
        address account
    ) external view returns (address);

    function budgetOf(
        Netuid netuid,
        RewardKind kind
    ) external view returns (Budget memory);

    /// @notice What can be claimed of a kind in this block, by whomever: the unclaimed budget, within this epoch's limit. The limit is
    /// max(four times the kind's last grant, 5 % of its unclaimed budget), as of the epoch's first claim.
    function claimableNow(
        Netuid netuid,
        RewardKind kind
    ) external view returns (uint256);

    /// @notice Everything ever granted to a subnet, all kinds together.
    function grantsOf(
        Netuid netuid
    ) external view returns (uint256 alpha, uint256 usdc);

    function paidTo(
        Netuid netuid,
        RewardKind kind,
        address account
    ) external view returns (uint256);

    /// @notice Number of distinct active epochs in which this account was paid USDC as a contributor (the launch counts verified
    /// contributors by it): a claim counts for the epoch whose root confirms it, if that is the last active one.
    function verifiedEpochs(
        address account
    ) external view returns (uint32);

    /// @notice USDC that closing `epoch` would find: contributed until its end, what was carried included, and not granted yet. For an
    /// epoch that has been closed, what the next closing would find.
    function potOf(
        uint64 epoch,
        Netuid netuid
    ) external view returns (uint256);

    /// @notice The two valid roots and the epoch of the current one; zero before they exist.
    function roots() external view returns (bytes32 current, bytes32 previous, uint64 epoch);

    // constructor(Config config)
}
