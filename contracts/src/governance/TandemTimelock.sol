// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { TimelockController } from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title The governance timelock: the one administrator of the suite's AccessManager.
/// @notice OpenZeppelin's TimelockController with one rule more. While a launch gate administers it, it does not administer itself and
/// refuses to schedule calls to itself: the council of the mesh phase can neither give its roles to anybody else nor leave such a
/// call in the queue for later, so that it has lost them all once the gate takes them away [GV-1]. The gate makes the timelock its own
/// administrator in the same transaction.
contract TandemTimelock is TimelockController {
    error TandemTimelock_NotSelfAdministered();

    /// @param admin The launch gate; zero makes this a plain, self-administered timelock.
    constructor(
        uint256 minDelay,
        address[] memory proposers,
        address[] memory executors,
        address admin
    ) TimelockController(minDelay, proposers, executors, admin) {
        if (admin != address(0)) _revokeRole(DEFAULT_ADMIN_ROLE, address(this));
    }

    /// @inheritdoc TimelockController
    function schedule(
        address target,
        uint256 value,
        bytes calldata data,
        bytes32 predecessor,
        bytes32 salt,
        uint256 delay
    ) public override {
        _checkTarget(target);
        super.schedule(target, value, data, predecessor, salt, delay);
    }

    /// @inheritdoc TimelockController
    function scheduleBatch(
        address[] calldata targets,
        uint256[] calldata values,
        bytes[] calldata payloads,
        bytes32 predecessor,
        bytes32 salt,
        uint256 delay
    ) public override {
        for (uint256 i = 0; i < targets.length; ++i) {
            _checkTarget(targets[i]);
        }
        super.scheduleBatch(targets, values, payloads, predecessor, salt, delay);
    }

    function _checkTarget(
        address target
    ) private view {
        if (target == address(this) && !hasRole(DEFAULT_ADMIN_ROLE, address(this))) {
            revert TandemTimelock_NotSelfAdministered();
        }
    }
}
