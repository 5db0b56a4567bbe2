// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { MAX_SUPPLY } from "../emission/Halving.sol";
import { Netuid } from "../types/Types.sol";
import { IAlphaPools } from "./IAlphaPools.sol";
import { PoolViews } from "./PoolViews.sol";
import { History, HistoryWord, Ledger, Reserves, ReservesWord, Running, inRange } from "./PoolWords.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title The end of a pool: stopped by pruning, wound up, redeemed
/// @notice Every alpha outside the pool, claimed yet or not, gets the same: the pool's TNDM over all alpha, in the pool or outside it. Selling it all
/// to the pool would bring as much before fees, so a redemption never beats the market [SN-1].
abstract contract PoolRedemption is PoolViews, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for *;

    address public immutable REGISTRY;

    mapping(Netuid => Redemption) private _redemptions;

    constructor(
        address registry
    ) {
        REGISTRY = registry;
    }

    /// @inheritdoc IAlphaPools
    function stop(
        Netuid netuid,
        uint64 fromEpoch
    ) external {
        _requireRegistry();
        if (fromEpoch <= currentEpoch()) revert AlphaPools_WrongEpoch(fromEpoch);
        (Words storage w, Running b) = _known(netuid);
        if (b.stopping()) revert AlphaPools_Stopped(netuid);
        w.running = b.asStopping();
        History h = w.history;
        w.history = HistoryWord.pack(h.injected(), h.lastTwap(), fromEpoch);
        emit PoolStopped(netuid, fromEpoch);
    }

    /// @inheritdoc IAlphaPools
    function windUp(
        Netuid netuid
    ) external nonReentrant returns (uint256 burned) {
        (Words storage w, Running b) = _known(netuid);
        if (!b.stopping()) revert AlphaPools_NotStopped(netuid);
        if (_redemptions[netuid].supply != 0) revert AlphaPools_AlreadyWoundUp(netuid);
        uint64 stopEpoch = w.history.stopEpoch();
        uint64 settled = CONTROLLER.settledThrough();
        if (settled < stopEpoch) revert AlphaPools_NotSettled(settled, stopEpoch);

        Reserves r = w.reserves;
        Ledger l = w.ledger;
        uint256 tndm = r.tndm();
        // What is neither burned nor still unissued in the vault: the pool's, circulating, or granted and not claimed.
        uint256 supply = _tokenOf(netuid).totalSupply() - (MAX_SUPPLY - l.issued());
        uint256 kept = tndm * (supply - r.alpha()) / supply;
        burned = tndm - kept + r.burnable() + l.pending();
        _redemptions[netuid] = Redemption({ tndm: tndm.toUint128(), supply: supply.toUint128() });
        w.reserves = ReservesWord.pack(kept, r.alpha(), 0);
        w.ledger = l.with(0, l.issued());
        _forget(netuid);
        emit PoolWoundUp(netuid, tndm, supply, kept, burned);
        ERC20Burnable(address(TNDM)).burn(burned);
    }

    /// @inheritdoc IAlphaPools
    function redeem(
        Netuid netuid,
        uint256 amount,
        address to
    ) external nonReentrant returns (uint256 tndm) {
        Redemption memory redemption = _redemptions[netuid];
        if (redemption.supply == 0) revert AlphaPools_NotWoundUp(netuid);
        if (amount == 0) revert AlphaPools_ZeroAmount();
        tndm = inRange(amount) * redemption.tndm / redemption.supply;
        Words storage w = _words[netuid];
        Reserves r = w.reserves;
        w.reserves = ReservesWord.pack(r.tndm() - tndm, r.alpha(), 0);
        emit Redeemed(netuid, msg.sender, to, amount, tndm);
        ERC20Burnable(address(_tokenOf(netuid))).burnFrom(msg.sender, amount);
        TNDM.safeTransfer(to, tndm);
    }

    /// @inheritdoc IAlphaPools
    function redemptionOf(
        Netuid netuid
    ) external view returns (Redemption memory) {
        return _redemptions[netuid];
    }

    function _requireRegistry() internal view {
        if (msg.sender != REGISTRY) revert AlphaPools_OnlyRegistry(msg.sender);
    }

    function _forget(
        Netuid netuid
    ) private {
        uint256 last = _netuids.length - 1;
        for (uint256 i = 0; i < last; ++i) {
            if (_netuids[i] == netuid) {
                _netuids[i] = _netuids[last];
                break;
            }
        }
        _netuids.pop();
    }
}
