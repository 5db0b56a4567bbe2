// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { marginOfPartDown } from "../token/Holdings.sol";
import { Netuid } from "../types/Types.sol";
import { Channels } from "./Channels.sol";
import { ICreditDesk } from "./ICreditDesk.sol";
import { IRateCard } from "./IRateCard.sol";
import { ISettlement } from "./ISettlement.sol";
import { costUp } from "./Pricing.sol";
import { Purse } from "./Purse.sol";
import { LowLevelCall } from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import { Multicall } from "@openzeppelin/contracts/utils/Multicall.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { MessageHashUtils } from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Settlement
/// @notice Promises, units and errors are documented on ISettlement.
contract Settlement is Channels, Multicall {
    using SafeCast for uint256;

    /// @dev What the vouchers of a batch have in common, and what they spent so far; USDC units for the margin.
    struct Batch {
        bytes32 domain;
        Rate rate;
        uint256 purchased;
        uint256 earned;
        uint256 margin;
    }

    /// @dev A version of the rate card that was in force when it was asked for; it never changes.
    struct Rate {
        uint96 promptPerMillion;
        uint96 completionPerMillion;
        bool known;
    }

    /// @dev A voucher as EIP-712 hashes it: in memory each member takes a word, the type's hash before them.
    struct TypedVoucher {
        bytes32 typeHash;
        uint256 channelId;
        uint128 amount;
        bytes32 model;
        uint32 rateCardVersion;
        uint64 promptTokens;
        uint64 completionTokens;
    }

    /// @notice EIP-712 type of a voucher.
    bytes32 public constant VOUCHER_TYPEHASH = keccak256(
        "Voucher(uint256 channelId,uint128 amount,bytes32 model,uint32 rateCardVersion,uint64 promptTokens,uint64 completionTokens)"
    );

    /// @notice The desk of this series, which is told of recognised margin.
    ICreditDesk public immutable DESK;
    /// @notice Prices that vouchers may not exceed.
    IRateCard public immutable RATE_CARD;

    mapping(bytes32 model => mapping(uint32 version => Rate)) private _rates;

    /// @param credit The ComputeCredit of this series.
    /// @param desk The CreditDesk of this series.
    /// @param rateCard The RateCard.
    /// @param registry The SubnetRegistry.
    /// @param outages The record of the chain's outages.
    /// @param settleGrace_ Seconds after a channel's expiry in which vouchers still settle.
    constructor(
        address credit,
        address desk,
        address rateCard,
        address registry,
        address outages,
        uint64 settleGrace_
    ) EIP712("Tandem Settlement", "1") Channels(credit, registry, outages, settleGrace_) {
        DESK = ICreditDesk(desk);
        RATE_CARD = IRateCard(rateCard);
    }

    /// @inheritdoc ISettlement
    function settle(
        Voucher calldata voucher,
        bytes calldata signature
    ) external returns (uint256 paid) {
        Terms storage terms = _termsOf(voucher.channelId);
        (address signer,,) = ECDSA.tryRecoverCalldata(hashVoucher(voucher), signature);
        PurseSlot storage slot = _purses[terms.contributor][terms.netuid][signer][voucher.channelId];
        if (slot.purse.isNone()) revert Settlement_InvalidSignature(voucher.channelId);
        Batch memory batch;
        batch.rate = _rateOf(voucher.model, voucher.rateCardVersion);
        bytes memory failure = _settle(_typed(voucher), batch, slot);
        if (failure.length != 0) LowLevelCall.bubbleRevert(failure);
        return _pay(terms.contributor, terms.netuid, batch);
    }

    /// @inheritdoc ISettlement
    function settleBatch(
        address contributor,
        Netuid netuid,
        bytes32 model,
        uint32 rateCardVersion,
        CompactVoucher[] calldata vouchers
    ) external returns (uint256 paid) {
        mapping(address => mapping(uint256 => PurseSlot)) storage purses = _purses[contributor][netuid];
        Batch memory batch;
        batch.domain = _domainSeparatorV4();
        batch.rate = _rateOf(model, rateCardVersion);
        TypedVoucher memory voucher;
        voucher.typeHash = VOUCHER_TYPEHASH;
        voucher.model = model;
        voucher.rateCardVersion = rateCardVersion;
        for (uint256 i = 0; i < vouchers.length; ++i) {
            CompactVoucher calldata compact = vouchers[i];
            voucher.channelId = compact.packed >> 192;
            // The casts cut the fields out of the word, see CompactVoucher.
            // forge-lint: disable-start(unsafe-typecast)
            voucher.amount = uint80(compact.packed >> 112);
            voucher.promptTokens = uint56(compact.packed >> 56);
            voucher.completionTokens = uint56(compact.packed);
            // forge-lint: disable-end(unsafe-typecast)
            (address signer,,) = ECDSA.tryRecover(_digestOf(batch.domain, voucher), compact.r, compact.vs);
            bytes memory failure = _settle(voucher, batch, purses[signer][voucher.channelId]);
            if (failure.length != 0) _skip(voucher.channelId, contributor, netuid, failure);
        }
        return _pay(contributor, netuid, batch);
    }

    /// @inheritdoc ISettlement
    function hashVoucher(
        Voucher calldata voucher
    ) public view returns (bytes32) {
        return _digestOf(_domainSeparatorV4(), _typed(voucher));
    }

    /// @dev Settles a voucher from the purse that its signer leads to, or says as an error's data why it may not `[CR-5]`.
    /// Nothing is called here that can act, so a batch is written down before anybody else moves.
    function _settle(
        TypedVoucher memory voucher,
        Batch memory batch,
        PurseSlot storage slot
    ) private returns (bytes memory failure) {
        Purse purse = slot.purse;
        uint256 increase;
        (failure, increase) = _check(voucher, batch.rate, purse);
        if (failure.length != 0) return failure;

        // All these are below 2^128: a purse's fields and what a batch can hold of them.
        unchecked {
            uint256 remaining = purse.remainingOf();
            uint256 purchased = increase;
            uint256 margin = 0;
            if (increase > remaining) {
                purchased = remaining;
                margin = purse.marginOf();
                purse = purse.afterCrossing(_terms[voucher.channelId].waiting, increase - remaining);
            } else {
                if (purse.spendsEarned()) purchased = 0;
                else margin = marginOfPartDown(purse.marginOf(), increase, remaining);
                purse = purse.afterSpending(increase, margin);
            }
            slot.purse = purse;
            batch.purchased += purchased;
            batch.earned += increase - purchased;
            batch.margin += margin;
            emit Settled(
                voucher.channelId, increase, margin, voucher.model, voucher.promptTokens, voucher.completionTokens
            );
        }
    }

    /// @dev Pays what vouchers spent; one call each, however many they are.
    function _pay(
        address contributor,
        Netuid netuid,
        Batch memory batch
    ) private returns (uint256 paid) {
        paid = batch.purchased + batch.earned;
        if (paid == 0) return 0;
        CREDIT.earn(contributor, batch.purchased, batch.earned, batch.margin);
        if (batch.margin != 0) DESK.recogniseMargin(netuid, batch.margin);
    }

    /// @dev The rate card is asked once for each version: one word here instead of a call there, for every batch.
    function _rateOf(
        bytes32 model,
        uint32 version
    ) private returns (Rate memory rate) {
        rate = _rates[model][version];
        if (!rate.known) {
            IRateCard.Rate memory published = RATE_CARD.effectiveRateOf(model, version);
            rate = Rate({
                promptPerMillion: uint256(published.promptPerMillion).toUint96(),
                completionPerMillion: uint256(published.completionPerMillion).toUint96(),
                known: true
            });
            _rates[model][version] = rate;
        }
    }

    /// @dev Every reason why a voucher may not settle, or else the credits that it adds.
    function _check(
        TypedVoucher memory voucher,
        Rate memory rate,
        Purse purse
    ) private view returns (bytes memory failure, uint256 increase) {
        uint256 id = voucher.channelId;
        uint256 amount = voucher.amount;
        if (purse.isNone()) {
            bytes4 reason = _terms[id].payer == address(0)
                ? Settlement_UnknownChannel.selector
                : Settlement_InvalidSignature.selector;
            return (abi.encodeWithSelector(reason, id), 0);
        }
        uint256 deadline = _deadlineOf(purse);
        if (_isOver(deadline)) return (abi.encodeWithSelector(Settlement_TooLate.selector, id, deadline), 0);
        uint256 settled = purse.settledOf();
        if (amount <= settled) {
            return (abi.encodeWithSelector(Settlement_NothingNew.selector, id, amount, settled), 0);
        }
        increase = amount - settled;
        if (increase > purse.remainingOf()) {
            uint256 capacity = settled + purse.remainingOf();
            if (purse.earnedWaits()) capacity += _terms[id].waiting;
            if (amount > capacity) {
                return (abi.encodeWithSelector(Settlement_AboveChannel.selector, id, amount, capacity), 0);
            }
        }
        // Only the voucher counts, or another one that the payer signs and settles first could spoil it.
        uint256 limit =
            costUp(rate.promptPerMillion, rate.completionPerMillion, voucher.promptTokens, voucher.completionTokens);
        if (amount > limit) {
            return (abi.encodeWithSelector(Settlement_AboveRateCard.selector, id, amount, limit), 0);
        }
    }

    /// @dev Says why a voucher of a batch did not settle; that its channel pays somebody else comes before anything.
    function _skip(
        uint256 id,
        address contributor,
        Netuid netuid,
        bytes memory failure
    ) private {
        Terms storage terms = _terms[id];
        if (terms.payer != address(0) && (terms.contributor != contributor || terms.netuid != netuid)) {
            failure = abi.encodeWithSelector(Settlement_OtherNeuron.selector, id, contributor, netuid);
        }
        emit SettlementSkipped(id, failure);
    }

    function _typed(
        Voucher calldata voucher
    ) private pure returns (TypedVoucher memory) {
        return TypedVoucher({
            typeHash: VOUCHER_TYPEHASH,
            channelId: voucher.channelId,
            amount: voucher.amount,
            model: voucher.model,
            rateCardVersion: voucher.rateCardVersion,
            promptTokens: voucher.promptTokens,
            completionTokens: voucher.completionTokens
        });
    }

    function _digestOf(
        bytes32 domain,
        TypedVoucher memory voucher
    ) private pure returns (bytes32) {
        bytes32 structHash;
        // The struct's seven words in memory are its encoding; abi.encode would copy them first, for every voucher of a batch.
        assembly ("memory-safe") {
            structHash := keccak256(voucher, 224)
        }
        return MessageHashUtils.toTypedDataHash(domain, structHash);
    }
}
