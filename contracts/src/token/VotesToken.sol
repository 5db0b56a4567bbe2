// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Votes } from "@openzeppelin/contracts/governance/utils/Votes.sol";
import { ERC20 } from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { ERC20Permit } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import { ERC20Votes } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import { ERC6372Utils } from "@openzeppelin/contracts/utils/ERC6372Utils.sol";
import { Nonces } from "@openzeppelin/contracts/utils/Nonces.sol";
import { Time } from "@openzeppelin/contracts/utils/types/Time.sol";

/// @title What TNDM and every alpha token have in common
/// @notice ERC-20 with ERC-2612 permit, ERC-5805 votes on the timestamp clock (L2s disagree about block numbers), and burning
/// that lowers `totalSupply`. A token mints its whole supply in its constructor and has no mint function `[AC-2]`.
abstract contract VotesToken is ERC20, ERC20Burnable, ERC20Permit, ERC20Votes {
    /// @notice What is minted at birth, once: 21,000,000 tokens of 18 decimals.
    uint256 public constant SUPPLY = 21_000_000e18;

    constructor(
        string memory name_,
        string memory symbol_
    ) ERC20(name_, symbol_) ERC20Permit(name_) { }

    /// @inheritdoc Votes
    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    /// @inheritdoc Votes
    // forge-lint: disable-next-line(mixed-case-function)
    function CLOCK_MODE() public view override returns (string memory) {
        return ERC6372Utils.timestampClockMode(clock);
    }

    /// @inheritdoc ERC20Permit
    function nonces(
        address owner
    ) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(
        address from,
        address to,
        uint256 value
    ) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}
