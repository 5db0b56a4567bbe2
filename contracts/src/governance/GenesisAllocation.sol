// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { WAD } from "../types/Types.sol";
import { IGenesisAllocation } from "./IGenesisAllocation.sol";
import { IVestingVotes } from "./IVestingVotes.sol";
import { VestingVotes, vestedDown } from "./VestingVotes.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title GenesisAllocation
/// @notice Promises, units and errors are documented on IGenesisAllocation.
contract GenesisAllocation is IGenesisAllocation, VestingVotes {
    uint256 private immutable IMMEDIATE;

    Allocation[] private _allocations;
    mapping(uint256 id => uint256) private _released;
    /// @dev Over all allocations of the account.
    mapping(address beneficiary => uint256) private _unreleased;

    constructor(
        address tndm,
        address gate,
        Allocation[] memory allocations
    ) VestingVotes(tndm, gate) EIP712("Tandem Genesis Allocation", "1") {
        uint256 immediate = 0;
        for (uint256 i = 0; i < allocations.length; ++i) {
            Allocation memory a = allocations[i];
            if (a.beneficiary == address(0) || a.amount == 0 || a.immediateShare > WAD) {
                revert GenesisAllocation_BadAllocation(i);
            }
            immediate += _vested(a, 0);
            _allocations.push(a);
            _unreleased[a.beneficiary] += a.amount;
            _promise(a.beneficiary, a.amount);
            emit Allocated(i, a.beneficiary, a.amount, a.duration, a.immediateShare, a.label);
        }
        IMMEDIATE = immediate;
    }

    /// @inheritdoc IGenesisAllocation
    function release(
        uint256 id
    ) external returns (uint256 amount) {
        amount = releasable(id);
        if (amount == 0) revert GenesisAllocation_NothingReleasable(id);
        _released[id] += amount;
        address beneficiary = _allocations[id].beneficiary;
        _unreleased[beneficiary] -= amount;
        _pay(beneficiary, amount);
        emit Released(id, beneficiary, amount);
    }

    /// @inheritdoc IGenesisAllocation
    function releasable(
        uint256 id
    ) public view returns (uint256) {
        Allocation memory a = allocationOf(id);
        (bool open, uint256 elapsed) = _sinceMarkets();
        return open ? _vested(a, elapsed) - _released[id] : 0;
    }

    /// @inheritdoc IVestingVotes
    function unreleasedOf(
        address account
    ) public view override(IVestingVotes, VestingVotes) returns (uint256) {
        return _unreleased[account];
    }

    /// @inheritdoc IGenesisAllocation
    function releasedOf(
        uint256 id
    ) external view returns (uint256) {
        return _released[id];
    }

    /// @inheritdoc IVestingVotes
    function immediatelyClaimable() external view returns (uint256) {
        return IMMEDIATE;
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

    function _vested(
        Allocation memory a,
        uint256 elapsed
    ) private pure returns (uint256) {
        return vestedDown(a.amount, a.immediateShare, elapsed, a.duration);
    }
}
