// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @dev Hard bounds of hyperparameters. uids are bounded for the sake of proofs that walk over them, permits by Yuma's K; a moving average
/// of bonds above 97.5 % would hardly move any more (Subtensor's bound too).
uint256 constant UIDS_BOUND = 256;
uint256 constant VALIDATORS_BOUND = 64;
/// @dev As many as the owners that an eligible subnet needs: with fewer permits one of them would be without.
uint256 constant VALIDATORS_LEAST = 3;
uint256 constant BONDS_MOVING_AVERAGE_BOUND = 975_000;

/// @title One word per set of hyperparameters, so that a checkpoint holds it.
/// @dev Bits from the low end: kappa 16, bondsMovingAverage 32, bondsPenalty 16, maxValidators 16, maxUids 16, activityCutoff 64: 160 in all.
library HyperparameterPacking {
    uint208 private constant MOVING_AVERAGE_AT = 16;
    uint208 private constant PENALTY_AT = 48;
    uint208 private constant VALIDATORS_AT = 64;
    uint208 private constant UIDS_AT = 80;
    uint208 private constant CUTOFF_AT = 96;

    /// @dev Reverts with the name of the first field that is out of bounds.
    function check(
        ISubnetRegistry.Hyperparameters memory p
    ) internal pure {
        _require(p.kappa != 0, "kappa", p.kappa);
        _require(p.bondsMovingAverage <= BONDS_MOVING_AVERAGE_BOUND, "bondsMovingAverage", p.bondsMovingAverage);
        _require(p.maxUids != 0 && p.maxUids <= UIDS_BOUND, "maxUids", p.maxUids);
        uint256 most = Math.min(VALIDATORS_BOUND, p.maxUids);
        _require(p.maxValidators >= VALIDATORS_LEAST && p.maxValidators <= most, "maxValidators", p.maxValidators);
        _require(p.activityCutoff != 0, "activityCutoff", p.activityCutoff);
    }

    function pack(
        ISubnetRegistry.Hyperparameters memory p
    ) internal pure returns (uint208) {
        return uint208(p.kappa) | (uint208(p.bondsMovingAverage) << MOVING_AVERAGE_AT)
            | (uint208(p.bondsPenalty) << PENALTY_AT) | (uint208(p.maxValidators) << VALIDATORS_AT)
            | (uint208(p.maxUids) << UIDS_AT) | (uint208(p.activityCutoff) << CUTOFF_AT);
    }

    function unpack(
        uint208 word
    ) internal pure returns (ISubnetRegistry.Hyperparameters memory p) {
        // Each cast cuts out the field's own bits: that is what unpacking means.
        // forge-lint: disable-start(unsafe-typecast)
        p.kappa = uint16(word);
        p.bondsMovingAverage = uint32(word >> MOVING_AVERAGE_AT);
        p.bondsPenalty = uint16(word >> PENALTY_AT);
        p.maxValidators = uint16(word >> VALIDATORS_AT);
        p.maxUids = uint16(word >> UIDS_AT);
        p.activityCutoff = uint64(word >> CUTOFF_AT);
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// @dev One field alone, for a registration that needs no other.
    function maxUidsOf(
        uint208 word
    ) internal pure returns (uint256) {
        return (word >> UIDS_AT) & type(uint16).max;
    }

    function _require(
        bool within,
        bytes32 field,
        uint256 value
    ) private pure {
        if (!within) revert ISubnetRegistry.SubnetRegistry_BadHyperparameter(field, value);
    }
}
