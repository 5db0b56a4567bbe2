// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { creditsIn, splitMarginDown } from "./Holdings.sol";
import { IComputeCredit } from "./IComputeCredit.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { IERC20Metadata } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title ComputeCredit
/// @notice Promises, units and errors are documented on IComputeCredit.
contract ComputeCredit is IComputeCredit {
    using SafeCast for uint256;

    /// @notice The desk of this series: mints against USDC, burns against USDC.
    address public immutable DESK;
    /// @notice The settlement contract of this series: escrow and earning.
    address public immutable SETTLEMENT;
    /// @notice The launch gate, whose announcement takes the snapshot.
    address public immutable GATE;

    /// @inheritdoc IERC20
    uint256 public totalSupply;

    /// @dev The entry of SETTLEMENT is the sum of all open channels: it can never hand out a part it did not take.
    mapping(address account => Holding) private _holdings;
    mapping(address account => Lifetime) private _lifetimes;
    Lifetime private _total;
    /// @inheritdoc IComputeCredit
    bool public snapshotTaken;
    uint256 private _snapshotTotal;
    /// @dev One more than what the account had earned from purchased credits, kept at its first earning after the snapshot.
    mapping(address account => uint256) private _kept;

    modifier onlyDesk() {
        _requireDesk();
        _;
    }

    modifier onlySettlement() {
        _requireSettlement();
        _;
    }

    /// @param desk Who mints and burns, for ever.
    /// @param settlement Who escrows and settles, for ever.
    constructor(
        address desk,
        address settlement,
        address gate
    ) {
        if (desk == address(0)) revert ComputeCredit_InvalidAccount(desk);
        if (settlement == address(0)) revert ComputeCredit_InvalidAccount(settlement);
        DESK = desk;
        SETTLEMENT = settlement;
        GATE = gate;
    }

    /// @inheritdoc IComputeCredit
    function takeSnapshot() external {
        if (msg.sender != GATE) revert ComputeCredit_OnlyGate(msg.sender);
        if (snapshotTaken) revert ComputeCredit_SnapshotTaken();
        snapshotTaken = true;
        _snapshotTotal = _total.earnedFromPurchased;
        emit SnapshotTaken(_snapshotTotal);
    }

    /// @inheritdoc IComputeCredit
    function mintPurchased(
        address to,
        uint256 amount,
        uint256 margin
    ) external onlyDesk {
        _requireHolder(to);
        uint128 credits = amount.toUint128();
        Holding storage holding = _holdings[to];
        holding.purchased += credits;
        holding.margin += margin.toUint128();
        totalSupply += credits;
        _lifetimes[to].bought += credits;
        _total.bought += credits;
        emit Transfer(address(0), to, amount);
    }

    /// @inheritdoc IComputeCredit
    function burnEarned(
        address from,
        uint256 amount
    ) external onlyDesk {
        uint128 available = _holdings[from].earned;
        if (amount > available) revert ComputeCredit_InsufficientEarned(from, available, amount);
        uint128 credits = amount.toUint128();
        _holdings[from].earned = available - credits;
        totalSupply -= credits;
        _lifetimes[from].cashedOut += credits;
        _total.cashedOut += credits;
        emit Transfer(from, address(0), amount);
    }

    /// @inheritdoc IComputeCredit
    function escrow(
        address from,
        uint256 amount
    ) external onlySettlement returns (Holding memory taken) {
        _requireHolder(from);
        Holding memory holding = _holdings[from];
        uint256 available = creditsIn(holding);
        if (amount > available) revert ComputeCredit_InsufficientCredits(from, available, amount);
        (taken, _holdings[from]) = splitMarginDown(holding, amount);
        _add(_holdings[SETTLEMENT], taken);
        emit Transfer(from, SETTLEMENT, amount);
        emit Escrowed(from, taken.purchased, taken.earned, taken.margin);
    }

    /// @inheritdoc IComputeCredit
    function unescrow(
        address to,
        Holding calldata rest
    ) external onlySettlement {
        _requireHolder(to);
        _release(rest);
        _add(_holdings[to], rest);
        emit Transfer(SETTLEMENT, to, creditsIn(rest));
        emit Returned(to, rest.purchased, rest.earned, rest.margin);
    }

    /// @inheritdoc IComputeCredit
    function earn(
        address payer,
        address contributor,
        Holding calldata spent
    ) external onlySettlement {
        _requireHolder(contributor);
        uint128 amount = spent.purchased + spent.earned;
        _release(spent);
        _holdings[contributor].earned += amount;
        if (snapshotTaken && _kept[contributor] == 0) {
            _kept[contributor] = uint256(_lifetimes[contributor].earnedFromPurchased) + 1;
        }

        _lifetimes[payer].spent += amount;
        _countEarned(_lifetimes[contributor], amount, spent);
        _total.spent += amount;
        _countEarned(_total, amount, spent);
        emit Transfer(SETTLEMENT, contributor, amount);
        emit Earned(payer, contributor, amount, spent.purchased, spent.margin);
    }

    /// @inheritdoc IERC20
    function transfer(
        address,
        uint256
    ) external pure returns (bool) {
        revert ComputeCredit_Soulbound();
    }

    /// @inheritdoc IERC20
    function transferFrom(
        address,
        address,
        uint256
    ) external pure returns (bool) {
        revert ComputeCredit_Soulbound();
    }

    /// @inheritdoc IERC20
    function approve(
        address,
        uint256
    ) external pure returns (bool) {
        revert ComputeCredit_Soulbound();
    }

    /// @inheritdoc IComputeCredit
    function permit(
        address,
        address,
        uint256,
        uint256,
        uint8,
        bytes32,
        bytes32
    ) external pure {
        revert ComputeCredit_Soulbound();
    }

    /// @inheritdoc IERC20
    function allowance(
        address,
        address
    ) external pure returns (uint256) {
        return 0;
    }

    /// @inheritdoc IERC20
    function balanceOf(
        address account
    ) external view returns (uint256) {
        return creditsIn(_holdings[account]);
    }

    /// @inheritdoc IComputeCredit
    function transferable() external pure returns (bool) {
        return false;
    }

    /// @inheritdoc IComputeCredit
    function holdingOf(
        address account
    ) external view returns (Holding memory) {
        return _holdings[account];
    }

    /// @inheritdoc IComputeCredit
    function lifetimeOf(
        address account
    ) external view returns (Lifetime memory) {
        return _lifetimes[account];
    }

    /// @inheritdoc IComputeCredit
    function lifetimeTotal() external view returns (Lifetime memory) {
        return _total;
    }

    /// @inheritdoc IComputeCredit
    function snapshotOf(
        address account
    ) external view returns (uint256) {
        if (!snapshotTaken) revert ComputeCredit_NoSnapshot();
        uint256 kept = _kept[account];
        return kept == 0 ? _lifetimes[account].earnedFromPurchased : kept - 1;
    }

    /// @inheritdoc IComputeCredit
    function snapshotTotal() external view returns (uint256) {
        if (!snapshotTaken) revert ComputeCredit_NoSnapshot();
        return _snapshotTotal;
    }

    /// @inheritdoc IERC20Metadata
    function name() external pure returns (string memory) {
        return "Tandem Compute Credit";
    }

    /// @inheritdoc IERC20Metadata
    function symbol() external pure returns (string memory) {
        return "CREDIT";
    }

    /// @inheritdoc IERC20Metadata
    function decimals() external pure returns (uint8) {
        return 18;
    }

    function _requireDesk() private view {
        if (msg.sender != DESK) revert ComputeCredit_OnlyDesk(msg.sender);
    }

    function _requireSettlement() private view {
        if (msg.sender != SETTLEMENT) revert ComputeCredit_OnlySettlement(msg.sender);
    }

    function _requireHolder(
        address account
    ) private view {
        if (account == address(0) || account == SETTLEMENT) revert ComputeCredit_InvalidAccount(account);
    }

    function _add(
        Holding storage holding,
        Holding memory parts
    ) private {
        holding.purchased += parts.purchased;
        holding.earned += parts.earned;
        holding.margin += parts.margin;
    }

    function _release(
        Holding calldata parts
    ) private {
        Holding storage escrowed = _holdings[SETTLEMENT];
        escrowed.purchased -= parts.purchased;
        escrowed.earned -= parts.earned;
        escrowed.margin -= parts.margin;
    }

    function _countEarned(
        Lifetime storage lifetime,
        uint128 amount,
        Holding calldata spent
    ) private {
        lifetime.earned += amount;
        lifetime.earnedFromPurchased += spent.purchased;
        lifetime.marginRecognised += spent.margin;
    }
}
