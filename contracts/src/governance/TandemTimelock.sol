// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ITandemTimelock } from "./ITandemTimelock.sol";
import { IAccessManaged } from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import { TimelockController } from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title TandemTimelock
/// @notice Promises, units and errors are documented on ITandemTimelock.
contract TandemTimelock is ITandemTimelock, TimelockController {
    uint256 private constant WORD = 32;

    /// @notice The launch gate; zero for a plain timelock.
    address public immutable GATE;
    /// @notice The AccessManager whose contracts may be called in the mesh phase.
    address public immutable ACCESS;

    /// @dev Operations that lapse when the mesh phase ends.
    mapping(bytes32 id => bool) private _ofMesh;

    /// @param minDelay Seconds between scheduling and execution, at least.
    /// @param proposers They may cancel too.
    /// @param executors The zero address lets everybody execute.
    /// @param gate The launch gate, which administers until it opens the token; zero makes this a plain timelock.
    /// @param access The suite's AccessManager; not read without a gate.
    constructor(
        uint256 minDelay,
        address[] memory proposers,
        address[] memory executors,
        address gate,
        address access
    ) TimelockController(minDelay, proposers, executors, gate) {
        GATE = gate;
        ACCESS = access;
        if (gate != address(0)) _revokeRole(DEFAULT_ADMIN_ROLE, address(this));
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
        if (inMesh()) _checkTarget(target);
        super.schedule(target, value, data, predecessor, salt, delay);
        _note(hashOperation(target, value, data, predecessor, salt));
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
        if (inMesh()) _checkTargets(targets);
        super.scheduleBatch(targets, values, payloads, predecessor, salt, delay);
        _note(hashOperationBatch(targets, values, payloads, predecessor, salt));
    }

    /// @notice When an operation becomes executable; 1 if it is done, 0 if it is unknown or has lapsed.
    function getTimestamp(
        bytes32 id
    ) public view override returns (uint256 timestamp) {
        timestamp = super.getTimestamp(id);
        if (timestamp > DONE_TIMESTAMP && _ofMesh[id] && !inMesh()) return 0;
    }

    /// @inheritdoc ITandemTimelock
    function inMesh() public view returns (bool) {
        return GATE != address(0) && hasRole(DEFAULT_ADMIN_ROLE, GATE);
    }

    /// @dev Remembers in which phase an operation was scheduled last; after it was, for until then it may be one that lapsed.
    function _note(
        bytes32 id
    ) private {
        bool mesh = inMesh();
        if (_ofMesh[id] != mesh) _ofMesh[id] = mesh;
    }

    function _checkTargets(
        address[] calldata targets
    ) private view {
        for (uint256 i = 0; i < targets.length; ++i) {
            _checkTarget(targets[i]);
        }
    }

    function _checkTarget(
        address target
    ) private view {
        if (target == address(this)) revert TandemTimelock_NotSelfAdministered();
        (bool answered, bytes memory answer) = target.staticcall(abi.encodeCall(IAccessManaged.authority, ()));
        // Compared as a number: decoding an address would revert on what is none.
        if (!answered || answer.length != WORD || abi.decode(answer, (uint256)) != uint160(ACCESS)) {
            revert TandemTimelock_NotGoverned(target);
        }
    }
}
