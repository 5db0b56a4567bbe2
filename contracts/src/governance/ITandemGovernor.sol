// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IGovernorStack } from "./IGovernorStack.sol";

/// @title The governor of the suite
/// @notice Proposer and canceller of the governance timelock from the transaction on that opens the token [GV-1]; until then nothing can be
/// proposed here, so that nothing is decided before those who earned the airdrop can vote. Votes are ITandemVotes, the
/// quorum is measured against the circulating supply.
///
/// The guardian can cancel proposals for `guardianPeriod` from the opening of the token on.
interface ITandemGovernor is IGovernorStack {
    /// @notice What is fixed at birth; `rules` but for floor and guardian period can be changed by vote.
    struct Config {
        address votes;
        address timelock;
        address gate;
        address guardian;
        Rules rules;
    }

    /// @notice Nothing can be proposed before the token opens.
    error TandemGovernor_TokenNotOpen();

    // constructor(Config config)
}
