// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IStakedVotes } from "../subnet/IStakedVotes.sol";
import { Netuid } from "../types/Types.sol";
import { IVotesView } from "./IVotesView.sol";
import { IVotes } from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import { IERC6372 } from "@openzeppelin/contracts/interfaces/IERC6372.sol";
import { ERC6372Utils } from "@openzeppelin/contracts/utils/ERC6372Utils.sol";
import { Time } from "@openzeppelin/contracts/utils/types/Time.sol";

/// @title VotesView
/// @notice Promises, units and errors are documented on IVotesView.
abstract contract VotesView is IVotesView {
    /// @notice Where most votes are delegated.
    IVotes public immutable TOKEN;
    /// @notice Where staked and bonded tokens lie.
    IStakedVotes public immutable STAKING;
    /// @notice Staking's key of the token: 0 for TNDM, else the netuid.
    Netuid public immutable KEY;

    constructor(
        address token,
        address staking,
        Netuid key
    ) {
        TOKEN = IVotes(token);
        STAKING = IStakedVotes(staking);
        KEY = key;
    }

    /// @inheritdoc IVotes
    function getVotes(
        address account
    ) public view virtual returns (uint256) {
        return TOKEN.getVotes(account) + STAKING.getVotes(KEY, account);
    }

    /// @inheritdoc IVotes
    function getPastVotes(
        address account,
        uint256 timepoint
    ) public view virtual returns (uint256) {
        _requirePast(timepoint);
        return TOKEN.getPastVotes(account, timepoint) + STAKING.getPastVotes(KEY, account, timepoint);
    }

    /// @inheritdoc IVotes
    function getPastTotalSupply(
        uint256 timepoint
    ) external view returns (uint256) {
        _requirePast(timepoint);
        return _supplyAt(timepoint);
    }

    /// @notice Whom `account` has delegated its votes at the token to.
    function delegates(
        address account
    ) external view returns (address) {
        return TOKEN.delegates(account);
    }

    /// @inheritdoc IVotesView
    function delegate(
        address
    ) external view {
        revert VotesView_DelegateAtSource(address(TOKEN));
    }

    /// @inheritdoc IVotesView
    function delegateBySig(
        address,
        uint256,
        uint256,
        uint8,
        bytes32,
        bytes32
    ) external view {
        revert VotesView_DelegateAtSource(address(TOKEN));
    }

    /// @inheritdoc IVotesView
    function sources() public view virtual returns (address[] memory list) {
        list = new address[](2);
        (list[0], list[1]) = (address(TOKEN), address(STAKING));
    }

    /// @inheritdoc IERC6372
    function clock() public view returns (uint48) {
        return Time.timestamp();
    }

    /// @inheritdoc IERC6372
    // forge-lint: disable-next-line(mixed-case-function)
    function CLOCK_MODE() external view returns (string memory) {
        return ERC6372Utils.timestampClockMode(clock());
    }

    /// @inheritdoc IVotesView
    function decimals() external pure returns (uint8) {
        return 18;
    }

    /// @dev What quorums are measured against, at a past second.
    function _supplyAt(
        uint256 timepoint
    ) internal view virtual returns (uint256);

    function _requirePast(
        uint256 timepoint
    ) private view {
        uint48 now_ = clock();
        if (timepoint >= now_) revert ERC5805FutureLookup(timepoint, now_);
    }
}
