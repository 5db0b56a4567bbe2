// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IOutages } from "../epoch/IOutages.sol";
import { ISubnetRegistry } from "../subnet/ISubnetRegistry.sol";
import { creditsIn } from "../token/Holdings.sol";
import { IComputeCredit } from "../token/IComputeCredit.sol";
import { Netuid } from "../types/Types.sol";
import { ISettlement } from "./ISettlement.sol";
import { PURSE_CAPACITY, Purse, newPurse } from "./Purse.sol";
import { Nonces } from "@openzeppelin/contracts/utils/Nonces.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { SignatureChecker } from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title The life of a channel: opened, topped up, extended, reclaimed
/// @notice Promises, units and errors are documented on ISettlement. Settling vouchers is Settlement's.
///
/// A channel's money lies in its purse, which is found by its contributor, subnet, session key and id. Whoever settles a
/// voucher recovers the signer and says who is to earn: with a wrong signer, contributor or subnet there is no purse at the
/// place that these lead to. So settling reads one word of a channel, the purse, and no other.
abstract contract Channels is ISettlement, EIP712, Nonces {
    /// @dev What settling does not read.
    struct Terms {
        address contributor;
        Netuid netuid;
        uint16 uid;
        address sessionKey;
        uint80 waiting; // earned credits that follow the purchased ones; counts while the purse says that they wait
        address payer;
    }

    /// @dev A purse's place in storage.
    struct PurseSlot {
        Purse purse;
    }

    /// @notice EIP-712 type of an opening.
    bytes32 public constant OPENING_TYPEHASH = keccak256(
        "Opening(address payer,uint16 netuid,uint16 uid,address contributor,uint128 amount,uint64 expiry,address sessionKey,uint256 nonce,uint256 deadline)"
    );
    /// @notice Shortest life of a channel before its expiry, seconds.
    uint256 public constant MIN_DURATION = 1 minutes;
    /// @notice Longest life of a channel before its expiry, seconds.
    uint256 public constant MAX_DURATION = 365 days;

    /// @notice The credit of this series.
    IComputeCredit public immutable CREDIT;
    /// @notice Who owns which uid.
    ISubnetRegistry public immutable REGISTRY;
    /// @notice Gaps in which the chain made no blocks.
    IOutages public immutable OUTAGES;

    uint64 private immutable SETTLE_GRACE;

    /// @inheritdoc ISettlement
    uint256 public channelCount;

    mapping(uint256 channelId => Terms) internal _terms;
    mapping(
        address contributor
            => mapping(Netuid netuid => mapping(address sessionKey => mapping(uint256 channelId => PurseSlot)))
    ) internal _purses;

    constructor(
        address credit,
        address registry,
        address outages,
        uint64 settleGrace_
    ) {
        CREDIT = IComputeCredit(credit);
        REGISTRY = ISubnetRegistry(registry);
        OUTAGES = IOutages(outages);
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
        return _open(
            Opening({
                payer: msg.sender,
                netuid: netuid,
                uid: uid,
                contributor: _ownerOf(netuid, uid),
                amount: amount,
                expiry: expiry,
                sessionKey: sessionKey,
                nonce: 0,
                deadline: 0
            })
        );
    }

    /// @inheritdoc ISettlement
    function openFor(
        Opening calldata opening,
        bytes calldata signature
    ) external returns (uint256 channelId) {
        if (block.timestamp > opening.deadline) revert Settlement_OpeningExpired(opening.deadline);
        _useCheckedNonce(opening.payer, opening.nonce);
        if (!_approves(opening.payer, hashOpening(opening), signature)) {
            revert Settlement_InvalidOpening(opening.payer);
        }
        address owner = _ownerOf(opening.netuid, opening.uid);
        if (owner != opening.contributor) revert Settlement_OtherContributor(owner, opening.contributor);
        return _open(opening);
    }

    /// @inheritdoc ISettlement
    function topUp(
        uint256 channelId,
        uint128 amount
    ) external {
        if (amount == 0) revert Settlement_ZeroAmount();
        (Terms storage terms, PurseSlot storage slot) = _changeable(channelId);
        Purse purse = slot.purse;
        IComputeCredit.Holding memory rest = _restOf(terms, purse);
        _requireRoom(purse.settledOf() + creditsIn(rest) + amount);
        IComputeCredit.Holding memory more = CREDIT.escrow(msg.sender, amount);
        rest.purchased += more.purchased;
        rest.earned += more.earned;
        rest.margin += more.margin;
        _fill(terms, slot, rest, purse.settledOf(), purse.expiryOf());
        emit ChannelFunded(channelId, more.purchased, more.earned, more.margin);
    }

    /// @inheritdoc ISettlement
    function extend(
        uint256 channelId,
        uint64 expiry
    ) external {
        (, PurseSlot storage slot) = _changeable(channelId);
        _requireExpiry(expiry, slot.purse.expiryOf());
        slot.purse = slot.purse.withExpiry(expiry);
        emit ChannelExtended(channelId, expiry);
    }

    /// @inheritdoc ISettlement
    function reclaim(
        uint256 channelId
    ) external {
        Terms storage terms = _termsOf(channelId);
        PurseSlot storage slot = _purseOf(terms, channelId);
        Purse purse = slot.purse;
        uint256 deadline = _deadlineOf(purse);
        if (!_isOver(deadline)) revert Settlement_TooEarly(channelId, deadline);
        IComputeCredit.Holding memory rest = _restOf(terms, purse);
        if (creditsIn(rest) == 0) revert Settlement_NothingToReclaim(channelId);
        slot.purse = purse.emptied();
        CREDIT.unescrow(terms.payer, rest);
        emit Reclaimed(channelId, terms.payer, rest.purchased, rest.earned, rest.margin);
    }

    /// @inheritdoc ISettlement
    function channelOf(
        uint256 channelId
    ) external view returns (Channel memory) {
        Terms storage terms = _termsOf(channelId);
        Purse purse = _purseOf(terms, channelId).purse;
        return Channel({
            payer: terms.payer,
            contributor: terms.contributor,
            sessionKey: terms.sessionKey,
            netuid: terms.netuid,
            uid: terms.uid,
            expiry: SafeCast.toUint64(purse.expiryOf()),
            rest: _restOf(terms, purse),
            settled: SafeCast.toUint128(purse.settledOf())
        });
    }

    /// @inheritdoc ISettlement
    function settleGrace() external view returns (uint64) {
        return SETTLE_GRACE;
    }

    /// @inheritdoc ISettlement
    function hashOpening(
        Opening calldata opening
    ) public view returns (bytes32) {
        // Every field is static, so the encoding of the struct is the encoding of its fields in a row.
        return _hashTypedDataV4(keccak256(abi.encode(OPENING_TYPEHASH, opening)));
    }

    /// @dev The terms of a channel that exists.
    function _termsOf(
        uint256 channelId
    ) internal view returns (Terms storage terms) {
        terms = _terms[channelId];
        if (terms.payer == address(0)) revert Settlement_UnknownChannel(channelId);
    }

    function _purseOf(
        Terms storage terms,
        uint256 channelId
    ) internal view returns (PurseSlot storage) {
        return _purses[terms.contributor][terms.netuid][terms.sessionKey][channelId];
    }

    function _deadlineOf(
        Purse purse
    ) internal view returns (uint256) {
        // 40 and 64 bits.
        unchecked {
            return purse.expiryOf() + SETTLE_GRACE;
        }
    }

    /// @dev Vouchers settle until it is over, the payer reclaims from then on.
    function _isOver(
        uint256 deadline
    ) internal view returns (bool) {
        return block.timestamp > deadline && block.timestamp > OUTAGES.extended(deadline);
    }

    function _open(
        Opening memory opening
    ) private returns (uint256 channelId) {
        if (opening.amount == 0) revert Settlement_ZeroAmount();
        if (opening.sessionKey == address(0)) revert Settlement_InvalidSessionKey();
        _requireRoom(opening.amount);
        _requireExpiry(opening.expiry, block.timestamp + MIN_DURATION);

        channelId = ++channelCount;
        Terms storage terms = _terms[channelId];
        terms.payer = opening.payer;
        terms.contributor = opening.contributor;
        terms.sessionKey = opening.sessionKey;
        terms.netuid = opening.netuid;
        terms.uid = opening.uid;
        IComputeCredit.Holding memory rest = CREDIT.escrow(opening.payer, opening.amount);
        _fill(terms, _purseOf(terms, channelId), rest, 0, opening.expiry);
        emit ChannelOpened(
            channelId,
            opening.payer,
            opening.contributor,
            opening.netuid,
            opening.uid,
            opening.sessionKey,
            opening.amount,
            opening.expiry
        );
        emit ChannelFunded(channelId, rest.purchased, rest.earned, rest.margin);
    }

    function _fill(
        Terms storage terms,
        PurseSlot storage slot,
        IComputeCredit.Holding memory rest,
        uint256 settled,
        uint256 expiry
    ) private {
        Purse purse = newPurse(rest.purchased, rest.earned, rest.margin, settled, expiry);
        slot.purse = purse;
        if (purse.earnedWaits()) terms.waiting = SafeCast.toUint80(rest.earned);
    }

    /// @dev The caller may change the channel: it pays for it, and the channel has not expired.
    function _changeable(
        uint256 channelId
    ) private view returns (Terms storage terms, PurseSlot storage slot) {
        terms = _termsOf(channelId);
        if (msg.sender != terms.payer) revert Settlement_OnlyPayer(channelId, msg.sender);
        slot = _purseOf(terms, channelId);
        uint256 expiry = slot.purse.expiryOf();
        if (block.timestamp > expiry) revert Settlement_Expired(channelId, expiry);
    }

    /// @dev An account that is code as well as key (EIP-7702) is asked as a key first, then as code.
    function _approves(
        address account,
        bytes32 digest,
        bytes calldata signature
    ) private view returns (bool) {
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (signer != address(0) && signer == account) return true;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(account, digest, signature);
    }

    function _ownerOf(
        Netuid netuid,
        uint16 uid
    ) private view returns (address owner) {
        owner = REGISTRY.neuronOf(netuid, uid).owner;
        if (owner == address(0)) revert Settlement_UnknownNeuron(netuid, uid);
    }

    function _requireExpiry(
        uint64 expiry,
        uint256 earliest
    ) private view {
        uint256 latest = block.timestamp + MAX_DURATION;
        if (expiry < earliest || expiry > latest) revert Settlement_InvalidExpiry(expiry, earliest, latest);
    }

    function _restOf(
        Terms storage terms,
        Purse purse
    ) private view returns (IComputeCredit.Holding memory rest) {
        uint128 remaining = SafeCast.toUint128(purse.remainingOf());
        if (purse.spendsEarned()) rest.earned = remaining;
        else rest.purchased = remaining;
        if (purse.earnedWaits()) rest.earned = terms.waiting;
        rest.margin = SafeCast.toUint128(purse.marginOf());
    }

    function _requireRoom(
        uint256 amount
    ) private pure {
        if (amount > PURSE_CAPACITY) revert Settlement_ChannelTooLarge(amount, PURSE_CAPACITY);
    }
}
