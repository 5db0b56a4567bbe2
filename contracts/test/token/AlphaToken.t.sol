// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { AlphaFactory } from "../../src/token/AlphaFactory.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { IAlphaFactory, IAlphaToken } from "../../src/token/IAlphaToken.sol";
import { Netuid } from "../../src/types/Types.sol";
import { Test } from "../support/Test.sol";

contract AlphaTokenTest is Test {
    AlphaFactory private factory;
    address private pools;
    address private distributor = makeActor("distributor");

    function setUp() public {
        vm.warp(1_800_000_000);
        pools = makeActor("pools");
        factory = new AlphaFactory(pools, distributor);
    }

    /// `[AC-2]`
    function test_theWholeSupplyIsBornInTheVault() public {
        AlphaToken token = _create(7);
        vm.assertEq(token.totalSupply(), 21_000_000e18);
        vm.assertEq(token.balanceOf(pools), 21_000_000e18);
        (bool minted,) = address(token).call(abi.encodeWithSignature("mint(address,uint256)", pools, 1));
        vm.assertFalse(minted);
    }

    function test_eachSubnetHasItsOwnNameSymbolAndSigningDomain() public {
        AlphaToken seven = _create(7);
        AlphaToken last = _create(type(uint16).max);
        vm.assertEq(seven.name(), "Tandem Alpha 7");
        vm.assertEq(seven.symbol(), "a7");
        vm.assertEq(last.name(), "Tandem Alpha 65535");
        vm.assertEq(Netuid.unwrap(last.netuid()), type(uint16).max);
        (, string memory domain,,,,,) = seven.eip712Domain();
        vm.assertEq(domain, "Tandem Alpha 7");
        vm.assertNotEq(seven.DOMAIN_SEPARATOR(), last.DOMAIN_SEPARATOR());
        vm.assertEq(seven.CLOCK_MODE(), "mode=timestamp");
    }

    function test_burningLowersTheSupply() public {
        AlphaToken token = _create(1);
        vm.prank(pools);
        token.burn(1e18);
        vm.assertEq(token.totalSupply(), 20_999_999e18);
    }

    /// [AC-2] What leaves the vault for a claim was in it.
    function test_onlyTheDistributorPaysOutOfTheVault() public {
        AlphaToken token = _create(1);
        address claimer = makeActor("claimer");
        vm.prank(pools);
        vm.expectRevert(abi.encodeWithSelector(IAlphaToken.AlphaToken_OnlyDistributor.selector, pools));
        token.release(claimer, 1);
        vm.prank(distributor);
        vm.assertTrue(token.release(claimer, 3e18));
        vm.assertEq(token.balanceOf(claimer), 3e18);
        vm.assertEq(token.balanceOf(pools), 21_000_000e18 - 3e18);
        vm.assertEq(token.totalSupply(), 21_000_000e18);
        vm.prank(distributor);
        vm.expectRevert();
        token.release(claimer, 21_000_000e18);
    }

    function test_onlyThePoolsCreateTokens() public {
        vm.expectRevert(abi.encodeWithSelector(IAlphaFactory.AlphaFactory_OnlyPools.selector, address(this)));
        factory.create(Netuid.wrap(1));
    }

    function _create(
        uint16 netuid
    ) private returns (AlphaToken) {
        vm.prank(pools);
        return AlphaToken(factory.create(Netuid.wrap(netuid)));
    }
}
