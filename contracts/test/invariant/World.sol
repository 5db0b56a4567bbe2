// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { Netuid } from "../../src/types/Types.sol";
import { Stage } from "./Stage.sol";

/// @notice The deployed suite in full swing: markets are open, four subnets fill the limit, the first is full of neurons, three validators
/// are staked in all of them, emission flows, a report has paid for the epochs so far.
abstract contract World is Stage {
    function setUp() public override {
        super.setUp();
        _nameEverybody();
        begin();
        for (uint256 i = 0; i < rewards.length; ++i) {
            notePromise(rewards[i]);
        }
        otherToAuction = _auctionIn() + _potsIn() + _held() - credit.lifetimeTotal().marginRecognised;
        _observe();
    }

    /// @dev How the world stands when acts begin.
    function begin() internal virtual {
        runEpoch(500e18);
        runEpoch(500e18);
        runEpoch(0);
        openMarkets();
        endow();
        _addSubnets();
        _seat();
        _stakeAll();
        _emit();
    }

    function hyperparameters() internal pure override returns (ISubnetRegistry.Hyperparameters memory h) {
        h = super.hyperparameters();
        h.maxUids = UIDS;
        h.maxValidators = UIDS;
    }

    function maxSubnets() internal pure override returns (uint16) {
        return 4;
    }

    function _nameEverybody() private {
        for (uint256 i = 0; i < USERS; ++i) {
            (address account, uint256 secret) = makeActorAndKey(string.concat("user ", vm.toString(i)));
            users.push(account);
            userSecrets.push(secret);
            everyone.push(account);
            payees.push(account);
            creditors.push(account);
        }
        for (uint256 n = 0; n < VALIDATORS; ++n) {
            (address owner, address hotkey) = validator(n);
            everyone.push(owner);
            payees.push(owner);
            creditors.push(owner);
            if (n < STAKED) hotkeys.push(hotkey);
        }
        address[11] memory others =
            [first, second, user, attacker, lender, gateway, prover, outcast, team, ecosystem, subnetOwner];
        for (uint256 i = 0; i < others.length; ++i) {
            everyone.push(others[i]);
            if (i < 4) creditors.push(others[i]);
        }
        creditors.push(address(settlement));
        payees.push(first);
        payees.push(attacker);
        payees.push(outcast);
        address[] memory list = keepers();
        for (uint256 i = 0; i < list.length; ++i) {
            everyone.push(list[i]);
        }
        everyone.push(memeOwner);
        address[22] memory suite = suiteContracts();
        for (uint256 i = 0; i < suite.length; ++i) {
            everyone.push(suite[i]);
        }
        usdc.blacklist(outcast);
    }

    function _addSubnets() private {
        settleAll();
        for (uint256 i = 0; i < 2; ++i) {
            uint256 lock = registry.lockPrice();
            approve(users[i], tndm, address(registry), lock);
            vm.prank(users[i]);
            registry.registerSubnet(i == 0 ? "third" : "fourth", lock);
        }
    }

    /// @dev Two users fill the first subnet.
    function _seat() private {
        for (uint16 n = 2; n <= netuids(); ++n) {
            seatValidators(Netuid.wrap(n));
            join(users[n % USERS], Netuid.wrap(n), users[n % USERS]);
        }
        join(users[0], TEXT, users[0]);
        join(users[1], TEXT, users[1]);
    }

    function _stakeAll() private {
        for (uint16 n = 1; n <= netuids(); ++n) {
            stakeValidators(Netuid.wrap(n));
        }
    }

    /// @dev Burns for two subnets, of which one has revenue too, until emission flows; then a report that pays for all epochs so far.
    function _emit() private {
        approve(ecosystem, tndm, address(controller), 4000e18);
        vm.startPrank(ecosystem);
        controller.sponsor(TEXT, 3000e18);
        controller.sponsor(MEME, 1000e18);
        vm.stopPrank();
        spend(TEXT, firstUid(), 200e18);
        endEpoch();
        endEpoch();
        uint64 epoch = endEpoch();
        for (uint64 e = 3; e <= epoch; ++e) {
            addRewardsOf(e, TEXT);
        }
        publish(epoch);
    }
}
