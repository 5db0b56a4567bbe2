// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRateCard } from "../../src/compute/IRateCard.sol";
import { RateCard } from "../../src/compute/RateCard.sol";
import { Test } from "../support/Test.sol";
import { AccessManager } from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import { IAccessManaged } from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

contract RateCardTest is Test {
    uint64 private constant GENESIS = 1_800_000_000;
    uint64 private constant LENGTH = 3600;

    RateCard private card;

    function setUp() public {
        vm.warp(GENESIS + 100);
        card = new RateCard(address(new AccessManager(address(this))), GENESIS, LENGTH);
    }

    function test_theFirstVersionIsEffectiveAtOnceAndTheNextFromTheNextEpoch() public {
        (bytes32 model, uint32 version) = card.publish("m", 1e18, 2e18);
        vm.assertEq(model, keccak256("m"));
        vm.assertEq(version, 1);
        vm.assertEq(card.cost(model, 1, 1_000_000, 1_000_000), 3e18);

        (, version) = card.publish("m", 3e18, 4e18);
        vm.assertEq(version, 2);
        vm.assertEq(card.latestVersion(model), 2);
        vm.assertEq(card.rateOf(model, 2).effectiveFrom, GENESIS + LENGTH);
        vm.warp(GENESIS + LENGTH - 1);
        vm.expectRevert(abi.encodeWithSelector(IRateCard.RateCard_NotYetEffective.selector, model, 2, GENESIS + LENGTH));
        card.cost(model, 2, 1, 1);
        vm.warp(GENESIS + LENGTH);
        vm.assertEq(card.cost(model, 2, 1_000_000, 1_000_000), 7e18);
        vm.assertEq(card.cost(model, 1, 1_000_000, 1_000_000), 3e18, "old versions never change");
    }

    function test_beforeGenesisAFirstVersionServesAtOnceAndALaterOneFromEpochOne() public {
        vm.warp(GENESIS - 100);
        card = new RateCard(address(new AccessManager(address(this))), GENESIS, LENGTH);
        (bytes32 model,) = card.publish("m", 1e18, 2e18);
        card.publish("m", 1e18, 2e18);
        vm.assertEq(card.rateOf(model, 1).effectiveFrom, GENESIS - 100);
        vm.assertEq(card.rateOf(model, 2).effectiveFrom, GENESIS + LENGTH);
    }

    function test_unknownVersionsRevert() public {
        bytes32 model = keccak256("m");
        vm.expectRevert(abi.encodeWithSelector(IRateCard.RateCard_UnknownRate.selector, model, 1));
        card.cost(model, 1, 1, 1);
        card.publish("m", 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IRateCard.RateCard_UnknownRate.selector, model, 0));
        card.rateOf(model, 0);
        vm.expectRevert(abi.encodeWithSelector(IRateCard.RateCard_UnknownRate.selector, model, 2));
        card.rateOf(model, 2);
    }

    function test_modelIdsAreBetweenOneAnd256Bytes() public {
        card.publish(string(new bytes(256)), 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IRateCard.RateCard_InvalidModelId.selector, 0));
        card.publish("", 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IRateCard.RateCard_InvalidModelId.selector, 257));
        card.publish(string(new bytes(257)), 1, 1);
    }

    function test_pricesPerMillionFitTheWordThatSettlementReads() public {
        uint128 most = type(uint96).max;
        (bytes32 model,) = card.publish("m", most, most);
        vm.assertEq(card.cost(model, 1, 1_000_000, 1_000_000), 2 * uint256(most));
        vm.expectRevert(abi.encodeWithSelector(IRateCard.RateCard_RateTooHigh.selector, most + 1, most));
        card.publish("m", most + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IRateCard.RateCard_RateTooHigh.selector, most + 1, most));
        card.publish("m", 0, most + 1);
    }

    function test_onlyTheAuthoritysPublisherPublishes() public {
        address stranger = makeActor("stranger");
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger));
        card.publish("m", 1, 1);
    }

    function testFuzz_theCostIsTheSmallestWholeNumberThatCovers(
        uint128 prompt,
        uint128 completion,
        uint64 promptTokens,
        uint64 completionTokens
    ) public {
        prompt = uint128(bound(prompt, 0, type(uint96).max));
        completion = uint128(bound(completion, 0, type(uint96).max));
        (bytes32 model,) = card.publish("m", prompt, completion);
        uint256 exact = uint256(prompt) * promptTokens + uint256(completion) * completionTokens;
        uint256 credits = card.cost(model, 1, promptTokens, completionTokens);
        vm.assertGe(credits * 1e6, exact);
        vm.assertLt(credits * 1e6, exact + 1e6);
    }
}
