// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { IStakedVotes } from "./IStakedVotes.sol";
import { StakingBase } from "./StakingBase.sol";
import { IVotes } from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import { Time } from "@openzeppelin/contracts/utils/types/Time.sol";

/// @title Votes of what is staked, as documented on IStakedVotes
abstract contract StakedVotes is StakingBase {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for int256;
    using SafeCast for uint256;

    /// @dev One word. `units` is the sum over the account's positions under the netuid; `chosen` says that the delegate was chosen
    /// here and not in the token.
    struct Voter {
        address delegate;
        uint88 units;
        bool chosen;
    }

    mapping(Netuid => mapping(address account => Voter)) private _voters;
    mapping(Netuid => mapping(address delegate => Checkpoints.Trace208)) private _votes;

    /// @inheritdoc IStakedVotes
    function delegate(
        Netuid netuid,
        address to
    ) external {
        Voter storage voter = _voters[netuid][msg.sender];
        voter.chosen = true;
        _setDelegate(netuid, msg.sender, voter, to);
    }

    /// @inheritdoc IStakedVotes
    function delegateOf(
        Netuid netuid,
        address account
    ) external view returns (address) {
        return _voters[netuid][account].delegate;
    }

    /// @inheritdoc IStakedVotes
    function votingUnitsOf(
        Netuid netuid,
        address account
    ) external view returns (uint256) {
        return _voters[netuid][account].units;
    }

    /// @inheritdoc IStakedVotes
    function getVotes(
        Netuid netuid,
        address account
    ) external view returns (uint256) {
        return _votes[netuid][account].latest();
    }

    /// @inheritdoc IStakedVotes
    function getPastVotes(
        Netuid netuid,
        address account,
        uint256 timepoint
    ) external view returns (uint256) {
        uint48 clock = Time.timestamp();
        if (timepoint >= clock) revert Staking_FutureLookup(timepoint, clock);
        return _votes[netuid][account].upperLookupRecent(timepoint.toUint48());
    }

    /// @dev A position of the account changes its units from `previous` to `units`.
    function _moveUnits(
        Netuid netuid,
        address account,
        uint256 previous,
        uint256 units
    ) internal {
        if (units == previous) return;
        Voter storage voter = _voters[netuid][account];
        voter.units = (voter.units + units - previous).toUint88();
        _addVotes(netuid, voter.delegate, units.toInt256() - previous.toInt256());
    }

    /// @dev Gives the account's votes to whom it has delegated in the token, unless it has chosen here.
    function _followToken(
        Netuid netuid,
        address account,
        IERC20 token
    ) internal {
        Voter storage voter = _voters[netuid][account];
        if (voter.chosen) return;
        address to = IVotes(address(token)).delegates(account);
        if (to != voter.delegate) _setDelegate(netuid, account, voter, to);
    }

    function _setDelegate(
        Netuid netuid,
        address account,
        Voter storage voter,
        address to
    ) private {
        address from = voter.delegate;
        voter.delegate = to;
        emit StakedVotesDelegated(netuid, account, from, to);
        if (from == to) return;
        int256 units = uint256(voter.units).toInt256();
        _addVotes(netuid, from, -units);
        _addVotes(netuid, to, units);
    }

    function _addVotes(
        Netuid netuid,
        address to,
        int256 change
    ) private {
        if (to == address(0) || change == 0) return;
        Checkpoints.Trace208 storage trace = _votes[netuid][to];
        uint256 previous = trace.latest();
        uint256 votes = (previous.toInt256() + change).toUint256();
        trace.push(Time.timestamp(), votes.toUint208());
        emit StakedVotesChanged(netuid, to, previous, votes);
    }
}
