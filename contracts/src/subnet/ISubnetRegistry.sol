// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Subnets, neurons (uids), registration prices and hyperparameters.
/// @notice Genesis subnets are netuids 1..g, created in the constructor; the public registers more once markets are open. Netuids
/// are never reused, but only so many subnets are alive at once: at the limit a new one takes the place of the weakest, which is
/// pruned when the running epoch ends. A subnet's uids are below its `maxUids`; when all are taken a newcomer evicts a neuron
/// that the last active report lists.
///
/// Everything that an epoch reads here is as of that epoch's start [SN-2]: a change made during epoch e counts from e + 1 on,
/// and what was true for an epoch that has begun never changes again. Functions whose name ends in At answer for an epoch, for
/// every one that has begun; the others speak of this moment: who was evicted is gone at once there, and still there in
/// the running epoch's view. Neurons and hotkeys registered before genesis are there when epoch 0 begins.
interface ISubnetRegistry {
    /// @notice `lockPaid` in TNDM (18 decimals), zero for genesis subnets; `registeredEpoch` is 0 for them.
    struct Subnet {
        address owner;
        uint64 registeredAt;
        uint64 registeredEpoch;
        bool genesis;
        uint128 lockPaid;
        uint16 neuronCount;
        string name;
    }

    /// @notice `hotkey` signs commitments and weights; `owner` earns. One hotkey has at most one uid in a subnet and belongs
    /// to one owner in all of them.
    struct Neuron {
        address owner;
        address hotkey;
        uint64 registeredAt;
        string endpoint;
    }

    /// @notice Units as in Yuma: `kappa` and `bondsPenalty` are u16 fractions of 65,535, `bondsMovingAverage` is per million,
    /// `activityCutoff` counts epochs.
    struct Hyperparameters {
        uint16 kappa;
        uint32 bondsMovingAverage;
        uint16 bondsPenalty;
        uint16 maxValidators;
        uint16 maxUids;
        uint64 activityCutoff;
    }

    /// @notice A subnet that exists from birth.
    struct GenesisSubnet {
        address owner;
        string name;
    }

    /// @notice A hotkey that is bound to its owner from birth, so that nobody can register it before its owner does.
    struct HotkeyBinding {
        address hotkey;
        address owner;
    }

    /// @notice That the last active report lists a subnet's uids for eviction, the first to leave first: the subnet's leaf of its
    /// `subnetsRoot` is keccak256(keccak256(abi.encode(netuid, traceRoot, keccak256(abi.encode(pruneList))))), at `index` of a
    /// tree as PositionalMerkle describes it; `proof` holds the siblings from the leaf upwards.
    struct PruneProof {
        uint16[] pruneList;
        bytes32 traceRoot;
        uint256 index;
        bytes32[] proof;
    }

    /// @notice Locks and `neuronPriceTndm` in TNDM (18 decimals), `neuronFeeUsdc` in USDC (6); half-lives, immunities and periods in
    /// seconds. `neuronFeeUsdc` and `neuronPriceTndm` are first price and floor at once. `maxSubnets` (at most 256) is where the
    /// limit starts and the least that it can be set to; `subnetImmunity` is at least an epoch. `hyperparameterPeriod` is the
    /// least time between two changes of one subnet.
    struct Config {
        address authority;
        address tndm;
        address usdc;
        address pools;
        address controller;
        address auction;
        address gate;
        address staking;
        address oracle;
        uint64 genesis;
        uint64 epochLength;
        uint256 firstLock;
        uint256 floorLock;
        uint64 lockHalfLife;
        uint256 neuronFeeUsdc;
        uint256 neuronPriceTndm;
        uint64 neuronHalfLife;
        uint64 neuronImmunity;
        uint16 maxSubnets;
        uint64 subnetImmunity;
        uint64 hyperparameterPeriod;
        Hyperparameters defaults;
    }

    /// @dev Genesis subnets too, with zeros.
    event SubnetRegistered(
        Netuid indexed netuid, address indexed owner, string name, uint256 lock, uint256 burned, uint256 seeded
    );
    event NeuronRegistered(
        Netuid indexed netuid, uint16 indexed uid, address indexed owner, address hotkey, string endpoint, uint256 price
    );
    event EndpointChanged(Netuid indexed netuid, uint16 indexed uid, string endpoint);
    event HyperparametersScheduled(Netuid indexed netuid, uint64 indexed fromEpoch, Hyperparameters params);
    event SubnetOwnerChanged(Netuid indexed netuid, address indexed from, address indexed to);
    event SubnetOffered(Netuid indexed netuid, address indexed from, address indexed to);
    event HotkeyBound(address indexed hotkey, address indexed owner);
    /// @dev The subnet is alive until epoch `fromEpoch` begins; `successor` took its place.
    event SubnetPruned(Netuid indexed netuid, uint64 indexed fromEpoch, Netuid indexed successor);
    event MaxSubnetsScheduled(uint64 indexed fromEpoch, uint16 limit);
    /// @dev Evicted, or left a pruned subnet: from `fromEpoch` on the hotkey has no uid there. After an eviction NeuronRegistered
    /// for the same uid follows in the same transaction.
    event NeuronLeft(Netuid indexed netuid, uint16 indexed uid, address indexed hotkey, uint64 fromEpoch);

    error SubnetRegistry_UnknownSubnet(Netuid netuid);
    error SubnetRegistry_UnknownNeuron(Netuid netuid, uint16 uid);
    error SubnetRegistry_MarketsClosed();
    /// @dev Epochs before the running `epoch` wait for `IEmissionController.settle`.
    error SubnetRegistry_NotSettled(uint64 epoch, uint64 settledThrough);
    /// @dev More genesis subnets than the limit allows.
    error SubnetRegistry_TooManySubnets(uint256 limit);
    /// @dev The limit is reached and no live subnet is past its immunity.
    error SubnetRegistry_AllSubnetsImmune(uint256 limit);
    error SubnetRegistry_BadLimit(uint256 limit, uint256 least, uint256 most);
    /// @dev No more changes: from epoch `fromEpoch` on the subnet is gone.
    error SubnetRegistry_SubnetPruned(Netuid netuid, uint64 fromEpoch);
    error SubnetRegistry_NotPruned(Netuid netuid);
    /// @dev All uids are taken: `registerNeuronEvicting` may free one.
    error SubnetRegistry_SubnetFull(Netuid netuid, uint256 neuronCount);
    error SubnetRegistry_NoActiveReport();
    /// @dev List and proof do not lead to the `subnetsRoot` of the last active report, that of `epoch`.
    error SubnetRegistry_BadPruneProof(Netuid netuid, uint64 epoch);
    /// @dev Every neuron that the report of `epoch` lists is immune or was replaced since.
    error SubnetRegistry_NobodyEvictable(Netuid netuid, uint64 epoch);
    error SubnetRegistry_ChangedTooOften(Netuid netuid, uint256 opensAt);
    error SubnetRegistry_PriceAboveLimit(uint256 price, uint256 limit);
    error SubnetRegistry_HotkeyRegistered(Netuid netuid, address hotkey);
    error SubnetRegistry_HotkeyOwnedBy(address hotkey, address owner);
    error SubnetRegistry_ZeroAddress();
    error SubnetRegistry_BadNameLength(uint256 length);
    error SubnetRegistry_EndpointTooLong(uint256 length);
    error SubnetRegistry_NotSubnetOwner(Netuid netuid, address caller);
    error SubnetRegistry_NotOffered(Netuid netuid, address caller);
    error SubnetRegistry_NotNeuron(Netuid netuid, uint16 uid, address caller);
    /// @dev `field` is the hyperparameter's name.
    error SubnetRegistry_BadHyperparameter(bytes32 field, uint256 value);
    error SubnetRegistry_BadConfig();

    /// @notice Create a subnet owned by the caller, in the markets phase only. The lock price is pulled in TNDM: half is burned
    /// and credited to the subnet's allowance, once [EM-1]; the other half (the larger one if the price is odd) seeds the pool at
    /// the median EMA price. All ended epochs must be settled before, so that this price is the same whoever settles. Where
    /// `maxSubnets` are alive, `nextVictim` is pruned: its last epoch is the running one, and its pool stops when that ends [SN-1].
    /// @param name 1 to 32 bytes.
    /// @param maxLock Refuse a lock price above this many TNDM.
    function registerSubnet(
        string calldata name,
        uint256 maxLock
    ) external returns (Netuid netuid);

    /// @notice Take the next uid for (owner = caller, hotkey) in a subnet that has room. It counts from the next epoch on. Before
    /// markets the price is a USDC fee that goes to the auction unattributed; after, it is TNDM of which half (rounded up) is
    /// burned unattributed and half buys alpha that is burned. That purchase takes what the market gives: nobody owns its alpha.
    /// @param hotkey Without a uid in this subnet; not bound to another owner.
    /// @param endpoint At most 256 bytes; may be empty.
    /// @param maxPrice Refuse a price above this (units of `neuronPrice`).
    function registerNeuron(
        Netuid netuid,
        address hotkey,
        string calldata endpoint,
        uint256 maxPrice
    ) external returns (uint16 uid);

    /// @notice As `registerNeuron`, for a full subnet: the newcomer gets the uid of the first neuron of the proven list that is past
    /// its immunity and had its uid when the report's epoch began. The evicted neuron counts, and earns, until the running
    /// epoch ends. Where there is room after all, nobody is evicted and the proof is not looked at.
    function registerNeuronEvicting(
        Netuid netuid,
        address hotkey,
        string calldata endpoint,
        uint256 maxPrice,
        PruneProof calldata proof
    ) external returns (uint16 uid);

    /// @notice By anyone, once a subnet's pruning is decided: its neurons no longer count in `subnetsOfAt`, from the next epoch on,
    /// so that their bonds weigh in fewer subnets. Those that left already are passed over.
    function leavePruned(
        Netuid netuid,
        uint16[] calldata uids
    ) external;

    /// @notice restricted: how many subnets may be alive at once, from the next epoch on; within [`Config.maxSubnets`, 256]. A limit
    /// below the number alive prunes nobody: each new subnet takes the place of one.
    function setMaxSubnets(
        uint16 limit
    ) external;

    /// @notice Bind the caller, a hotkey, to the one owner who may register it. The first registration binds as well, to whoever
    /// made it; binding first, which is possible before genesis, keeps strangers from taking a known hotkey. Final.
    function bindHotkey(
        address owner
    ) external;

    /// @notice By the neuron's owner or hotkey; at most 256 bytes.
    function setEndpoint(
        Netuid netuid,
        uint16 uid,
        string calldata endpoint
    ) external;

    /// @notice By the subnet's owner; bounds are checked; counts from the next epoch on. The last call of an epoch wins; apart from
    /// that, `hyperparameterPeriod` passes between two calls. A `maxUids` below the number of neurons evicts nobody by itself.
    function setHyperparameters(
        Netuid netuid,
        Hyperparameters calldata params
    ) external;

    /// @notice By the subnet's owner: offer the ownership to `to` (zero withdraws the offer).
    function transferSubnet(
        Netuid netuid,
        address to
    ) external;

    /// @notice By the account it was offered to, which may be a contract (a subnet's governor). Owner rewards go to the new owner
    /// from the next epoch on.
    function acceptSubnet(
        Netuid netuid
    ) external;

    /// @notice Present lock price in TNDM, rounded up: the first lock when markets open, doubled by each registration, halved per
    /// half-life (see PriceDecay.sol for the curve), never below the floor.
    function lockPrice() external view returns (uint256);

    /// @notice Present price of a uid, rounded up: USDC units before markets, TNDM after. Each registration raises it by 26 %, it
    /// halves per half-life down to the configured price. USDC fee and TNDM price move apart from each other.
    function neuronPrice(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice Subnets ever registered; the highest netuid.
    function subnetCount() external view returns (uint16);

    /// @notice How many may be alive at once.
    function maxSubnets() external view returns (uint16);

    /// @notice Netuids, ascending, registered in or before `epoch` and not pruned by it: the subnets that the epoch's settlement visits.
    /// Final once the epoch has ended; the running one's list grows with each registration. A word per sixteen subnets is read
    /// for epochs that are not settled yet; for earlier ones, a word for each subnet that ever was.
    function liveAt(
        uint64 epoch
    ) external view returns (uint16[] memory netuids);

    /// @notice First epoch without the subnet; 0 while nothing has been decided.
    function prunedFromOf(
        Netuid netuid
    ) external view returns (uint64);

    /// @notice Which subnet the next registration would prune: of those past their immunity the one with the lowest smoothed revenue
    /// (`IBurnAuction.revenueOf`), among equals the lowest EMA price, then the lowest netuid. Zero if there is room, or if all
    /// are immune: then `registerSubnet` reverts.
    function nextVictim() external view returns (Netuid);

    /// @notice Whether the subnet was ever registered.
    function exists(
        Netuid netuid
    ) external view returns (bool);
    function subnetOf(
        Netuid netuid
    ) external view returns (Subnet memory);
    function ownerOfSubnet(
        Netuid netuid
    ) external view returns (address);

    /// @notice The owner as of the epoch's start; zero before the subnet's first whole epoch and after its last one.
    function ownerOfSubnetAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (address);

    /// @notice To whom the subnet is offered; zero if to nobody.
    function offeredTo(
        Netuid netuid
    ) external view returns (address);

    /// @notice Neurons at present; uids are 0 to count − 1. None in a pruned subnet, from its end on.
    function neuronCount(
        Netuid netuid
    ) external view returns (uint16);

    /// @notice Whoever has the uid at this moment.
    function neuronOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (Neuron memory);

    /// @notice `neuronOf` without the endpoint, for contracts that walk over uids.
    function keysOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (address owner, address hotkey, uint64 registeredAt);

    /// @notice All neurons of a subnet, by uid.
    function neuronsOf(
        Netuid netuid
    ) external view returns (Neuron[] memory);

    /// @notice uid + 1 at this moment, or 0.
    function uidOf(
        Netuid netuid,
        address hotkey
    ) external view returns (uint256);

    /// @notice Neurons as of the epoch's start; uids are 0 to count − 1.
    function neuronCountAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (uint16);

    /// @notice Who had the uid as of the epoch's start; reverts with SubnetRegistry_UnknownNeuron if nobody did.
    function keysAt(
        Netuid netuid,
        uint16 uid,
        uint64 epoch
    ) external view returns (address owner, address hotkey, uint64 registeredAt);

    /// @notice The neurons as of the epoch's start, by uid. Endpoints are the last that each of them set: who needs those of an epoch
    /// reads them at a block of that epoch.
    function neuronsAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (Neuron[] memory);

    /// @notice uid + 1 of the hotkey as of the epoch's start, or 0.
    function uidAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256);

    /// @notice The owner that a hotkey is bound to; zero if it is free.
    function ownerOfHotkey(
        address hotkey
    ) external view returns (address);

    /// @notice Number of subnets in which the hotkey had a uid as of the epoch's start.
    function subnetsOfAt(
        address hotkey,
        uint64 epoch
    ) external view returns (uint256);

    /// @notice As of the epoch's start; the defaults before the first change.
    function hyperparametersAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (Hyperparameters memory);
    // constructor(Config config, GenesisSubnet[] genesisSubnets, HotkeyBinding[] bindings)
}
