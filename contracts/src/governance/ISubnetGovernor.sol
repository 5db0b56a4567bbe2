// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { IGovernorStack } from "./IGovernorStack.sol";

/// @title The governor of one subnet
/// @notice Those who hold or stake a subnet's alpha decide what its owner may decide: hyperparameters and ownership. The subnet belongs to
/// the governor's timelock; an owner hands over with `SubnetRegistry.transferSubnet(netuid, timelock)`, and the first
/// proposal makes the timelock accept. Owner rewards of the subnet go to the timelock from then on.
///
/// Anyone may deploy a governor, its SubnetVotes and its timelock (a TandemTimelock without gate, whose proposer is the governor and
/// whose executor is anybody); what makes it the subnet's is that an owner hands over to it. A proposal samples the supply
/// that its quorum is measured against (see ISubnetVotes).
///
/// The guardian, if there is one, can cancel proposals for `guardianPeriod` from the deployment on.
interface ISubnetGovernor is IGovernorStack {
    /// @notice What is fixed at birth; `rules` but for floor and guardian period can be changed by vote. `votes` is an ISubnetVotes.
    struct Config {
        address votes;
        address timelock;
        address guardian;
        Rules rules;
    }

    /// @notice The subnet whose alpha decides.
    function netuid() external view returns (Netuid);

    // constructor(Config config)
}
