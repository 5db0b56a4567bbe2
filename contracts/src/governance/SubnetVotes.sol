// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "../market/IAlphaPools.sol";
import { Netuid } from "../types/Types.sol";
import { ISubnetVotes } from "./ISubnetVotes.sol";
import { IVotesView } from "./IVotesView.sol";
import { VotesView } from "./VotesView.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { IERC20Metadata } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title SubnetVotes
/// @notice Promises, units and errors are documented on ISubnetVotes and IVotesView.
contract SubnetVotes is ISubnetVotes, VotesView {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;

    /// @notice AlphaPools, which holds all alpha that does not circulate.
    address public immutable VAULT;

    Checkpoints.Trace208 private _supply;

    constructor(
        Netuid netuid_,
        address pools,
        address staking
    ) VotesView(_alphaOf(pools, netuid_), staking, netuid_) {
        VAULT = pools;
        sample();
    }

    /// @inheritdoc ISubnetVotes
    function sample() public returns (uint256 circulating) {
        IERC20 alpha = IERC20(address(TOKEN));
        circulating = alpha.totalSupply() - alpha.balanceOf(VAULT);
        _supply.push(clock(), circulating.toUint208());
        emit SupplySampled(circulating);
    }

    /// @inheritdoc ISubnetVotes
    function netuid() external view returns (Netuid) {
        return KEY;
    }

    /// @inheritdoc IVotesView
    function name() external view returns (string memory) {
        return string.concat(IERC20Metadata(address(TOKEN)).name(), " Votes");
    }

    /// @inheritdoc IVotesView
    function symbol() external view returns (string memory) {
        return string.concat("v", IERC20Metadata(address(TOKEN)).symbol());
    }

    function _supplyAt(
        uint256 timepoint
    ) internal view override returns (uint256) {
        return _supply.upperLookupRecent(timepoint.toUint48());
    }

    function _alphaOf(
        address pools,
        Netuid netuid_
    ) private view returns (address alpha) {
        alpha = IAlphaPools(pools).alphaOf(netuid_);
        if (alpha == address(0)) revert SubnetVotes_NoAlpha(netuid_);
    }
}
