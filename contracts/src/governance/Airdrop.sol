// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IComputeCredit } from "../token/IComputeCredit.sol";
import { WAD } from "../types/Types.sol";
import { IAirdrop } from "./IAirdrop.sol";
import { IVestingVotes } from "./IVestingVotes.sol";
import { VestingVotes, vestedDown } from "./VestingVotes.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Airdrop
/// @notice Promises, units and errors are documented on IAirdrop.
contract Airdrop is IAirdrop, VestingVotes {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev One slot per account; `amount` is zero until it is registered.
    struct Part {
        uint128 amount;
        uint128 released;
    }

    IComputeCredit public immutable CREDIT;
    address public immutable TREASURY;
    uint256 public immutable AMOUNT;
    uint256 public immutable MAX_PER_CREDIT;
    uint256 public immutable IMMEDIATE_SHARE;
    uint256 public immutable DURATION;

    mapping(address account => Part) private _parts;
    bool private _leftoverPaid;

    constructor(
        Config memory config
    ) VestingVotes(config.tndm, config.gate) EIP712("Tandem Airdrop", "1") {
        if (config.amount == 0 || config.immediateShare > WAD) revert Airdrop_BadConfig();
        CREDIT = IComputeCredit(config.credit);
        TREASURY = config.treasury;
        AMOUNT = config.amount;
        MAX_PER_CREDIT = config.maxPerCredit;
        IMMEDIATE_SHARE = config.immediateShare;
        DURATION = config.duration;
    }

    /// @inheritdoc IAirdrop
    function register(
        address account
    ) external returns (uint256 amount) {
        if (isRegistered(account)) revert Airdrop_AlreadyRegistered(account);
        return _register(account);
    }

    /// @inheritdoc IAirdrop
    function release(
        address account
    ) external returns (uint256 amount) {
        if (!isRegistered(account)) _register(account);
        amount = releasable(account);
        if (amount == 0) revert Airdrop_NothingReleasable(account);
        _parts[account].released += amount.toUint128();
        _pay(account, amount);
        emit Released(account, amount);
    }

    /// @inheritdoc IAirdrop
    function payLeftover() external returns (uint256 amount) {
        (bool open,) = _sinceMarkets();
        amount = open && !_leftoverPaid ? AMOUNT - promised() : 0;
        if (amount == 0) revert Airdrop_NothingLeftOver();
        _leftoverPaid = true;
        TNDM.safeTransfer(TREASURY, amount);
        emit LeftoverPaid(TREASURY, amount);
    }

    /// @inheritdoc IAirdrop
    function entitlementOf(
        address account
    ) public view returns (uint256) {
        if (isRegistered(account)) return _parts[account].amount;
        uint256 total = promised();
        return total == 0 ? 0 : Math.mulDiv(CREDIT.snapshotOf(account), total, CREDIT.snapshotTotal());
    }

    /// @inheritdoc IAirdrop
    function isRegistered(
        address account
    ) public view returns (bool) {
        return _parts[account].amount != 0;
    }

    /// @inheritdoc IAirdrop
    function releasable(
        address account
    ) public view returns (uint256) {
        (bool open, uint256 elapsed) = _sinceMarkets();
        if (!open) return 0;
        return vestedDown(entitlementOf(account), IMMEDIATE_SHARE, elapsed, DURATION) - _parts[account].released;
    }

    /// @inheritdoc IVestingVotes
    function unreleasedOf(
        address account
    ) public view override(IVestingVotes, VestingVotes) returns (uint256) {
        Part storage part = _parts[account];
        return part.amount - part.released;
    }

    /// @inheritdoc IAirdrop
    function releasedOf(
        address account
    ) external view returns (uint256) {
        return _parts[account].released;
    }

    /// @inheritdoc IAirdrop
    function promised() public view returns (uint256) {
        if (GATE.announcedAt() == 0) return 0;
        return Math.min(AMOUNT, Math.mulDiv(CREDIT.snapshotTotal(), MAX_PER_CREDIT, WAD));
    }

    /// @inheritdoc IVestingVotes
    function immediatelyClaimable() external view returns (uint256) {
        return vestedDown(promised(), IMMEDIATE_SHARE, 0, DURATION);
    }

    function _register(
        address account
    ) private returns (uint256 amount) {
        if (GATE.tokenOpenedAt() == 0) revert Airdrop_NotOpen();
        amount = entitlementOf(account);
        if (amount == 0) revert Airdrop_NothingEarned(account);
        // Before the units come, so that they are moved once.
        if (delegates(account) == address(0)) _delegate(account, account);
        _parts[account].amount = amount.toUint128();
        _promise(account, amount);
        emit Registered(account, CREDIT.snapshotOf(account), amount);
    }
}
