// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { IComputeCredit } from "../token/IComputeCredit.sol";

/// @title Escrow channels and cumulative vouchers: users spend, contributors earn. EIP-712 domain: name "Tandem Settlement", version "1".
interface ISettlement {
    struct Channel {
        address payer; address contributor; address sessionKey;
        Netuid netuid; uint16 uid; uint64 expiry;
        IComputeCredit.Holding rest;      // what the channel still holds
        uint128 settled;                  // cumulative credits settled
        uint64 promptTokens; uint64 completionTokens; // cumulative tokens settled
    }
    /// @notice Cumulative: `amount` credits and tokens since the channel opened. Typehash:
    /// Voucher(uint256 channelId,uint128 amount,bytes32 model,uint32 rateCardVersion,uint64 promptTokens,uint64 completionTokens)
    struct Voucher { uint256 channelId; uint128 amount; bytes32 model; uint32 rateCardVersion; uint64 promptTokens; uint64 completionTokens; }

    event ChannelOpened(uint256 indexed channelId, address indexed payer, address indexed contributor, Netuid netuid, uint16 uid, address sessionKey, uint256 amount, uint64 expiry);
    event Settled(uint256 indexed channelId, address indexed contributor, Netuid indexed netuid, uint256 amount, uint256 fromPurchased, uint256 margin, bytes32 model, uint64 promptTokens, uint64 completionTokens);
    event Reclaimed(uint256 indexed channelId, address indexed payer, uint256 purchased, uint256 earned, uint256 margin);
    event SettlementSkipped(uint256 indexed channelId, bytes reason); // a failing voucher of a batch

    /// @notice Open a channel of the caller's credits to the neuron's owner. `expiry` between 1 minute and 365 days ahead. channelIds count from 1.
    function open(Netuid netuid, uint16 uid, uint128 amount, uint64 expiry, address sessionKey) external returns (uint256 channelId);
    /// @notice By anyone until expiry + grace; pays the channel's contributor the increase since the last settlement, refused above rate-card cost of the token increase.
    function settle(Voucher calldata voucher, bytes calldata signature) external returns (uint256 paid);
    function settleBatch(Voucher[] calldata vouchers, bytes[] calldata signatures) external returns (uint256 paid);
    /// @notice By anyone after expiry + grace; the rest returns to the payer.
    function reclaim(uint256 channelId) external;
    function channelOf(uint256 channelId) external view returns (Channel memory);
    function channelCount() external view returns (uint256);
    function settleGrace() external view returns (uint64); // 24 h; genesis parameter
    function hashVoucher(Voucher calldata voucher) external view returns (bytes32);
    // constructor(address credit, address desk, address rateCard, address registry, uint64 settleGrace)
}
