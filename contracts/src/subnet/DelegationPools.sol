// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid, WAD } from "../types/Types.sol";
import { IDelegation } from "./IDelegation.sol";
import { IStakedVotes } from "./IStakedVotes.sol";
import { Position, Positions } from "./Positions.sol";
import { StakedVotes } from "./StakedVotes.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title Pools of stake and who owns their shares; every position is checkpointed by epoch [SN-2]
/// @dev Only bookkeeping: tokens move in Staking.
abstract contract DelegationPools is StakedVotes {
    using Checkpoints for Checkpoints.Trace208;
    using Positions for Checkpoints.Trace208;
    using Positions for Position;

    /// @dev What else there is to know of a pool, in one word. The first three are the queue's (UnbondingQueue), the last is
    /// what Eligibility relies on.
    struct Ledger {
        uint96 unbonding; // assets in the queue
        uint64 lost; // WAD; what slashes took of each asset that has been in the queue since the era began
        uint32 era; // of the queue; assets of past eras are gone
        uint48 floor; // in units of 2^40 wei: while the pool holds as much, the trios that it belongs to are good; 0: to none
    }

    struct Pool {
        Ledger ledger;
        Checkpoints.Trace208 total;
        mapping(address account => Checkpoints.Trace208) positions;
        address[] delegators; // whoever has a position or had one
    }

    uint256 public immutable MINIMUM_DELEGATION;

    mapping(Netuid => mapping(address hotkey => Pool)) private _pools;

    constructor(
        Config memory config
    ) {
        if (config.minimumDelegation == 0) revert Staking_BadConfig();
        MINIMUM_DELEGATION = config.minimumDelegation;
    }

    /// @inheritdoc IDelegation
    function stakeOf(
        Netuid netuid,
        address hotkey,
        address account
    ) public view returns (uint256) {
        Pool storage pool = _pool(netuid, hotkey);
        return pool.total.current().toAssetsDown(pool.positions[account].current().shares);
    }

    /// @inheritdoc IDelegation
    function bondOf(
        address hotkey,
        address account
    ) external view returns (uint256) {
        return stakeOf(BOND, hotkey, account);
    }

    /// @inheritdoc IDelegation
    function totalStakeAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) public view returns (uint256) {
        return _pool(netuid, hotkey).total.asOf(_key(epoch)).assets;
    }

    /// @inheritdoc IDelegation
    function totalBondAt(
        address hotkey,
        uint64 epoch
    ) public view returns (uint256) {
        return totalStakeAt(BOND, hotkey, epoch);
    }

    /// @inheritdoc IDelegation
    function sharesAt(
        Netuid netuid,
        address hotkey,
        address account,
        uint64 epoch
    ) public view returns (uint256) {
        return _pool(netuid, hotkey).positions[account].asOf(_key(epoch)).shares;
    }

    /// @inheritdoc IDelegation
    function totalSharesAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256) {
        return _pool(netuid, hotkey).total.asOf(_key(epoch)).shares;
    }

    /// @inheritdoc IDelegation
    function delegatorCount(
        Netuid netuid,
        address hotkey
    ) external view returns (uint256) {
        return _pool(netuid, hotkey).delegators.length;
    }

    /// @inheritdoc IDelegation
    function delegationsAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch,
        uint256 from,
        uint256 count
    ) external view returns (Delegation[] memory page) {
        address[] storage all = _pool(netuid, hotkey).delegators;
        page = new Delegation[](Math.min(count, Math.saturatingSub(all.length, from)));
        for (uint256 i = 0; i < page.length; ++i) {
            address account = all[from + i];
            page[i] = Delegation({ account: account, shares: sharesAt(netuid, hotkey, account, epoch) });
        }
    }

    /// @inheritdoc IStakedVotes
    function syncVotes(
        Netuid netuid,
        address hotkey,
        address account
    ) external {
        Pool storage pool = _pool(netuid, hotkey);
        Checkpoints.Trace208 storage trace = pool.positions[account];
        Position memory own = trace.current();
        uint256 units = own.assets;
        own.assets = pool.total.current().toAssetsDown(own.shares);
        if (own.assets != units) trace.write(_nextKey(), own);
        _moveUnits(netuid, account, units, own.assets);
        _followToken(netuid, account, _tokenOf(netuid));
    }

    /// @dev Gives the caller shares of the pool for `amount` of its `token`.
    function _putIn(
        Netuid netuid,
        address hotkey,
        IERC20 token,
        uint256 amount
    ) internal returns (uint256 shares) {
        Pool storage pool = _pool(netuid, hotkey);
        Checkpoints.Trace208 storage trace = pool.positions[msg.sender];
        Position memory total = pool.total.current();
        Position memory own = trace.current();
        uint256 worth = total.toAssetsDown(own.shares) + amount;
        if (worth < MINIMUM_DELEGATION) revert Staking_BelowMinimum(worth, MINIMUM_DELEGATION);
        shares = total.toSharesDown(amount);
        total.assets += amount;
        total.shares += shares;
        if (total.shares > Positions.MAX_SHARES) revert Staking_PoolRuined(netuid, hotkey);
        if (trace.length() == 0) pool.delegators.push(msg.sender);
        uint256 units = own.assets;
        own.shares += shares;
        own.assets = total.toAssetsDown(own.shares);
        uint48 key = _nextKey();
        pool.total.write(key, total);
        trace.write(key, own);
        _followToken(netuid, msg.sender, token);
        _moveUnits(netuid, msg.sender, units, own.assets);
    }

    /// @dev Takes shares worth `asked` from the caller (the largest uint256: all of them) and what they are worth out of the pool.
    /// @return amount Assets that left the pool.
    /// @return shares Shares that went.
    /// @return left Assets that the pool holds still.
    function _takeOut(
        Netuid netuid,
        address hotkey,
        uint256 asked
    ) internal returns (uint256 amount, uint256 shares, uint256 left) {
        Pool storage pool = _pool(netuid, hotkey);
        Checkpoints.Trace208 storage trace = pool.positions[msg.sender];
        Position memory total = pool.total.current();
        Position memory own = trace.current();
        uint256 worth = total.toAssetsDown(own.shares);
        amount = asked == type(uint256).max ? worth : asked;
        if (amount == 0) revert Staking_ZeroAmount();
        if (amount > worth) revert Staking_Insufficient(amount, worth);
        // Who takes all takes the odd shares too: no dust stays behind.
        shares = amount == worth ? own.shares : total.toSharesUp(amount);
        total.assets -= amount;
        total.shares -= shares;
        uint256 units = own.assets;
        own.shares -= shares;
        own.assets = total.toAssetsDown(own.shares);
        if (own.shares != 0 && own.assets < MINIMUM_DELEGATION) {
            revert Staking_BelowMinimum(own.assets, MINIMUM_DELEGATION);
        }
        uint48 key = _nextKey();
        pool.total.write(key, total);
        trace.write(key, own);
        // To leave must depend on no other contract: whom the token follows is not asked here.
        _moveUnits(netuid, msg.sender, units, own.assets);
        left = total.assets;
    }

    /// @dev Takes `share` (WAD) of the pool's assets, rounded down; the shares stay and are worth less.
    function _cutPool(
        Netuid netuid,
        address hotkey,
        uint256 share
    ) internal returns (uint256 taken, uint256 left) {
        Checkpoints.Trace208 storage trace = _pool(netuid, hotkey).total;
        Position memory total = trace.current();
        taken = total.assets * share / WAD;
        left = total.assets - taken;
        if (taken == 0) return (taken, left);
        total.assets = left;
        trace.write(_nextKey(), total);
    }

    /// @dev Assets of the pool as they will count from the next epoch on.
    function _assetsOf(
        Netuid netuid,
        address hotkey
    ) internal view returns (uint256) {
        return _pool(netuid, hotkey).total.current().assets;
    }

    function _ledgerOf(
        Netuid netuid,
        address hotkey
    ) internal view returns (Ledger storage) {
        return _pool(netuid, hotkey).ledger;
    }

    function _pool(
        Netuid netuid,
        address hotkey
    ) private view returns (Pool storage) {
        return _pools[netuid][hotkey];
    }
}
