// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { Netuid } from "../types/Types.sol";
import { ITandemVotes } from "./ITandemVotes.sol";
import { IVotesView } from "./IVotesView.sol";
import { VotesView } from "./VotesView.sol";
import { IVotes } from "@openzeppelin/contracts/governance/utils/IVotes.sol";

/// @title TandemVotes
/// @notice Promises, units and errors are documented on ITandemVotes and IVotesView.
contract TandemVotes is ITandemVotes, VotesView {
    IEmissionController public immutable CONTROLLER;

    /// @dev Set once, in the constructor.
    IVotes[] private _vesting;

    /// @param vesting Contracts with promised TNDM, each once.
    constructor(
        address token,
        address staking,
        address controller,
        address[] memory vesting
    ) VotesView(token, staking, Netuid.wrap(0)) {
        CONTROLLER = IEmissionController(controller);
        for (uint256 i = 0; i < vesting.length; ++i) {
            _vesting.push(IVotes(vesting[i]));
        }
    }

    /// @inheritdoc IVotes
    function getVotes(
        address account
    ) public view override(IVotes, VotesView) returns (uint256 votes) {
        votes = super.getVotes(account);
        uint256 count = _vesting.length;
        for (uint256 i = 0; i < count; ++i) {
            votes += _vesting[i].getVotes(account);
        }
    }

    /// @inheritdoc IVotes
    function getPastVotes(
        address account,
        uint256 timepoint
    ) public view override(IVotes, VotesView) returns (uint256 votes) {
        votes = super.getPastVotes(account, timepoint);
        uint256 count = _vesting.length;
        for (uint256 i = 0; i < count; ++i) {
            votes += _vesting[i].getPastVotes(account, timepoint);
        }
    }

    /// @inheritdoc IVotesView
    function sources() public view override(IVotesView, VotesView) returns (address[] memory list) {
        address[] memory held = super.sources();
        uint256 count = _vesting.length;
        list = new address[](held.length + count);
        for (uint256 i = 0; i < held.length; ++i) {
            list[i] = held[i];
        }
        for (uint256 i = 0; i < count; ++i) {
            list[held.length + i] = address(_vesting[i]);
        }
    }

    /// @inheritdoc IVotesView
    function name() external pure returns (string memory) {
        return "Tandem Votes";
    }

    /// @inheritdoc IVotesView
    function symbol() external pure returns (string memory) {
        return "vTNDM";
    }

    function _supplyAt(
        uint256 timepoint
    ) internal view override returns (uint256) {
        return CONTROLLER.circulatingAt(timepoint);
    }
}
