// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAccessManager } from "@openzeppelin/contracts/access/manager/IAccessManager.sol";

/// @title Who may call what: OpenZeppelin's AccessManager, frozen through the mesh phase
/// @notice Every `restricted` function of the suite asks this contract. Its life has three parts:
/// 1. *Setup*: the deployer holds the admin role, sets the genesis table of roles and makes the timelock an admin. Setup ends for ever
///    when the deployer gives the admin role up.
/// 2. *Frozen*, until the launch gate opens the token: the table of genesis holds. Roles cannot be granted or revoked, functions and
///    targets not reassigned, closed or delayed, by anybody. Only a role other than admin can be given up by its holder. So
///    the council of the mesh phase can use what the timelock may do and can leave nothing behind [GV-1].
/// 3. *Open*: an AccessManager whose admin is the timelock alone [AC-1].
interface ITandemAccess is IAccessManager {
    /// @notice The deployer gave up its rights; the table of roles is frozen until the token opens.
    event SetupFinished(address indexed deployer);

    /// @notice The table of roles cannot be changed before the token opens.
    error TandemAccess_Frozen();

    /// @notice Whether the deployer has given up its rights.
    function setupFinished() external view returns (bool);

    /// @notice Whether the table of roles can be changed by nobody at this moment.
    function isFrozen() external view returns (bool);

    // constructor(address deployer, address gate)
}
