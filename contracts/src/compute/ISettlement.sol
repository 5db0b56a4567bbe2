// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IComputeCredit } from "../token/IComputeCredit.sol";
import { Netuid } from "../types/Types.sol";

/// @title Escrow channels and cumulative vouchers: users spend, contributors earn
/// @notice A payer opens a channel to one neuron with an amount, an expiry and one session key. The session key signs a voucher
/// per response, each naming everything since the opening; anyone may hand in the latest. Service can therefore not be
/// repudiated. A voucher is given before its response, so a payer risks one response.
/// EIP-712 domain: name "Tandem Settlement", version "1", the chain's id, this contract. ERC-2612-style `nonces` count the
/// openings by signature.
///
/// Promises:
/// - `[CR-5]` A voucher never settles twice, above the channel, too late, on another chain or contract, for another
///   contributor, with another key, or above the rate card's price of the tokens it names.
/// - Whether a voucher settles depends on itself, the channel's money and the time; of the vouchers settled before, only on
///   their sum. A payer who signs and settles a conflicting voucher pays with it and spoils none that is worth more.
/// - Settling is possible while `block.timestamp <= expiry + settleGrace`, reclaiming only after; an outage of the chain that
///   this deadline falls into extends it by its length. Nothing pauses either, and neither has a role `[GV-2]`.
/// - What a channel paid out and returned is what it took in: the same purchased credits, earned credits and margin.
/// - A payer may be a contract: it opens by a call, or by an ERC-1271 signature. The session key is an ECDSA key always.
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
    struct Channel {
        address payer;
        address contributor;
        address sessionKey;
        Netuid netuid;
        uint16 uid;
        uint64 expiry;
        IComputeCredit.Holding rest;
        uint128 settled;
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

    /// @notice A voucher of a batch with its ERC-2098 signature, in three words: what the vouchers of a batch do not have in common.
    /// @param packed From the highest bit: `channelId` (64 bits), `amount` (80), `promptTokens` (56), `completionTokens` (56). What
    /// does not fit is for `settle`.
    /// @param r The signature's `r`.
    /// @param vs The signature's `s`, which must be low, and its parity `v − 27` in the highest bit.
    struct CompactVoucher {
        uint256 packed;
        bytes32 r;
        bytes32 vs;
    }

    /// @notice A payer's wish to open a channel, for somebody else to hand in. EIP-712 type:
    /// `Opening(address payer,uint16 netuid,uint16 uid,address contributor,uint128 amount,uint64 expiry,address sessionKey,uint256 nonce,uint256 deadline)`
    /// @param payer Whose credits open the channel; signs with ECDSA or by ERC-1271.
    /// @param netuid The subnet.
    /// @param uid The neuron.
    /// @param contributor Who must own the neuron: a wish that waited pays nobody else.
    /// @param amount Credits, 18 decimals, above zero.
    /// @param expiry Of the channel, seconds.
    /// @param sessionKey The only key that may sign vouchers.
    /// @param nonce `nonces(payer)`.
    /// @param deadline Last second in which the wish holds.
    struct Opening {
        address payer;
        Netuid netuid;
        uint16 uid;
        address contributor;
        uint128 amount;
        uint64 expiry;
        address sessionKey;
        uint256 nonce;
        uint256 deadline;
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
    /// @notice The channel got these parts more, at its opening or by a top-up; `margin` in USDC units.
    event ChannelFunded(uint256 indexed channelId, uint256 purchased, uint256 earned, uint256 margin);
    /// @notice Vouchers of the channel settle until `expiry` and the grace from now on.
    event ChannelExtended(uint256 indexed channelId, uint64 expiry);
    /// @notice The channel's contributor earned `amount` credits, purchased ones first, which recognised `margin` USDC units. The
    /// tokens are those that the voucher names, since the opening; nothing is checked against vouchers before.
    event Settled(
        uint256 indexed channelId,
        uint256 amount,
        uint256 margin,
        bytes32 model,
        uint64 promptTokens,
        uint64 completionTokens
    );
    /// @notice The payer got back what the channel still held.
    event Reclaimed(
        uint256 indexed channelId, address indexed payer, uint256 purchased, uint256 earned, uint256 margin
    );
    /// @notice A voucher of a batch did not settle; `reason` is the revert data that `settle` would give.
    event SettlementSkipped(uint256 indexed channelId, bytes reason);

    /// @notice A channel holds something from the start.
    error Settlement_ZeroAmount();
    /// @notice The zero address signs nothing.
    error Settlement_InvalidSessionKey();
    /// @notice An expiry lies between `earliest` (1 minute ahead, or the present one) and `latest` (365 days ahead).
    error Settlement_InvalidExpiry(uint64 expiry, uint256 earliest, uint256 latest);
    /// @notice Nobody owns this uid.
    error Settlement_UnknownNeuron(Netuid netuid, uint16 uid);
    /// @notice The neuron is owned by `owner`, the opening names `expected`.
    error Settlement_OtherContributor(address owner, address expected);
    /// @notice A channel takes in `maximum` credits over its life; open another one.
    error Settlement_ChannelTooLarge(uint256 amount, uint256 maximum);
    /// @notice The opening held until `deadline`.
    error Settlement_OpeningExpired(uint256 deadline);
    /// @notice Neither an ECDSA signature of `payer` nor one that it approves by ERC-1271.
    error Settlement_InvalidOpening(address payer);
    /// @notice Only the channel's payer changes it.
    error Settlement_OnlyPayer(uint256 channelId, address caller);
    /// @notice The channel expired at `expiry`.
    error Settlement_Expired(uint256 channelId, uint256 expiry);
    /// @notice No channel has this id.
    error Settlement_UnknownChannel(uint256 channelId);
    /// @notice The channel does not pay this contributor on this subnet.
    error Settlement_OtherNeuron(uint256 channelId, address contributor, Netuid netuid);
    /// @notice Vouchers settled until `deadline`.
    error Settlement_TooLate(uint256 channelId, uint256 deadline);
    /// @notice Reclaiming is possible after `deadline`.
    error Settlement_TooEarly(uint256 channelId, uint256 deadline);
    /// @notice The voucher adds nothing to the `settled` credits.
    error Settlement_NothingNew(uint256 channelId, uint256 amount, uint256 settled);
    /// @notice The channel took in `capacity` credits.
    error Settlement_AboveChannel(uint256 channelId, uint256 amount, uint256 capacity);
    /// @notice The voucher promises `amount` credits, the rate card allows `limit` for the tokens it names.
    error Settlement_AboveRateCard(uint256 channelId, uint256 amount, uint256 limit);
    /// @notice Not a low-s signature of the channel's session key.
    error Settlement_InvalidSignature(uint256 channelId);
    /// @notice The channel holds nothing any more.
    error Settlement_NothingToReclaim(uint256 channelId);

    /// @notice Open a channel of the caller's credits, purchased ones first, to the present owner of a neuron.
    /// @param netuid The subnet.
    /// @param uid The neuron.
    /// @param amount Credits, 18 decimals, above zero, at most 2^80 − 1 wei (1.2 million).
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

    /// @notice By anyone: `open` for a payer who signed the wish, with ECDSA (65 bytes) or as a contract by ERC-1271.
    function openFor(
        Opening calldata opening,
        bytes calldata signature
    ) external returns (uint256 channelId);

    /// @notice By the payer, until expiry: put `amount` credits more into the channel. Its vouchers stay valid.
    function topUp(
        uint256 channelId,
        uint128 amount
    ) external;

    /// @notice By the payer, until expiry: let the channel expire later, at most 365 days ahead. Its vouchers stay valid.
    function extend(
        uint256 channelId,
        uint64 expiry
    ) external;

    /// @notice By anyone: pay the channel's contributor the increase since the last settlement. Margin in it becomes revenue of
    /// the channel's subnet.
    /// @param signature Of the session key, 65 bytes.
    /// @return paid Credits, 18 decimals.
    function settle(
        Voucher calldata voucher,
        bytes calldata signature
    ) external returns (uint256 paid);

    /// @notice By anyone: `settle` for each of the vouchers that one contributor got on one subnet for one version of one model;
    /// one that fails is skipped with `SettlementSkipped`. For several such batches in one transaction there is `multicall`.
    /// @dev Reverts as a whole only if the rate card does not know the version, or it is not yet effective.
    /// @return paid Credits of all that settled.
    function settleBatch(
        address contributor,
        Netuid netuid,
        bytes32 model,
        uint32 rateCardVersion,
        CompactVoucher[] calldata vouchers
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

    /// @notice The EIP-712 digest that the payer of an opening signs.
    function hashOpening(
        Opening calldata opening
    ) external view returns (bytes32);

    // constructor(address credit, address desk, address rateCard, address registry, address outages, uint64 settleGrace)
}
