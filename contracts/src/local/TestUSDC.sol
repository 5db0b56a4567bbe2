// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ITestUSDC } from "./ITestUSDC.sol";
import { ERC20 } from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import { ERC20Permit } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import { IERC20Metadata } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import { IERC20Permit } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @title TestUSDC
/// @notice Promises, units and errors are documented on ITestUSDC.
contract TestUSDC is ERC20, ERC20Permit, ITestUSDC {
    /// @dev Chain ids of anvil and hardhat, and of geth's and ganache's development mode.
    uint256 private constant ANVIL = 31_337;
    uint256 private constant DEVELOPMENT = 1337;

    /// @inheritdoc ITestUSDC
    mapping(address account => bool) public isBlacklisted;
    /// @inheritdoc ITestUSDC
    bool public paused;

    constructor() ERC20("USD Coin (test)", "USDC") ERC20Permit("USD Coin (test)") {
        if (block.chainid != ANVIL && block.chainid != DEVELOPMENT) revert TestUSDC_NotALocalChain(block.chainid);
    }

    /// @inheritdoc ITestUSDC
    function mint(
        address to,
        uint256 amount
    ) external {
        _mint(to, amount);
    }

    /// @inheritdoc ITestUSDC
    function blacklist(
        address account
    ) external {
        isBlacklisted[account] = true;
        emit Blacklisted(account);
    }

    /// @inheritdoc ITestUSDC
    function unBlacklist(
        address account
    ) external {
        isBlacklisted[account] = false;
        emit UnBlacklisted(account);
    }

    /// @inheritdoc ITestUSDC
    function pause() external {
        paused = true;
        emit Pause();
    }

    /// @inheritdoc ITestUSDC
    function unpause() external {
        paused = false;
        emit Unpause();
    }

    /// @inheritdoc IERC20Metadata
    function decimals() public pure override(ERC20, IERC20Metadata) returns (uint8) {
        return 6;
    }

    /// @inheritdoc IERC20Permit
    function nonces(
        address owner
    ) public view override(ERC20Permit, IERC20Permit) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(
        address from,
        address to,
        uint256 value
    ) internal override {
        _requireMovable(from, to);
        // A blacklisted spender moves nobody's money either; the caller is the spender or the owner.
        _requireListless(msg.sender);
        super._update(from, to, value);
    }

    function _approve(
        address owner,
        address spender,
        uint256 value,
        bool emitEvent
    ) internal override {
        // Spending an allowance (no event) is judged by `_update`.
        if (emitEvent) _requireMovable(owner, spender);
        super._approve(owner, spender, value, emitEvent);
    }

    function _requireMovable(
        address a,
        address b
    ) private view {
        if (paused) revert TestUSDC_Paused();
        _requireListless(a);
        _requireListless(b);
    }

    function _requireListless(
        address account
    ) private view {
        if (isBlacklisted[account]) revert TestUSDC_Blacklisted(account);
    }
}
