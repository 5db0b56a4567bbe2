//! Constructor arguments of every contract of a suite, from its configuration.

use alloy::{
    primitives::{Address, Bytes, U256},
    sol_types::SolConstructor,
};

use super::{
    address::Suite,
    config::{Genesis, GenesisConfig},
    validate::{EMISSION_VAULT, SUPPLY},
};
use crate::bindings::{
    AccessManager, AlphaFactory, AlphaPools, BurnAuction, ComputeCredit, CreditDesk, EmissionController, EpochOracle,
    GenesisAllocation, KeeperSet, LaunchGate, RateCard, RewardDistributor, Settlement, Staking, SubnetRegistry,
    TandemTimelock, TandemToken, TestUSDC, alpha_pools::IAlphaPools, burn_auction::IBurnAuction,
    credit_desk::ICreditDesk, emission_controller::IEmissionController, genesis_allocation::IGenesisAllocation,
    launch_gate::ILaunchGate, staking::IStaking, subnet_registry::ISubnetRegistry, tandem_token::ITandemToken,
};

/// One contract to deploy: its name, creation code and encoded constructor arguments.
pub(super) struct Blueprint {
    pub(super) contract: &'static str,
    pub(super) creation: &'static Bytes,
    pub(super) arguments: Bytes,
}

fn blueprint<C: SolConstructor>(contract: &'static str, creation: &'static Bytes, arguments: C) -> Blueprint {
    Blueprint { contract, creation, arguments: arguments.abi_encode().into() }
}

/// Narrows an amount that validation has bounded.
fn u128_of(value: U256) -> u128 {
    value.saturating_to()
}

/// Everything that is deployed through the factory, in order. `config` is valid and its genesis fixed.
pub(super) fn blueprints(config: &GenesisConfig, suite: &Suite, deployer: Address, local: bool) -> Vec<Blueprint> {
    let Genesis::At(genesis) = config.epochs.genesis else { unreachable!("the plan refuses an open genesis") };
    let parts = Parts { config, suite, genesis, epoch_length: config.epochs.length.0 };
    let mut all = Vec::new();
    if local {
        all.push(blueprint("TestUSDC", &TestUSDC::BYTECODE, TestUSDC::constructorCall {}));
    }
    all.push(blueprint(
        "AccessManager",
        &AccessManager::BYTECODE,
        AccessManager::constructorCall { initialAdmin: deployer },
    ));
    all.push(parts.timelock());
    all.extend(parts.tokens());
    all.extend(parts.compute());
    all.extend(parts.market());
    all.extend(parts.subnets());
    all.push(parts.emission());
    all.extend(parts.epochs());
    all.extend(parts.launch());
    all
}

struct Parts<'a> {
    config: &'a GenesisConfig,
    suite: &'a Suite,
    genesis: u64,
    epoch_length: u64,
}

impl Parts<'_> {
    /// The council proposes and may cancel, anybody executes, and the gate is admin until it has removed the council.
    fn timelock(&self) -> Blueprint {
        blueprint(
            "TandemTimelock",
            &TandemTimelock::BYTECODE,
            TandemTimelock::constructorCall {
                minDelay: U256::from(self.config.governance.timelock_delay.0),
                proposers: vec![self.config.authorities.council],
                executors: vec![Address::ZERO],
                admin: self.suite.launch_gate,
            },
        )
    }

    fn tokens(&self) -> [Blueprint; 2] {
        let (config, suite) = (self.config, self.suite);
        let seeds = config.pool_seeds().unwrap_or_default();
        let mints = [
            (suite.emission_controller, EMISSION_VAULT),
            (suite.launch_gate, seeds),
            (suite.genesis_allocation, SUPPLY - EMISSION_VAULT - seeds),
        ];
        [
            blueprint(
                "TandemToken",
                &TandemToken::BYTECODE,
                TandemToken::constructorCall {
                    mints: mints.iter().map(|&(to, amount)| ITandemToken::Mint { to, amount }).collect(),
                    vaults_: mints.iter().map(|&(to, _)| to).collect(),
                },
            ),
            blueprint(
                "ComputeCredit",
                &ComputeCredit::BYTECODE,
                ComputeCredit::constructorCall { desk: suite.credit_desk, settlement: suite.settlement },
            ),
        ]
    }

    fn compute(&self) -> [Blueprint; 3] {
        let (credits, suite) = (&self.config.credits, self.suite);
        [
            blueprint(
                "CreditDesk",
                &CreditDesk::BYTECODE,
                CreditDesk::constructorCall {
                    config: ICreditDesk::Config {
                        authority: suite.access_manager,
                        usdc: suite.usdc,
                        credit: suite.compute_credit,
                        settlement: suite.settlement,
                        auction: suite.burn_auction,
                        distributor: suite.reward_distributor,
                        price: credits.price.0,
                        payoutRate: credits.payout_rate.0,
                        buybackShare: credits.buyback_share.0,
                        genesis: self.genesis,
                        epochLength: self.epoch_length,
                    },
                },
            ),
            blueprint(
                "Settlement",
                &Settlement::BYTECODE,
                Settlement::constructorCall {
                    credit: suite.compute_credit,
                    desk: suite.credit_desk,
                    rateCard: suite.rate_card,
                    registry: suite.subnet_registry,
                    settleGrace_: credits.settle_grace.0,
                },
            ),
            blueprint(
                "RateCard",
                &RateCard::BYTECODE,
                RateCard::constructorCall {
                    authority: suite.access_manager,
                    genesis: self.genesis,
                    epochLength: self.epoch_length,
                },
            ),
        ]
    }

    fn market(&self) -> [Blueprint; 3] {
        let (pools, auction, suite) = (&self.config.pools, &self.config.auction, self.suite);
        [
            blueprint(
                "AlphaFactory",
                &AlphaFactory::BYTECODE,
                AlphaFactory::constructorCall { pools: suite.alpha_pools },
            ),
            blueprint(
                "AlphaPools",
                &AlphaPools::BYTECODE,
                AlphaPools::constructorCall {
                    config: IAlphaPools::Config {
                        tndm: suite.tandem_token,
                        factory: suite.alpha_factory,
                        registry: suite.subnet_registry,
                        gate: suite.launch_gate,
                        controller: suite.emission_controller,
                        distributor: suite.reward_distributor,
                        genesis: self.genesis,
                        epochLength: self.epoch_length,
                        feeRate: pools.fee.0,
                        emaRate: pools.ema_rate.0,
                        emaHalfAge: pools.ema_half_age.0,
                        pourCap: pools.pour_cap.0,
                        alphaPerDay: self.config.emission.alpha_per_day.0,
                    },
                },
            ),
            blueprint(
                "BurnAuction",
                &BurnAuction::BYTECODE,
                BurnAuction::constructorCall {
                    config: IBurnAuction::Config {
                        authority: suite.access_manager,
                        tndm: suite.tandem_token,
                        usdc: suite.usdc,
                        desk: suite.credit_desk,
                        registry: suite.subnet_registry,
                        controller: suite.emission_controller,
                        gate: suite.launch_gate,
                        openDelay: auction.open_delay.0,
                        lotInterval: auction.lot_interval.0,
                        lotDuration: auction.lot_duration.0,
                        halfLife: auction.half_life.0,
                        maxLot: u128_of(auction.max_lot.0),
                        genesisPrice: auction.genesis_price.0,
                        genesisFloor: auction.genesis_floor.0,
                    },
                },
            ),
        ]
    }

    fn subnets(&self) -> [Blueprint; 2] {
        let (config, suite) = (self.config, self.suite);
        let (subnets, staking, hyper) = (&config.subnets, &config.staking, &config.subnets.hyperparameters);
        let registry = SubnetRegistry::constructorCall {
            config: ISubnetRegistry::Config {
                tndm: suite.tandem_token,
                usdc: suite.usdc,
                pools: suite.alpha_pools,
                controller: suite.emission_controller,
                auction: suite.burn_auction,
                gate: suite.launch_gate,
                genesis: self.genesis,
                epochLength: self.epoch_length,
                firstLock: subnets.first_lock.0,
                floorLock: subnets.floor_lock.0,
                lockHalfLife: subnets.lock_half_life.0,
                neuronFeeUsdc: subnets.neuron_fee.0,
                neuronPriceTndm: subnets.neuron_price.0,
                neuronHalfLife: subnets.neuron_half_life.0,
                maxSubnets: subnets.max_subnets,
                defaults: ISubnetRegistry::Hyperparameters {
                    kappa: hyper.kappa,
                    bondsMovingAverage: hyper.bonds_moving_average,
                    bondsPenalty: hyper.bonds_penalty,
                    maxValidators: hyper.max_validators,
                    maxUids: hyper.max_uids,
                    activityCutoff: hyper.activity_cutoff,
                },
            },
            genesisSubnets: config
                .genesis_subnets
                .iter()
                .map(|subnet| ISubnetRegistry::GenesisSubnet { owner: subnet.owner, name: subnet.name.clone() })
                .collect(),
            bindings: config
                .hotkey_owners()
                .into_iter()
                .map(|(hotkey, owner)| ISubnetRegistry::HotkeyBinding { hotkey, owner })
                .collect(),
        };
        let stake = Staking::constructorCall {
            config: IStaking::Config {
                tndm: suite.tandem_token,
                pools: suite.alpha_pools,
                registry: suite.subnet_registry,
                gate: suite.launch_gate,
                genesis: self.genesis,
                epochLength: self.epoch_length,
                unbondingPeriod: staking.unbonding.0,
                virtualFade: staking.virtual_fade.0,
                minimumStakeShare: staking.minimum_share.0,
                rootWeightStart: staking.root_weight_start.0,
                rootWeightFloor: staking.root_weight_floor.0,
                rootWeightGlide: staking.root_weight_glide.0,
            },
            meshValidators: config
                .mesh_validators
                .iter()
                .map(|validator| IStaking::Virtual {
                    netuid: validator.netuid,
                    hotkey: validator.hotkey,
                    weight: u128_of(validator.weight.0),
                })
                .collect(),
        };
        [
            blueprint("SubnetRegistry", &SubnetRegistry::BYTECODE, registry),
            blueprint("Staking", &Staking::BYTECODE, stake),
        ]
    }

    fn emission(&self) -> Blueprint {
        let (emission, suite) = (&self.config.emission, self.suite);
        blueprint(
            "EmissionController",
            &EmissionController::BYTECODE,
            EmissionController::constructorCall {
                config: IEmissionController::Config {
                    tndm: suite.tandem_token,
                    pools: suite.alpha_pools,
                    distributor: suite.reward_distributor,
                    registry: suite.subnet_registry,
                    staking: suite.staking,
                    gate: suite.launch_gate,
                    auction: suite.burn_auction,
                    genesis: self.genesis,
                    epochLength: self.epoch_length,
                    phi: emission.phi.0,
                    smoothing: U256::from(emission.smoothing),
                    fadePeriod: emission.fade.0,
                    emissionPerDay: emission.tndm_per_day.0,
                    alphaPerDay: emission.alpha_per_day.0,
                },
            },
        )
    }

    fn epochs(&self) -> [Blueprint; 3] {
        let (config, suite) = (self.config, self.suite);
        let mut keepers = config.keepers.members.clone();
        keepers.sort_unstable();
        [
            blueprint(
                "KeeperSet",
                &KeeperSet::BYTECODE,
                KeeperSet::constructorCall {
                    authority: suite.access_manager,
                    usdc: suite.usdc,
                    keepers,
                    threshold: config.keepers.threshold,
                    devnet: config.devnet,
                    unbondingPeriod: config.keepers.unbonding.0,
                    genesis: self.genesis,
                    epochLength: self.epoch_length,
                },
            ),
            blueprint(
                "EpochOracle",
                &EpochOracle::BYTECODE,
                EpochOracle::constructorCall {
                    authority: suite.access_manager,
                    keeperSet: suite.keeper_set,
                    controller: suite.emission_controller,
                    distributor: suite.reward_distributor,
                    genesis: self.genesis,
                    epochLength: self.epoch_length,
                    activationDelay_: config.epochs.activation_delay.0,
                },
            ),
            blueprint(
                "RewardDistributor",
                &RewardDistributor::BYTECODE,
                RewardDistributor::constructorCall {
                    usdc: suite.usdc,
                    pools: suite.alpha_pools,
                    controller: suite.emission_controller,
                    oracle: suite.epoch_oracle,
                    genesis: self.genesis,
                    epochLength: self.epoch_length,
                },
            ),
        ]
    }

    fn launch(&self) -> [Blueprint; 2] {
        let (config, suite, launch) = (self.config, self.suite, &self.config.launch);
        let gate = LaunchGate::constructorCall {
            config: ILaunchGate::Config {
                tndm: suite.tandem_token,
                usdc: suite.usdc,
                credit: suite.compute_credit,
                desk: suite.credit_desk,
                distributor: suite.reward_distributor,
                oracle: suite.epoch_oracle,
                registry: suite.subnet_registry,
                pools: suite.alpha_pools,
                timelock: suite.tandem_timelock,
                council: config.authorities.council,
                successor: Address::ZERO,
                allocation: suite.genesis_allocation,
                thresholds: ILaunchGate::Thresholds {
                    buybackMargin: u128_of(launch.buyback_margin.0),
                    verifiedContributors: launch.verified_contributors,
                    verifiedEpochsEach: launch.verified_epochs_each,
                    cleanPeriod: launch.clean_period.0,
                },
                notice: launch.notice.0,
                publicAfter: launch.public_after.0,
                tokenPeriod: launch.token_period.0,
                claimable: launch.claimable.0,
                poolSeed: launch.pool_seed.0,
                initialPrice: launch.initial_price.0,
            },
        };
        let listed = config.allocations.iter().map(|allocation| IGenesisAllocation::Allocation {
            beneficiary: allocation.beneficiary,
            amount: u128_of(allocation.amount.0),
            duration: allocation.duration.0,
            immediateShare: allocation.immediate.0.saturating_to(),
            label: allocation.label.clone(),
        });
        let treasury = config.treasury().filter(|rest| !rest.is_zero()).map(|rest| IGenesisAllocation::Allocation {
            beneficiary: suite.tandem_timelock,
            amount: u128_of(rest),
            duration: launch.treasury_vesting.0,
            immediateShare: 0,
            label: "treasury".into(),
        });
        [
            blueprint("LaunchGate", &LaunchGate::BYTECODE, gate),
            blueprint(
                "GenesisAllocation",
                &GenesisAllocation::BYTECODE,
                GenesisAllocation::constructorCall {
                    tndm: suite.tandem_token,
                    gate: suite.launch_gate,
                    allocations: listed.chain(treasury).collect(),
                },
            ),
        ]
    }
}
