// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @dev The running week and the 52 before it.
uint256 constant WEEKS_OF_A_YEAR = 53;

/// @title Two sums over the last twelve months, kept on chain
/// @notice A ring of weekly buckets: what is added counts from its week until the same week of the next year has begun, so the
/// sums cover between 52 and 53 weeks. Adding writes one slot.
library RollingYear {
    using SafeCast for uint256;

    /// @param number Weeks since 1970.
    struct Week {
        uint48 number;
        uint104 first;
        uint104 second;
    }

    struct Year {
        Week[WEEKS_OF_A_YEAR] ring;
    }

    /// @notice Adds to the week of `time`. What is older than everything the bucket remembers is left out.
    function add(
        Year storage year,
        uint256 time,
        uint256 first,
        uint256 second
    ) internal {
        uint256 number = time / 1 weeks;
        Week memory week = year.ring[number % WEEKS_OF_A_YEAR];
        if (week.number > number) return;
        if (week.number < number) week = Week({ number: number.toUint48(), first: 0, second: 0 });
        week.first += first.toUint104();
        week.second += second.toUint104();
        year.ring[number % WEEKS_OF_A_YEAR] = week;
    }

    /// @notice What was added in the week of `time` and in the 52 before it.
    function sumsAt(
        Year storage year,
        uint256 time
    ) internal view returns (uint256 first, uint256 second) {
        uint256 number = time / 1 weeks;
        for (uint256 i = 0; i < WEEKS_OF_A_YEAR; ++i) {
            Week memory week = year.ring[i];
            if (week.number > number || week.number + WEEKS_OF_A_YEAR <= number) continue;
            first += week.first;
            second += week.second;
        }
    }
}
