// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @dev The number of a subnet; given once, never reused. Zero names no subnet (unattributed money).
type Netuid is uint16;

using { equals as ==, differs as !=, isZero } for Netuid global;

function equals(
    Netuid a,
    Netuid b
) pure returns (bool) {
    return Netuid.unwrap(a) == Netuid.unwrap(b);
}

function differs(
    Netuid a,
    Netuid b
) pure returns (bool) {
    return Netuid.unwrap(a) != Netuid.unwrap(b);
}

function isZero(
    Netuid a
) pure returns (bool) {
    return Netuid.unwrap(a) == 0;
}

/// @dev What a reward is: role × asset. A budget exists for every (netuid, kind).
enum RewardKind {
    OwnerAlpha,
    ValidatorAlpha,
    ContributorAlpha,
    OwnerUsdc,
    ValidatorUsdc,
    ContributorUsdc,
    KeeperUsdc
}

/// @dev The launch walks one way through these.
enum Phase {
    Mesh,
    Token,
    Markets
}

/// @dev Wei of the 18-decimals fixed point used for prices.
uint256 constant WAD = 1e18;
/// @dev Whole of a u16 fraction.
uint256 constant U16_ONE = 65_535;
