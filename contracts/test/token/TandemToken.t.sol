// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Test } from "../support/Test.sol";

contract TandemTokenTest is Test {
    uint256 private constant SUPPLY = 21_000_000e18;

    TandemToken private token;
    address private vault;
    address private treasury;
    address private alice;

    function setUp() public {
        vm.warp(1_800_000_000);
        vault = makeActor("vault");
        treasury = makeActor("treasury");
        alice = makeActor("alice");
        token = new TandemToken(_mints(10_500_000e18, 10_500_000e18), _one(vault));
    }

    /// `[AC-2]`
    function test_mintsItsWholeSupplyAtBirthAndHasNoMintFunction() public {
        vm.assertEq(token.totalSupply(), SUPPLY);
        vm.assertEq(token.balanceOf(vault) + token.balanceOf(treasury), SUPPLY);
        (bool minted,) = address(token).call(abi.encodeWithSignature("mint(address,uint256)", alice, 1));
        vm.assertFalse(minted);
    }

    function test_refusesPartsThatAreNotTheWholeSupply() public {
        vm.expectRevert(abi.encodeWithSelector(ITandemToken.TandemToken_WrongSupply.selector, SUPPLY - 1));
        new TandemToken(_mints(10_500_000e18, 10_500_000e18 - 1), _one(vault));
        vm.expectRevert(abi.encodeWithSelector(ITandemToken.TandemToken_WrongSupply.selector, SUPPLY + 1));
        new TandemToken(_mints(10_500_000e18, 10_500_000e18 + 1), _one(vault));
    }

    function test_refusesAVaultThatIsZeroOrNamedTwice() public {
        vm.expectRevert(abi.encodeWithSelector(ITandemToken.TandemToken_InvalidVault.selector, address(0)));
        new TandemToken(_mints(SUPPLY, 0), _one(address(0)));
        address[] memory twice = new address[](2);
        (twice[0], twice[1]) = (vault, vault);
        vm.expectRevert(abi.encodeWithSelector(ITandemToken.TandemToken_InvalidVault.selector, vault));
        new TandemToken(_mints(SUPPLY, 0), twice);
    }

    function testFuzz_circulatingSupplyLeavesTheVaultsOut(
        uint256 released,
        uint256 burned
    ) public {
        released = bound(released, 0, 10_500_000e18);
        burned = bound(burned, 0, 10_500_000e18);
        vm.prank(vault);
        token.transfer(alice, released);
        vm.prank(treasury);
        token.burn(burned);
        vm.assertEq(token.totalSupply(), SUPPLY - burned);
        vm.assertEq(token.circulatingSupply(), 10_500_000e18 + released - burned);
        vm.assertEq(token.vaults()[0], vault);
    }

    function test_votesFollowDelegationOnTheTimestampClock() public {
        vm.assertEq(token.clock(), block.timestamp);
        vm.assertEq(token.CLOCK_MODE(), "mode=timestamp");
        vm.prank(treasury);
        token.delegate(alice);
        uint256 delegated = block.timestamp;
        vm.warp(delegated + 100);
        vm.prank(treasury);
        token.transfer(vault, 500_000e18);
        vm.assertEq(token.getVotes(alice), 10_000_000e18);
        vm.assertEq(token.getPastVotes(alice, delegated), 10_500_000e18);
        vm.assertEq(token.getPastVotes(alice, delegated - 1), 0);
    }

    function test_permitAndDelegationShareTheNonce() public {
        (address owner, uint256 secret) = makeActorAndKey("owner");
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                alice,
                5,
                token.nonces(owner),
                block.timestamp
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(secret, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash)));
        token.permit(owner, alice, 5, block.timestamp, v, r, s);
        vm.assertEq(token.allowance(owner, alice), 5);
        vm.assertEq(token.nonces(owner), 1);
    }

    function _mints(
        uint256 toVault,
        uint256 toTreasury
    ) private view returns (ITandemToken.Mint[] memory mints) {
        mints = new ITandemToken.Mint[](2);
        mints[0] = ITandemToken.Mint({ to: vault, amount: toVault });
        mints[1] = ITandemToken.Mint({ to: treasury, amount: toTreasury });
    }

    function _one(
        address account
    ) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = account;
    }
}
