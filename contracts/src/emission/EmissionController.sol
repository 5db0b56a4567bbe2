// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ITandemToken } from "../token/ITandemToken.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { RollingYear } from "../types/RollingYear.sol";
import { Netuid } from "../types/Types.sol";
import { Allowances } from "./Allowances.sol";
import { EpochClosing } from "./EpochClosing.sol";
import { IEmissionController } from "./IEmissionController.sol";
import { LedgerWord } from "./LedgerWord.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title EmissionController
/// @notice The law [EM-1], kept by construction:
///
///     Σ emitted + Σ allowance + Σ faded + Σ waiting = Σ ⌊φ · burned⌋ <= φ · Σ burned <= φ · (21,000,000 − totalSupply)
///
/// where an allowance of a pruned subnet is never emitted. TNDM leaves this contract in one place (`_suspend`), as the sum of
/// what EpochClosing took off allowances; allowances grow in one place (`Allowances._allowanceAt`), by ⌊φ · burned⌋ of
/// burns that the token's lost supply covers.
contract EmissionController is EpochClosing, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;
    using Checkpoints for Checkpoints.Trace208;
    using RollingYear for RollingYear.Year;

    address public immutable AUCTION;

    Checkpoints.Trace208 private _circulating;

    constructor(
        Config memory config
    )
        EpochClock(config.genesis, config.epochLength)
        Allowances(config.tndm, config.phi, config.fadePeriod)
        EpochClosing(config)
    {
        AUCTION = config.auction;
    }

    /// @inheritdoc IEmissionController
    function creditBurn(
        Netuid netuid,
        uint256 burned
    ) external nonReentrant {
        if (msg.sender != address(REGISTRY)) revert EmissionController_OnlyBurners(msg.sender);
        _countDestroyed(burned);
        _credit(netuid, burned, Source.Lock);
    }

    /// @inheritdoc IEmissionController
    function creditBurns(
        Netuid[] calldata netuids,
        uint256[] calldata burned
    ) external nonReentrant {
        if (msg.sender != AUCTION) revert EmissionController_OnlyBurners(msg.sender);
        uint256 sum = 0;
        for (uint256 i = 0; i < netuids.length; ++i) {
            sum += burned[i];
            _credit(netuids[i], burned[i], Source.Auction);
        }
        _countDestroyed(sum);
    }

    /// @inheritdoc IEmissionController
    function sponsor(
        Netuid netuid,
        uint256 amount
    ) external nonReentrant {
        if (!REGISTRY.exists(netuid)) revert EmissionController_UnknownSubnet(netuid);
        if (REGISTRY.prunedFromOf(netuid) != 0) revert EmissionController_PrunedSubnet(netuid);
        ERC20Burnable(address(TNDM)).burnFrom(msg.sender, amount);
        _countDestroyed(amount);
        _credit(netuid, amount, Source.Sponsor);
    }

    /// @inheritdoc IEmissionController
    function settle(
        uint256 maxSubnets
    ) external nonReentrant returns (uint64) {
        Head memory head = _head;
        Closing memory c;
        (c.epoch, c.next, c.pass) = (head.epoch, head.next, head.pass);
        for (uint256 left = maxSubnets; left > 0 && block.timestamp >= endOf(c.epoch);) {
            _begin(c, head.emitted + c.owed);
            left = _advance(c, left);
        }
        _suspend(c, head);
        return c.epoch;
    }

    /// @inheritdoc IEmissionController
    function settledThrough() external view returns (uint64) {
        return _head.epoch;
    }

    /// @inheritdoc IEmissionController
    function grantOf(
        uint64 epoch,
        Netuid netuid
    ) external view returns (Grant memory grant) {
        uint64 settled = _head.epoch;
        if (epoch >= settled || epoch + RING < settled) {
            revert EmissionController_NoGrant(epoch, settled > RING ? settled - RING : 0, settled);
        }
        grant = _grants[netuid][epoch % RING].unpack(epoch / RING + 1);
        grant.eligible = STAKING.eligibleAt(netuid, epoch);
    }

    /// @inheritdoc IEmissionController
    function ledgerOf(
        Netuid netuid
    ) external view returns (Ledger memory ledger) {
        LedgerWord word = _ledgers[netuid];
        ledger.burned = word.burned().toUint128();
        ledger.emitted = word.emitted().toUint128();
        if (word.allowance() == 0) return ledger;
        uint64 prunedFrom = REGISTRY.prunedFromOf(netuid);
        if (prunedFrom == 0 || _head.epoch < prunedFrom) ledger.allowance = word.allowance().toUint128();
    }

    /// @inheritdoc IEmissionController
    function totalEmitted() external view returns (uint256) {
        return _head.emitted;
    }

    /// @inheritdoc IEmissionController
    function totalBurned() external view returns (uint256) {
        return _head.burned;
    }

    /// @inheritdoc IEmissionController
    function emittedInYear() external view returns (uint256 emitted) {
        (emitted,) = _year.sumsAt(block.timestamp);
    }

    /// @inheritdoc IEmissionController
    function circulatingAt(
        uint256 timepoint
    ) external view returns (uint256) {
        return _circulating.upperLookupRecent(timepoint.toUint48());
    }

    /// @inheritdoc IEmissionController
    function phi() external view returns (uint256) {
        return PHI;
    }

    /// @inheritdoc IEmissionController
    function ceiling() external view returns (uint256) {
        return _ceilingAfter(_head.emitted);
    }

    /// @dev Puts down what this call has done. Only here does TNDM leave the vault.
    function _suspend(
        Closing memory c,
        Head memory head
    ) private {
        bool finished = c.epoch > head.epoch;
        if (c.begun) _storeHalfClosed(c);
        head.epoch = uint256(c.epoch).toUint40();
        head.next = c.next.toUint16();
        head.pass = c.pass;
        head.emitted = (head.emitted + c.owed).toUint88();
        _head = head;
        if (c.owed > 0) TNDM.safeTransfer(address(POOLS), c.owed);
        if (finished) {
            uint256 supply = ITandemToken(address(TNDM)).circulatingSupply();
            _circulating.push(block.timestamp.toUint48(), supply.toUint208());
        }
    }
}
