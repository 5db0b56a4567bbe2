// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISuiteFactory } from "./ISuiteFactory.sol";
import { Create3 } from "@openzeppelin/contracts/utils/Create3.sol";

/// @title SuiteFactory
/// @notice Promises, units and errors are documented on ISuiteFactory.
contract SuiteFactory is ISuiteFactory {
    /// @inheritdoc ISuiteFactory
    function deploy(
        bytes32 salt,
        bytes calldata initcode
    ) external payable returns (address deployed) {
        address target = addressOf(msg.sender, salt);
        if (target.code.length != 0) revert SuiteFactory_SaltUsed(msg.sender, salt, target);
        deployed = Create3.deploy(msg.value, _bind(msg.sender, salt), initcode);
        if (deployed.code.length == 0) revert SuiteFactory_NoCode(msg.sender, salt);
        emit Deployed(msg.sender, salt, deployed);
    }

    /// @inheritdoc ISuiteFactory
    function addressOf(
        address deployer,
        bytes32 salt
    ) public view returns (address) {
        return Create3.computeAddress(_bind(deployer, salt));
    }

    function _bind(
        address deployer,
        bytes32 salt
    ) private pure returns (bytes32) {
        return keccak256(abi.encode(deployer, salt));
    }
}
