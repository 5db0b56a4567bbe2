//! One deployed suite, cloned by every test, and the moves that tests share.

use std::sync::OnceLock;

use alloy::{
    primitives::{Address, B256, Bytes, Signature, U256, keccak256},
    sol_types::{SolCall, SolStruct, SolValue, eip712_domain},
};
use alloy_signer::SignerSync;
use tandem_contracts::{
    bindings::{
        CreditDesk, EmissionController, EpochOracle, KeeperSet, RewardDistributor, Settlement, SubnetRegistry,
        epoch_oracle::IEpochOracle, reward_distributor::IRewardDistributor, settlement::ISettlement,
    },
    suite::{GenesisConfig, Plan, Suite},
    world::{Execution, Outcome, Revert, World},
};

/// A model of the rate card: a token of its prompt costs a thousandth of a credit.
pub(crate) const MODEL: &str = "tandem/test";
pub(crate) const CREDIT: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

/// A world with a suite in it.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) world: World,
    pub(crate) config: GenesisConfig,
    pub(crate) plan: Plan,
}

/// A configuration that every rule accepts, with accounts of any world.
pub(crate) fn config() -> GenesisConfig {
    let mut config = GenesisConfig::devnet();
    World::new().populate(&mut config);
    config
}

/// What deploying cost, and the world afterwards, before genesis.
pub(crate) fn deployed() -> (Net, Execution) {
    static DEPLOYED: OnceLock<(Net, Execution)> = OnceLock::new();
    DEPLOYED.get_or_init(|| deploy(config())).clone()
}

fn deploy(mut config: GenesisConfig) -> (Net, Execution) {
    let mut world = World::new();
    config.resolve_genesis(world.timestamp());
    let deployer = world.account("deployer");
    let facts = tandem_contracts::suite::ChainFacts { chain_id: world.chain_id() };
    let plan = Plan::new(&config, deployer, facts).unwrap();
    let execution = world.execute(&plan).unwrap();
    (Net { world, config, plan }, execution)
}

/// A world whose suite was born with other numbers.
pub(crate) fn net_with(change: impl FnOnce(&mut GenesisConfig)) -> Net {
    let mut config = config();
    change(&mut config);
    deploy(config).0
}

pub(crate) fn net() -> Net {
    deployed().0
}

impl Net {
    pub(crate) fn suite(&self) -> Suite {
        self.plan.suite.clone()
    }

    pub(crate) fn as_account<C: SolCall>(
        &mut self,
        name: &str,
        to: Address,
        call: C,
    ) -> Result<Outcome<C::Return>, Revert> {
        self.world.call(self.world.account(name), to, call)
    }

    pub(crate) fn view<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        self.world.view(to, call).unwrap()
    }

    /// Goes to a second of an epoch.
    pub(crate) fn go_to(&mut self, epoch: u64, second: u64) {
        self.world.set_time(self.plan.genesis + epoch * self.config.epochs.length.0 + second);
    }

    /// Gives the account so many whole USDC and lets `spender` take them.
    pub(crate) fn fund(&mut self, name: &str, spender: Address, usdc: u64) {
        let (account, token) = (self.world.account(name), self.plan.suite.usdc);
        let amount = U256::from(usdc) * U256::from(1_000_000);
        self.world.mint_usdc(token, account, amount).unwrap();
        self.world.approve(token, account, spender, amount).unwrap();
    }

    pub(crate) fn register(&mut self, netuid: u16, owner: &str, hotkey: &str) -> u16 {
        let registry = self.plan.suite.subnet_registry;
        self.fund(owner, registry, 10);
        let call = SubnetRegistry::registerNeuronCall {
            netuid,
            hotkey: self.world.account(hotkey),
            endpoint: format!("http://{hotkey}"),
            maxPrice: U256::from(10_000_000),
        };
        self.as_account(owner, registry, call).unwrap().ret
    }

    /// Registers for TNDM, which the registry may take from the owner.
    pub(crate) fn register_in_markets(&mut self, netuid: u16, owner: &str, hotkey: &str) -> Outcome<u16> {
        let registry = self.plan.suite.subnet_registry;
        let call = SubnetRegistry::registerNeuronCall {
            netuid,
            hotkey: self.world.account(hotkey),
            endpoint: format!("http://{hotkey}"),
            maxPrice: U256::MAX,
        };
        self.as_account(owner, registry, call).unwrap()
    }

    pub(crate) fn buy_credits(&mut self, user: &str, credits: u64) {
        let desk = self.plan.suite.credit_desk;
        self.fund(user, desk, credits);
        let call = CreditDesk::buyCall { credits: U256::from(credits) * CREDIT, maxUsdc: U256::MAX };
        self.as_account(user, desk, call).unwrap();
    }

    /// Opens a channel of `user`, whose session key is that of `"{user} session"`.
    pub(crate) fn open_channel(&mut self, user: &str, netuid: u16, uid: u16, credits: u64) -> U256 {
        let call = Settlement::openCall {
            netuid,
            uid,
            amount: (U256::from(credits) * CREDIT).to(),
            expiry: self.world.timestamp() + 3_600,
            sessionKey: self.world.account(&format!("{user} session")),
        };
        self.as_account(user, self.plan.suite.settlement, call).unwrap().ret
    }

    /// A voucher over so many prompt tokens, a thousandth of a credit each, since the channel opened.
    pub(crate) fn voucher(&self, channel: U256, tokens: u64) -> ISettlement::Voucher {
        ISettlement::Voucher {
            channelId: channel,
            amount: u128::from(tokens) * 1_000_000_000_000_000,
            model: keccak256(MODEL),
            rateCardVersion: 1,
            promptTokens: tokens,
            completionTokens: 0,
        }
    }

    /// Signs a voucher as wallets do, from the domain and the struct, without asking the contract for its hash.
    pub(crate) fn sign(&self, user: &str, voucher: &ISettlement::Voucher) -> Bytes {
        let domain = eip712_domain! {
            name: "Tandem Settlement",
            version: "1",
            chain_id: self.world.chain_id(),
            verifying_contract: self.plan.suite.settlement,
        };
        let hash = voucher.eip712_signing_hash(&domain);
        self.world.signer(&format!("{user} session")).sign_hash_sync(&hash).unwrap().as_bytes().into()
    }

    pub(crate) fn settle_voucher(
        &mut self,
        user: &str,
        voucher: ISettlement::Voucher,
    ) -> Result<Outcome<U256>, Revert> {
        let signature = self.sign(user, &voucher);
        self.as_account("anybody", self.plan.suite.settlement, Settlement::settleCall { voucher, signature })
    }

    /// Closes every ended epoch.
    pub(crate) fn settle_epochs(&mut self) {
        let call = EmissionController::settleCall { maxSubnets: U256::from(1_000) };
        self.as_account("anybody", self.plan.suite.emission_controller, call).unwrap();
    }

    /// Posts a report that a quorum signed and activates it.
    pub(crate) fn report(&mut self, epoch: u64, rewards: B256) {
        self.report_on(epoch, B256::repeat_byte(1), rewards);
    }

    /// The same about these subnets.
    pub(crate) fn report_on(&mut self, epoch: u64, subnets: B256, rewards: B256) {
        let suite = self.suite();
        let previous = self.view(suite.epoch_oracle, EpochOracle::lastPostedCall {}).reportHash;
        let set = self.view(suite.keeper_set, KeeperSet::membersAtCall { epoch });
        let report = IEpochOracle::EpochReport {
            epoch,
            attempt: 0,
            configDigest: set.configDigest,
            inputsBlock: self.world.block_hash(self.world.block_number() - 1),
            previousReport: previous,
            subnetsRoot: subnets,
            rewardsRoot: rewards,
            bundleHash: B256::repeat_byte(2),
            rulesVersion: 1,
        };
        let digest = self.view(suite.epoch_oracle, EpochOracle::hashReportCall { report: report.clone() });
        let known: Vec<_> = (1..=4).map(|n| self.world.signer(&format!("keeper {n}"))).collect();
        let quorum = set.keepers.iter().take(usize::from(set.threshold));
        let signatures = quorum.map(|member| {
            let keeper = known.iter().find(|keeper| keeper.address() == *member).unwrap();
            let signature = keeper.sign_hash_sync(&digest).unwrap();
            IEpochOracle::Signature { r: signature.r().into(), vs: compact(&signature) }
        });
        let post = EpochOracle::postCall { report: report.clone(), signatures: signatures.collect() };
        self.as_account("anybody", suite.epoch_oracle, post).unwrap();
        self.world.warp(self.config.epochs.activation_delay.0);
        self.as_account("anybody", suite.epoch_oracle, EpochOracle::activateCall { report }).unwrap();
    }

    pub(crate) fn claim(&mut self, claim: &IRewardDistributor::Claim, proof: Vec<B256>) -> U256 {
        let call = RewardDistributor::claimCall { c: claim.clone(), proof };
        self.as_account("anybody", self.plan.suite.reward_distributor, call).unwrap().ret
    }
}

/// The second half of an ERC-2098 signature.
pub(crate) fn compact(signature: &Signature) -> B256 {
    (signature.s() | U256::from(u8::from(signature.v())) << 255_usize).into()
}

/// A leaf of the reward tree.
pub(crate) fn leaf(claim: &IRewardDistributor::Claim) -> B256 {
    let encoded = (claim.index, U256::from(claim.kind), U256::from(claim.netuid), claim.account, claim.cumulative);
    keccak256(keccak256(encoded.abi_encode()))
}

/// The root over two leaves; the tree runs from right to left.
pub(crate) fn root_of_two(first: B256, second: B256) -> B256 {
    keccak256([second, first].concat())
}

/// The root over any number of leaves, filled up with zeros, and the proof of each.
pub(crate) fn tree(leaves: &[B256]) -> (B256, Vec<Vec<B256>>) {
    let mut level = leaves.to_vec();
    level.resize(leaves.len().next_power_of_two(), B256::ZERO);
    let mut proofs = vec![Vec::new(); leaves.len()];
    for depth in 0..level.len().ilog2() {
        for (index, proof) in proofs.iter_mut().enumerate() {
            proof.push(level[(index >> depth) ^ 1]);
        }
        level = level.chunks(2).map(|pair| root_of_two(pair[0], pair[1])).collect();
    }
    (level[0], proofs)
}
