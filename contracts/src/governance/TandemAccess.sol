// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ILaunchGate } from "./ILaunchGate.sol";
import { ITandemAccess } from "./ITandemAccess.sol";
import { AccessManager } from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import { IAccessManager } from "@openzeppelin/contracts/access/manager/IAccessManager.sol";

/// @title TandemAccess
/// @notice Promises, units and errors are documented on ITandemAccess.
contract TandemAccess is ITandemAccess, AccessManager {
    /// @notice Whose renunciation of the admin role ends the setup.
    address public immutable DEPLOYER;
    ILaunchGate public immutable GATE;

    /// @inheritdoc ITandemAccess
    bool public setupFinished;

    modifier unfrozen() {
        _requireUnfrozen();
        _;
    }

    constructor(
        address deployer,
        address gate
    ) AccessManager(deployer) {
        DEPLOYER = deployer;
        GATE = ILaunchGate(gate);
    }

    /// @inheritdoc ITandemAccess
    function isFrozen() public view returns (bool) {
        return setupFinished && GATE.tokenOpenedAt() == 0;
    }

    /// @inheritdoc IAccessManager
    function labelRole(
        uint64 roleId,
        string calldata label
    ) public override(IAccessManager, AccessManager) unfrozen {
        super.labelRole(roleId, label);
    }

    /// @inheritdoc IAccessManager
    function updateAuthority(
        address target,
        address newAuthority
    ) public override(IAccessManager, AccessManager) unfrozen {
        super.updateAuthority(target, newAuthority);
    }

    function _grantRole(
        uint64 roleId,
        address account,
        uint32 grantDelay,
        uint32 executionDelay
    ) internal override unfrozen returns (bool) {
        return super._grantRole(roleId, account, grantDelay, executionDelay);
    }

    /// @dev A holder can give up any role but admin at all times: whoever loses a guardian's key must be able to disarm it.
    function _revokeRole(
        uint64 roleId,
        address account
    ) internal override returns (bool revoked) {
        if (roleId == ADMIN_ROLE || account != _msgSender()) _requireUnfrozen();
        revoked = super._revokeRole(roleId, account);
        if (revoked && roleId == ADMIN_ROLE && account == DEPLOYER && !setupFinished) {
            setupFinished = true;
            emit SetupFinished(account);
        }
    }

    function _setRoleAdmin(
        uint64 roleId,
        uint64 admin
    ) internal override unfrozen {
        super._setRoleAdmin(roleId, admin);
    }

    function _setRoleGuardian(
        uint64 roleId,
        uint64 guardian
    ) internal override unfrozen {
        super._setRoleGuardian(roleId, guardian);
    }

    function _setGrantDelay(
        uint64 roleId,
        uint32 newDelay
    ) internal override unfrozen {
        super._setGrantDelay(roleId, newDelay);
    }

    function _setTargetFunctionRole(
        address target,
        bytes4 selector,
        uint64 roleId
    ) internal override unfrozen {
        super._setTargetFunctionRole(target, selector, roleId);
    }

    function _setTargetAdminDelay(
        address target,
        uint32 newDelay
    ) internal override unfrozen {
        super._setTargetAdminDelay(target, newDelay);
    }

    function _setTargetClosed(
        address target,
        bool closed
    ) internal override unfrozen {
        super._setTargetClosed(target, closed);
    }

    function _requireUnfrozen() private view {
        if (isFrozen()) revert TandemAccess_Frozen();
    }
}
