// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Campaign } from "./Campaign.sol";
import { FlashActs } from "./acts/FlashActs.sol";
import { HostileActs } from "./acts/HostileActs.sol";
import { MarketActs } from "./acts/MarketActs.sol";
import { StakeActs } from "./acts/StakeActs.sol";
import { SubnetActs } from "./acts/SubnetActs.sol";

/// @notice All acts and all laws: users, traders, stakers, keepers, founders and attackers on one suite.
abstract contract Everybody is Campaign, MarketActs, StakeActs, SubnetActs, FlashActs, HostileActs {
    function selectors() internal pure virtual override returns (bytes4[] memory list) {
        list = joined(creditActs(), marketActs());
        list = joined(list, joined(epochActs(), subnetActs()));
        list = joined(list, joined(stakeActs(), hostileActs()));
        list = joined(list, flashActs());
    }

    function attacks() internal pure override returns (bytes4[] memory) {
        return joined(flashActs(), hostileActs());
    }
}
