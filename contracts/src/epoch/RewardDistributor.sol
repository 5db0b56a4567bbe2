// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "../market/IAlphaPools.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, RewardKind } from "../types/Types.sol";
import { IRewardDistributor } from "./IRewardDistributor.sol";
import { PositionalMerkle } from "./PositionalMerkle.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title RewardDistributor
/// @notice See {IRewardDistributor}.
contract RewardDistributor is IRewardDistributor, EpochClock, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;
    using Checkpoints for Checkpoints.Trace208;

    struct Root {
        bytes32 hash;
        uint64 epoch;
    }

    struct Verified {
        uint32 count;
        uint64 fromEpoch; // roots of earlier epochs no longer count
    }

    uint256 private constant PERCENT = 100;
    uint256 private constant OWNER_PERCENT = 18;
    uint256 private constant VALIDATOR_ALPHA_PERCENT = 41;
    uint256 private constant VALIDATOR_USDC_PERCENT = 39;
    uint256 private constant KEEPER_USDC_PERCENT = 4;

    IERC20 public immutable USDC;
    IAlphaPools public immutable POOLS;
    address public immutable CONTROLLER;
    address public immutable ORACLE;

    Root private _current;
    Root private _previous;
    mapping(Netuid => mapping(RewardKind => Budget)) private _budgets;
    mapping(Netuid => mapping(RewardKind => mapping(address account => uint256))) private _paid;
    mapping(address account => address) private _payouts;
    mapping(address account => Verified) private _verified;
    /// @dev USDC ever contributed by the end of an epoch. A carried pot is what of it was not granted, so carrying costs
    /// nothing and loses nothing.
    mapping(Netuid => Checkpoints.Trace208) private _contributed;
    mapping(Netuid => uint256) private _grantedUsdc;

    constructor(
        address usdc,
        address pools,
        address controller,
        address oracle,
        uint64 genesis,
        uint64 epochLength
    ) EpochClock(genesis, epochLength) {
        USDC = IERC20(usdc);
        POOLS = IAlphaPools(pools);
        CONTROLLER = controller;
        ORACLE = oracle;
    }

    /// @inheritdoc IRewardDistributor
    function contribute(
        Netuid netuid,
        uint256 usdc
    ) external nonReentrant {
        _contribute(netuid, currentEpoch(), usdc);
    }

    /// @inheritdoc IRewardDistributor
    function contributeFor(
        Netuid netuid,
        uint64 epoch,
        uint256 usdc
    ) external nonReentrant {
        if (epoch > currentEpoch()) revert RewardDistributor_FutureEpoch(epoch, currentEpoch());
        _contribute(netuid, epoch, usdc);
    }

    /// @inheritdoc IRewardDistributor
    function closeEpoch(
        uint64 epoch,
        Netuid netuid,
        bool eligible,
        uint256 alphaOut
    ) external returns (uint256 usdcGranted) {
        if (msg.sender != CONTROLLER) revert RewardDistributor_OnlyController(msg.sender);
        uint256 pot = potOf(epoch, netuid);
        if (eligible && pot > 0) {
            usdcGranted = pot;
            _grantedUsdc[netuid] += pot;
            uint256 owner = pot * OWNER_PERCENT / PERCENT;
            uint256 validators = pot * VALIDATOR_USDC_PERCENT / PERCENT;
            uint256 keepers = pot * KEEPER_USDC_PERCENT / PERCENT;
            _grant(netuid, RewardKind.OwnerUsdc, owner);
            _grant(netuid, RewardKind.ValidatorUsdc, validators);
            _grant(netuid, RewardKind.KeeperUsdc, keepers);
            _grant(netuid, RewardKind.ContributorUsdc, pot - owner - validators - keepers);
        } else if (pot > 0) {
            emit PotCarried(epoch, netuid, pot);
        }
        if (alphaOut > 0) {
            uint256 owner = alphaOut * OWNER_PERCENT / PERCENT;
            uint256 validators = alphaOut * VALIDATOR_ALPHA_PERCENT / PERCENT;
            _grant(netuid, RewardKind.OwnerAlpha, owner);
            _grant(netuid, RewardKind.ValidatorAlpha, validators);
            _grant(netuid, RewardKind.ContributorAlpha, alphaOut - owner - validators);
        }
        if (alphaOut > 0 || usdcGranted > 0) emit BudgetGranted(epoch, netuid, alphaOut, usdcGranted);
    }

    /// @inheritdoc IRewardDistributor
    function activateRoot(
        uint64 epoch,
        bytes32 root
    ) external {
        if (msg.sender != ORACLE) revert RewardDistributor_OnlyOracle(msg.sender);
        _previous = _current;
        _current = Root({ hash: root, epoch: epoch });
        emit RootActivated(epoch, root);
    }

    /// @inheritdoc IRewardDistributor
    function claim(
        Claim calldata c,
        bytes32[] calldata proof
    ) external nonReentrant returns (uint256 amount) {
        uint64 rootEpoch = _verify(c, proof);
        Budget storage budget = _budgets[c.netuid][c.kind];
        uint256 paid = _paid[c.netuid][c.kind][c.account];
        amount = Math.min(Math.saturatingSub(c.cumulative, paid), budget.granted - budget.claimed);
        if (amount == 0) return 0;

        budget.claimed += amount.toUint128();
        _paid[c.netuid][c.kind][c.account] = paid + amount;
        if (c.kind == RewardKind.ContributorAlpha || c.kind == RewardKind.ContributorUsdc) {
            _countVerified(c.account, rootEpoch);
        }
        address to = payoutOf(c.account);
        emit Claimed(c.netuid, c.kind, c.account, to, amount, paid + amount);
        if (c.kind <= RewardKind.ContributorAlpha) POOLS.release(c.netuid, to, amount);
        else USDC.safeTransfer(to, amount);
    }

    /// @inheritdoc IRewardDistributor
    function claimBatch(
        Claim[] calldata cs,
        bytes32[][] calldata proofs
    ) external returns (uint256 paidCount) {
        if (cs.length != proofs.length) revert RewardDistributor_LengthMismatch(cs.length, proofs.length);
        for (uint256 i = 0; i < cs.length; ++i) {
            // A claim asks nothing of its caller, so this contract can claim for the batch and survive a failure.
            try this.claim(cs[i], proofs[i]) returns (uint256 amount) {
                if (amount > 0) ++paidCount;
            } catch (bytes memory reason) {
                emit ClaimSkipped(i, reason);
            }
        }
    }

    /// @inheritdoc IRewardDistributor
    function setPayout(
        address to
    ) external {
        _payouts[msg.sender] = to;
        emit PayoutChanged(msg.sender, to);
    }

    /// @inheritdoc IRewardDistributor
    function payoutOf(
        address account
    ) public view returns (address) {
        address to = _payouts[account];
        return to == address(0) ? account : to;
    }

    /// @inheritdoc IRewardDistributor
    function budgetOf(
        Netuid netuid,
        RewardKind kind
    ) external view returns (Budget memory) {
        return _budgets[netuid][kind];
    }

    /// @inheritdoc IRewardDistributor
    function paidTo(
        Netuid netuid,
        RewardKind kind,
        address account
    ) external view returns (uint256) {
        return _paid[netuid][kind][account];
    }

    /// @inheritdoc IRewardDistributor
    function verifiedEpochs(
        address account
    ) external view returns (uint32) {
        return _verified[account].count;
    }

    /// @inheritdoc IRewardDistributor
    function potOf(
        uint64 epoch,
        Netuid netuid
    ) public view returns (uint256) {
        uint256 contributed = _contributed[netuid].upperLookupRecent(uint256(epoch).toUint48());
        return Math.saturatingSub(contributed, _grantedUsdc[netuid]);
    }

    /// @inheritdoc IRewardDistributor
    function roots() external view returns (bytes32 current, bytes32 previous, uint64 epoch) {
        return (_current.hash, _previous.hash, _current.epoch);
    }

    function _contribute(
        Netuid netuid,
        uint64 epoch,
        uint256 usdc
    ) private {
        if (netuid.isZero()) revert RewardDistributor_NoSubnet();
        if (usdc == 0) return;
        Checkpoints.Trace208 storage pot = _contributed[netuid];
        (bool exists, uint48 last,) = pot.latestCheckpoint();
        if (exists && epoch < last) epoch = last;
        pot.push(uint256(epoch).toUint48(), (pot.latest() + usdc).toUint208());
        emit Contributed(netuid, epoch, msg.sender, usdc);
        USDC.safeTransferFrom(msg.sender, address(this), usdc);
    }

    function _grant(
        Netuid netuid,
        RewardKind kind,
        uint256 amount
    ) private {
        _budgets[netuid][kind].granted += amount.toUint128();
    }

    function _countVerified(
        address account,
        uint64 rootEpoch
    ) private {
        Verified storage verified = _verified[account];
        if (rootEpoch < verified.fromEpoch) return;
        ++verified.count;
        verified.fromEpoch = rootEpoch + 1;
    }

    function _verify(
        Claim calldata c,
        bytes32[] calldata proof
    ) private view returns (uint64 rootEpoch) {
        bytes32 leaf = keccak256(
            bytes.concat(
                keccak256(abi.encode(c.index, uint8(c.kind), Netuid.unwrap(c.netuid), c.account, c.cumulative))
            )
        );
        bytes32 root = PositionalMerkle.rootOf(leaf, c.index, proof);
        if (root == _current.hash) return _current.epoch;
        if (root == _previous.hash) return _previous.epoch;
        revert RewardDistributor_InvalidProof();
    }
}
