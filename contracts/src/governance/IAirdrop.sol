// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IVestingVotes } from "./IVestingVotes.sol";

/// @title The airdrop to those who served the mesh
/// @notice Each account gets `credits × min(A / Σ credits, maxPerCredit)`, where credits are its lifetime credits earned from purchased
/// credits as they stood when the token was announced (ComputeCredit keeps the snapshot) and A is what this contract was
/// given. A share is liquid when markets open, the rest vests in a straight line; all of it votes from registration on: see
/// IVestingVotes.
///
/// Promises:
/// - Linear: the parts of any number of accounts that share some credits never sum to more than one account with all of them would
///   get, and to at most one wei per account less. Neither splitting nor merging pays.
/// - Nothing is taken back and nothing expires. What `maxPerCredit` leaves over goes to the treasury, once.
/// - There is no role; anyone registers and releases for anyone, always to the account itself.
interface IAirdrop is IVestingVotes {
    /// @notice What is fixed at birth.
    /// @param tndm The token.
    /// @param gate The launch gate; its announcement took the snapshot.
    /// @param credit The credits whose snapshot counts.
    /// @param treasury Who gets what is left over (the timelock).
    /// @param amount A: wei of TNDM that genesis gave to this contract.
    /// @param maxPerCredit WAD: TNDM per credit at most.
    /// @param immediateShare WAD: what is liquid when markets open.
    /// @param duration Seconds from the opening of markets until everything has vested.
    struct Config {
        address tndm;
        address gate;
        address credit;
        address treasury;
        uint128 amount;
        uint256 maxPerCredit;
        uint64 immediateShare;
        uint64 duration;
    }

    /// @notice `account` was promised `amount` wei of TNDM for `credits` (wei of credits).
    event Registered(address indexed account, uint256 credits, uint256 amount);
    /// @notice `amount` wei of TNDM was paid to `account`.
    event Released(address indexed account, uint256 amount);
    /// @notice What `maxPerCredit` left over was paid to the treasury.
    event LeftoverPaid(address indexed treasury, uint256 amount);

    /// @notice No amount, or a share of more than the whole.
    error Airdrop_BadConfig();
    /// @notice The token is not open yet.
    error Airdrop_NotOpen();
    /// @notice The account has been registered.
    error Airdrop_AlreadyRegistered(address account);
    /// @notice The account had earned nothing from purchased credits when the snapshot was taken.
    error Airdrop_NothingEarned(address account);
    /// @notice Markets are closed, or all that has vested was released.
    error Airdrop_NothingReleasable(address account);
    /// @notice Nothing is left over, or it was paid already.
    error Airdrop_NothingLeftOver();

    /// @notice By anyone, once per account, from the opening of the token on: the account's part starts to vote. An account
    /// that has not delegated here votes itself.
    /// @dev Reverts with `Airdrop_NotOpen`, `Airdrop_AlreadyRegistered` or `Airdrop_NothingEarned`.
    /// @return amount What the account is promised, in wei of TNDM.
    function register(
        address account
    ) external returns (uint256 amount);

    /// @notice By anyone, to the account: all that is releasable now. Registers the account if nobody did.
    /// @dev Reverts with `Airdrop_NothingReleasable` and as `register` does.
    /// @return amount What was paid, in wei of TNDM.
    function release(
        address account
    ) external returns (uint256 amount);

    /// @notice By anyone, once, from the opening of markets on: pays what `maxPerCredit` left over to the treasury.
    /// @dev Reverts with `Airdrop_NothingLeftOver`.
    function payLeftover() external returns (uint256 amount);

    /// @notice What `account` is promised, in wei of TNDM, rounded down; zero before the announcement.
    function entitlementOf(
        address account
    ) external view returns (uint256);

    /// @notice Whether `account` has been registered.
    function isRegistered(
        address account
    ) external view returns (bool);

    /// @notice What could be released to `account` now; rounded down, zero before markets open.
    function releasable(
        address account
    ) external view returns (uint256);

    /// @notice What was released to `account` so far.
    function releasedOf(
        address account
    ) external view returns (uint256);

    /// @notice What all accounts together are promised: `min(A, Σ credits × maxPerCredit)`, in wei of TNDM, rounded down; zero before
    /// the announcement.
    function promised() external view returns (uint256);

    // constructor(Config config)
}
