// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IComputeCredit } from "../token/IComputeCredit.sol";
import { Netuid } from "../types/Types.sol";

/// @title Escrow channels and cumulative vouchers: users spend, contributors earn
/// @notice A payer opens a channel to one neuron with an amount, an expiry and one session key. The session key signs a voucher
/// per response, each naming everything since the opening; anyone may hand in the latest. Service can therefore not be
/// repudiated. A voucher is given before its response, so a payer risks one response.
/// EIP-712 domain: name "Tandem Settlement", version "1", the chain's id, this contract.
///
/// Promises:
/// - `[CR-5]` A voucher never settles twice, above the channel, too late, on another chain or contract, for another
///   contributor, with another key, or above the rate card's price of the tokens it names.
/// - Whether a voucher settles depends on itself, the channel's money and the time; of the vouchers settled before, only on
///   their sum. A payer who signs and settles a conflicting voucher pays with it and spoils none that is worth more.
/// - Settling is possible while `block.timestamp <= expiry + settleGrace`, reclaiming only after; nothing pauses either, and
///   neither has a role `[GV-2]`.
/// - What a channel paid out and returned is what it took in: the same purchased credits, earned credits and margin.
interface ISettlement {
    /// @notice An open or closed channel.
    /// @param payer Whose credits these are; gets the rest back.
    /// @param contributor The neuron's owner when the channel was opened; earns whatever happens to the uid later.
    /// @param sessionKey The one ECDSA key whose vouchers count.
    /// @param netuid The subnet whose revenue the margin becomes.
    /// @param uid The neuron in that subnet.
    /// @param expiry Seconds; settling goes on for `settleGrace` after it.
    /// @param rest What the channel still holds.
    /// @param settled Credits settled since the opening, 18 decimals.
    /// @param promptTokens Prompt tokens that the last settled voucher named; nothing is checked against them.
    /// @param completionTokens Completion tokens that the last settled voucher named; nothing is checked against them.
    struct Channel {
        address payer;
        address contributor;
        address sessionKey;
        Netuid netuid;
        uint16 uid;
        uint64 expiry;
        IComputeCredit.Holding rest;
        uint128 settled;
        uint64 promptTokens;
        uint64 completionTokens;
    }

    /// @notice A promise to pay, cumulative: credits and tokens since the channel's opening. EIP-712 type:
    /// `Voucher(uint256 channelId,uint128 amount,bytes32 model,uint32 rateCardVersion,uint64 promptTokens,uint64 completionTokens)`
    /// @param channelId The channel that pays.
    /// @param amount Credits, 18 decimals.
    /// @param model `keccak256` of the model's id.
    /// @param rateCardVersion The version whose price of all tokens since the opening limits the amount. The limit is on the
    /// cumulative sum, so a channel makes sense for one model and one version: for others, open another channel.
    /// @param promptTokens Prompt tokens.
    /// @param completionTokens Completion tokens.
    struct Voucher {
        uint256 channelId;
        uint128 amount;
        bytes32 model;
        uint32 rateCardVersion;
        uint64 promptTokens;
        uint64 completionTokens;
    }

    /// @notice `payer` put `amount` credits into a channel to `contributor`.
    event ChannelOpened(
        uint256 indexed channelId,
        address indexed payer,
        address indexed contributor,
        Netuid netuid,
        uint16 uid,
        address sessionKey,
        uint256 amount,
        uint64 expiry
    );
    /// @notice `contributor` earned `amount` credits, `fromPurchased` of them bought ones, which recognised `margin` USDC units;
    /// the tokens are the increase over the voucher settled before, zero if they fell, for information only.
    event Settled(
        uint256 indexed channelId,
        address indexed contributor,
        Netuid indexed netuid,
        uint256 amount,
        uint256 fromPurchased,
        uint256 margin,
        bytes32 model,
        uint64 promptTokens,
        uint64 completionTokens
    );
    /// @notice The payer got back what the channel still held.
    event Reclaimed(
        uint256 indexed channelId, address indexed payer, uint256 purchased, uint256 earned, uint256 margin
    );
    /// @notice A voucher of a batch did not settle; `reason` is the revert data of `settle`.
    event SettlementSkipped(uint256 indexed channelId, bytes reason);

    /// @notice A channel holds something from the start.
    error Settlement_ZeroAmount();
    /// @notice The zero address signs nothing.
    error Settlement_InvalidSessionKey();
    /// @notice An expiry lies between `earliest` (1 minute) and `latest` (365 days) ahead.
    error Settlement_InvalidExpiry(uint64 expiry, uint256 earliest, uint256 latest);
    /// @notice The uid has no owner.
    error Settlement_UnknownNeuron(Netuid netuid, uint16 uid);
    /// @notice No channel has this id.
    error Settlement_UnknownChannel(uint256 channelId);
    /// @notice Vouchers of this channel settled until `deadline`.
    error Settlement_TooLate(uint256 channelId, uint256 deadline);
    /// @notice The channel can be reclaimed after `deadline`.
    error Settlement_TooEarly(uint256 channelId, uint256 deadline);
    /// @notice The voucher adds nothing to the `settled` credits.
    error Settlement_NothingNew(uint256 channelId, uint256 amount, uint256 settled);
    /// @notice The channel was opened with `capacity` credits.
    error Settlement_AboveChannel(uint256 channelId, uint256 amount, uint256 capacity);
    /// @notice The voucher promises `amount` credits, the rate card allows `limit` for the tokens it names.
    error Settlement_AboveRateCard(uint256 channelId, uint256 amount, uint256 limit);
    /// @notice Not a 65-byte, low-s signature of the channel's session key.
    error Settlement_InvalidSignature(uint256 channelId);
    /// @notice As many signatures as vouchers.
    error Settlement_LengthMismatch(uint256 vouchers, uint256 signatures);
    /// @notice The channel holds nothing any more.
    error Settlement_NothingToReclaim(uint256 channelId);

    /// @notice Open a channel of the caller's credits, purchased ones first, to the present owner of a neuron.
    /// @param netuid The subnet.
    /// @param uid The neuron.
    /// @param amount Credits, 18 decimals, above zero.
    /// @param expiry Between 1 minute and 365 days ahead, seconds.
    /// @param sessionKey The only key that may sign vouchers; an ECDSA key even if the caller is a contract.
    /// @return channelId Counts from 1.
    function open(
        Netuid netuid,
        uint16 uid,
        uint128 amount,
        uint64 expiry,
        address sessionKey
    ) external returns (uint256 channelId);

    /// @notice By anyone: pay the channel's contributor the increase since the last settlement. Margin in it becomes revenue of
    /// the channel's subnet.
    /// @return paid Credits, 18 decimals.
    function settle(
        Voucher calldata voucher,
        bytes calldata signature
    ) external returns (uint256 paid);

    /// @notice By anyone: `settle` for each; one that fails is skipped with `SettlementSkipped`.
    /// @return paid Credits of all that settled.
    function settleBatch(
        Voucher[] calldata vouchers,
        bytes[] calldata signatures
    ) external returns (uint256 paid);

    /// @notice By anyone, after expiry and grace: the rest returns to the payer.
    function reclaim(
        uint256 channelId
    ) external;

    /// @notice A channel; reverts with `Settlement_UnknownChannel`.
    function channelOf(
        uint256 channelId
    ) external view returns (Channel memory);

    /// @notice Channels opened so far, which is also the last channel's id.
    function channelCount() external view returns (uint256);

    /// @notice Seconds after a channel's expiry in which vouchers still settle; immutable.
    function settleGrace() external view returns (uint64);

    /// @notice The EIP-712 digest that the session key signs.
    function hashVoucher(
        Voucher calldata voucher
    ) external view returns (bytes32);

    // constructor(address credit, address desk, address rateCard, address registry, uint64 settleGrace)
}
