// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IERC20Metadata } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import { IERC20Permit } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @title A stablecoin for local chains
/// @notice Behaves where it matters like USDC: 6 decimals, ERC-2612 permit, a blacklist and a pause. Anybody may mint, blacklist
/// and pause, so it can be born only on chains 31337 and 1337. While an account is blacklisted it neither sends, receives,
/// approves nor is approved; while the token is paused nobody does.
interface ITestUSDC is IERC20Metadata, IERC20Permit {
    /// @notice `account` can no longer move the token.
    event Blacklisted(address indexed account);
    /// @notice `account` can move the token again.
    event UnBlacklisted(address indexed account);
    /// @notice Nobody can move the token.
    event Pause();
    /// @notice The token moves again.
    event Unpause();

    /// @notice Chain `chainId` is not a local one.
    error TestUSDC_NotALocalChain(uint256 chainId);
    /// @notice The account is blacklisted.
    error TestUSDC_Blacklisted(address account);
    /// @notice The token is paused.
    error TestUSDC_Paused();

    /// @notice By anyone: `amount` USDC units (6 decimals) out of nothing for `to`.
    function mint(
        address to,
        uint256 amount
    ) external;

    /// @notice By anyone: put `account` on the blacklist.
    function blacklist(
        address account
    ) external;

    /// @notice By anyone: take `account` off the blacklist.
    function unBlacklist(
        address account
    ) external;

    /// @notice By anyone: stop every transfer, approval and mint.
    function pause() external;

    /// @notice By anyone: end the pause.
    function unpause() external;

    /// @notice Whether `account` is on the blacklist.
    function isBlacklisted(
        address account
    ) external view returns (bool);

    /// @notice Whether the token is paused.
    function paused() external view returns (bool);
}
