// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { alphaAddress } from "../token/AlphaAddress.sol";
import { IAlphaToken } from "../token/IAlphaToken.sol";
import { Netuid, RewardKind } from "../types/Types.sol";
import { BudgetWords } from "./BudgetWords.sol";
import { IRewardDistributor } from "./IRewardDistributor.sol";
import { PositionalMerkle } from "./PositionalMerkle.sol";
import { RewardBudgets } from "./RewardBudgets.sol";
import { isAlpha } from "./RewardShares.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title RewardDistributor
/// @notice Promises, units and errors are documented on IRewardDistributor. No reentrancy guard: all of a claim is booked before
/// anybody is called.
contract RewardDistributor is RewardBudgets {
    using BudgetWords for uint256;
    using SafeERC20 for IERC20;

    address public immutable ALPHA_FACTORY;
    address public immutable ORACLE;

    /// @dev Roots have slots of their own: nearly every claim is confirmed by the first and needs nothing else of them.
    bytes32 private _current;
    bytes32 private _previous;
    uint64 private _currentEpoch;
    mapping(uint256 accountKey => uint256) private _paid;
    /// @dev Words of contributors in USDC (BudgetWords): what the first subnet paid them is here and not in `_paid`, so that most claims
    /// write one slot of the account although they count verified epochs.
    mapping(address account => uint256) private _contributors;
    mapping(address account => address) private _payouts;

    constructor(
        Config memory config
    ) RewardBudgets(config) {
        ALPHA_FACTORY = config.factory;
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
        return _claim(c, proof, payoutOf(c.account));
    }

    /// @inheritdoc IRewardDistributor
    function claimOwn(
        uint256 index,
        RewardKind kind,
        Netuid netuid,
        uint256 cumulative,
        bytes32[] calldata proof
    ) external returns (uint256) {
        Claim memory c =
            Claim({ index: index, kind: kind, netuid: netuid, account: msg.sender, cumulative: cumulative });
        return _claim(c, proof, msg.sender);
    }

    /// @inheritdoc IRewardDistributor
    function claimBatch(
        Claim[] calldata cs,
        bytes32[][] calldata proofs
    ) external returns (uint256 paidCount) {
        if (cs.length != proofs.length) revert RewardDistributor_LengthMismatch(cs.length, proofs.length);
        for (uint256 i = 0; i < cs.length; ++i) {
            Claim memory c = cs[i];
            (bool confirmed, bytes32 current) = _confirmedBy(c, proofs[i]);
            if (!confirmed) {
                emit ClaimSkipped(i, abi.encodeWithSelector(RewardDistributor_InvalidProof.selector));
                continue;
            }
            (uint256 amount, bool counted) = _book(c, current);
            if (amount == 0) continue;
            (bool ok, bytes memory reason) = _tryPay(c, payoutOf(c.account), amount);
            if (ok) {
                emit Claimed(c.account, c.kind, c.netuid, amount);
                ++paidCount;
            } else {
                _unbook(c, amount, counted);
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
    function paidTo(
        Netuid netuid,
        RewardKind kind,
        address account
    ) external view returns (uint256) {
        if (kind == RewardKind.ContributorUsdc) {
            uint256 contributor = _contributors[account];
            if (contributor.homeOf() == Netuid.unwrap(netuid)) return contributor.homePaid();
        }
        return _paid[BudgetWords.accountKey(netuid, kind, account)];
    }

    /// @inheritdoc IRewardDistributor
    function verifiedEpochs(
        address account
    ) external view returns (uint32) {
        // forge-lint: disable-next-line(unsafe-typecast) a field of 32 bits
        return uint32(_contributors[account].verifiedOf());
    }

    /// @inheritdoc IRewardDistributor
    function roots() external view returns (bytes32 current, bytes32 previous, uint64 epoch) {
        return (_current, _previous, _currentEpoch);
    }

    function _claim(
        Claim memory c,
        bytes32[] calldata proof,
        address to
    ) private returns (uint256 amount) {
        (bool confirmed, bytes32 current) = _confirmedBy(c, proof);
        if (!confirmed) revert RewardDistributor_InvalidProof();
        (amount,) = _book(c, current);
        if (amount == 0) return 0;
        if (isAlpha(c.kind)) _alphaOf(c.netuid).release(to, amount);
        else USDC.safeTransfer(to, amount);
        emit Claimed(c.account, c.kind, c.netuid, amount);
    }

    /// @dev Takes what is due, as far as the budget and the epoch's limit go, off both.
    /// @param current The current root if it confirms the claim, else zero.
    /// @return amount to pay.
    /// @return counted It was the first in an epoch that verified the account.
    function _book(
        Claim memory c,
        bytes32 current
    ) private returns (uint256 amount, bool counted) {
        if (c.kind == RewardKind.ContributorUsdc) return _bookContributor(c, current);
        uint256 key = BudgetWords.accountKey(c.netuid, c.kind, c.account);
        uint256 paid = _paid[key];
        if (c.cumulative <= paid) return (0, false);
        // The first keeps the difference positive. What is paid never exceeds what is due.
        unchecked {
            amount = _take(c.netuid, c.kind, c.cumulative - paid);
            if (amount != 0) _paid[key] = paid + amount;
        }
    }

    /// @dev Counts a verified epoch in USDC only: the launch, which asks for them, comes before alpha.
    function _bookContributor(
        Claim memory c,
        bytes32 current
    ) private returns (uint256 amount, bool counted) {
        uint256 contributor = _contributors[c.account];
        uint256 home = contributor.homeOf();
        bool isAway = home != 0 && home != Netuid.unwrap(c.netuid);
        uint256 key = BudgetWords.accountKey(c.netuid, c.kind, c.account);
        uint256 paid = isAway ? _paid[key] : contributor.homePaid();
        if (c.cumulative <= paid) return (0, false);
        amount = _take(c.netuid, c.kind, c.cumulative - paid);
        if (amount == 0) return (0, false);
        uint256 changed = contributor;
        if (current != 0) changed = changed.verifiedBy(current);
        counted = changed != contributor;
        if (isAway) _paid[key] = paid + amount;
        // Of a budget below 2^96, in the low bits of the word.
        else changed = changed.withHome(c.netuid) + amount;
        if (changed != contributor) _contributors[c.account] = changed;
    }

    /// @dev After a failed payment, in the same call.
    function _unbook(
        Claim memory c,
        uint256 amount,
        bool counted
    ) private {
        _giveBack(c.netuid, c.kind, amount);
        if (c.kind == RewardKind.ContributorUsdc) {
            uint256 contributor = _contributors[c.account];
            if (counted) contributor = contributor.unverified();
            bool isHome = contributor.homeOf() == Netuid.unwrap(c.netuid);
            if (isHome) contributor -= amount;
            _contributors[c.account] = contributor;
            if (isHome) return;
        }
        _paid[BudgetWords.accountKey(c.netuid, c.kind, c.account)] -= amount;
    }

    function _tryPay(
        Claim memory c,
        address to,
        uint256 amount
    ) private returns (bool, bytes memory) {
        if (isAlpha(c.kind)) {
            try _alphaOf(c.netuid).release(to, amount) { }
            catch (bytes memory reason) {
                return (false, reason);
            }
        } else if (!USDC.trySafeTransfer(to, amount)) {
            return (false, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, USDC));
        }
        return (true, "");
    }

    /// @dev Whether one of the two valid roots confirms the claim; and the current one, if it is that.
    function _confirmedBy(
        Claim memory c,
        bytes32[] calldata proof
    ) private view returns (bool confirmed, bytes32 current) {
        if (!PositionalMerkle.exists(c.index, proof.length)) return (false, 0);
        bytes32 inner;
        // The struct in memory is what abi.encode makes of it: five words.
        assembly ("memory-safe") {
            inner := keccak256(c, 0xa0)
        }
        bytes32 root = PositionalMerkle.rootOf(PositionalMerkle.leafOf(inner), c.index, proof);
        if (root == _current) return (true, root);
        return (root == _previous, 0);
    }

    function _alphaOf(
        Netuid netuid
    ) private view returns (IAlphaToken) {
        return IAlphaToken(alphaAddress(ALPHA_FACTORY, netuid));
    }
}
