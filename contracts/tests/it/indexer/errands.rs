//! What people do in the town: every flow of the suite, once in a while.

use alloy::primitives::{Address, U256};
use tandem_contracts::bindings::{
    Airdrop, AlphaPools, BurnAuction, CreditDesk, EmissionController, GenesisAllocation, KeeperSet, RewardDistributor,
    Settlement, Staking, SubnetRegistry, TandemToken, subnet_registry::ISubnetRegistry::Hyperparameters,
};

use super::town::{PEOPLE, Town};
use crate::{differential::Dice, model::WAD};

const USDC: u128 = 1_000_000;

impl Town {
    pub(super) fn do_something(&mut self, dice: &mut Dice) {
        match dice.below(20) {
            0..=2 => self.spend(dice),
            3 => self.leave_credits(dice),
            4 => self.send(dice),
            5..=6 => self.trade(dice),
            7 => self.auction(dice),
            8 => self.earn_emission(dice),
            9 => self.stake(dice),
            10 => self.unstake(dice),
            11 => self.vote(dice),
            12 => self.neurons(dice),
            13 => self.own_subnets(dice),
            14 => self.keepers(dice),
            15 => self.vest(dice),
            16 => self.redeem(dice),
            17 => {
                self.settle(dice);
                if dice.once_in(2) {
                    self.report(dice);
                    self.claim(dice);
                }
            }
            18 if dice.once_in(3) => self.authorities(dice),
            _ => {
                let seconds = if dice.once_in(12) { dice.between(1, 120) } else { dice.between(1, 15) };
                self.net.world.warp(seconds);
            }
        }
    }

    fn somebody(&self, dice: &mut Dice) -> (&'static str, Address) {
        let name = dice.one_of(&PEOPLE);
        (name, self.account(name))
    }

    fn spend(&mut self, dice: &mut Dice) {
        let (suite, (name, account)) = (self.net.suite(), self.somebody(dice));
        let netuid = self.a_subnet(dice);
        match dice.below(8) {
            0 => {
                let (_, other) = self.somebody(dice);
                let credits = U256::from(dice.amount(100 * WAD));
                let call = CreditDesk::buyForCall { account: other, credits, maxUsdc: U256::MAX };
                self.call(dice, "buy credits", account, suite.credit_desk, call);
            }
            1 => {
                let uid = dice.between(0, 3) as u16;
                let call = Settlement::openCall {
                    netuid,
                    uid,
                    amount: dice.amount(20 * WAD),
                    expiry: self.now() + dice.between(60, 1_200),
                    sessionKey: self.account(&format!("{name} session")),
                };
                if let Some(outcome) = self.call(dice, "open", account, suite.settlement, call) {
                    self.channels.push((outcome.ret, name, 0));
                }
            }
            2 => {
                if let Some((id, payer, _)) = self.a_channel(dice) {
                    let (payer, amount) = (self.account(payer), dice.amount(5 * WAD));
                    let call = Settlement::topUpCall { channelId: id, amount };
                    self.call(dice, "top up", payer, suite.settlement, call);
                    let expiry = self.now() + dice.between(60, 1_600);
                    let call = Settlement::extendCall { channelId: id, expiry };
                    self.call(dice, "extend", payer, suite.settlement, call);
                }
            }
            3..=6 => self.pay(dice),
            _ => {
                let call = CreditDesk::forwardMarginCall { netuid };
                self.call(dice, "forward", account, suite.credit_desk, call);
            }
        }
    }

    fn a_channel(&self, dice: &mut Dice) -> Option<(U256, &'static str, u64)> {
        let count = self.channels.len();
        (count > 0).then(|| self.channels[count - 1 - dice.below(count.min(10))])
    }

    /// A voucher over some thousand tokens more than the last one.
    fn pay(&mut self, dice: &mut Dice) {
        let Some((id, payer, before)) = self.a_channel(dice) else { return };
        let tokens = before + dice.amount(8_000) as u64;
        dice.doing("settle a voucher", (id, tokens));
        let voucher = self.net.voucher(id, tokens);
        let chain = self.net.settle_voucher(payer, voucher);
        if dice.tried(chain).is_some()
            && let Some(channel) = self.channels.iter_mut().find(|channel| channel.0 == id)
        {
            channel.2 = tokens;
        }
    }

    fn leave_credits(&mut self, dice: &mut Dice) {
        let suite = self.net.suite();
        if dice.once_in(2) {
            let contributor = self.account(dice.one_of(&["miner 1", "miner 2", "validator 1", "validator 2", "ann"]));
            let call = CreditDesk::cashOutCall { credits: U256::from(dice.amount(3 * WAD)), to: contributor };
            self.call(dice, "cash out", contributor, suite.credit_desk, call);
        } else if let Some((id, ..)) = self.channels.first().copied() {
            let anybody = self.account("anybody");
            let call = Settlement::reclaimCall { channelId: id };
            if self.call(dice, "reclaim", anybody, suite.settlement, call).is_some() || dice.once_in(3) {
                self.channels.remove(0);
            }
        }
    }

    fn send(&mut self, dice: &mut Dice) {
        let ((_, from), (_, to)) = (self.somebody(dice), self.somebody(dice));
        let netuid = dice.between(0, u64::from(self.subnets())) as u16;
        let token = self.token(netuid);
        if dice.once_in(2) {
            let call = TandemToken::transferCall { to, value: U256::from(dice.amount(self.held(token, from) / 4)) };
            self.call(dice, "send", from, token, call);
        } else {
            self.call(dice, "delegate a token", from, token, TandemToken::delegateCall { delegatee: to });
        }
        if dice.once_in(8) {
            let call = TandemToken::burnCall { value: U256::from(dice.amount(WAD)) };
            self.call(dice, "burn", from, token, call);
        }
    }

    fn trade(&mut self, dice: &mut Dice) {
        let (suite, (_, account)) = (self.net.suite(), self.somebody(dice));
        let (netuid, other) = (self.a_subnet(dice), self.a_subnet(dice));
        let (pools, deadline, none) = (suite.alpha_pools, U256::from(self.now()), U256::ZERO);
        let tndm = U256::from(dice.amount(200 * WAD));
        let alpha = U256::from(dice.amount(self.held(self.alpha(netuid), account) / 2));
        match dice.below(8) {
            0..=1 => {
                let call = AlphaPools::buyCall { netuid, tndmIn: tndm, minAlphaOut: none, deadline };
                self.call(dice, "buy", account, pools, call);
            }
            2..=3 => {
                let call = AlphaPools::sellCall { netuid, alphaIn: alpha, minTndmOut: none, deadline };
                self.call(dice, "sell", account, pools, call);
            }
            4..=5 => {
                let call =
                    AlphaPools::swapCall { from: netuid, to: other, alphaIn: alpha, minAlphaOut: none, deadline };
                self.call(dice, "swap", account, pools, call);
            }
            6 => {
                self.call(dice, "pour", account, pools, AlphaPools::pourCall { netuid });
            }
            _ => {
                self.call(dice, "flush", account, pools, AlphaPools::flushFeesCall { netuid });
            }
        }
    }

    fn auction(&mut self, dice: &mut Dice) {
        let (suite, (_, account)) = (self.net.suite(), self.somebody(dice));
        let (auction, trader) = (suite.burn_auction, self.account("trader"));
        let count = self.net.view(auction, BurnAuction::lotCountCall {});
        let lot = count - U256::from(dice.below(4)).min(count);
        match dice.below(6) {
            0..=1 => {
                self.call(dice, "start a lot", account, auction, BurnAuction::startLotCall {});
            }
            2..=3 => {
                let call = BurnAuction::takeCall { lotId: lot, maxTndm: U256::MAX, deadline: U256::MAX };
                self.call(dice, "take a lot", trader, auction, call);
            }
            4 => {
                self.call(dice, "restart a lot", account, auction, BurnAuction::restartCall { lotId: lot });
            }
            _ => {
                let call = BurnAuction::fundCall { netuid: 0, usdc: U256::from(dice.amount(USDC)) };
                self.call(dice, "fund", account, auction, call);
            }
        }
    }

    fn earn_emission(&mut self, dice: &mut Dice) {
        let (suite, (_, account), netuid) = (self.net.suite(), self.somebody(dice), self.a_subnet(dice));
        if dice.once_in(2) {
            let call = EmissionController::sponsorCall { netuid, amount: U256::from(dice.amount(100 * WAD)) };
            self.call(dice, "sponsor", account, suite.emission_controller, call);
        } else {
            let call = RewardDistributor::contributeCall { netuid, usdc: U256::from(dice.amount(20 * USDC)) };
            self.call(dice, "contribute", account, suite.reward_distributor, call);
        }
    }

    fn a_hotkey(&self, dice: &mut Dice) -> (Address, Address) {
        let n = dice.between(1, 3);
        (self.account(&format!("validator {n}")), self.account(&format!("hotkey {n}")))
    }

    fn stake(&mut self, dice: &mut Dice) {
        let (staking, (_, account)) = (self.net.suite().staking, self.somebody(dice));
        let ((owner, hotkey), netuid) = (self.a_hotkey(dice), self.a_subnet(dice));
        match dice.below(5) {
            0..=1 => {
                let amount = U256::from(dice.amount(self.held(self.alpha(netuid), account) / 2));
                let call = Staking::stakeCall { netuid, hotkey, alphaAmount: amount };
                self.call(dice, "stake", account, staking, call);
            }
            2..=3 => {
                let call = Staking::bondCall { hotkey, tndmAmount: U256::from(dice.amount(100 * WAD)) };
                self.call(dice, "bond", account, staking, call);
            }
            _ => {
                let call = Staking::setTakeCall { hotkey, take: dice.between(0, 11_796) as u16 };
                self.call(dice, "set a take", owner, staking, call);
            }
        }
    }

    /// Somebody's stake behind a validator, if there is one; bonds are those of subnet 0.
    fn a_position(&self, dice: &mut Dice, bonds: bool) -> Option<(u16, Address, Address, u128)> {
        let staking = self.net.plan.suite.staking;
        let (_, hotkey) = self.a_hotkey(dice);
        let all = if bonds { 0..=0 } else { 1..=self.subnets() };
        let mut positions = Vec::new();
        for netuid in all {
            for name in PEOPLE.into_iter().chain(["validator 1", "validator 2", "validator 3"]) {
                let account = self.account(name);
                let held = self.net.view(staking, Staking::stakeOfCall { netuid, hotkey, account }).to::<u128>();
                if held > 0 {
                    positions.push((netuid, hotkey, account, held));
                }
            }
        }
        (!positions.is_empty()).then(|| dice.one_of(&positions))
    }

    fn unstake(&mut self, dice: &mut Dice) {
        let (suite, (_, prover)) = (self.net.suite(), self.somebody(dice));
        let (staking, all) = (suite.staking, dice.once_in(4));
        let asked = |dice: &mut Dice, held| if all { U256::MAX } else { U256::from(dice.amount(held)) };
        match dice.below(6) {
            0 => {
                let Some((netuid, hotkey, account, held)) = self.a_position(dice, false) else { return };
                let call = Staking::unstakeCall { netuid, hotkey, alphaAmount: asked(dice, held) };
                self.call(dice, "unstake", account, staking, call);
            }
            1 => {
                let Some((_, hotkey, account, held)) = self.a_position(dice, true) else { return };
                let call = Staking::unbondCall { hotkey, tndmAmount: asked(dice, held) };
                self.call(dice, "unbond", account, staking, call);
            }
            2..=3 => {
                let count = self.net.view(staking, Staking::unbondingCountCall {}).to::<u64>();
                let id = U256::from(dice.between(1, count + 1));
                self.call(dice, "withdraw", prover, staking, Staking::withdrawCall { unbondingId: id });
            }
            4 => {
                let (_, hotkey) = self.a_hotkey(dice);
                let share = if dice.once_in(10) { WAD } else { dice.amount(WAD / 8) };
                let netuid = if dice.once_in(4) { 0 } else { self.a_subnet(dice) };
                let call = Staking::slashCall { netuid, hotkey, share: U256::from(share), prover };
                self.call(dice, "slash", suite.slashing, staking, call);
            }
            _ => self.stake(dice),
        }
    }

    fn vote(&mut self, dice: &mut Dice) {
        let (suite, (_, account), (_, to)) = (self.net.suite(), self.somebody(dice), self.somebody(dice));
        let netuid = dice.between(0, u64::from(self.subnets())) as u16;
        if dice.once_in(2) {
            self.call(dice, "delegate stake", account, suite.staking, Staking::delegateCall { netuid, to });
        } else {
            let (_, hotkey) = self.a_hotkey(dice);
            let call = Staking::syncVotesCall { netuid, hotkey, account };
            self.call(dice, "sync votes", to, suite.staking, call);
        }
    }

    fn neurons(&mut self, dice: &mut Dice) {
        let (registry, (_, account)) = (self.net.suite().subnet_registry, self.somebody(dice));
        let (netuid, number) = (self.a_subnet(dice), dice.between(1, 40));
        let (hotkey, endpoint) = (self.account(&format!("{account} {number}")), format!("http://{number}"));
        match dice.below(4) {
            0 => {
                let call = SubnetRegistry::registerNeuronCall { netuid, hotkey, endpoint, maxPrice: U256::MAX };
                self.call(dice, "register a neuron", account, registry, call);
            }
            1..=2 => {
                let call = SubnetRegistry::registerNeuronEvictingCall {
                    netuid: self.listed,
                    hotkey,
                    endpoint,
                    maxPrice: U256::MAX,
                    proof: self.prune_proof(),
                };
                if let Some(outcome) = self.call(dice, "register in a full subnet", account, registry, call) {
                    let left = outcome.event::<SubnetRegistry::NeuronLeft>().is_some();
                    dice.saw("a newcomer evicts", left);
                }
            }
            _ => {
                let uid = dice.between(0, 6) as u16;
                let owner = self.net.world.view(registry, SubnetRegistry::keysOfCall { netuid, uid });
                let owner = owner.map(|keys| keys.owner).unwrap_or(account);
                let call = SubnetRegistry::setEndpointCall { netuid, uid, endpoint };
                self.call(dice, "set an endpoint", owner, registry, call);
            }
        }
    }

    fn own_subnets(&mut self, dice: &mut Dice) {
        let (registry, netuid, (_, to)) = (self.net.suite().subnet_registry, self.a_subnet(dice), self.somebody(dice));
        let owner = self.net.view(registry, SubnetRegistry::ownerOfSubnetCall { netuid });
        match dice.below(6) {
            0 if dice.once_in(3) => self.register_subnet(dice),
            0..=1 => {
                // The oldest is full soon, the others never.
                let params = Hyperparameters {
                    kappa: dice.between(30_000, 40_000) as u16,
                    bondsMovingAverage: 900_000,
                    bondsPenalty: 65_535,
                    maxValidators: 5,
                    maxUids: if netuid == self.oldest() { 5 } else { 64 },
                    activityCutoff: 14,
                };
                let call = SubnetRegistry::setHyperparametersCall { netuid, params };
                self.call(dice, "set hyperparameters", owner, registry, call);
            }
            2 => {
                let call = SubnetRegistry::transferSubnetCall { netuid, to };
                self.call(dice, "offer a subnet", owner, registry, call);
            }
            3 => {
                let offered = self.net.view(registry, SubnetRegistry::offeredToCall { netuid });
                if !offered.is_zero() {
                    self.call(dice, "accept a subnet", offered, registry, SubnetRegistry::acceptSubnetCall { netuid });
                }
            }
            4 => {
                let uids = vec![dice.between(0, 2) as u16];
                let call = SubnetRegistry::leavePrunedCall { netuid, uids };
                self.call(dice, "leave a pruned subnet", to, registry, call);
            }
            _ => {
                let hotkey = self.account(&format!("{to} hotkey {}", self.now()));
                self.call(dice, "bind a hotkey", hotkey, registry, SubnetRegistry::bindHotkeyCall { owner: to });
            }
        }
    }

    fn keepers(&mut self, dice: &mut Dice) {
        let (suite, (_, account)) = (self.net.suite(), self.somebody(dice));
        let (set, keeper) = (suite.keeper_set, self.account(&format!("keeper {}", dice.between(1, 4))));
        match dice.below(6) {
            0..=1 => {
                let call = KeeperSet::bondCall { keeper, usdc: U256::from(dice.amount(1_000 * USDC)) };
                self.call(dice, "bond a keeper", account, set, call);
            }
            2 => {
                let call = KeeperSet::setEndpointCall { endpoint: format!("http://{}", self.now()) };
                self.call(dice, "set a keeper's endpoint", keeper, set, call);
            }
            3 => {
                let left_out = dice.between(1, 4);
                let members = (1..=4).filter(|n| *n != left_out).map(|n| self.account(&format!("keeper {n}")));
                let mut keepers: Vec<Address> = members.collect();
                keepers.sort_unstable();
                let call = KeeperSet::scheduleCall { keepers, threshold: 2 };
                self.call(dice, "schedule keepers", suite.tandem_timelock, set, call);
            }
            4 => {
                self.call(dice, "withdraw a keeper's bond", keeper, set, KeeperSet::withdrawBondCall { to: account });
            }
            _ => {
                let share = U256::from(dice.amount(WAD));
                let call = KeeperSet::slashCall { keeper, share, prover: account };
                self.call(dice, "slash a keeper", suite.slashing, set, call);
            }
        }
    }

    fn vest(&mut self, dice: &mut Dice) {
        let (suite, (_, to)) = (self.net.suite(), self.somebody(dice));
        let miner = self.account(dice.one_of(&["miner 1", "miner 2"]));
        match dice.below(6) {
            0 => {
                let count = self.net.view(suite.genesis_allocation, GenesisAllocation::allocationCountCall {});
                let id = U256::from(dice.below(count.to()));
                let call = GenesisAllocation::releaseCall { id };
                self.call(dice, "release an allocation", to, suite.genesis_allocation, call);
            }
            1 => {
                let call = GenesisAllocation::delegateCall { delegatee: to };
                self.call(dice, "delegate an allocation", suite.tandem_timelock, suite.genesis_allocation, call);
            }
            2 => {
                let call = Airdrop::registerCall { account: miner };
                self.call(dice, "register for the airdrop", to, suite.airdrop, call);
            }
            3 if dice.once_in(6) => {
                self.call(dice, "release of the airdrop", to, suite.airdrop, Airdrop::releaseCall { account: miner });
            }
            4 => {
                let call = Airdrop::delegateCall { delegatee: to };
                self.call(dice, "delegate the airdrop", miner, suite.airdrop, call);
            }
            5 if dice.once_in(6) => {
                self.call(dice, "pay the airdrop's rest", to, suite.airdrop, Airdrop::payLeftoverCall {});
            }
            _ => {
                let call = RewardDistributor::setPayoutCall { to };
                let (_, account) = self.somebody(dice);
                self.call(dice, "set a payout address", account, suite.reward_distributor, call);
            }
        }
    }

    /// What is left of pruned subnets.
    fn redeem(&mut self, dice: &mut Dice) {
        let (suite, (_, account)) = (self.net.suite(), self.somebody(dice));
        let pruned: Vec<u16> = (1..=self.subnets()).filter(|netuid| self.is_pruned(*netuid)).collect();
        if pruned.is_empty() {
            return;
        }
        let netuid = dice.one_of(&pruned);
        match dice.below(4) {
            0 => {
                self.call(dice, "wind up", account, suite.alpha_pools, AlphaPools::windUpCall { netuid });
            }
            1..=2 => {
                let amount = U256::from(dice.amount(self.held(self.alpha(netuid), account)));
                let call = AlphaPools::redeemCall { netuid, amount, to: account };
                self.call(dice, "redeem", account, suite.alpha_pools, call);
            }
            _ => {
                let call = RewardDistributor::sweepPrunedCall { netuid };
                self.call(dice, "sweep a pot", account, suite.reward_distributor, call);
            }
        }
    }

    fn authorities(&mut self, dice: &mut Dice) {
        let suite = self.net.suite();
        let (timelock, guardian) = (suite.tandem_timelock, self.account("guardian"));
        match dice.below(4) {
            0 => {
                let call = CreditDesk::setPriceCall { newPrice: U256::from(dice.between(900_000, 1_500_000)) };
                self.call(dice, "set the price", timelock, suite.credit_desk, call);
            }
            1 => {
                let call = CreditDesk::pauseBuyingCall { until: self.now() + dice.between(1, 20) };
                self.call(dice, "pause buying", guardian, suite.credit_desk, call);
            }
            2 => {
                let call = BurnAuction::stopCall { until: self.now() + dice.between(1, 20) };
                self.call(dice, "stop lots", guardian, suite.burn_auction, call);
            }
            _ => {
                let call = SubnetRegistry::setMaxSubnetsCall { limit: 4 };
                self.call(dice, "limit subnets", timelock, suite.subnet_registry, call);
            }
        }
    }
}
