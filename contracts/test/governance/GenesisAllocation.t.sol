// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { GenesisAllocation } from "../../src/governance/GenesisAllocation.sol";
import { IGenesisAllocation } from "../../src/governance/IGenesisAllocation.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { GateTimes } from "../support/GovernanceStands.sol";
import { Test } from "../support/Test.sol";

contract GenesisAllocationTest is Test {
    uint64 private constant START = 1_000_000;
    uint64 private constant YEAR = 10_000;

    address private immutable TEAM = makeActor("team");
    address private immutable FUND = makeActor("fund");

    TandemToken private tndm;
    GateTimes private gate;
    GenesisAllocation private allocation;

    function setUp() public {
        vm.warp(START);
        gate = new GateTimes();
        IGenesisAllocation.Allocation[] memory list = new IGenesisAllocation.Allocation[](3);
        list[0] = IGenesisAllocation.Allocation({
            beneficiary: TEAM, amount: 1_000_000e18, duration: YEAR, immediateShare: 0.25e18, label: "team"
        });
        list[1] = IGenesisAllocation.Allocation({
            beneficiary: FUND, amount: 50_000e18, duration: 0, immediateShare: 0, label: "fund"
        });
        list[2] = IGenesisAllocation.Allocation({
            beneficiary: TEAM, amount: 10_000e18, duration: YEAR, immediateShare: 0, label: "team, second year"
        });
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        ITandemToken.Mint[] memory mints = new ITandemToken.Mint[](2);
        mints[0] = ITandemToken.Mint({ to: next, amount: 1_060_000e18 });
        mints[1] = ITandemToken.Mint({ to: address(this), amount: 19_940_000e18 });
        tndm = new TandemToken(mints, new address[](0));
        allocation = new GenesisAllocation(address(tndm), address(gate), list);
    }

    function test_an_allocation_vests_from_the_opening_of_markets_in_a_straight_line() public {
        vm.assertEq(allocation.allocationCount(), 3);
        vm.assertEq(allocation.allocationOf(1).label, "fund");
        vm.assertEq(allocation.immediatelyClaimable(), 300_000e18);
        vm.warp(START + 5 * YEAR);
        vm.assertEq(allocation.releasable(0), 0);
        vm.expectRevert(abi.encodeWithSelector(IGenesisAllocation.GenesisAllocation_NothingReleasable.selector, 0));
        allocation.release(0);
        gate.openMarkets();
        uint256 opened = block.timestamp;
        vm.assertEq(allocation.releasable(0), 250_000e18);
        vm.prank(FUND);
        allocation.release(0);
        vm.assertEq(tndm.balanceOf(TEAM), 250_000e18, "to the beneficiary, whoever calls");
        allocation.release(1);
        vm.assertEq(tndm.balanceOf(FUND), 50_000e18);
        vm.warp(opened + YEAR / 2);
        vm.assertEq(allocation.releasable(0), 375_000e18);
        allocation.release(0);
        vm.warp(opened + 3 * YEAR);
        allocation.release(0);
        vm.assertEq(tndm.balanceOf(TEAM), 1_000_000e18);
        vm.assertEq(allocation.releasedOf(0), 1_000_000e18);
        vm.expectRevert(abi.encodeWithSelector(IGenesisAllocation.GenesisAllocation_Unknown.selector, 3));
        allocation.releasable(3);
    }

    function test_what_is_not_released_votes_once_its_beneficiary_has_delegated() public {
        vm.assertEq(allocation.getVotes(TEAM), 0);
        vm.assertEq(allocation.delegatedVotes(), 0, "nobody votes without having said so");
        vm.assertEq(allocation.unreleasedOf(TEAM), 1_010_000e18);
        vm.prank(TEAM);
        allocation.delegate(FUND);
        vm.assertEq(allocation.getVotes(FUND), 1_010_000e18);
        vm.assertEq(allocation.delegatedVotes(), 1_010_000e18);
        vm.warp(START + 1);
        vm.assertEq(allocation.getPastVotes(FUND, START), 1_010_000e18);
        vm.prank(TEAM);
        allocation.delegate(TEAM);
        vm.assertEq(allocation.delegatedVotes(), 1_010_000e18, "a change of the delegate is none of the sum");
        gate.openMarkets();
        allocation.release(0);
        vm.assertEq(allocation.getVotes(TEAM), 760_000e18);
        vm.assertEq(allocation.delegatedVotes(), 760_000e18);
        vm.assertEq(allocation.unreleasedOf(TEAM), 760_000e18);
    }

    function test_a_signature_delegates_on_the_timestamp_clock() public {
        (address signer, uint256 key) = makeActorAndKey("team");
        vm.assertEq(allocation.clock(), block.timestamp);
        vm.assertEq(allocation.CLOCK_MODE(), "mode=timestamp");
        (,,, uint256 chain, address verifier,,) = allocation.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Tandem Genesis Allocation"),
                keccak256("1"),
                chain,
                verifier
            )
        );
        bytes32 message = keccak256(
            abi.encode(keccak256("Delegation(address delegatee,uint256 nonce,uint256 expiry)"), FUND, 0, START)
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", domain, message)));
        allocation.delegateBySig(FUND, 0, START, v, r, s);
        vm.assertEq(allocation.delegates(signer), FUND);
        vm.assertEq(allocation.getVotes(FUND), 1_010_000e18);
    }

    function testFuzz_however_often_it_is_released_an_allocation_pays_what_has_vested(
        uint32 first,
        uint32 second
    ) public {
        gate.openMarkets();
        vm.prank(TEAM);
        allocation.delegate(TEAM);
        uint256 a = bound(first, 0, 2 * YEAR);
        uint256 b = bound(second, a, 2 * YEAR + a);
        vm.warp(START + a);
        allocation.release(0);
        vm.warp(START + b);
        if (allocation.releasable(0) != 0) allocation.release(0);
        uint256 vested = b >= YEAR ? 1_000_000e18 : 250_000e18 + 750_000e18 * b / YEAR;
        vm.assertEq(tndm.balanceOf(TEAM), vested);
        vm.assertEq(allocation.getVotes(TEAM), 1_010_000e18 - vested);
    }

    function test_allocations_that_cannot_be_paid_are_refused_at_birth() public {
        IGenesisAllocation.Allocation[] memory list = new IGenesisAllocation.Allocation[](1);
        list[0] = IGenesisAllocation.Allocation({
            beneficiary: TEAM, amount: 1, duration: 1, immediateShare: 1e18 + 1, label: ""
        });
        vm.expectRevert(abi.encodeWithSelector(IGenesisAllocation.GenesisAllocation_BadAllocation.selector, 0));
        new GenesisAllocation(address(tndm), address(gate), list);
        (list[0].immediateShare, list[0].amount) = (0, 0);
        vm.expectRevert(abi.encodeWithSelector(IGenesisAllocation.GenesisAllocation_BadAllocation.selector, 0));
        new GenesisAllocation(address(tndm), address(gate), list);
        (list[0].beneficiary, list[0].amount) = (address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(IGenesisAllocation.GenesisAllocation_BadAllocation.selector, 0));
        new GenesisAllocation(address(tndm), address(gate), list);
    }
}
