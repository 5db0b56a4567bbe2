// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { GovernorStack } from "./GovernorStack.sol";
import { IGovernorStack } from "./IGovernorStack.sol";
import { ILaunchGate } from "./ILaunchGate.sol";
import { ITandemGovernor } from "./ITandemGovernor.sol";

/// @title TandemGovernor
/// @notice Promises, units and errors are documented on ITandemGovernor and IGovernorStack.
contract TandemGovernor is ITandemGovernor, GovernorStack {
    ILaunchGate public immutable GATE;

    constructor(
        Config memory config
    ) GovernorStack("Tandem Governor", config.votes, payable(config.timelock), config.guardian, config.rules) {
        GATE = ILaunchGate(config.gate);
    }

    /// @inheritdoc IGovernorStack
    function guardianUntil() public view override(IGovernorStack, GovernorStack) returns (uint256) {
        uint256 opened = GATE.tokenOpenedAt();
        return opened == 0 ? type(uint256).max : opened + GUARDIAN_PERIOD;
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override returns (uint256) {
        if (GATE.tokenOpenedAt() == 0) revert TandemGovernor_TokenNotOpen();
        return super._propose(targets, values, calldatas, description, proposer);
    }
}
