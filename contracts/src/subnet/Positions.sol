// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @dev Of a pool: all that is in it and all of its shares. Of an account: its shares and what they were worth when it was last
/// touched, which is what it votes with.
struct Position {
    uint256 assets;
    uint256 shares;
}

/// @title Shares of a pool, and positions as checkpoints of one word
/// @notice A share is worth `(assets + 1) / (shares + 1e6)`: the virtual share and asset of Morpho Blue, which make the price of a
/// share in an empty pool a constant that nobody can push by more than dust. All functions round against the account.
library Positions {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;

    uint256 internal constant VIRTUAL_SHARES = 1e6;
    uint256 internal constant VIRTUAL_ASSETS = 1;

    /// @dev A checkpoint's 208 bits: assets in the upper 88 (the supply of a token takes 85), shares in the lower 120.
    uint256 private constant SHARE_BITS = 120;
    uint256 internal constant MAX_SHARES = type(uint120).max;

    /// @dev Shares that `assets` put into the pool buy.
    function toSharesDown(
        Position memory pool,
        uint256 assets
    ) internal pure returns (uint256) {
        return assets * (pool.shares + VIRTUAL_SHARES) / (pool.assets + VIRTUAL_ASSETS);
    }

    /// @dev Shares that `assets` taken out of the pool cost.
    function toSharesUp(
        Position memory pool,
        uint256 assets
    ) internal pure returns (uint256) {
        uint256 price = pool.assets + VIRTUAL_ASSETS;
        return (assets * (pool.shares + VIRTUAL_SHARES) + price - 1) / price;
    }

    /// @dev What `shares` of the pool are worth. Never more than the pool holds: the quotient is below `assets + 1`.
    function toAssetsDown(
        Position memory pool,
        uint256 shares
    ) internal pure returns (uint256) {
        return shares * (pool.assets + VIRTUAL_ASSETS) / (pool.shares + VIRTUAL_SHARES);
    }

    function current(
        Checkpoints.Trace208 storage trace
    ) internal view returns (Position memory) {
        return _unpack(trace.latest());
    }

    function asOf(
        Checkpoints.Trace208 storage trace,
        uint48 epoch
    ) internal view returns (Position memory) {
        return _unpack(trace.upperLookupRecent(epoch));
    }

    /// @dev `shares` must not exceed MAX_SHARES.
    function write(
        Checkpoints.Trace208 storage trace,
        uint48 epoch,
        Position memory position
    ) internal {
        trace.push(epoch, (uint256(position.assets.toUint88()) << SHARE_BITS | position.shares).toUint208());
    }

    function _unpack(
        uint208 word
    ) private pure returns (Position memory) {
        return Position({ assets: uint256(word) >> SHARE_BITS, shares: uint256(word) & MAX_SHARES });
    }
}
