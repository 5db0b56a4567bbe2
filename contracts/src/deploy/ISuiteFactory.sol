// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title CREATE3 for the suite: an address depends only on the deployer and the salt, so contracts can name each other as immutables.
interface ISuiteFactory {
    event Deployed(address indexed deployer, bytes32 indexed salt, address deployed);
    /// @notice Deploys `initcode` at addressOf(msg.sender, salt). Reverts with the constructor's own reason.
    function deploy(bytes32 salt, bytes calldata initcode) external payable returns (address deployed);
    function addressOf(address deployer, bytes32 salt) external view returns (address);
}
