// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IComputeCredit } from "./IComputeCredit.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { IERC20Metadata } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @title The ERC-20 face of credits: a name to show, and no way to move one by hand `[CR-1]`
/// @notice Promises, units and errors are documented on IComputeCredit.
abstract contract Soulbound is IComputeCredit {
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

    /// @inheritdoc IComputeCredit
    function transferable() external pure returns (bool) {
        return false;
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
}
