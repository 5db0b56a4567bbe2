// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { WAD } from "../types/Types.sol";
import { ILaunchGate } from "./ILaunchGate.sol";
import { IVestingVotes } from "./IVestingVotes.sol";
import { Votes } from "@openzeppelin/contracts/governance/utils/Votes.sol";
import { IERC6372 } from "@openzeppelin/contracts/interfaces/IERC6372.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ERC6372Utils } from "@openzeppelin/contracts/utils/ERC6372Utils.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { Time } from "@openzeppelin/contracts/utils/types/Time.sol";

/// @dev What of `amount` has vested after `elapsed` seconds: `immediateShare` (WAD) at once, the rest in a straight line over `duration`
/// seconds; rounded down, exact at the end.
function vestedDown(
    uint256 amount,
    uint256 immediateShare,
    uint256 elapsed,
    uint256 duration
) pure returns (uint256) {
    if (elapsed >= duration) return amount;
    uint256 immediate = Math.mulDiv(amount, immediateShare, WAD);
    return immediate + Math.mulDiv(amount - immediate, elapsed, duration);
}

/// @title VestingVotes
/// @notice Promises, units and errors are documented on IVestingVotes.
abstract contract VestingVotes is IVestingVotes, Votes {
    using SafeERC20 for IERC20;

    IERC20 public immutable TNDM;
    ILaunchGate public immutable GATE;

    /// @inheritdoc IVestingVotes
    uint256 public delegatedVotes;

    constructor(
        address tndm,
        address gate
    ) {
        TNDM = IERC20(tndm);
        GATE = ILaunchGate(gate);
    }

    /// @inheritdoc IVestingVotes
    function unreleasedOf(
        address account
    ) public view virtual returns (uint256);

    /// @inheritdoc IERC6372
    function clock() public view override(IERC6372, Votes) returns (uint48) {
        return Time.timestamp();
    }

    /// @inheritdoc IERC6372
    // forge-lint: disable-next-line(mixed-case-function)
    function CLOCK_MODE() public view override(IERC6372, Votes) returns (string memory) {
        return ERC6372Utils.timestampClockMode(clock);
    }

    /// @dev After `unreleasedOf` has grown by `amount`.
    function _promise(
        address account,
        uint256 amount
    ) internal {
        _transferVotingUnits(address(0), account, amount);
    }

    /// @dev After `unreleasedOf` has fallen by `amount`.
    function _pay(
        address account,
        uint256 amount
    ) internal {
        _transferVotingUnits(account, address(0), amount);
        TNDM.safeTransfer(account, amount);
    }

    /// @dev Every way in which units gain or lose a delegate passes here; zero means none.
    function _moveDelegateVotes(
        address from,
        address to,
        uint256 amount
    ) internal override {
        if (from == address(0) && to != address(0)) delegatedVotes += amount;
        if (from != address(0) && to == address(0)) delegatedVotes -= amount;
        super._moveDelegateVotes(from, to, amount);
    }

    function _getVotingUnits(
        address account
    ) internal view override returns (uint256) {
        return unreleasedOf(account);
    }

    /// @dev Seconds since markets opened; `open` is false before.
    function _sinceMarkets() internal view returns (bool open, uint256 elapsed) {
        uint256 opened = GATE.marketsOpenedAt();
        return opened == 0 ? (false, 0) : (true, block.timestamp - opened);
    }
}
