// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ITestUSDC } from "../../src/local/ITestUSDC.sol";
import { TestUSDC } from "../../src/local/TestUSDC.sol";
import { Test } from "../support/Test.sol";

contract TestUSDCTest is Test {
    TestUSDC private usdc;
    address private alice;
    address private bob;

    function setUp() public {
        usdc = new TestUSDC();
        alice = makeActor("alice");
        bob = makeActor("bob");
        usdc.mint(alice, 100e6);
    }

    function test_hasSixDecimalsAndIsMintedByAnyone() public view {
        vm.assertEq(usdc.decimals(), 6);
        vm.assertEq(usdc.balanceOf(alice), 100e6);
        vm.assertEq(usdc.totalSupply(), 100e6);
    }

    function test_isBornOnLocalChainsOnly() public {
        vm.chainId(1337);
        new TestUSDC();
        uint256[3] memory chains = [uint256(1), 10, 8453];
        for (uint256 i = 0; i < chains.length; ++i) {
            vm.chainId(chains[i]);
            vm.expectRevert(abi.encodeWithSelector(ITestUSDC.TestUSDC_NotALocalChain.selector, chains[i]));
            new TestUSDC();
        }
    }

    function test_aBlacklistedAccountNeitherSendsReceivesNorSpends() public {
        vm.prank(alice);
        usdc.approve(bob, 10e6);
        usdc.blacklist(bob);
        bytes memory reason = abi.encodeWithSelector(ITestUSDC.TestUSDC_Blacklisted.selector, bob);
        vm.startPrank(alice);
        vm.expectRevert(reason);
        usdc.transfer(bob, 1);
        vm.expectRevert(reason);
        usdc.approve(bob, 1);
        vm.stopPrank();
        vm.startPrank(bob);
        vm.expectRevert(reason);
        usdc.transferFrom(alice, alice, 1);
        vm.expectRevert(reason);
        usdc.transfer(alice, 0);
        vm.expectRevert(reason);
        usdc.approve(alice, 1);
        vm.stopPrank();
        usdc.unBlacklist(bob);
        vm.prank(bob);
        usdc.transferFrom(alice, bob, 10e6);
        vm.assertEq(usdc.balanceOf(bob), 10e6);
        vm.assertFalse(usdc.isBlacklisted(bob));
    }

    function test_whilePausedNothingMoves() public {
        usdc.pause();
        vm.assertTrue(usdc.paused());
        vm.startPrank(alice);
        vm.expectRevert(ITestUSDC.TestUSDC_Paused.selector);
        usdc.transfer(bob, 1);
        vm.expectRevert(ITestUSDC.TestUSDC_Paused.selector);
        usdc.approve(bob, 1);
        vm.expectRevert(ITestUSDC.TestUSDC_Paused.selector);
        usdc.mint(bob, 1);
        usdc.unpause();
        usdc.transfer(bob, 1);
        vm.stopPrank();
        vm.assertEq(usdc.balanceOf(bob), 1);
    }
}
