// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISettlement } from "../../src/compute/ISettlement.sol";
import { Test } from "./Test.sol";

/// @notice A model with its prices, and vouchers for it.
abstract contract Vouchers is Test {
    string internal constant MODEL_ID = "tandem/tiny-llama";
    bytes32 internal constant MODEL = keccak256(bytes(MODEL_ID));
    uint64 internal constant MILLION = 1_000_000;
    /// @dev Credits per million tokens: 1 for prompts, 2 for completions.
    uint128 internal constant PROMPT_RATE = 1e18;
    uint128 internal constant COMPLETION_RATE = 2e18;

    /// @dev A voucher for `amount` cumulative credits and the completion tokens that they pay at the card's price.
    function voucherFor(
        uint256 channelId,
        uint256 amount
    ) internal pure returns (ISettlement.Voucher memory) {
        return ISettlement.Voucher({
            channelId: channelId,
            amount: uint128(amount),
            model: MODEL,
            rateCardVersion: 1,
            promptTokens: 0,
            completionTokens: uint64((amount * MILLION + COMPLETION_RATE - 1) / COMPLETION_RATE)
        });
    }

    /// @dev `voucher` as a batch carries it; `digest` is its hash at the settlement.
    function compactVoucher(
        ISettlement.Voucher memory voucher,
        bytes32 digest,
        uint256 secret
    ) internal pure returns (ISettlement.CompactVoucher memory) {
        (bytes32 r, bytes32 vs) = signedCompactly(secret, digest);
        return ISettlement.CompactVoucher({
            packed: voucher.channelId << 192 | uint256(voucher.amount) << 112 | uint256(voucher.promptTokens) << 56
                | voucher.completionTokens,
            r: r,
            vs: vs
        });
    }
}
