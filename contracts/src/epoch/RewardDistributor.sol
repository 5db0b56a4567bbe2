// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "../market/IAlphaPools.sol";
import { Netuid, RewardKind } from "../types/Types.sol";
import { BudgetWords } from "./BudgetWords.sol";
import { IRewardDistributor } from "./IRewardDistributor.sol";
import { PositionalMerkle } from "./PositionalMerkle.sol";
import { RewardBudgets } from "./RewardBudgets.sol";
import { isAlpha } from "./RewardShares.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title RewardDistributor
/// @notice Promises, units and errors are documented on IRewardDistributor. No reentrancy guard: all of a claim is booked before
/// anybody is called.
contract RewardDistributor is RewardBudgets {
    using BudgetWords for BudgetWords.Spending;
    using BudgetWords for uint256;
    using SafeERC20 for IERC20;

    /// @dev Of an account, one slot. `counted` are the low bits of the root that last confirmed it as a contributor.
    struct Account {
        address payout;
        uint32 verified;
        uint64 counted;
    }

    /// @dev A claim on its way.
    struct Payment {
        uint256 amount;
        uint256 paid; // cumulative, with this amount
        address to;
    }

    IAlphaPools public immutable POOLS;
    address public immutable ORACLE;

    /// @dev Roots have slots of their own: nearly every claim is confirmed by the first and needs nothing else of them.
    bytes32 private _current;
    bytes32 private _previous;
    uint64 private _currentEpoch;
    mapping(Netuid => mapping(RewardKind => mapping(address account => uint256))) private _paid;
    mapping(address account => Account) private _accounts;

    constructor(
        Config memory config
    ) RewardBudgets(config) {
        POOLS = IAlphaPools(config.pools);
        ORACLE = config.oracle;
    }

    /// @inheritdoc IRewardDistributor
    function activateRoot(
        uint64 epoch,
        bytes32 root
    ) external {
        if (msg.sender != ORACLE) revert RewardDistributor_OnlyOracle(msg.sender);
        _previous = _current;
        _current = root;
        _currentEpoch = epoch;
        emit RootActivated(epoch, root);
    }

    /// @inheritdoc IRewardDistributor
    function claim(
        Claim calldata c,
        bytes32[] calldata proof
    ) external returns (uint256) {
        bytes32 root = _confirmedBy(c, proof);
        if (root == 0) revert RewardDistributor_InvalidProof();
        Payment memory payment = _book(c);
        if (payment.amount == 0) return 0;
        if (isAlpha(c.kind)) POOLS.release(c.netuid, payment.to, payment.amount);
        else USDC.safeTransfer(payment.to, payment.amount);
        _finish(c, root, payment);
        return payment.amount;
    }

    /// @inheritdoc IRewardDistributor
    function claimBatch(
        Claim[] calldata cs,
        bytes32[][] calldata proofs
    ) external returns (uint256 paidCount) {
        if (cs.length != proofs.length) revert RewardDistributor_LengthMismatch(cs.length, proofs.length);
        for (uint256 i = 0; i < cs.length; ++i) {
            Claim calldata c = cs[i];
            bytes32 root = _confirmedBy(c, proofs[i]);
            if (root == 0) {
                emit ClaimSkipped(i, abi.encodeWithSelector(RewardDistributor_InvalidProof.selector));
                continue;
            }
            Payment memory payment = _book(c);
            if (payment.amount == 0) continue;
            (bool ok, bytes memory reason) = _tryPay(c, payment);
            if (ok) {
                _finish(c, root, payment);
                ++paidCount;
            } else {
                _paid[c.netuid][c.kind][c.account] -= payment.amount;
                // The low bits of the word.
                _spendings[c.netuid][c.kind] -= payment.amount;
                emit ClaimSkipped(i, reason);
            }
        }
    }

    /// @inheritdoc IRewardDistributor
    function setPayout(
        address to
    ) external {
        _accounts[msg.sender].payout = to;
        emit PayoutChanged(msg.sender, to);
    }

    /// @inheritdoc IRewardDistributor
    function payoutOf(
        address account
    ) public view returns (address) {
        address to = _accounts[account].payout;
        return to == address(0) ? account : to;
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
        return _accounts[account].verified;
    }

    /// @inheritdoc IRewardDistributor
    function roots() external view returns (bytes32 current, bytes32 previous, uint64 epoch) {
        return (_current, _previous, _currentEpoch);
    }

    /// @dev Takes what is due, as far as the budget and the epoch's limit go, off both.
    function _book(
        Claim calldata c
    ) private returns (Payment memory payment) {
        (Netuid netuid, RewardKind kind, address account) = (c.netuid, c.kind, c.account);
        mapping(address => uint256) storage paid = _paid[netuid][kind];
        uint256 before = paid[account];
        if (c.cumulative <= before) return payment;
        BudgetWords.Spending memory spending = _spendings[netuid][kind].unpackSpending();
        uint256 amount = Math.min(c.cumulative - before, _room(netuid, kind, spending));
        if (amount == 0) return payment;
        spending.claimed += amount;
        _spendings[netuid][kind] = spending.pack();
        paid[account] = before + amount;
        return Payment({ amount: amount, paid: before + amount, to: payoutOf(account) });
    }

    function _tryPay(
        Claim calldata c,
        Payment memory payment
    ) private returns (bool, bytes memory) {
        if (isAlpha(c.kind)) {
            try POOLS.release(c.netuid, payment.to, payment.amount) { }
            catch (bytes memory reason) {
                return (false, reason);
            }
        } else if (!USDC.trySafeTransfer(payment.to, payment.amount)) {
            return (false, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, USDC));
        }
        return (true, "");
    }

    /// @dev Counts a verified epoch in USDC only: the launch, which asks for them, comes before alpha.
    function _finish(
        Claim calldata c,
        bytes32 root,
        Payment memory payment
    ) private {
        if (c.kind == RewardKind.ContributorUsdc && root == _current) {
            Account storage account = _accounts[c.account];
            if (account.counted != uint64(uint256(root))) {
                account.counted = uint64(uint256(root));
                ++account.verified;
            }
        }
        emit Claimed(c.netuid, c.kind, c.account, payment.to, payment.amount, payment.paid);
    }

    /// @dev The valid root that the proof leads to; zero, which is the root of nothing, if there is none.
    function _confirmedBy(
        Claim calldata c,
        bytes32[] calldata proof
    ) private view returns (bytes32 root) {
        if (!PositionalMerkle.exists(c.index, proof.length)) return 0;
        bytes32 leaf = PositionalMerkle.leafOf(
            keccak256(abi.encode(c.index, uint8(c.kind), Netuid.unwrap(c.netuid), c.account, c.cumulative))
        );
        root = PositionalMerkle.rootOf(leaf, c.index, proof);
        if (root != _current && root != _previous) return 0;
    }
}
