// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { WAD } from "../types/Types.sol";
import { IGenesisAllocation, ILaunchGate } from "./ILaunchGate.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title GenesisAllocation
/// @notice Promises, units and errors are documented on IGenesisAllocation (in ILaunchGate.sol).
contract GenesisAllocation is IGenesisAllocation {
    using SafeERC20 for IERC20;

    IERC20 public immutable TNDM;
    ILaunchGate public immutable GATE;
    uint256 private immutable _IMMEDIATE;

    Allocation[] private _allocations;
    mapping(uint256 id => uint256) private _released;

    constructor(
        address tndm,
        address gate,
        Allocation[] memory allocations
    ) {
        TNDM = IERC20(tndm);
        GATE = ILaunchGate(gate);
        uint256 immediate = 0;
        for (uint256 i = 0; i < allocations.length; ++i) {
            Allocation memory a = allocations[i];
            if (a.beneficiary == address(0) || a.amount == 0 || a.immediateShare > WAD) {
                revert GenesisAllocation_BadAllocation(i);
            }
            immediate += _vestedDown(a, 0);
            _allocations.push(a);
        }
        _IMMEDIATE = immediate;
    }

    /// @inheritdoc IGenesisAllocation
    function release(
        uint256 id
    ) external returns (uint256 amount) {
        amount = releasable(id);
        if (amount == 0) revert GenesisAllocation_NothingReleasable(id);
        _released[id] += amount;
        address beneficiary = _allocations[id].beneficiary;
        TNDM.safeTransfer(beneficiary, amount);
        emit Released(id, beneficiary, amount);
    }

    /// @inheritdoc IGenesisAllocation
    function releasable(
        uint256 id
    ) public view returns (uint256) {
        Allocation memory a = allocationOf(id);
        uint256 opened = GATE.marketsOpenedAt();
        return opened == 0 ? 0 : _vestedDown(a, block.timestamp - opened) - _released[id];
    }

    /// @inheritdoc IGenesisAllocation
    function releasedOf(
        uint256 id
    ) external view returns (uint256) {
        return _released[id];
    }

    /// @inheritdoc IGenesisAllocation
    function immediatelyClaimable() external view returns (uint256) {
        return _IMMEDIATE;
    }

    /// @inheritdoc IGenesisAllocation
    function allocationOf(
        uint256 id
    ) public view returns (Allocation memory) {
        if (id >= _allocations.length) revert GenesisAllocation_Unknown(id);
        return _allocations[id];
    }

    /// @inheritdoc IGenesisAllocation
    function allocationCount() external view returns (uint256) {
        return _allocations.length;
    }

    /// @dev What has vested `elapsed` seconds after markets opened.
    function _vestedDown(
        Allocation memory a,
        uint256 elapsed
    ) private pure returns (uint256) {
        if (elapsed >= a.duration) return a.amount;
        uint256 immediate = Math.mulDiv(a.amount, a.immediateShare, WAD);
        return immediate + Math.mulDiv(a.amount - immediate, elapsed, a.duration);
    }
}
