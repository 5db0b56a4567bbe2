// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { IBurnAuction } from "../market/IBurnAuction.sol";
import { ISubnetRegistry } from "../subnet/ISubnetRegistry.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, RewardKind } from "../types/Types.sol";
import { IRewardDistributor } from "./IRewardDistributor.sol";
import { isAlpha, packDown, shareDown, unpack } from "./RewardShares.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title The money side of the distributor: incentive pots, what was granted of them, and how much of that may be claimed now
abstract contract RewardBudgets is IRewardDistributor, EpochClock {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev Of a subnet, one slot, so that closing an epoch writes one. Grants are sums since the beginning; `last…` the last grant that
    /// was not zero, packed (RewardShares). `pot` is USDC that counts in `nextEpoch`, the first one not closed yet, or was
    /// carried; what counts in later epochs lies in `_ahead`, if `ahead` says that anything does.
    struct Grants {
        uint88 alpha;
        uint56 usdc;
        uint48 pot;
        uint24 nextEpoch;
        bool ahead;
        uint16 lastAlpha;
        uint16 lastUsdc;
    }

    /// @dev Of a (netuid, kind), one slot, so that a claim writes one. During epoch `period` − 1 `claimed` rises up to `ceiling` at most
    /// [EP-3]; `backed`: that much is granted already, nobody needs to look.
    struct Spending {
        uint96 claimed;
        uint96 ceiling;
        uint56 period;
        bool backed;
    }

    /// @dev Of a kind's budget, what one epoch may claim: four times its last grant, or the twentieth part of all that is unclaimed.
    uint256 private constant BUDGETS_PER_EPOCH = 4;
    uint256 private constant UNCLAIMED_PARTS = 20;
    /// @dev Bounds the loop of one sweep.
    uint256 private constant MAX_SWEPT_EPOCHS = 256;

    IERC20 public immutable USDC;
    IEmissionController public immutable CONTROLLER;
    ISubnetRegistry public immutable REGISTRY;
    IBurnAuction public immutable AUCTION;

    mapping(Netuid => Grants) private _grants;
    mapping(Netuid => mapping(uint256 epoch => uint256 usdc)) private _ahead;
    mapping(Netuid => mapping(RewardKind => Spending)) internal _spendings;

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
        Netuid netuid,
        bool eligible,
        uint256 alphaOut
    ) external returns (uint256 usdcGranted) {
        if (msg.sender != address(CONTROLLER)) revert RewardDistributor_OnlyController(msg.sender);
        Grants memory g = _grants[netuid];
        // The first closing of a subnet that is younger than the network.
        if (g.ahead && g.nextEpoch != epoch) _collect(g, netuid, epoch);
        if (g.pot != 0) {
            // Seventy billion USDC for one subnet, after which its pot is carried for ever: closing must not fail.
            if (eligible) usdcGranted = Math.min(g.pot, type(uint56).max - g.usdc);
            if (usdcGranted == 0) emit PotCarried(epoch, netuid, g.pot);
        }
        if (usdcGranted != 0) {
            g.pot -= uint48(usdcGranted);
            g.usdc += uint56(usdcGranted);
            g.lastUsdc = packDown(usdcGranted);
        }
        if (alphaOut != 0) {
            g.alpha += alphaOut.toUint88();
            g.lastAlpha = packDown(alphaOut);
        }
        g.nextEpoch = (uint256(epoch) + 1).toUint24();
        if (g.ahead) {
            g.ahead = g.nextEpoch < currentEpoch();
            _collect(g, netuid, g.nextEpoch);
        }
        _grants[netuid] = g;
    }

    /// @inheritdoc IRewardDistributor
    function sweepPruned(
        Netuid netuid
    ) external returns (uint256 usdc) {
        uint64 from = REGISTRY.prunedFromOf(netuid);
        if (from == 0) revert RewardDistributor_NotPruned(netuid);
        uint64 settled = CONTROLLER.settledThrough();
        if (settled < from) revert RewardDistributor_NotSettled(from, settled);

        Grants memory g = _grants[netuid];
        usdc = g.pot;
        g.pot = 0;
        if (g.ahead) {
            uint256 running = currentEpoch();
            uint256 last = Math.min(running, g.nextEpoch + MAX_SWEPT_EPOCHS);
            for (uint256 epoch = uint256(g.nextEpoch) + 1; epoch <= last; ++epoch) {
                usdc += _ahead[netuid][epoch];
                delete _ahead[netuid][epoch];
            }
            g.nextEpoch = last.toUint24();
            g.ahead = last < running;
        }
        _grants[netuid] = g;
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
        return Budget({ granted: granted.toUint128(), claimed: _spendings[netuid][kind].claimed });
    }

    /// @inheritdoc IRewardDistributor
    function claimableNow(
        Netuid netuid,
        RewardKind kind
    ) external view returns (uint256) {
        return _room(netuid, kind, _spendings[netuid][kind]);
    }

    /// @inheritdoc IRewardDistributor
    function grantsOf(
        Netuid netuid
    ) external view returns (uint256 alpha, uint256 usdc) {
        Grants memory g = _grants[netuid];
        return (g.alpha, g.usdc);
    }

    /// @inheritdoc IRewardDistributor
    function potOf(
        uint64 epoch,
        Netuid netuid
    ) external view returns (uint256 usdc) {
        Grants memory g = _grants[netuid];
        usdc = g.pot;
        if (!g.ahead) return usdc;
        for (uint256 e = uint256(g.nextEpoch) + 1; e <= epoch; ++e) {
            usdc += _ahead[netuid][e];
        }
    }

    /// @dev What may be claimed in this block; brings `s` up to this epoch. The ceiling is fixed by an epoch's first claim: what is granted
    /// later in the epoch does not raise it.
    function _room(
        Netuid netuid,
        RewardKind kind,
        Spending memory s
    ) internal view returns (uint256) {
        uint56 period = uint56(currentEpoch()) + 1;
        if (s.period == period && s.backed) return s.ceiling - s.claimed;
        (uint256 granted, uint256 last) = _grantedOf(netuid, kind);
        if (s.period != period) {
            uint256 part = Math.ceilDiv(granted - s.claimed, UNCLAIMED_PARTS);
            s.ceiling = (s.claimed + Math.max(BUDGETS_PER_EPOCH * last, part)).toUint96();
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
        Grants memory g = _grants[netuid];
        (granted, last) =
            isAlpha(kind) ? (uint256(g.alpha), unpack(g.lastAlpha)) : (uint256(g.usdc), unpack(g.lastUsdc));
        return (shareDown(kind, granted), shareDown(kind, last));
    }

    function _contribute(
        Netuid netuid,
        uint256 epoch,
        uint256 usdc
    ) private {
        if (usdc == 0) return;
        Grants memory g = _grants[netuid];
        if (g.nextEpoch == 0) {
            if (!REGISTRY.exists(netuid)) revert RewardDistributor_UnknownSubnet(netuid);
            // A subnet is born when all epochs before it are closed; nobody will close them for it.
            epoch = Math.max(epoch, CONTROLLER.settledThrough());
        }
        epoch = Math.max(epoch, g.nextEpoch);
        if (epoch == g.nextEpoch) {
            g.pot += usdc.toUint48();
        } else {
            g.ahead = true;
            _ahead[netuid][epoch] += usdc;
        }
        _grants[netuid] = g;
        emit Contributed(netuid, uint64(epoch), msg.sender, usdc);
        USDC.safeTransferFrom(msg.sender, address(this), usdc);
    }

    /// @dev Moves what counts in `epoch` to the pot; the pot holds 281 million USDC, more waits for the next epoch.
    function _collect(
        Grants memory g,
        Netuid netuid,
        uint256 epoch
    ) private {
        uint256 waiting = _ahead[netuid][epoch];
        if (waiting == 0) return;
        uint256 moved = Math.min(waiting, type(uint48).max - g.pot);
        g.pot += uint48(moved);
        delete _ahead[netuid][epoch];
        if (moved == waiting) return;
        _ahead[netuid][epoch + 1] += waiting - moved;
        g.ahead = true;
    }
}
