// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title TNDM, the governance token
/// @notice ERC-20 with 18 decimals, ERC-2612 permit, ERC-5805 votes on the timestamp clock, burnable by its holders.
///
/// Promises:
/// - `[AC-2]` 21,000,000 TNDM are minted in the constructor; there is no mint function and no role.
/// - `burn` and `burnFrom` lower `totalSupply`; nothing raises it.
interface ITandemToken {
    /// @notice A genesis recipient and its part of the supply, in wei of TNDM.
    struct Mint {
        address to;
        uint256 amount;
    }

    /// @notice The genesis parts sum to `minted`, not to the whole supply.
    error TandemToken_WrongSupply(uint256 minted);
    /// @notice A vault is the zero address or named twice, which would make the circulating supply wrong.
    error TandemToken_InvalidVault(address vault);

    /// @notice `totalSupply` less what lies in the vaults named at birth, in wei of TNDM: what quorums are measured against.
    function circulatingSupply() external view returns (uint256);

    /// @notice The vaults whose balances do not circulate; fixed at birth.
    function vaults() external view returns (address[] memory);

    // constructor(Mint[] mints, address[] vaults)
}
