// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IVestingVotes } from "./IVestingVotes.sol";

/// @title The genesis allocations: team, investors, treasury, ecosystem
/// @notice A list that is fixed at birth. Nothing leaves before markets open; then `immediateShare` at once and the rest in a straight
/// line over the duration. Allocations that are not released vote from the first day, once their beneficiary has delegated
/// them (to itself or to anybody): see IVestingVotes.
///
/// Promises:
/// - What was released of an allocation never exceeds what has vested of it, and all of it can be released at the end.
/// - Beneficiaries, amounts and periods never change; there is no role.
interface IGenesisAllocation is IVestingVotes {
    /// @notice One promise.
    /// @param beneficiary Who is paid, whoever calls; its votes until then.
    /// @param amount In wei of TNDM.
    /// @param duration Seconds from the opening of markets until everything has vested.
    /// @param immediateShare WAD: what can be released the moment markets open.
    /// @param label For people.
    struct Allocation {
        address beneficiary;
        uint128 amount;
        uint64 duration;
        uint64 immediateShare;
        string label;
    }

    /// @notice At birth, once for each allocation.
    event Allocated(
        uint256 indexed id,
        address indexed beneficiary,
        uint256 amount,
        uint64 duration,
        uint64 immediateShare,
        string label
    );
    /// @notice `amount` of allocation `id` was paid to its beneficiary.
    event Released(uint256 indexed id, address indexed beneficiary, uint256 amount);

    /// @notice There is no allocation with this id.
    error GenesisAllocation_Unknown(uint256 id);
    /// @notice Markets are closed, or all that has vested was released.
    error GenesisAllocation_NothingReleasable(uint256 id);
    /// @notice The beneficiary is zero, the amount is zero, or the share is more than the whole.
    error GenesisAllocation_BadAllocation(uint256 id);

    /// @notice By anyone, to the beneficiary: all that is releasable now.
    /// @dev Reverts with `GenesisAllocation_Unknown` or `GenesisAllocation_NothingReleasable`.
    /// @return amount What was paid, in wei of TNDM.
    function release(
        uint256 id
    ) external returns (uint256 amount);

    /// @notice What could be released now; rounded down, zero before markets open.
    function releasable(
        uint256 id
    ) external view returns (uint256);

    /// @notice What was released of an allocation so far.
    function releasedOf(
        uint256 id
    ) external view returns (uint256);

    /// @notice Ids count from 0.
    function allocationOf(
        uint256 id
    ) external view returns (Allocation memory);

    /// @notice Number of allocations.
    function allocationCount() external view returns (uint256);

    // constructor(address tndm, address gate, Allocation[] allocations)
}
