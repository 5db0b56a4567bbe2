// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { GrantWord, packGrant } from "../../src/emission/GrantWord.sol";
import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { Netuid } from "../../src/types/Types.sol";

// One subnet's turn in what the controller asks for many at once. Each makes one call, so that pranks and expectations meet it.

function listOf(
    Netuid netuid
) pure returns (uint16[] memory netuids) {
    netuids = new uint16[](1);
    netuids[0] = Netuid.unwrap(netuid);
}

function closePool(
    IAlphaPools pools,
    Netuid netuid,
    uint64 epoch
) returns (uint256 emaBefore, uint256 twap) {
    uint256[] memory prices = pools.closeEpoch(listOf(netuid), epoch);
    // Nothing comes back of a call that is expected to revert.
    if (prices.length != 0) (emaBefore, twap) = (uint128(prices[0]), prices[0] >> 128);
}

function grantTo(
    IAlphaPools pools,
    Netuid netuid,
    uint256 tndm,
    uint256 alpha,
    uint256 worth
) {
    GrantWord[] memory grants = new GrantWord[](1);
    grants[0] = packGrant(tndm, alpha, worth, false);
    pools.grant(listOf(netuid), grants);
}

function closeBudget(
    IRewardDistributor distributor,
    uint64 epoch,
    Netuid netuid,
    bool eligible,
    uint256 alpha
) returns (uint256 usdc) {
    GrantWord[] memory grants = new GrantWord[](1);
    grants[0] = packGrant(0, alpha, 0, eligible);
    uint256[] memory all = distributor.closeEpoch(epoch, listOf(netuid), grants);
    if (all.length != 0) usdc = all[0];
}
