//! Constructor arguments of every contract of a suite, from its configuration.

use alloy::{
    primitives::{Address, Bytes, U256, aliases::U48},
    sol_types::SolConstructor,
};

use super::{
    address::Suite,
    config::{Genesis, GenesisConfig},
    units::Fraction,
    validate::{EMISSION_VAULT, SUPPLY},
};
use crate::bindings::{
    Airdrop, AlphaFactory, AlphaPools, AlphaRouter, BurnAuction, ComputeCredit, CreditDesk, EmissionController,
    EpochOracle, GenesisAllocation, KeeperSet, LaunchGate, NetworkHealth, Outages, RateCard, RewardDistributor,
    Settlement, Slashing, Staking, SubnetRegistry, TandemAccess, TandemGovernor, TandemTimelock, TandemToken,
    TandemVotes, TestUSDC, WeightCommits, airdrop::IAirdrop, alpha_pools::IAlphaPools, burn_auction::IBurnAuction,
    credit_desk::ICreditDesk, emission_controller::IEmissionController, genesis_allocation::IGenesisAllocation,
    keeper_set::IKeeperSet, launch_gate::ILaunchGate, reward_distributor::IRewardDistributor, slashing::ISlashing,
    staking::IStaking, subnet_registry::ISubnetRegistry, tandem_governor::IGovernorStack,
    tandem_governor::ITandemGovernor, tandem_token::ITandemToken,
};

/// Whole of a take.
const TAKE_ONE: u64 = 65_535;

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

/// A share in 1/65535, rounded to the nearest.
fn take_of(share: Fraction) -> u16 {
    ((share.0 * U256::from(TAKE_ONE) + Fraction::ONE.0 / U256::from(2)) / Fraction::ONE.0).saturating_to()
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
        "TandemAccess",
        &TandemAccess::BYTECODE,
        TandemAccess::constructorCall { deployer, gate: suite.launch_gate },
    ));
    all.push(parts.timelock());
    all.extend(parts.tokens());
    all.extend(parts.compute());
    all.extend(parts.market());
    all.extend(parts.subnets());
    all.extend(parts.emission());
    all.extend(parts.epochs());
    all.extend(parts.duties());
    all.extend(parts.launch());
    all.extend(parts.governance());
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
                gate: self.suite.launch_gate,
                access: self.suite.tandem_access,
            },
        )
    }

    fn tokens(&self) -> [Blueprint; 2] {
        let (config, suite) = (self.config, self.suite);
        let seeds = config.pool_seeds().unwrap_or_default();
        let mints = [
            (suite.emission_controller, EMISSION_VAULT),
            (suite.launch_gate, seeds),
            (suite.genesis_allocation, SUPPLY - EMISSION_VAULT - seeds - config.launch.airdrop.0),
            (suite.airdrop, config.launch.airdrop.0),
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
                ComputeCredit::constructorCall {
                    desk: suite.credit_desk,
                    settlement: suite.settlement,
                    gate: suite.launch_gate,
                },
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
                        authority: suite.tandem_access,
                        usdc: suite.usdc,
                        credit: suite.compute_credit,
                        settlement: suite.settlement,
                        auction: suite.burn_auction,
                        distributor: suite.reward_distributor,
                        gate: suite.launch_gate,
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
                    outages: suite.outages,
                    settleGrace_: credits.settle_grace.0,
                },
            ),
            blueprint(
                "RateCard",
                &RateCard::BYTECODE,
                RateCard::constructorCall {
                    authority: suite.tandem_access,
                    genesis: self.genesis,
                    epochLength: self.epoch_length,
                },
            ),
        ]
    }

    fn market(&self) -> [Blueprint; 4] {
        let (pools, auction, suite) = (&self.config.pools, &self.config.auction, self.suite);
        [
            blueprint(
                "AlphaFactory",
                &AlphaFactory::BYTECODE,
                AlphaFactory::constructorCall { pools: suite.alpha_pools, distributor: suite.reward_distributor },
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
                "AlphaRouter",
                &AlphaRouter::BYTECODE,
                AlphaRouter::constructorCall { tndm: suite.tandem_token, pools: suite.alpha_pools },
            ),
            blueprint(
                "BurnAuction",
                &BurnAuction::BYTECODE,
                BurnAuction::constructorCall {
                    config: IBurnAuction::Config {
                        authority: suite.tandem_access,
                        tndm: suite.tandem_token,
                        usdc: suite.usdc,
                        desk: suite.credit_desk,
                        controller: suite.emission_controller,
                        gate: suite.launch_gate,
                        openDelay: auction.open_delay.0,
                        lotInterval: auction.lot_interval.0,
                        lotDuration: auction.lot_duration.0,
                        halfLife: auction.half_life.0,
                        revenueHalfLife: auction.revenue_half_life.0,
                        maxLot: u128_of(auction.max_lot.0),
                        pricingLot: u128_of(auction.pricing_lot.0),
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
                authority: suite.tandem_access,
                tndm: suite.tandem_token,
                usdc: suite.usdc,
                pools: suite.alpha_pools,
                controller: suite.emission_controller,
                auction: suite.burn_auction,
                gate: suite.launch_gate,
                staking: suite.staking,
                oracle: suite.epoch_oracle,
                genesis: self.genesis,
                epochLength: self.epoch_length,
                firstLock: subnets.first_lock.0,
                floorLock: subnets.floor_lock.0,
                lockHalfLife: subnets.lock_half_life.0,
                neuronFeeUsdc: subnets.neuron_fee.0,
                neuronPriceTndm: subnets.neuron_price.0,
                neuronHalfLife: subnets.neuron_half_life.0,
                neuronImmunity: subnets.neuron_immunity.0,
                maxSubnets: subnets.max_subnets,
                subnetImmunity: subnets.subnet_immunity.0,
                hyperparameterPeriod: subnets.hyperparameter_period.0,
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
                slashing: suite.slashing,
                genesis: self.genesis,
                epochLength: self.epoch_length,
                unbondingPeriod: staking.unbonding.0,
                virtualFade: staking.virtual_fade.0,
                minimumStakeShare: staking.minimum_share.0,
                minimumDelegation: staking.minimum_delegation.0,
                rootWeightStart: staking.root_weight_start.0,
                rootWeightFloor: staking.root_weight_floor.0,
                rootWeightGlide: staking.root_weight_glide.0,
                takeDefault: take_of(staking.take_default),
                takeBound: take_of(staking.take_bound),
                takeStep: take_of(staking.take_step),
                takePeriod: staking.take_period.0,
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

    fn emission(&self) -> [Blueprint; 2] {
        let (emission, suite) = (&self.config.emission, self.suite);
        let controller = blueprint(
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
        );
        let health = NetworkHealth::constructorCall {
            controller: suite.emission_controller,
            auction: suite.burn_auction,
            desk: suite.credit_desk,
            credit: suite.compute_credit,
        };
        [controller, blueprint("NetworkHealth", &NetworkHealth::BYTECODE, health)]
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
                    config: IKeeperSet::Config {
                        authority: suite.tandem_access,
                        usdc: suite.usdc,
                        auction: suite.burn_auction,
                        slashing: suite.slashing,
                        oracle: suite.epoch_oracle,
                        devnet: config.devnet,
                        unbondingPeriod: config.keepers.unbonding.0,
                        genesis: self.genesis,
                        epochLength: self.epoch_length,
                    },
                    keepers,
                    threshold: config.keepers.threshold,
                },
            ),
            blueprint(
                "EpochOracle",
                &EpochOracle::BYTECODE,
                EpochOracle::constructorCall {
                    authority: suite.tandem_access,
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
                    config: IRewardDistributor::Config {
                        usdc: suite.usdc,
                        factory: suite.alpha_factory,
                        controller: suite.emission_controller,
                        oracle: suite.epoch_oracle,
                        registry: suite.subnet_registry,
                        auction: suite.burn_auction,
                        genesis: self.genesis,
                        epochLength: self.epoch_length,
                    },
                },
            ),
        ]
    }

    /// What holds keepers and validators to their word.
    fn duties(&self) -> [Blueprint; 3] {
        let (rules, suite) = (&self.config.slashing, self.suite);
        let amounts = |commit: Fraction, report: Fraction| ISlashing::Amounts {
            commitShare: commit.0.saturating_to(),
            reportShare: report.0.saturating_to(),
        };
        let slashing = Slashing::constructorCall {
            config: ISlashing::Config {
                authority: suite.tandem_access,
                oracle: suite.epoch_oracle,
                keeperSet: suite.keeper_set,
                staking: suite.staking,
                weightCommits: suite.weight_commits,
                least: amounts(rules.least, rules.least),
                most: amounts(rules.most, rules.most),
                amounts: amounts(rules.commit_share, rules.report_share),
                evidencePeriod: rules.evidence.0,
                genesis: self.genesis,
                epochLength: self.epoch_length,
            },
        };
        let commits = WeightCommits::constructorCall {
            oracle: suite.epoch_oracle,
            outages: suite.outages,
            genesis: self.genesis,
            epochLength: self.epoch_length,
        };
        let outages = Outages::constructorCall { least_: self.config.epochs.outage.0 };
        [
            blueprint("Outages", &Outages::BYTECODE, outages),
            blueprint("WeightCommits", &WeightCommits::BYTECODE, commits),
            blueprint("Slashing", &Slashing::BYTECODE, slashing),
        ]
    }

    fn governance(&self) -> [Blueprint; 3] {
        let (config, suite, launch) = (self.config, self.suite, &self.config.launch);
        let rules = &config.governance;
        let airdrop = Airdrop::constructorCall {
            config: IAirdrop::Config {
                tndm: suite.tandem_token,
                gate: suite.launch_gate,
                credit: suite.compute_credit,
                treasury: suite.tandem_timelock,
                amount: u128_of(launch.airdrop.0),
                maxPerCredit: launch.airdrop_per_credit.0,
                immediateShare: launch.airdrop_immediate.0.saturating_to(),
                duration: launch.airdrop_vesting.0,
            },
        };
        let votes = TandemVotes::constructorCall {
            token: suite.tandem_token,
            staking: suite.staking,
            controller: suite.emission_controller,
            vesting: vec![suite.genesis_allocation, suite.airdrop],
        };
        let governor = TandemGovernor::constructorCall {
            config: ITandemGovernor::Config {
                votes: suite.tandem_votes,
                timelock: suite.tandem_timelock,
                gate: suite.launch_gate,
                guardian: config.authorities.guardian,
                rules: IGovernorStack::Rules {
                    votingDelay: U48::from(rules.voting_delay.0),
                    votingPeriod: u32::try_from(rules.voting_period.0).unwrap_or(u32::MAX),
                    voteExtension: U48::from(rules.vote_extension.0),
                    guardianPeriod: rules.guardian_period.0,
                    proposalThreshold: rules.proposal_threshold.0,
                    quorumPercent: U256::from(rules.quorum_percent),
                    quorumFloor: rules.quorum_floor.0,
                },
            },
        };
        [
            blueprint("Airdrop", &Airdrop::BYTECODE, airdrop),
            blueprint("TandemVotes", &TandemVotes::BYTECODE, votes),
            blueprint("TandemGovernor", &TandemGovernor::BYTECODE, governor),
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
                successor: suite.tandem_governor,
                allocation: suite.genesis_allocation,
                airdrop: suite.airdrop,
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
