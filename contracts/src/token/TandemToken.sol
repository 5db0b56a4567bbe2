// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ITandemToken } from "./ITandemToken.sol";
import { VotesToken } from "./VotesToken.sol";

/// @title TandemToken
/// @notice Promises, units and errors are documented on ITandemToken.
contract TandemToken is ITandemToken, VotesToken {
    address[] private _vaults;

    /// @param mints Genesis recipients; their parts sum to the whole supply.
    /// @param vaults_ Holders whose balances do not circulate, each once.
    constructor(
        Mint[] memory mints,
        address[] memory vaults_
    ) VotesToken("Tandem", "TNDM") {
        for (uint256 i = 0; i < mints.length; ++i) {
            _mint(mints[i].to, mints[i].amount);
        }
        if (totalSupply() != SUPPLY) revert TandemToken_WrongSupply(totalSupply());
        for (uint256 i = 0; i < vaults_.length; ++i) {
            address vault = vaults_[i];
            if (vault == address(0)) revert TandemToken_InvalidVault(vault);
            for (uint256 j = 0; j < i; ++j) {
                if (vaults_[j] == vault) revert TandemToken_InvalidVault(vault);
            }
        }
        _vaults = vaults_;
    }

    /// @inheritdoc ITandemToken
    function circulatingSupply() external view returns (uint256 supply) {
        supply = totalSupply();
        uint256 count = _vaults.length;
        for (uint256 i = 0; i < count; ++i) {
            supply -= balanceOf(_vaults[i]);
        }
    }

    /// @inheritdoc ITandemToken
    function vaults() external view returns (address[] memory) {
        return _vaults;
    }
}
