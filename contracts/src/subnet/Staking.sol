// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid, WAD } from "../types/Types.sol";
import { DelegationPools } from "./DelegationPools.sol";
import { Eligibility } from "./Eligibility.sol";
import { IDelegation } from "./IDelegation.sol";
import { IStakeWeights } from "./IStakeWeights.sol";
import { StakeWeights } from "./StakeWeights.sol";
import { StakingBase } from "./StakingBase.sol";
import { Takes } from "./Takes.sol";
import { UnbondingQueue } from "./UnbondingQueue.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { IERC20Permit } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Multicall } from "@openzeppelin/contracts/utils/Multicall.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title Staking
/// @notice Promises, units and errors are documented on IStaking and the three interfaces that it joins.
/// @dev Here tokens move; the parts keep the books: Positions and DelegationPools (shares), UnbondingQueue, StakedVotes, Takes,
/// StakeWeights, Eligibility.
contract Staking is UnbondingQueue, Eligibility, Takes, ReentrancyGuardTransient, Multicall {
    using SafeERC20 for IERC20;

    /// @notice The only one who slashes.
    address public immutable SLASHING;

    constructor(
        Config memory config,
        Virtual[] memory meshValidators
    )
        StakingBase(config)
        DelegationPools(config)
        UnbondingQueue(config)
        StakeWeights(config, meshValidators)
        Takes(config)
    {
        SLASHING = config.slashing;
    }

    /// @inheritdoc IDelegation
    function stake(
        Netuid netuid,
        address hotkey,
        uint256 alphaAmount
    ) external nonReentrant {
        if (REGISTRY.uidOf(netuid, hotkey) == 0) revert Staking_UnknownHotkey(netuid, hotkey);
        uint256 shares = _put(netuid, hotkey, alphaAmount);
        emit Staked(netuid, hotkey, msg.sender, alphaAmount, shares);
        _sample(netuid);
    }

    /// @inheritdoc IDelegation
    function unstake(
        Netuid netuid,
        address hotkey,
        uint256 alphaAmount
    ) external returns (uint256 unbondingId) {
        uint256 shares;
        uint64 releaseAt;
        (alphaAmount, shares, unbondingId, releaseAt) = _take(netuid, hotkey, alphaAmount);
        emit Unstaked(netuid, hotkey, msg.sender, alphaAmount, shares, unbondingId, releaseAt);
    }

    /// @inheritdoc IDelegation
    function bond(
        address hotkey,
        uint256 tndmAmount
    ) external nonReentrant {
        if (REGISTRY.subnetsOfAt(hotkey, currentEpoch() + 1) == 0) revert Staking_UnknownHotkey(BOND, hotkey);
        uint256 shares = _put(BOND, hotkey, tndmAmount);
        emit Bonded(hotkey, msg.sender, tndmAmount, shares);
    }

    /// @inheritdoc IDelegation
    function unbond(
        address hotkey,
        uint256 tndmAmount
    ) external returns (uint256 unbondingId) {
        uint256 shares;
        uint64 releaseAt;
        (tndmAmount, shares, unbondingId, releaseAt) = _take(BOND, hotkey, tndmAmount);
        emit Unbonded(hotkey, msg.sender, tndmAmount, shares, unbondingId, releaseAt);
    }

    /// @inheritdoc IDelegation
    function withdraw(
        uint256 unbondingId
    ) external nonReentrant {
        (Netuid netuid, address account, uint256 amount) = _leave(unbondingId);
        if (amount != 0) _tokenOf(netuid).safeTransfer(account, amount);
        emit Withdrawn(unbondingId, account, amount);
    }

    /// @inheritdoc IDelegation
    function permit(
        Netuid netuid,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        IERC20Permit token = IERC20Permit(address(_tokenOf(netuid)));
        // Somebody may have used the permit first, which leaves the same allowance.
        try token.permit(msg.sender, address(this), amount, deadline, v, r, s) { } catch { }
    }

    /// @inheritdoc IDelegation
    function slash(
        Netuid netuid,
        address hotkey,
        uint256 share,
        address prover
    ) external nonReentrant returns (uint256 tndmTaken, uint256 alphaTaken) {
        if (msg.sender != SLASHING) revert Staking_OnlySlashing(msg.sender);
        if (share > WAD) revert Staking_BadShare(share);
        tndmTaken = _slash(BOND, hotkey, share, prover);
        if (netuid != BOND) alphaTaken = _slash(netuid, hotkey, share, prover);
    }

    /// @inheritdoc IStakeWeights
    function sampleCirculation(
        Netuid netuid
    ) external {
        _tokenOf(netuid);
        _sample(netuid);
    }

    function _put(
        Netuid netuid,
        address hotkey,
        uint256 amount
    ) private returns (uint256 shares) {
        if (amount == 0) revert Staking_ZeroAmount();
        IERC20 token = _tokenOf(netuid);
        shares = _putIn(netuid, hotkey, token, amount);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    function _take(
        Netuid netuid,
        address hotkey,
        uint256 asked
    ) private returns (uint256 amount, uint256 shares, uint256 unbondingId, uint64 releaseAt) {
        uint256 left;
        (amount, shares, left) = _takeOut(netuid, hotkey, asked);
        Ledger storage ledger = _ledgerOf(netuid, hotkey);
        (unbondingId, releaseAt) = _join(netuid, hotkey, ledger, amount);
        _onLowered(netuid, hotkey, left);
    }

    /// @dev Slashes one pool and its queue.
    function _slash(
        Netuid netuid,
        address hotkey,
        uint256 share,
        address prover
    ) private returns (uint256 taken) {
        (uint256 staked, uint256 left) = _cutPool(netuid, hotkey, share);
        Ledger storage ledger = _ledgerOf(netuid, hotkey);
        uint256 unbonding = _cutQueue(ledger, share);
        _onLowered(netuid, hotkey, left);
        taken = staked + unbonding;
        if (taken == 0) return 0;
        uint256 reward = taken / 2;
        IERC20 token = _tokenOf(netuid);
        token.safeTransfer(prover, reward);
        ERC20Burnable(address(token)).burn(taken - reward);
        emit Slashed(netuid, hotkey, prover, share, staked, unbonding, reward);
    }
}
