// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ITandemTimelock } from "../../src/governance/ITandemTimelock.sol";
import { TandemTimelock } from "../../src/governance/TandemTimelock.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Test } from "../support/Test.sol";
import { IAccessControl } from "@openzeppelin/contracts/access/IAccessControl.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { IVotes } from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

contract Managed is AccessManaged {
    uint256 public value;

    constructor(
        address access
    ) AccessManaged(access) { }

    function set(
        uint256 to
    ) external {
        value = to;
    }
}

/// @notice Answers `authority()` with what is no address.
contract Babbler {
    function authority() external pure returns (uint256) {
        return type(uint256).max;
    }
}

contract TandemTimelockTest is Test {
    bytes32 private constant NOTHING = bytes32(0);
    uint256 private constant DELAY = 10;

    address private immutable COUNCIL = makeActor("council");
    address private immutable GATE = makeActor("gate");
    address private immutable ACCESS = makeActor("access");
    address private immutable GOVERNOR = makeActor("governor");

    TandemTimelock private timelock;
    Managed private managed;

    function setUp() public {
        vm.warp(1_000_000);
        timelock = create(GATE, COUNCIL);
        managed = new Managed(ACCESS);
    }

    function create(
        address gate,
        address proposer
    ) private returns (TandemTimelock) {
        address[] memory proposers = new address[](1);
        proposers[0] = proposer;
        return new TandemTimelock(DELAY, proposers, new address[](1), gate, ACCESS);
    }

    /// @dev What the gate does when it opens the token.
    function letGo() private {
        vm.startPrank(GATE);
        timelock.revokeRole(timelock.PROPOSER_ROLE(), COUNCIL);
        timelock.grantRole(timelock.PROPOSER_ROLE(), GOVERNOR);
        timelock.grantRole(timelock.DEFAULT_ADMIN_ROLE(), address(timelock));
        timelock.renounceRole(timelock.DEFAULT_ADMIN_ROLE(), GATE);
        vm.stopPrank();
    }

    function schedule(
        address by,
        address target,
        bytes memory data
    ) private {
        vm.prank(by);
        timelock.schedule(target, 0, data, NOTHING, NOTHING, DELAY);
    }

    function execute(
        address target,
        bytes memory data
    ) private {
        timelock.execute(target, 0, data, NOTHING, NOTHING);
    }

    /// @dev [GV-1] Neither at once nor through the queue does the council hand its roles on.
    function test_in_the_mesh_phase_the_timelock_takes_no_calls_to_itself() public {
        vm.assertTrue(timelock.inMesh());
        bytes memory data = abi.encodeCall(IAccessControl.grantRole, (timelock.PROPOSER_ROLE(), GOVERNOR));
        address[] memory targets = new address[](2);
        (targets[0], targets[1]) = (address(managed), address(timelock));
        vm.expectRevert(ITandemTimelock.TandemTimelock_NotSelfAdministered.selector);
        schedule(COUNCIL, address(timelock), data);
        vm.expectRevert(ITandemTimelock.TandemTimelock_NotSelfAdministered.selector);
        vm.prank(COUNCIL);
        timelock.scheduleBatch(targets, new uint256[](2), new bytes[](2), NOTHING, NOTHING, DELAY);
        letGo();
        vm.assertFalse(timelock.inMesh());
        schedule(GOVERNOR, address(timelock), data);
        vm.warp(block.timestamp + DELAY);
        execute(address(timelock), data);
    }

    /// @dev [GV-1] Votes and allowances of tokens that come later would outlive the council.
    function test_in_the_mesh_phase_it_calls_governed_contracts_only() public {
        ITandemToken.Mint[] memory mints = new ITandemToken.Mint[](1);
        mints[0] = ITandemToken.Mint({ to: address(timelock), amount: 21_000_000e18 });
        address tndm = address(new TandemToken(mints, new address[](0)));
        bytes memory refused = abi.encodeWithSelector(ITandemTimelock.TandemTimelock_NotGoverned.selector, tndm);
        vm.expectRevert(refused);
        schedule(COUNCIL, tndm, abi.encodeCall(IERC20.approve, (COUNCIL, 1)));
        vm.expectRevert(refused);
        schedule(COUNCIL, tndm, abi.encodeCall(IVotes.delegate, (COUNCIL)));
        address[] memory others = new address[](3);
        (others[0], others[1], others[2]) = (COUNCIL, address(new Managed(COUNCIL)), address(new Babbler()));
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ITandemTimelock.TandemTimelock_NotGoverned.selector, others[i]));
            schedule(COUNCIL, others[i], "");
        }
        letGo();
        bytes memory pay = abi.encodeCall(IERC20.transfer, (GOVERNOR, 5));
        schedule(GOVERNOR, tndm, pay);
        vm.warp(block.timestamp + DELAY);
        execute(tndm, pay);
        vm.assertEq(IERC20(tndm).balanceOf(GOVERNOR), 5);
    }

    function test_the_council_uses_governed_contracts_after_the_delay() public {
        bytes memory data = abi.encodeCall(Managed.set, (7));
        schedule(COUNCIL, address(managed), data);
        vm.expectRevert();
        execute(address(managed), data);
        vm.warp(block.timestamp + DELAY);
        execute(address(managed), data);
        vm.assertEq(managed.value(), 7);
    }

    /// @dev [GV-1] What the council left in the queue is as if it had never been scheduled; what it did stays done.
    function test_the_councils_queue_lapses_when_the_token_opens() public {
        bytes memory done = abi.encodeCall(Managed.set, (1));
        bytes memory left = abi.encodeCall(Managed.set, (2));
        schedule(COUNCIL, address(managed), done);
        schedule(COUNCIL, address(managed), left);
        vm.warp(block.timestamp + DELAY);
        execute(address(managed), done);
        letGo();
        bytes32 id = timelock.hashOperation(address(managed), 0, left, NOTHING, NOTHING);
        vm.assertFalse(timelock.isOperation(id));
        vm.expectRevert();
        execute(address(managed), left);
        vm.assertTrue(timelock.isOperationDone(timelock.hashOperation(address(managed), 0, done, NOTHING, NOTHING)));
        schedule(GOVERNOR, address(managed), left);
        vm.assertEq(timelock.getTimestamp(id), block.timestamp + DELAY, "the governor may want the same");
        vm.warp(block.timestamp + DELAY);
        execute(address(managed), left);
        vm.assertEq(managed.value(), 2);
    }

    function test_without_a_gate_it_is_a_plain_timelock() public {
        timelock = create(address(0), GOVERNOR);
        vm.assertFalse(timelock.inMesh());
        vm.assertTrue(timelock.hasRole(timelock.DEFAULT_ADMIN_ROLE(), address(timelock)));
        bytes memory data = abi.encodeCall(timelock.updateDelay, (DELAY + 1));
        schedule(GOVERNOR, address(timelock), data);
        vm.warp(block.timestamp + DELAY);
        execute(address(timelock), data);
        vm.assertEq(timelock.getMinDelay(), DELAY + 1);
    }
}
