// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title TNDM, the governance token. ERC-20, ERC-2612, ERC-5805 on the timestamp clock, burnable; 21,000,000 minted once, no mint function [AC-2].
interface ITandemToken {
    /// @notice A genesis recipient and its part of the supply.
    struct Mint { address to; uint256 amount; }
    error TandemToken_WrongSupply(uint256 minted);
    /// @notice totalSupply less what lies in the vaults named at birth.
    function circulatingSupply() external view returns (uint256);
    function vaults() external view returns (address[] memory);
    // constructor(Mint[] mints, address[] vaults)
}
