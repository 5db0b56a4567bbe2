// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../epoch/IRewardDistributor.sol";
import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { IAlphaPools } from "../market/IAlphaPools.sol";
import { IStaking } from "../subnet/IStaking.sol";
import { ISubnetRegistry } from "../subnet/ISubnetRegistry.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { EMISSION_CAP, MAX_SUPPLY, halvedPerEpochDown } from "./Halving.sol";
import { IEmissionController } from "./IEmissionController.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title EmissionController
/// @notice The law [EM-1], kept by construction:
///
///     Σ emitted + Σ allowance + Σ faded + Σ waiting = Σ ⌊φ · burned⌋ <= φ · Σ burned <= φ · (21,000,000 − totalSupply)
///
/// TNDM leaves this contract in one place (`_pay`), which takes the same amount off an allowance; allowances grow in one
/// place (`_weigh`), by ⌊φ · burned⌋ of burns that the token's lost supply covers.
contract EmissionController is IEmissionController, EpochClock, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev Where a burn came from, as in BurnCredited.
    enum Source {
        Auction,
        Lock,
        Sponsor
    }

    /// @dev The visits that closing an epoch pays to each subnet, in this order.
    enum Pass {
        Weigh, // allowances, prices, who takes part
        Share, // first pass over the ceiling; skipped if nobody takes part
        Pay // second pass, transfers and budgets
    }

    /// @dev How far the closing of `epoch` has come; survives between calls.
    struct Closing {
        uint64 epoch;
        uint16 netuid; // next to visit; 0: not begun
        Pass pass;
        bool emitting; // markets were open at the epoch's start
        uint128 ceiling;
        uint128 shared; // Σ of the first pass
        uint128 unmet; // Σ of what the first pass left of a_i / smoothing
        uint256 prices; // Σ EMA of those that take part
        uint256 emitted;
    }

    uint256 private constant MAX_PHI = 0.95e18;

    IERC20 public immutable TNDM;
    IAlphaPools public immutable POOLS;
    IRewardDistributor public immutable DISTRIBUTOR;
    ISubnetRegistry public immutable REGISTRY;
    IStaking public immutable STAKING;
    ILaunchGate public immutable GATE;
    address public immutable AUCTION;
    uint256 public immutable PHI;
    uint256 public immutable SMOOTHING;
    uint64 public immutable FADE_PERIOD;
    uint256 public immutable EMISSION_PER_DAY;
    uint256 public immutable ALPHA_PER_DAY;

    /// @inheritdoc IEmissionController
    uint256 public totalEmitted;
    /// @inheritdoc IEmissionController
    uint256 public totalBurned;
    /// @inheritdoc IEmissionController
    mapping(uint64 epoch => mapping(Netuid => uint256)) public burnedIn;

    Closing private _closing;
    mapping(Netuid => Ledger) private _ledgers;
    mapping(uint64 epoch => mapping(Netuid => Grant)) private _grants;
    /// @dev Of the epoch that was closed last.
    mapping(Netuid => uint256) private _twaps;

    constructor(
        Config memory config
    ) EpochClock(config.genesis, config.epochLength) {
        if (config.phi > MAX_PHI || config.smoothing == 0 || config.fadePeriod < config.epochLength) {
            revert EmissionController_BadConfig();
        }
        TNDM = IERC20(config.tndm);
        POOLS = IAlphaPools(config.pools);
        DISTRIBUTOR = IRewardDistributor(config.distributor);
        REGISTRY = ISubnetRegistry(config.registry);
        STAKING = IStaking(config.staking);
        GATE = ILaunchGate(config.gate);
        AUCTION = config.auction;
        PHI = config.phi;
        SMOOTHING = config.smoothing;
        FADE_PERIOD = config.fadePeriod;
        EMISSION_PER_DAY = config.emissionPerDay;
        ALPHA_PER_DAY = config.alphaPerDay;
    }

    /// @inheritdoc IEmissionController
    function creditBurn(
        Netuid netuid,
        uint256 burned
    ) external {
        if (msg.sender == AUCTION) _credit(netuid, burned, Source.Auction);
        else if (msg.sender == address(REGISTRY)) _credit(netuid, burned, Source.Lock);
        else revert EmissionController_OnlyBurners(msg.sender);
    }

    /// @inheritdoc IEmissionController
    function sponsor(
        Netuid netuid,
        uint256 amount
    ) external nonReentrant {
        if (!REGISTRY.exists(netuid)) revert EmissionController_UnknownSubnet(netuid);
        ERC20Burnable(address(TNDM)).burnFrom(msg.sender, amount);
        _credit(netuid, amount, Source.Sponsor);
    }

    /// @inheritdoc IEmissionController
    function settle(
        uint256 maxSubnets
    ) external nonReentrant returns (uint64) {
        Closing memory c = _closing;
        for (uint256 left = maxSubnets; left > 0 && block.timestamp >= endOf(c.epoch); --left) {
            _step(c);
        }
        _closing = c;
        return c.epoch;
    }

    /// @inheritdoc IEmissionController
    function settledThrough() external view returns (uint64) {
        return _closing.epoch;
    }

    /// @inheritdoc IEmissionController
    function grantOf(
        uint64 epoch,
        Netuid netuid
    ) external view returns (Grant memory) {
        return _grants[epoch][netuid];
    }

    /// @inheritdoc IEmissionController
    function ledgerOf(
        Netuid netuid
    ) external view returns (Ledger memory) {
        return _ledgers[netuid];
    }

    /// @inheritdoc IEmissionController
    function phi() external view returns (uint256) {
        return PHI;
    }

    /// @inheritdoc IEmissionController
    function ceiling() public view returns (uint256) {
        return halvedPerEpochDown(EMISSION_PER_DAY, LENGTH, EMISSION_CAP, totalEmitted);
    }

    function _credit(
        Netuid netuid,
        uint256 burned,
        Source source
    ) private {
        if (burned == 0) return;
        if (netuid.isZero()) revert EmissionController_UnknownSubnet(netuid);
        uint256 credited = totalBurned + burned;
        uint256 destroyed = MAX_SUPPLY - TNDM.totalSupply();
        if (credited > destroyed) revert EmissionController_NotDestroyed(credited, destroyed);
        uint64 epoch = currentEpoch();
        totalBurned = credited;
        burnedIn[epoch][netuid] += burned;
        _ledgers[netuid].burned += burned.toUint128();
        emit BurnCredited(netuid, epoch, burned, uint8(source));
    }

    /// @dev One visit to one subnet, and what follows when it was the last of its pass; an epoch without subnets is one step.
    function _step(
        Closing memory c
    ) private {
        if (c.netuid == 0) {
            _begin(c);
            if (!_takesPart(c.netuid, c.epoch)) return _finish(c);
        }
        Netuid netuid = Netuid.wrap(c.netuid);
        if (c.pass == Pass.Weigh) _weigh(c, netuid);
        else if (c.pass == Pass.Share) _share(c, netuid);
        else _pay(c, netuid);
        if (_takesPart(++c.netuid, c.epoch)) return;

        c.netuid = 1;
        if (c.pass == Pass.Pay) _finish(c);
        else if (c.pass == Pass.Weigh && c.prices > 0) c.pass = Pass.Share;
        else c.pass = Pass.Pay;
    }

    function _begin(
        Closing memory c
    ) private view {
        uint256 openedAt = GATE.marketsOpenedAt();
        c.netuid = 1;
        c.emitting = openedAt != 0 && openedAt <= startOf(c.epoch);
        c.ceiling = c.emitting ? ceiling().toUint128() : 0;
    }

    function _finish(
        Closing memory c
    ) private {
        emit EpochSettled(c.epoch, c.ceiling, c.emitted);
        ++c.epoch;
        c.netuid = 0;
        c.pass = Pass.Weigh;
        c.shared = 0;
        c.unmet = 0;
        c.prices = 0;
        c.emitted = 0;
    }

    /// @dev Ids ascend with time and the epoch is over: no id below the first one that fails this will ever be added.
    function _takesPart(
        uint16 netuid,
        uint64 epoch
    ) private view returns (bool) {
        return netuid <= REGISTRY.subnetCount() && REGISTRY.registeredEpochOf(Netuid.wrap(netuid)) <= epoch;
    }

    /// @dev First visit: bring the allowance up to the epoch's boundary, close its price, see who takes part.
    function _weigh(
        Closing memory c,
        Netuid netuid
    ) private {
        Ledger storage ledger = _ledgers[netuid];
        uint256 allowance = ledger.allowance;
        if (c.epoch > 0) allowance += Math.mulDiv(PHI, burnedIn[c.epoch - 1][netuid], WAD);
        if (c.emitting) allowance -= Math.mulDiv(allowance, LENGTH, FADE_PERIOD);
        ledger.allowance = allowance.toUint128();

        Grant storage grant = _grants[c.epoch][netuid];
        grant.eligible = STAKING.eligibleAt(netuid, c.epoch);
        (uint256 ema, uint256 twap) = POOLS.closeEpoch(netuid, c.epoch);
        if (ema == 0) return;
        _twaps[netuid] = twap;
        grant.price = ema.toUint128();
        if (_earns(c, grant, allowance)) c.prices += ema;
    }

    /// @dev Second visit: the share of the ceiling by price, as far as the allowance goes.
    function _share(
        Closing memory c,
        Netuid netuid
    ) private {
        Grant storage grant = _grants[c.epoch][netuid];
        uint256 allowance = _ledgers[netuid].allowance;
        if (!_earns(c, grant, allowance)) return;
        uint256 price = grant.price;
        uint256 wanted = allowance / SMOOTHING;
        uint256 given = Math.min(Math.mulDiv(c.ceiling, price, c.prices), wanted);
        grant.share = Math.mulDiv(price, WAD, c.prices).toUint128();
        grant.emitted = given.toUint128();
        c.shared += given.toUint128();
        c.unmet += (wanted - given).toUint128();
    }

    /// @dev Third visit: the unused part of the ceiling to what is unmet, then hand everything over. Only here does TNDM
    /// leave the vault.
    function _pay(
        Closing memory c,
        Netuid netuid
    ) private {
        Grant storage grant = _grants[c.epoch][netuid];
        Ledger storage ledger = _ledgers[netuid];
        uint256 emitted;
        uint256 alphaOut;
        if (_earns(c, grant, ledger.allowance)) {
            emitted = grant.emitted + _topUpDown(c, ledger.allowance / SMOOTHING - grant.emitted);
            alphaOut = _alphaOutDown(c.epoch, netuid, emitted, grant.price);
            grant.emitted = emitted.toUint128();
            grant.alphaOut = alphaOut.toUint128();
            ledger.allowance -= emitted.toUint128();
            ledger.emitted += emitted.toUint128();
            totalEmitted += emitted;
            c.emitted += emitted;
            TNDM.safeTransfer(address(POOLS), emitted);
            POOLS.grant(netuid, emitted, alphaOut);
        }
        uint256 usdc = DISTRIBUTOR.closeEpoch(c.epoch, netuid, grant.eligible, alphaOut);
        grant.usdc = usdc.toUint128();
        emit Granted(c.epoch, netuid, emitted, alphaOut, usdc, ledger.allowance);
    }

    function _topUpDown(
        Closing memory c,
        uint256 unmet
    ) private pure returns (uint256) {
        uint256 unused = c.ceiling - c.shared;
        return unused >= c.unmet ? unmet : Math.mulDiv(unused, unmet, c.unmet);
    }

    /// @dev Alpha worth what was emitted, at the dearer of the two prices, within the schedule and the supply [EM-3].
    function _alphaOutDown(
        uint64 epoch,
        Netuid netuid,
        uint256 emitted,
        uint256 ema
    ) private view returns (uint256) {
        uint256 worth = Math.mulDiv(emitted, WAD, Math.max(ema, _twaps[netuid]));
        uint256 issued = POOLS.issuedAt(netuid, epoch);
        return Math.min(worth, halvedPerEpochDown(ALPHA_PER_DAY, LENGTH, MAX_SUPPLY, issued));
    }

    function _earns(
        Closing memory c,
        Grant storage grant,
        uint256 allowance
    ) private view returns (bool) {
        return c.emitting && grant.eligible && grant.price > 0 && allowance > 0;
    }
}
