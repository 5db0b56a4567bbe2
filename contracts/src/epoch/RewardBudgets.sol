// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { GrantWord } from "../emission/GrantWord.sol";
import { IEmissionController } from "../emission/IEmissionController.sol";
import { IBurnAuction } from "../market/IBurnAuction.sol";
import { ISubnetRegistry } from "../subnet/ISubnetRegistry.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, RewardKind } from "../types/Types.sol";
import { BudgetWords } from "./BudgetWords.sol";
import { IRewardDistributor } from "./IRewardDistributor.sol";
import { isAlpha, packLikeDown, shareDown, unpack } from "./RewardShares.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title The money side of the distributor: incentive pots, what was granted of them, and how much of that may be claimed now
abstract contract RewardBudgets is IRewardDistributor, EpochClock {
    using BudgetWords for BudgetWords.Grants;
    using BudgetWords for BudgetWords.Spending;
    using BudgetWords for uint256;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev Of a kind's budget, what one epoch may claim: four times its last grant, or the twentieth part of all that is unclaimed.
    uint256 private constant BUDGETS_PER_EPOCH = 4;
    uint256 private constant UNCLAIMED_PARTS = 20;
    /// @dev Bounds the loop of one sweep.
    uint256 private constant MAX_SWEPT_EPOCHS = 256;

    IERC20 public immutable USDC;
    IEmissionController public immutable CONTROLLER;
    ISubnetRegistry public immutable REGISTRY;
    IBurnAuction public immutable AUCTION;

    /// @dev A packed BudgetWords.Grants: closing an epoch writes one slot of a subnet.
    mapping(Netuid => uint256) private _grants;
    /// @dev USDC that counts in an epoch after the next to close.
    mapping(Netuid => mapping(uint256 epoch => uint256 usdc)) private _ahead;
    /// @dev A packed BudgetWords.Spending: a claim writes one slot of a kind.
    mapping(uint256 budgetKey => uint256) private _spendings;

    constructor(
        Config memory config
    ) EpochClock(config.genesis, config.epochLength) {
        USDC = IERC20(config.usdc);
        CONTROLLER = IEmissionController(config.controller);
        REGISTRY = ISubnetRegistry(config.registry);
        AUCTION = IBurnAuction(config.auction);
    }

    /// @inheritdoc IRewardDistributor
    function contribute(
        Netuid netuid,
        uint256 usdc
    ) external {
        _contribute(netuid, currentEpoch(), usdc);
    }

    /// @inheritdoc IRewardDistributor
    function contributeFor(
        Netuid netuid,
        uint64 epoch,
        uint256 usdc
    ) external {
        uint64 running = currentEpoch();
        if (epoch > running) revert RewardDistributor_FutureEpoch(epoch, running);
        _contribute(netuid, epoch, usdc);
    }

    /// @inheritdoc IRewardDistributor
    function closeEpoch(
        uint64 epoch,
        uint16[] calldata netuids,
        GrantWord[] calldata grants
    ) external returns (uint256[] memory usdc) {
        if (msg.sender != address(CONTROLLER)) revert RewardDistributor_OnlyController(msg.sender);
        usdc = new uint256[](netuids.length);
        for (uint256 i = 0; i < netuids.length; ++i) {
            usdc[i] = _close(epoch, Netuid.wrap(netuids[i]), grants[i]);
        }
    }

    /// @inheritdoc IRewardDistributor
    function sweepPruned(
        Netuid netuid
    ) external returns (uint256 usdc) {
        uint64 from = REGISTRY.prunedFromOf(netuid);
        if (from == 0) revert RewardDistributor_NotPruned(netuid);
        uint64 settled = CONTROLLER.settledThrough();
        if (settled < from) revert RewardDistributor_NotSettled(from, settled);

        BudgetWords.Grants memory g = _grants[netuid].unpackGrants();
        usdc = g.pot;
        g.pot = 0;
        if (g.ahead) {
            uint256 running = currentEpoch();
            uint256 last = Math.min(running, g.nextEpoch + MAX_SWEPT_EPOCHS);
            for (uint256 epoch = g.nextEpoch + 1; epoch <= last; ++epoch) {
                usdc += _ahead[netuid][epoch];
                delete _ahead[netuid][epoch];
            }
            g.nextEpoch = last;
            g.ahead = last < running;
        }
        _grants[netuid] = g.pack();
        if (usdc == 0) return 0;
        emit PotSwept(netuid, usdc);
        USDC.forceApprove(address(AUCTION), usdc);
        AUCTION.fund(Netuid.wrap(0), usdc);
    }

    /// @inheritdoc IRewardDistributor
    function budgetOf(
        Netuid netuid,
        RewardKind kind
    ) external view returns (Budget memory) {
        (uint256 granted,) = _grantedOf(netuid, kind);
        return Budget({ granted: granted.toUint128(), claimed: _spendingOf(netuid, kind).claimed.toUint128() });
    }

    /// @inheritdoc IRewardDistributor
    function claimableNow(
        Netuid netuid,
        RewardKind kind
    ) external view returns (uint256) {
        return _room(netuid, kind, _spendingOf(netuid, kind));
    }

    /// @inheritdoc IRewardDistributor
    function grantsOf(
        Netuid netuid
    ) external view returns (uint256 alpha, uint256 usdc) {
        BudgetWords.Grants memory g = _grants[netuid].unpackGrants();
        return (g.alpha, g.usdc);
    }

    /// @inheritdoc IRewardDistributor
    function potOf(
        uint64 epoch,
        Netuid netuid
    ) external view returns (uint256 usdc) {
        BudgetWords.Grants memory g = _grants[netuid].unpackGrants();
        usdc = g.pot;
        if (!g.ahead) return usdc;
        for (uint256 e = g.nextEpoch + 1; e <= epoch; ++e) {
            usdc += _ahead[netuid][e];
        }
    }

    /// @dev Takes `wanted` off the budget and the epoch's limit, as far as both go.
    function _take(
        Netuid netuid,
        RewardKind kind,
        uint256 wanted
    ) internal returns (uint256 taken) {
        uint256 key = BudgetWords.budgetKey(netuid, kind);
        uint256 word = _spendings[key];
        if (word.isOpen(uint256(currentEpoch()) + 1)) {
            taken = Math.min(wanted, word.roomOf());
            // The low bits of the word; what is claimed stays below its ceiling.
            unchecked {
                if (taken != 0) _spendings[key] = word + taken;
            }
        } else {
            BudgetWords.Spending memory s = word.unpackSpending();
            taken = Math.min(wanted, _room(netuid, kind, s));
            if (taken == 0) return 0;
            s.claimed += taken;
            _spendings[key] = s.pack();
        }
    }

    /// @dev Of what `_take` took in this call.
    function _giveBack(
        Netuid netuid,
        RewardKind kind,
        uint256 taken
    ) internal {
        // The low bits of the word.
        _spendings[BudgetWords.budgetKey(netuid, kind)] -= taken;
    }

    function _spendingOf(
        Netuid netuid,
        RewardKind kind
    ) private view returns (BudgetWords.Spending memory) {
        return _spendings[BudgetWords.budgetKey(netuid, kind)].unpackSpending();
    }

    /// @dev What may be claimed in this block; brings `s` up to this epoch. The ceiling is fixed by an epoch's first claim: what is granted
    /// later in the epoch does not raise it.
    function _room(
        Netuid netuid,
        RewardKind kind,
        BudgetWords.Spending memory s
    ) private view returns (uint256) {
        uint256 period = uint256(currentEpoch()) + 1;
        if (s.period == period && s.backed) return s.ceiling - s.claimed;
        (uint256 granted, uint256 last) = _grantedOf(netuid, kind);
        if (s.period != period) {
            uint256 part = Math.ceilDiv(granted - s.claimed, UNCLAIMED_PARTS);
            s.ceiling = s.claimed + Math.max(BUDGETS_PER_EPOCH * last, part);
            s.period = period;
        }
        s.backed = s.ceiling <= granted;
        return Math.min(s.ceiling, granted) - s.claimed;
    }

    /// @dev Since the beginning, and the last time.
    function _grantedOf(
        Netuid netuid,
        RewardKind kind
    ) private view returns (uint256 granted, uint256 last) {
        BudgetWords.Grants memory g = _grants[netuid].unpackGrants();
        (granted, last) = isAlpha(kind) ? (g.alpha, unpack(g.lastAlpha)) : (g.usdc, unpack(g.lastUsdc));
        return (shareDown(kind, granted), shareDown(kind, last));
    }

    function _close(
        uint256 epoch,
        Netuid netuid,
        GrantWord word
    ) private returns (uint256 usdcGranted) {
        BudgetWords.Grants memory g = _grants[netuid].unpackGrants();
        // The first closing of a subnet that is younger than the network.
        if (g.ahead && g.nextEpoch != epoch) _collect(g, netuid, epoch);
        if (g.pot != 0) {
            // Seventy billion USDC for one subnet, after which its pot is carried for ever: closing must not fail.
            if (word.isEligible()) usdcGranted = Math.min(g.pot, BudgetWords.MAX_USDC - g.usdc);
            if (usdcGranted == 0) emit PotCarried(epoch.toUint64(), netuid, g.pot);
        }
        if (usdcGranted != 0) {
            g.pot -= usdcGranted;
            g.usdc += usdcGranted;
            g.lastUsdc = packLikeDown(usdcGranted, g.lastUsdc);
        }
        uint256 alphaOut = word.alphaOut();
        if (alphaOut != 0) {
            g.alpha = (g.alpha + alphaOut).toUint88();
            g.lastAlpha = packLikeDown(alphaOut, g.lastAlpha);
        }
        g.nextEpoch = (epoch + 1).toUint24();
        if (g.ahead) {
            g.ahead = g.nextEpoch < currentEpoch();
            _collect(g, netuid, g.nextEpoch);
        }
        _grants[netuid] = g.pack();
    }

    function _contribute(
        Netuid netuid,
        uint256 epoch,
        uint256 usdc
    ) private {
        if (usdc == 0) return;
        BudgetWords.Grants memory g = _grants[netuid].unpackGrants();
        if (g.nextEpoch == 0) {
            if (!REGISTRY.exists(netuid)) revert RewardDistributor_UnknownSubnet(netuid);
            // A subnet is born when all epochs before it are closed; nobody will close them for it.
            epoch = Math.max(epoch, CONTROLLER.settledThrough());
        }
        epoch = Math.max(epoch, g.nextEpoch);
        if (epoch == g.nextEpoch) {
            g.pot = (g.pot + usdc).toUint48();
        } else {
            g.ahead = true;
            _ahead[netuid][epoch] += usdc;
        }
        _grants[netuid] = g.pack();
        emit Contributed(netuid, epoch.toUint64(), msg.sender, usdc);
        USDC.safeTransferFrom(msg.sender, address(this), usdc);
    }

    /// @dev Moves what counts in `epoch` to the pot; the pot holds 281 million USDC, more waits for the next epoch.
    function _collect(
        BudgetWords.Grants memory g,
        Netuid netuid,
        uint256 epoch
    ) private {
        uint256 waiting = _ahead[netuid][epoch];
        if (waiting == 0) return;
        uint256 moved = Math.min(waiting, BudgetWords.MAX_POT - g.pot);
        g.pot += moved;
        delete _ahead[netuid][epoch];
        if (moved == waiting) return;
        _ahead[netuid][epoch + 1] += waiting - moved;
        g.ahead = true;
    }
}
