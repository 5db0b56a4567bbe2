// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title Values by the epoch from which they count
library EpochCheckpoints {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;

    /// @dev The value that counts in `epoch`; 0 before the first. The last one is looked at first: nearly all ask for it.
    function lookupAt(
        Checkpoints.Trace208 storage trace,
        uint64 epoch
    ) internal view returns (uint208) {
        (bool any, uint48 from, uint208 value) = trace.latestCheckpoint();
        if (!any || epoch >= from) return value;
        return trace.upperLookup(uint256(epoch).toUint48());
    }
}
