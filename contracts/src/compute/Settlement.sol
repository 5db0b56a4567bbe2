// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISubnetRegistry } from "../subnet/ISubnetRegistry.sol";
import { creditsIn, splitMarginDown } from "../token/Holdings.sol";
import { IComputeCredit } from "../token/IComputeCredit.sol";
import { Netuid } from "../types/Types.sol";
import { ICreditDesk } from "./ICreditDesk.sol";
import { IRateCard } from "./IRateCard.sol";
import { ISettlement } from "./ISettlement.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Settlement
/// @notice Promises, units and errors are documented on ISettlement.
contract Settlement is ISettlement, EIP712 {
    /// @notice EIP-712 type of a voucher.
    bytes32 public constant VOUCHER_TYPEHASH = keccak256(
        "Voucher(uint256 channelId,uint128 amount,bytes32 model,uint32 rateCardVersion,uint64 promptTokens,uint64 completionTokens)"
    );
    /// @notice Shortest life of a channel before its expiry, seconds.
    uint256 public constant MIN_DURATION = 1 minutes;
    /// @notice Longest life of a channel before its expiry, seconds.
    uint256 public constant MAX_DURATION = 365 days;

    /// @notice The credit of this series.
    IComputeCredit public immutable CREDIT;
    /// @notice The desk of this series, which is told of recognised margin.
    ICreditDesk public immutable DESK;
    /// @notice Prices that vouchers may not exceed.
    IRateCard public immutable RATE_CARD;
    /// @notice Who owns which uid.
    ISubnetRegistry public immutable REGISTRY;

    uint64 private immutable SETTLE_GRACE;

    /// @inheritdoc ISettlement
    uint256 public channelCount;

    mapping(uint256 channelId => Channel) private _channels;

    /// @param credit The ComputeCredit of this series.
    /// @param desk The CreditDesk of this series.
    /// @param rateCard The RateCard.
    /// @param registry The SubnetRegistry.
    /// @param settleGrace_ Seconds after a channel's expiry in which vouchers still settle.
    constructor(
        address credit,
        address desk,
        address rateCard,
        address registry,
        uint64 settleGrace_
    ) EIP712("Tandem Settlement", "1") {
        CREDIT = IComputeCredit(credit);
        DESK = ICreditDesk(desk);
        RATE_CARD = IRateCard(rateCard);
        REGISTRY = ISubnetRegistry(registry);
        SETTLE_GRACE = settleGrace_;
    }

    /// @inheritdoc ISettlement
    function open(
        Netuid netuid,
        uint16 uid,
        uint128 amount,
        uint64 expiry,
        address sessionKey
    ) external returns (uint256 channelId) {
        if (amount == 0) revert Settlement_ZeroAmount();
        if (sessionKey == address(0)) revert Settlement_InvalidSessionKey();
        uint256 earliest = block.timestamp + MIN_DURATION;
        uint256 latest = block.timestamp + MAX_DURATION;
        if (expiry < earliest || expiry > latest) revert Settlement_InvalidExpiry(expiry, earliest, latest);
        address contributor = REGISTRY.neuronOf(netuid, uid).owner;
        if (contributor == address(0)) revert Settlement_UnknownNeuron(netuid, uid);

        channelId = ++channelCount;
        Channel storage channel = _channels[channelId];
        channel.payer = msg.sender;
        channel.contributor = contributor;
        channel.sessionKey = sessionKey;
        channel.netuid = netuid;
        channel.uid = uid;
        channel.expiry = expiry;
        channel.rest = CREDIT.escrow(msg.sender, amount);
        emit ChannelOpened(channelId, msg.sender, contributor, netuid, uid, sessionKey, amount, expiry);
    }

    /// @inheritdoc ISettlement
    function settle(
        Voucher calldata voucher,
        bytes calldata signature
    ) external returns (uint256 paid) {
        Channel storage channel = _channelAt(voucher.channelId);
        paid = _check(channel, voucher, signature);

        uint64 promptTokens = _increase(voucher.promptTokens, channel.promptTokens);
        uint64 completionTokens = _increase(voucher.completionTokens, channel.completionTokens);
        IComputeCredit.Holding memory spent;
        (spent, channel.rest) = splitMarginDown(channel.rest, paid);
        channel.settled = voucher.amount;
        channel.promptTokens = voucher.promptTokens;
        channel.completionTokens = voucher.completionTokens;

        CREDIT.earn(channel.payer, channel.contributor, spent);
        if (spent.margin != 0) DESK.recogniseMargin(channel.netuid, spent.margin);
        emit Settled(
            voucher.channelId,
            channel.contributor,
            channel.netuid,
            paid,
            spent.purchased,
            spent.margin,
            voucher.model,
            promptTokens,
            completionTokens
        );
    }

    /// @inheritdoc ISettlement
    function settleBatch(
        Voucher[] calldata vouchers,
        bytes[] calldata signatures
    ) external returns (uint256 paid) {
        if (vouchers.length != signatures.length) {
            revert Settlement_LengthMismatch(vouchers.length, signatures.length);
        }
        for (uint256 i = 0; i < vouchers.length; ++i) {
            try this.settle(vouchers[i], signatures[i]) returns (uint256 increase) {
                paid += increase;
            } catch (bytes memory reason) {
                emit SettlementSkipped(vouchers[i].channelId, reason);
            }
        }
    }

    /// @inheritdoc ISettlement
    function reclaim(
        uint256 channelId
    ) external {
        Channel storage channel = _channelAt(channelId);
        uint256 deadline = _deadlineOf(channel);
        if (block.timestamp <= deadline) revert Settlement_TooEarly(channelId, deadline);
        IComputeCredit.Holding memory rest = channel.rest;
        if (creditsIn(rest) == 0) revert Settlement_NothingToReclaim(channelId);
        delete channel.rest;
        CREDIT.unescrow(channel.payer, rest);
        emit Reclaimed(channelId, channel.payer, rest.purchased, rest.earned, rest.margin);
    }

    /// @inheritdoc ISettlement
    function channelOf(
        uint256 channelId
    ) external view returns (Channel memory) {
        return _channelAt(channelId);
    }

    /// @inheritdoc ISettlement
    function settleGrace() external view returns (uint64) {
        return SETTLE_GRACE;
    }

    /// @inheritdoc ISettlement
    function hashVoucher(
        Voucher calldata voucher
    ) public view returns (bytes32) {
        // Every field is static, so the encoding of the struct is the encoding of its fields in a row.
        return _hashTypedDataV4(keccak256(abi.encode(VOUCHER_TYPEHASH, voucher)));
    }

    /// @dev Every reason why a voucher may not settle `[CR-5]`; returns the credits it adds.
    function _check(
        Channel storage channel,
        Voucher calldata voucher,
        bytes calldata signature
    ) private view returns (uint256 increase) {
        uint256 id = voucher.channelId;
        uint256 deadline = _deadlineOf(channel);
        if (block.timestamp > deadline) revert Settlement_TooLate(id, deadline);
        uint256 settled = channel.settled;
        if (voucher.amount <= settled) revert Settlement_NothingNew(id, voucher.amount, settled);
        uint256 capacity = settled + creditsIn(channel.rest);
        if (voucher.amount > capacity) revert Settlement_AboveChannel(id, voucher.amount, capacity);
        if (!_signedBy(channel.sessionKey, voucher, signature)) revert Settlement_InvalidSignature(id);
        // Only the voucher counts, or another one that the payer signs and settles first could spoil it.
        uint256 limit =
            RATE_CARD.cost(voucher.model, voucher.rateCardVersion, voucher.promptTokens, voucher.completionTokens);
        if (voucher.amount > limit) revert Settlement_AboveRateCard(id, voucher.amount, limit);
        increase = voucher.amount - settled;
    }

    function _signedBy(
        address sessionKey,
        Voucher calldata voucher,
        bytes calldata signature
    ) private view returns (bool) {
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(hashVoucher(voucher), signature);
        return failure == ECDSA.RecoverError.NoError && signer == sessionKey;
    }

    function _increase(
        uint64 tokens,
        uint64 before
    ) private pure returns (uint64) {
        return tokens > before ? tokens - before : 0;
    }

    function _channelAt(
        uint256 channelId
    ) private view returns (Channel storage channel) {
        channel = _channels[channelId];
        if (channel.payer == address(0)) revert Settlement_UnknownChannel(channelId);
    }

    function _deadlineOf(
        Channel storage channel
    ) private view returns (uint256) {
        return uint256(channel.expiry) + SETTLE_GRACE;
    }
}
