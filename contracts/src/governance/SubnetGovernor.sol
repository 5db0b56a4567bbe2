// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { GovernorStack } from "./GovernorStack.sol";
import { IGovernorStack } from "./IGovernorStack.sol";
import { ISubnetGovernor } from "./ISubnetGovernor.sol";
import { ISubnetVotes } from "./ISubnetVotes.sol";

/// @title SubnetGovernor
/// @notice Promises, units and errors are documented on ISubnetGovernor and IGovernorStack.
contract SubnetGovernor is ISubnetGovernor, GovernorStack {
    /// @notice When this governor was deployed, seconds since 1970.
    uint256 public immutable DEPLOYED_AT;

    constructor(
        Config memory config
    ) GovernorStack("Tandem Subnet Governor", config.votes, payable(config.timelock), config.guardian, config.rules) {
        DEPLOYED_AT = block.timestamp;
    }

    /// @inheritdoc ISubnetGovernor
    function netuid() external view returns (Netuid) {
        return ISubnetVotes(address(token())).netuid();
    }

    /// @inheritdoc IGovernorStack
    function guardianUntil() public view override(IGovernorStack, GovernorStack) returns (uint256) {
        return DEPLOYED_AT + GUARDIAN_PERIOD;
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override returns (uint256) {
        ISubnetVotes(address(token())).sample();
        return super._propose(targets, values, calldatas, description, proposer);
    }
}
