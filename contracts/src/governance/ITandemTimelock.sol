// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title The governance timelock: the one administrator of the suite
/// @notice OpenZeppelin's TimelockController with three rules more, all of which hold while the launch gate is its administrator, that is
/// through the mesh phase, in which a council proposes [GV-1]:
/// - It does not administer itself and takes no calls to itself: the council cannot pass its roles on or change the delay.
/// - It calls only contracts that the suite's AccessManager governs, because a council is there to set their parameters. Tokens, vesting
///   and governors are none of them: it cannot make the timelock approve, transfer or delegate what comes after the council.
/// - What was scheduled then and not executed lapses in the moment in which the gate lets go, as if it had never been scheduled. Anybody
///   who may propose then may schedule it anew.
///
/// Without an administrator (address zero) it is a plain, self-administered timelock: that is what a subnet's governor uses.
interface ITandemTimelock {
    /// @notice The timelock takes no calls to itself while the gate administers it.
    error TandemTimelock_NotSelfAdministered();
    /// @notice In the mesh phase `target` is no contract that the suite's AccessManager governs.
    error TandemTimelock_NotGoverned(address target);

    /// @notice Whether the launch gate still administers this timelock, so that the rules of the mesh phase hold.
    function inMesh() external view returns (bool);

    // constructor(uint256 minDelay, address[] proposers, address[] executors, address gate, address access)
}
