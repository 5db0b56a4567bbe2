// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IKeeperSet } from "../../src/epoch/IKeeperSet.sol";
import { KeeperSet } from "../../src/epoch/KeeperSet.sol";
import { TestUSDC } from "../../src/local/TestUSDC.sol";
import { Netuid } from "../../src/types/Types.sol";
import { AuctionStand } from "../support/Neighbours.sol";
import { Test } from "../support/Test.sol";
import { AccessManager } from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import { IAccessManaged } from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

/// @dev Remembers whether it was told.
contract OracleStand {
    address public newestTable;
    uint64 public fromEpoch;

    function syncKeepers() external {
        (newestTable, fromEpoch) = KeeperSet(msg.sender).newest();
    }
}

contract KeeperSetTest is Test {
    uint64 private constant GENESIS = 1_000_000;
    uint64 private constant LENGTH = 100;
    uint64 private constant UNBONDING = 500;

    TestUSDC private usdc;
    AuctionStand private auction;
    OracleStand private oracle;
    address private slashing = makeActor("slashing");
    AccessManager private manager;
    KeeperSet private set;

    function setUp() public {
        vm.warp(GENESIS);
        usdc = new TestUSDC();
        auction = new AuctionStand(usdc);
        oracle = new OracleStand();
        manager = new AccessManager(address(this));
        set = make(keepers(4), 3, false);
    }

    function make(
        address[] memory list,
        uint16 threshold,
        bool devnet
    ) private returns (KeeperSet) {
        IKeeperSet.Config memory config = IKeeperSet.Config({
            authority: address(manager),
            usdc: address(usdc),
            auction: address(auction),
            oracle: address(oracle),
            slashing: slashing,
            devnet: devnet,
            unbondingPeriod: UNBONDING,
            genesis: GENESIS,
            epochLength: LENGTH
        });
        return new KeeperSet(config, list, threshold);
    }

    /// @dev The first `n` of an ascending row of addresses.
    function keepers(
        uint256 n
    ) private pure returns (address[] memory list) {
        list = new address[](n);
        for (uint256 i = 0; i < n; ++i) {
            list[i] = address(uint160(0x1000 + i));
        }
    }

    function test_the_first_set_holds_from_epoch_0_under_the_digest_that_its_members_give() public view {
        IKeeperSet.Set memory s = set.setAt(0);
        vm.assertEq(s.keepers.length, 4);
        vm.assertEq(s.threshold, 3);
        vm.assertEq(s.endpoints.length, 4);
        bytes32 digest = keccak256(abi.encode(block.chainid, address(set), uint64(0), keepers(4), uint16(3)));
        vm.assertEq(s.configDigest, digest);
        vm.assertEq(set.configDigestAt(1_000_000), digest);
        vm.assertTrue(set.isKeeperAt(0, address(0x1003)));
        vm.assertFalse(set.isKeeperAt(0, address(0x1004)));
    }

    /// @dev [SN-2]
    function test_a_new_set_holds_from_the_next_epoch_on_and_the_last_of_an_epoch_wins() public {
        vm.warp(GENESIS + 2 * LENGTH);
        set.schedule(keepers(7), 5);
        set.schedule(keepers(6), 5);
        vm.assertEq(set.thresholdAt(2), 3);
        vm.assertEq(set.thresholdAt(3), 5);
        vm.assertEq(set.setAt(2).keepers.length, 4);
        vm.assertEq(set.setAt(3).keepers.length, 6);
        vm.assertEq(set.setAt(3).fromEpoch, 3);
        vm.assertEq(oracle.fromEpoch(), 3);
        vm.assertEq(oracle.newestTable(), set.tableAt(3), "the oracle knows");
        vm.assertFalse(set.isKeeperAt(3, address(0x1006)));
        (address[] memory members, uint16 threshold, bytes32 digest) = set.membersAt(3);
        vm.assertEq(members.length, 6);
        vm.assertEq(threshold, 5);
        vm.assertEq(digest, set.configDigestAt(3));
        vm.assertNotEq(digest, set.configDigestAt(2));
    }

    /// @dev [AC-1]
    function test_only_the_authority_schedules_sets() public {
        address stranger = makeActor("stranger");
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger));
        vm.prank(stranger);
        set.schedule(keepers(4), 3);
    }

    function test_sets_have_4_to_31_keepers_in_order_and_the_threshold_of_their_size() public {
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_BadSize.selector, 3));
        set.schedule(keepers(3), 3);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_BadSize.selector, 32));
        set.schedule(keepers(32), 22);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_BadThreshold.selector, 4, 4));
        set.schedule(keepers(4), 4);
        address[] memory twice = keepers(4);
        twice[2] = twice[1];
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_NotAscending.selector, 2));
        set.schedule(twice, 3);
        address[] memory zero = keepers(4);
        zero[0] = address(0);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_NotAscending.selector, 0));
        set.schedule(zero, 3);
        for (uint256 n = 4; n <= 31; ++n) {
            set.schedule(keepers(n), uint16(2 * n / 3 + 1));
        }
    }

    function test_a_devnet_may_have_few_keepers_with_any_majority() public {
        KeeperSet small = make(keepers(3), 2, true);
        vm.assertEq(small.thresholdAt(0), 2);
        make(keepers(1), 1, true);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_BadThreshold.selector, 1, 2));
        make(keepers(2), 1, true);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_BadThreshold.selector, 4, 3));
        make(keepers(3), 4, true);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_BadThreshold.selector, 3, 5));
        make(keepers(5), 3, true);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_BadSize.selector, 3));
        make(keepers(3), 2, false);
    }

    function test_a_bond_leaves_only_after_its_keeper_has_been_out_of_every_set_for_the_unbonding_period() public {
        usdc.mint(address(this), 100e6);
        usdc.approve(address(set), 100e6);
        address keeper = address(0x1003);
        set.bond(keeper, 60e6);
        set.bond(keeper, 40e6);
        vm.assertEq(set.bondOf(keeper), 100e6);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_StillServing.selector, keeper));
        vm.prank(keeper);
        set.withdrawBond(keeper);
        vm.warp(GENESIS + 50);
        address[] memory others = keepers(5);
        others[3] = address(0x2000);
        others[4] = address(0x2001);
        set.schedule(others, 4);
        uint256 releaseAt = GENESIS + LENGTH + UNBONDING;
        vm.assertEq(set.servesUntil(keeper), GENESIS + LENGTH);
        vm.warp(releaseAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_StillBound.selector, keeper, releaseAt));
        vm.prank(keeper);
        set.withdrawBond(keeper);
        vm.warp(releaseAt);
        address to = makeActor("to");
        vm.prank(keeper);
        set.withdrawBond(to);
        vm.assertEq(usdc.balanceOf(to), 100e6);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_NoBond.selector, keeper));
        vm.prank(keeper);
        set.withdrawBond(to);
    }

    function test_a_keeper_that_is_put_back_before_it_left_serves_on() public {
        address[] memory others = keepers(4);
        others[3] = address(0x2000);
        set.schedule(others, 3);
        set.schedule(keepers(4), 3);
        vm.assertEq(set.servesUntil(address(0x1003)), type(uint64).max);
        vm.assertEq(set.servesUntil(address(0x2000)), GENESIS + LENGTH);
    }

    function test_bonds_and_endpoints_refuse_nonsense() public {
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_ZeroAddress.selector));
        set.bond(address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_ZeroAmount.selector));
        set.bond(address(1), 0);
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_ZeroAddress.selector));
        set.withdrawBond(address(0));
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_EndpointTooLong.selector, 257));
        set.setEndpoint(string(new bytes(257)));
        vm.prank(address(0x1001));
        set.setEndpoint("http://keeper");
        vm.assertEq(set.setAt(0).endpoints[1], "http://keeper");
        vm.assertEq(set.endpointOf(address(0x1001)), "http://keeper");
    }

    /// @dev [SN-2] Sets of every past epoch stay readable, in whatever rhythm they changed.
    function testFuzz_every_epoch_keeps_the_set_that_held_in_it(
        uint256 seed
    ) public {
        uint16[60] memory sizes;
        uint16 size = 4;
        for (uint64 e = 0; e < 59; ++e) {
            sizes[e] = size;
            vm.warp(GENESIS + e * LENGTH + 1);
            for (uint256 n = (seed >> (4 * e)) % 4; n > 1; --n) {
                size = uint16(4 + uint256(keccak256(abi.encode(seed, e, n))) % 28);
                set.schedule(keepers(size), 2 * size / 3 + 1);
            }
        }
        for (uint64 e = 0; e < 59; ++e) {
            vm.assertEq(set.setAt(e).keepers.length, sizes[e]);
            vm.assertEq(set.thresholdAt(e), 2 * sizes[e] / 3 + 1);
            bytes memory preimage =
                abi.encode(block.chainid, address(set), set.setAt(e).fromEpoch, keepers(sizes[e]), set.thresholdAt(e));
            vm.assertEq(set.configDigestAt(e), keccak256(preimage));
        }
    }

    function test_calling_the_code_of_a_set_does_nothing() public {
        address table = set.tableAt(0);
        (bool ok, bytes memory answer) = table.call(hex"01020304");
        vm.assertTrue(ok);
        vm.assertEq(answer.length, 0);
        vm.assertGt(table.code.length, 0);
    }

    function fund(
        address keeper,
        uint256 amount
    ) private {
        usdc.mint(address(this), amount);
        usdc.approve(address(set), amount);
        set.bond(keeper, amount);
    }

    function test_a_slash_takes_its_share_half_to_the_prover_and_the_rest_to_the_auction() public {
        address keeper = address(0x1001);
        address prover = makeActor("prover");
        fund(keeper, 1001);
        vm.expectEmit(address(set));
        emit IKeeperSet.BondSlashed(keeper, prover, 500, 250);
        vm.prank(slashing);
        vm.assertEq(set.slash(keeper, 0.5e18, prover), 500);
        vm.assertEq(set.bondOf(keeper), 501);
        vm.assertEq(usdc.balanceOf(prover), 250);
        vm.assertEq(auction.funded(Netuid.wrap(0)), 250);
        vm.prank(slashing);
        vm.assertEq(set.slash(keeper, 1e18, prover), 501);
        vm.assertEq(usdc.balanceOf(prover), 500);
        vm.assertEq(auction.funded(Netuid.wrap(0)), 501);
        vm.assertEq(usdc.balanceOf(address(set)), 0);
        vm.prank(slashing);
        vm.assertEq(set.slash(keeper, 1e18, prover), 0, "nothing is left");
    }

    function test_a_keeper_is_slashable_while_it_unbonds() public {
        address keeper = address(0x1003);
        fund(keeper, 100e6);
        address[] memory others = keepers(4);
        others[3] = address(0x2000);
        set.schedule(others, 3);
        vm.warp(GENESIS + LENGTH + UNBONDING - 1);
        vm.prank(slashing);
        vm.assertEq(set.slash(keeper, 0.1e18, address(1)), 10e6);
        vm.warp(GENESIS + LENGTH + UNBONDING);
        vm.prank(keeper);
        set.withdrawBond(keeper);
        vm.assertEq(usdc.balanceOf(keeper), 90e6);
    }

    function test_only_the_slashing_contract_slashes_and_at_most_everything() public {
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_OnlySlashing.selector, address(this)));
        set.slash(address(0x1001), 1, address(this));
        vm.expectRevert(abi.encodeWithSelector(IKeeperSet.KeeperSet_ShareAboveOne.selector, 1e18 + 1));
        vm.prank(slashing);
        set.slash(address(0x1001), 1e18 + 1, address(this));
    }
}
