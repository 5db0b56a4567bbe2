// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ITandemAccess } from "../../src/governance/ITandemAccess.sol";
import { ITandemTimelock } from "../../src/governance/ITandemTimelock.sol";
import { SuiteTest } from "../support/Suite.sol";
import { IAccessControl } from "@openzeppelin/contracts/access/IAccessControl.sol";
import { IAccessManager } from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import { IVotes } from "@openzeppelin/contracts/governance/utils/IVotes.sol";

/// @notice Who may do what in the suite as it is deployed, in each phase.
contract GovernanceTest is SuiteTest {
    uint64 private constant ADMIN = 0;

    struct Restricted {
        address target;
        bytes4 selector;
        uint64 role;
    }

    /// @dev Every `restricted` function of the suite.
    function restricted() private view returns (Restricted[] memory list) {
        list = new Restricted[](8);
        list[0] = Restricted(address(desk), desk.pauseBuying.selector, GUARDIAN_ROLE);
        list[1] = Restricted(address(auction), auction.stop.selector, GUARDIAN_ROLE);
        list[2] = Restricted(address(oracle), oracle.veto.selector, GUARDIAN_ROLE);
        list[3] = Restricted(address(desk), desk.setPrice.selector, ADMIN);
        list[4] = Restricted(address(card), card.publish.selector, ADMIN);
        list[5] = Restricted(address(keeperSet), keeperSet.schedule.selector, ADMIN);
        list[6] = Restricted(address(auction), auction.allowSeries.selector, ADMIN);
        list[7] = Restricted(address(registry), registry.setMaxSubnets.selector, ADMIN);
    }

    /// @dev What the council would have to do in order to stay, as calls to the suite's authorities.
    function footholds() private view returns (address[] memory targets, bytes[] memory calls) {
        targets = new address[](6);
        calls = new bytes[](6);
        (targets[0], calls[0]) = (address(manager), abi.encodeCall(IAccessManager.grantRole, (ADMIN, council, 0)));
        (targets[1], calls[1]) = (address(manager), abi.encodeCall(IAccessManager.setRoleAdmin, (GUARDIAN_ROLE, 7)));
        (targets[2], calls[2]) =
        (address(timelock), abi.encodeCall(IAccessControl.grantRole, (timelock.PROPOSER_ROLE(), council)));
        (targets[3], calls[3]) = (address(tndm), abi.encodeCall(tndm.approve, (council, type(uint256).max)));
        (targets[4], calls[4]) = (address(allocation), abi.encodeCall(IVotes.delegate, (council)));
        (targets[5], calls[5]) = (address(governor), abi.encodeCall(governor.setProposalGuardian, (council)));
    }

    /// @dev [AC-1] Deployer and council hold nothing, the guardian pauses and vetoes, the timelock does the rest.
    function test_the_role_graph_after_deployment() public {
        Restricted[] memory list = restricted();
        for (uint256 i = 0; i < list.length; ++i) {
            Restricted memory r = list[i];
            vm.assertEq(manager.getTargetFunctionRole(r.target, r.selector), r.role);
            vm.assertEq(may(address(timelock), r), r.role == ADMIN);
            vm.assertEq(may(guardian, r), r.role == GUARDIAN_ROLE);
            vm.assertFalse(may(address(this), r) || may(council, r) || may(makeActor("anybody"), r));
        }
        vm.assertTrue(manager.setupFinished() && manager.isFrozen());
        vm.assertEq(manager.getRoleAdmin(GUARDIAN_ROLE), ADMIN);
        bytes32 admin = timelock.DEFAULT_ADMIN_ROLE();
        vm.assertTrue(timelock.hasRole(admin, address(gate)));
        vm.assertFalse(timelock.hasRole(admin, address(timelock)) || timelock.hasRole(admin, council));
        vm.assertTrue(timelock.hasRole(timelock.PROPOSER_ROLE(), council));
        vm.assertFalse(timelock.hasRole(timelock.PROPOSER_ROLE(), address(governor)));
        vm.assertTrue(timelock.hasRole(timelock.EXECUTOR_ROLE(), address(0)), "anybody executes");
    }

    /// @dev [GV-1] Nothing that would outlive it goes through the council's timelock.
    function test_the_council_finds_no_foothold_in_the_mesh() public {
        (address[] memory targets, bytes[] memory calls) = footholds();
        for (uint256 i = 0; i < targets.length; ++i) {
            vm.expectRevert(
                targets[i] == address(timelock)
                    ? abi.encodeWithSelector(ITandemTimelock.TandemTimelock_NotSelfAdministered.selector)
                    : abi.encodeWithSelector(ITandemTimelock.TandemTimelock_NotGoverned.selector, targets[i])
            );
            vm.prank(council);
            timelock.schedule(targets[i], 0, calls[i], 0, 0, TIMELOCK_DELAY);
        }
        vm.expectRevert(ITandemAccess.TandemAccess_Frozen.selector);
        vm.prank(address(timelock));
        manager.grantRole(ADMIN, council, 0);
    }

    /// @dev [GV-1] In the transaction that opens the token the council's power ends, its queue included.
    function test_the_council_is_powerless_once_the_token_is_open() public {
        meetThresholds();
        bytes memory cheap = abi.encodeCall(desk.setPrice, (PRICE * 95 / 100));
        vm.prank(council);
        timelock.schedule(address(desk), 0, cheap, 0, 0, TIMELOCK_DELAY);
        openToken();
        vm.expectRevert();
        timelock.execute(address(desk), 0, cheap, 0, 0);
        bytes32[3] memory roles = [timelock.PROPOSER_ROLE(), timelock.CANCELLER_ROLE(), timelock.DEFAULT_ADMIN_ROLE()];
        for (uint256 i = 0; i < roles.length; ++i) {
            vm.assertFalse(timelock.hasRole(roles[i], council));
            vm.assertFalse(timelock.hasRole(roles[i], address(gate)));
        }
        vm.assertTrue(timelock.hasRole(roles[0], address(governor)) && timelock.hasRole(roles[1], address(governor)));
        vm.assertTrue(timelock.hasRole(roles[2], address(timelock)));
        vm.expectPartialRevert(IAccessControl.AccessControlUnauthorizedAccount.selector);
        vm.prank(council);
        timelock.schedule(address(desk), 0, cheap, 0, 0, TIMELOCK_DELAY);
        Restricted[] memory list = restricted();
        for (uint256 i = 0; i < list.length; ++i) {
            vm.assertFalse(may(council, list[i]));
        }
    }

    /// @dev [AC-1] From the token on the table of roles is a matter of votes, and of nothing else.
    function test_a_vote_replaces_the_guardian() public {
        meetThresholds();
        openToken();
        address heir = makeActor("heir");
        decide(team, team, address(manager), abi.encodeCall(IAccessManager.grantRole, (GUARDIAN_ROLE, heir, 0)));
        decide(team, team, address(manager), abi.encodeCall(IAccessManager.revokeRole, (GUARDIAN_ROLE, guardian)));
        Restricted[] memory list = restricted();
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertTrue(may(heir, list[i]));
            vm.assertFalse(may(guardian, list[i]));
        }
    }

    /// @dev Circulating supply is what a finished epoch noted; bonded TNDM votes for its owner's delegate.
    function test_bonded_tndm_votes_and_quorums_follow_what_circulates() public {
        meetThresholds();
        openMarkets();
        (, address hotkey) = validator(0);
        address delegate = makeActor("delegate");
        vm.startPrank(ecosystem);
        tndm.delegate(delegate);
        tndm.approve(address(staking), 600_000e18);
        staking.bond(hotkey, 600_000e18);
        vm.stopPrank();
        vm.assertEq(tndm.getVotes(delegate), 900_000e18);
        vm.assertEq(votes.getVotes(delegate), 1_500_000e18, "nothing is lost and nothing counts twice");
        vm.assertEq(governor.quorum(block.timestamp - 1), QUORUM_FLOOR);
        address[] memory sources = votes.sources();
        vm.assertTrue(sources[1] == address(staking) && sources[2] == address(allocation));
        vm.assertTrue(sources.length == 4 && sources[0] == address(tndm) && sources[3] == address(airdrop));
        endEpoch();
        vm.warp(block.timestamp + 1);
        vm.assertEq(votes.getPastTotalSupply(block.timestamp - 1), tndm.circulatingSupply());
        vm.prank(ecosystem);
        tndm.transfer(team, 900_000e18);
        vm.warp(block.timestamp + 1);
        decide(delegate, delegate, address(desk), abi.encodeCall(desk.setPrice, (PRICE * 105 / 100)));
    }

    function meetThresholds() private {
        runEpoch(500e18);
        runEpoch(500e18);
        runEpoch(0);
    }

    function may(
        address who,
        Restricted memory r
    ) private view returns (bool immediate) {
        (immediate,) = manager.canCall(who, r.target, r.selector);
    }
}
