// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title CREATE3 for the suite
/// @notice An address depends only on this factory, the deployer and the salt, not on the code, so contracts can name each other
/// as immutables before any of them exists; and it is the same on every chain where this factory has the same address.
/// Salts belong to their deployer: nobody takes an address of somebody else's suite.
interface ISuiteFactory {
    /// @notice `deployer` created `deployed` under its `salt`.
    event Deployed(address indexed deployer, bytes32 indexed salt, address deployed);

    /// @notice The deployer's salt is used up; its contract stands at `deployed`.
    error SuiteFactory_SaltUsed(address deployer, bytes32 salt, address deployed);
    /// @notice The initcode ran, but left a contract without code.
    error SuiteFactory_NoCode(address deployer, bytes32 salt);

    /// @notice Deploys `initcode` at `addressOf(msg.sender, salt)`, forwarding the value that is sent along.
    /// @dev Reverts with the constructor's own reason; with `FailedDeployment()` where there is none (out of gas, code larger than
    /// 24,576 bytes); with `Create3EmptyBytecode()` for empty initcode.
    function deploy(
        bytes32 salt,
        bytes calldata initcode
    ) external payable returns (address deployed);

    /// @notice Where `deployer`'s contract of this salt stands, or will stand.
    function addressOf(
        address deployer,
        bytes32 salt
    ) external view returns (address);
}
