// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ITandemAccess } from "../../src/governance/ITandemAccess.sol";
import { TandemAccess } from "../../src/governance/TandemAccess.sol";
import { GateTimes } from "../support/GovernanceStands.sol";
import { Test, Vm } from "../support/Test.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { IAccessManager } from "@openzeppelin/contracts/access/manager/IAccessManager.sol";

contract Door is AccessManaged {
    uint256 public opened;

    constructor(
        address access
    ) AccessManaged(access) { }

    function open() external restricted {
        ++opened;
    }
}

contract TandemAccessTest is Test {
    uint64 private constant ADMIN = 0;
    uint64 private constant GUARDIAN = 1;

    address private immutable TIMELOCK = makeActor("timelock");
    address private immutable WATCH = makeActor("watch");
    address private immutable STRANGER = makeActor("stranger");

    GateTimes private gate;
    TandemAccess private access;
    Door private door;
    bytes4[] private selectors = [Door.open.selector];

    function setUp() public {
        vm.warp(1_000_000);
        gate = new GateTimes();
        access = new TandemAccess(address(this), address(gate));
        door = new Door(address(access));
    }

    /// @dev As a suite is set up: the table first, then the timelock, then the deployer leaves.
    function finish() private {
        access.labelRole(GUARDIAN, "guardian");
        access.setTargetFunctionRole(address(door), selectors, GUARDIAN);
        access.grantRole(GUARDIAN, WATCH, 0);
        access.grantRole(ADMIN, TIMELOCK, 0);
        access.renounceRole(ADMIN, address(this));
    }

    function isMember(
        uint64 role,
        address account
    ) private view returns (bool member) {
        (member,) = access.hasRole(role, account);
    }

    /// @dev Every function that changes the table of roles.
    function changes() private view returns (bytes[] memory calls) {
        calls = new bytes[](10);
        calls[0] = abi.encodeCall(IAccessManager.grantRole, (GUARDIAN, STRANGER, 0));
        calls[1] = abi.encodeCall(IAccessManager.revokeRole, (GUARDIAN, WATCH));
        calls[2] = abi.encodeCall(IAccessManager.setRoleAdmin, (GUARDIAN, 7));
        calls[3] = abi.encodeCall(IAccessManager.setRoleGuardian, (GUARDIAN, 7));
        calls[4] = abi.encodeCall(IAccessManager.setGrantDelay, (GUARDIAN, 7));
        calls[5] = abi.encodeCall(IAccessManager.setTargetFunctionRole, (address(door), selectors, ADMIN));
        calls[6] = abi.encodeCall(IAccessManager.setTargetAdminDelay, (address(door), 7));
        calls[7] = abi.encodeCall(IAccessManager.setTargetClosed, (address(door), true));
        calls[8] = abi.encodeCall(IAccessManager.labelRole, (GUARDIAN, "x"));
        calls[9] = abi.encodeCall(IAccessManager.updateAuthority, (address(door), address(this)));
    }

    /// @dev [AC-1]
    function test_setup_ends_when_the_deployer_leaves() public {
        vm.assertFalse(access.isFrozen());
        vm.recordLogs();
        finish();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs[logs.length - 1].topics[0], ITandemAccess.SetupFinished.selector);
        vm.assertTrue(access.setupFinished() && access.isFrozen());
        vm.assertFalse(isMember(ADMIN, address(this)));
        vm.assertTrue(isMember(ADMIN, TIMELOCK));
        vm.expectPartialRevert(IAccessManager.AccessManagerUnauthorizedAccount.selector);
        access.grantRole(GUARDIAN, STRANGER, 0);
    }

    /// @dev [GV-1] [AC-1] Not even the timelock changes who may do what before the token opens; from then on it alone does.
    function test_the_table_of_roles_holds_until_the_token_opens() public {
        finish();
        bytes[] memory calls = changes();
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(TIMELOCK);
            (bool done, bytes memory why) = address(access).call(calls[i]);
            vm.assertFalse(done);
            vm.assertEq(why, abi.encodeWithSelector(ITandemAccess.TandemAccess_Frozen.selector));
        }
        gate.openToken();
        vm.assertFalse(access.isFrozen());
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 before = vm.snapshotState();
            vm.prank(STRANGER);
            (bool done,) = address(access).call(calls[i]);
            vm.assertFalse(done);
            vm.prank(TIMELOCK);
            (done,) = address(access).call(calls[i]);
            vm.assertTrue(done);
            vm.revertToState(before);
        }
    }

    function test_frozen_roles_work() public {
        finish();
        vm.prank(WATCH);
        door.open();
        vm.assertEq(door.opened(), 1);
        vm.expectRevert();
        vm.prank(TIMELOCK);
        door.open();
    }

    function test_a_role_but_admin_can_be_given_up_while_frozen() public {
        finish();
        vm.prank(WATCH);
        access.renounceRole(GUARDIAN, WATCH);
        vm.assertFalse(isMember(GUARDIAN, WATCH));
        vm.expectRevert(ITandemAccess.TandemAccess_Frozen.selector);
        vm.prank(TIMELOCK);
        access.renounceRole(ADMIN, TIMELOCK);
    }

    function test_a_deployer_whose_role_is_taken_away_has_finished_too() public {
        access.grantRole(ADMIN, TIMELOCK, 0);
        vm.prank(TIMELOCK);
        access.revokeRole(ADMIN, address(this));
        vm.assertTrue(access.isFrozen());
    }

    /// @dev Governance may name the deployer again, once it can; this does not start another setup.
    function test_setup_never_comes_back() public {
        finish();
        gate.openToken();
        vm.startPrank(TIMELOCK);
        access.grantRole(ADMIN, address(this), 0);
        access.revokeRole(ADMIN, address(this));
        vm.stopPrank();
        vm.assertTrue(access.setupFinished());
    }
}
