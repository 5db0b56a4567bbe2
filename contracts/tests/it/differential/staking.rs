//! Stake: four delegators behind three validators in two subnets, who stake, bond, leave, withdraw and vote, and slashes.

use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use tandem_contracts::{
    bindings::{AlphaPools, LaunchGate, Staking},
    world::{Outcome, Revert},
};

use super::{Dice, play};
use crate::{
    indexer::Indexer,
    law,
    model::{
        WAD,
        staking::{BOND, Staking as Model, Terms},
    },
    support::Net,
};

pub(super) const STEPS: usize = 3_000;
const EVERY: usize = 32;
const DELEGATORS: [&str; 4] = ["ann", "ben", "cem", "dee"];
const VALIDATORS: usize = 3;
const SUBNETS: [u16; 2] = [1, 2];

struct Pair {
    net: Net,
    indexer: Indexer,
    model: Model,
    staking: Address,
    hotkeys: Vec<(String, Address)>,
}

fn begin() -> Pair {
    let mut net = law::opened();
    let suite = net.suite();
    let hotkeys: Vec<(String, Address)> =
        (1..=VALIDATORS).map(|n| (format!("validator {n}"), net.world.account(&format!("hotkey {n}")))).collect();
    let trader = net.world.account("trader");
    net.world.approve(suite.tandem_token, trader, suite.alpha_pools, U256::MAX).unwrap();
    for (n, (owner, _)) in hotkeys.iter().enumerate() {
        let account = net.world.account(owner);
        net.world.transfer(suite.tandem_token, trader, account, U256::from(1_000 * WAD)).unwrap();
        net.world.approve(suite.tandem_token, account, suite.subnet_registry, U256::MAX).unwrap();
        net.register_in_markets(2, owner, &format!("hotkey {}", n + 1));
    }
    for netuid in SUBNETS {
        let call = AlphaPools::buyCall {
            netuid,
            tndmIn: U256::from(5_000 * WAD),
            minAlphaOut: U256::ZERO,
            deadline: U256::from(u64::MAX),
        };
        net.as_account("trader", suite.alpha_pools, call).unwrap();
    }
    for name in DELEGATORS {
        let account = net.world.account(name);
        for (netuid, amount) in [(BOND, 20_000), (1, 8_000), (2, 8_000)] {
            let token = token_of(&net, netuid);
            net.world.transfer(token, trader, account, U256::from(amount * WAD)).unwrap();
            net.world.approve(token, account, suite.staking, U256::MAX).unwrap();
        }
    }
    let staking = &net.config.staking;
    let terms = Terms {
        genesis: net.plan.genesis,
        epoch_length: net.config.epochs.length.0,
        unbonding: staking.unbonding.0,
        minimum: staking.minimum_delegation.0.to(),
        take_default: net.view(suite.staking, Staking::TAKE_DEFAULTCall {}),
        take_bound: net.view(suite.staking, Staking::TAKE_BOUNDCall {}),
        take_step: net.view(suite.staking, Staking::TAKE_STEPCall {}),
        take_period: staking.take_period.0,
        root_weight_start: staking.root_weight_start.0.to(),
        root_weight_floor: staking.root_weight_floor.0.to(),
        root_weight_glide: staking.root_weight_glide.0,
        virtual_fade: staking.virtual_fade.0,
        opened_at: net.view(suite.launch_gate, LaunchGate::marketsOpenedAtCall {}),
    };
    let mut model = Model::new(terms);
    for validator in &net.config.mesh_validators {
        model.virtual_stake.insert((validator.netuid, validator.hotkey), validator.weight.0.to());
    }
    model.seats = hotkeys.iter().map(|(_, hotkey)| (*hotkey, SUBNETS.len() as u64)).collect();
    // The registrations of this epoch count from the next one on.
    let next = model.terms.epoch(net.world.timestamp()) + 1;
    net.go_to(next, 0);
    Pair { staking: suite.staking, indexer: Indexer::new(&net), model, hotkeys, net }
}

/// The token that is staked under a number.
fn token_of(net: &Net, netuid: u16) -> Address {
    match netuid {
        BOND => net.plan.suite.tandem_token,
        netuid => net.view(net.plan.suite.alpha_pools, AlphaPools::alphaOfCall { netuid }),
    }
}

impl Pair {
    fn now(&self) -> u64 {
        self.net.world.timestamp()
    }

    fn by<C: SolCall>(&mut self, name: &str, call: C) -> Result<Outcome<C::Return>, Revert> {
        let staking = self.staking;
        self.net.as_account(name, staking, call)
    }

    fn view<C: SolCall>(&self, call: C) -> C::Return {
        self.net.view(self.staking, call)
    }

    fn somewhere(&self, dice: &mut Dice) -> (u16, Address) {
        let netuid = dice.one_of(&[BOND, 1, 2]);
        (netuid, dice.one_of(&self.hotkeys).1)
    }

    fn stake(&mut self, dice: &mut Dice) {
        let ((netuid, hotkey), name, now) = (self.somewhere(dice), dice.one_of(&DELEGATORS), self.now());
        let account = self.net.world.account(name);
        let free = self.net.world.balance_of(token_of(&self.net, netuid), account).to::<u128>();
        let amount = dice.amount(free / 3);
        dice.doing("stake", (name, netuid, hotkey, amount));
        let model = self.model.stake(now, (netuid, hotkey), account, amount);
        if netuid == BOND {
            let chain = self.by(name, Staking::bondCall { hotkey, tndmAmount: U256::from(amount) });
            if let Some((outcome, shares)) = dice.agree(chain, model) {
                dice.same("shares", outcome.event::<Staking::Bonded>().unwrap().shares.to::<u128>(), shares);
            }
        } else {
            let chain = self.by(name, Staking::stakeCall { netuid, hotkey, alphaAmount: U256::from(amount) });
            if let Some((outcome, shares)) = dice.agree(chain, model) {
                dice.same("shares", outcome.event::<Staking::Staked>().unwrap().shares.to::<u128>(), shares);
            }
        }
        self.compare(dice, netuid, hotkey, account);
    }

    fn unstake(&mut self, dice: &mut Dice) {
        let ((netuid, hotkey), name, now) = (self.somewhere(dice), dice.one_of(&DELEGATORS), self.now());
        let account = self.net.world.account(name);
        let held = self.model.worth(netuid, hotkey, account);
        let asked = match dice.below(8) {
            0 => Some(held + 1),
            1 => None,
            _ => Some(dice.amount(held)),
        };
        dice.doing("unstake", (name, netuid, hotkey, asked));
        let written = asked.map_or(U256::MAX, U256::from);
        let chain = if netuid == BOND {
            self.by(name, Staking::unbondCall { hotkey, tndmAmount: written })
        } else {
            self.by(name, Staking::unstakeCall { netuid, hotkey, alphaAmount: written })
        };
        if let Some((outcome, (id, _))) = dice.agree(chain, self.model.unstake(now, (netuid, hotkey), account, asked)) {
            dice.same("id", outcome.ret.to::<usize>(), id);
            self.compare_entry(dice, id);
        }
        self.compare(dice, netuid, hotkey, account);
    }

    fn withdraw(&mut self, dice: &mut Dice) {
        let id = dice.between(1, self.model.entries.len() as u64 + 1) as usize;
        dice.doing("withdraw", id);
        let entry = self.model.entries.get(id - 1).cloned().flatten();
        let held = entry
            .as_ref()
            .map(|entry| self.net.world.balance_of(token_of(&self.net, entry.netuid), entry.account).to::<u128>());
        let chain = self.by("anybody", Staking::withdrawCall { unbondingId: U256::from(id) });
        if let (Some((_, paid)), Some(entry)) = (dice.agree(chain, self.model.withdraw(self.now(), id)), entry) {
            let after = self.net.world.balance_of(token_of(&self.net, entry.netuid), entry.account).to::<u128>();
            dice.same("paid", after - held.unwrap_or_default(), paid);
            dice.saw("what waited was slashed", paid < entry.amount);
        }
    }

    fn slash(&mut self, dice: &mut Dice) {
        let (netuid, hotkey) = self.somewhere(dice);
        let share = match dice.below(12) {
            0 => WAD + 1,
            1 => WAD,
            _ => dice.amount(WAD / 5),
        };
        dice.doing("slash", (netuid, hotkey, share));
        let prover = self.net.world.account("prover");
        let slashing = self.net.plan.suite.slashing;
        let supplies = [BOND, netuid].map(|of| self.net.world.total_supply(token_of(&self.net, of)).to::<u128>());
        let call = Staking::slashCall { netuid, hotkey, share: U256::from(share), prover };
        let chain = self.net.world.call(slashing, self.staking, call);
        if let Some((outcome, (tndm, alpha))) = dice.agree(chain, self.model.slash(self.now(), netuid, hotkey, share)) {
            let taken = (outcome.ret.tndmTaken.to::<u128>(), outcome.ret.alphaTaken.to::<u128>());
            dice.same("taken", taken, (tndm.taken, alpha.taken));
            dice.saw("a slash takes everything", share == WAD && alpha.taken > 0);
            for ((of, before), slashed) in
                [BOND, netuid].iter().zip(supplies).zip([tndm, alpha]).take(if netuid == BOND { 1 } else { 2 })
            {
                let after = self.net.world.total_supply(token_of(&self.net, *of)).to::<u128>();
                dice.same("burned", before - after, slashed.taken - slashed.reward);
            }
        }
        for name in DELEGATORS {
            self.compare(dice, netuid, hotkey, self.net.world.account(name));
        }
    }

    fn set_take(&mut self, dice: &mut Dice) {
        let (owner, hotkey) = dice.one_of(&self.hotkeys);
        let terms = &self.model.terms;
        let take = dice.between(0, u64::from(terms.take_bound) + 100) as u16;
        dice.doing("set take", (&owner, take));
        let chain = self.by(&owner, Staking::setTakeCall { hotkey, take });
        dice.agree(chain, self.model.set_take(self.now(), hotkey, take));
        let epoch = self.model.terms.epoch(self.now());
        for epoch in [epoch, epoch + 1] {
            let there = self.view(Staking::takeAtCall { hotkey, epoch });
            dice.same("take", there, self.model.take_at(hotkey, epoch));
        }
    }

    fn delegate(&mut self, dice: &mut Dice) {
        let (netuid, _) = self.somewhere(dice);
        let (name, other) = (dice.one_of(&DELEGATORS), dice.one_of(&DELEGATORS));
        let to = self.net.world.account(other);
        dice.doing("delegate", (name, netuid, to));
        self.by(name, Staking::delegateCall { netuid, to }).unwrap();
        self.model.delegates.insert((netuid, self.net.world.account(name)), to);
        self.compare_votes(dice, netuid);
    }

    fn sync_votes(&mut self, dice: &mut Dice) {
        let (netuid, hotkey) = self.somewhere(dice);
        let name = dice.one_of(&DELEGATORS);
        let account = self.net.world.account(name);
        dice.doing("sync votes", (netuid, hotkey, account));
        self.by("anybody", Staking::syncVotesCall { netuid, hotkey, account }).unwrap();
        self.model.sync_votes(netuid, hotkey, account);
        self.compare_votes(dice, netuid);
    }

    /// `[SN-2]`
    fn compare(&self, dice: &Dice, netuid: u16, hotkey: Address, account: Address) {
        let worth = self.view(Staking::stakeOfCall { netuid, hotkey, account }).to::<u128>();
        dice.same("worth", worth, self.model.worth(netuid, hotkey, account));
        let position = self.model.position(netuid, hotkey, account);
        let ideal = position.ideal();
        // What rounding takes from one account stays in the pool, for the others.
        let gained = worth.saturating_sub(ideal);
        dice.holds(gained <= self.model.calls(netuid, hotkey), || format!("{gained} wei more than was put in"));
        let short = ideal - worth.min(ideal);
        dice.holds(short <= 2 * position.calls, || {
            format!("{short} wei fell by the wayside in {} calls", position.calls)
        });
        let epoch = self.model.terms.epoch(self.now());
        for epoch in [epoch.saturating_sub(1), epoch, epoch + 1] {
            let total = self.model.total(netuid, hotkey).at(epoch);
            let there = self.view(Staking::totalStakeAtCall { netuid, hotkey, epoch }).to::<u128>();
            dice.same("stake as of an epoch", there, total.assets);
            let there = self.view(Staking::totalSharesAtCall { netuid, hotkey, epoch }).to::<u128>();
            dice.same("shares as of an epoch", there, total.shares);
            let there = self.view(Staking::sharesAtCall { netuid, hotkey, account, epoch }).to::<u128>();
            dice.same("an account's shares as of an epoch", there, position.shares.at(epoch));
        }
    }

    fn compare_entry(&self, dice: &Dice, id: usize) {
        let there = self.view(Staking::unbondingOfCall { unbondingId: U256::from(id) });
        if let Some(entry) = &self.model.entries[id - 1] {
            dice.same("unbonding", (there.account, there.amount), (entry.account, self.model.waiting(entry)));
            dice.same("release", there.releaseAt, entry.release_at);
        } else {
            dice.same("withdrawn", there.account, Address::ZERO);
        }
    }

    fn compare_votes(&self, dice: &Dice, netuid: u16) {
        for name in DELEGATORS {
            let account = self.net.world.account(name);
            let votes = self.view(Staking::getVotesCall { netuid, account }).to::<u128>();
            dice.same("votes", votes, self.model.votes_of(netuid, account));
        }
    }

    fn compare_all(&mut self, dice: &Dice) {
        self.indexer.agrees_with(&self.net);
        let epoch = self.model.terms.epoch(self.now());
        for netuid in [BOND, 1, 2] {
            self.compare_votes(dice, netuid);
            let held = self.net.world.balance_of(token_of(&self.net, netuid), self.staking).to::<u128>();
            dice.same("held", held, self.model.holds(netuid));
            for (_, hotkey) in &self.hotkeys {
                for name in DELEGATORS {
                    self.compare(dice, netuid, *hotkey, self.net.world.account(name));
                }
                if netuid != BOND {
                    let parts = self.view(Staking::weightPartsAtCall { netuid, hotkey: *hotkey, epoch });
                    let parts = [parts.alpha, parts.bonded, parts.virtualStake].map(|part| part.to::<u128>());
                    dice.same("parts of the weight", parts, self.model.weight_parts(netuid, *hotkey, epoch));
                }
            }
            if netuid != BOND {
                self.compare_eligible(dice, netuid, epoch);
            }
        }
        let newest = self.model.entries.len();
        for id in newest.saturating_sub(8)..newest {
            self.compare_entry(dice, id + 1);
        }
    }

    /// What settlement is told, and may remember, is what the stake says.
    fn compare_eligible(&self, dice: &Dice, netuid: u16, epoch: u64) {
        let least = self.view(Staking::minimumStakeAtCall { netuid, epoch }).to::<u128>();
        let enough = self
            .hotkeys
            .iter()
            .filter(|(_, hotkey)| self.model.weight_parts(netuid, *hotkey, epoch).iter().sum::<u128>() >= least);
        let eligible = enough.count() == VALIDATORS;
        dice.same("eligible", self.view(Staking::eligibleAtCall { netuid, epoch }), eligible);
        dice.same(
            "eligible, as remembered",
            self.view(Staking::checkEligibleCall { netuids: vec![netuid], epoch })[0],
            eligible,
        );
    }

    /// Settlement asks, so that there is something to remember.
    fn ask(&mut self, dice: &mut Dice) {
        let (netuid, epoch) = (dice.one_of(&SUBNETS), self.model.terms.epoch(self.now()));
        dice.doing("check eligible", netuid);
        self.by("anybody", Staking::checkEligibleCall { netuids: vec![netuid], epoch }).unwrap();
        self.compare_eligible(dice, netuid, epoch);
    }
}

/// [SN-2]
#[test]
fn stake_behaves_as_the_model_says() {
    let mut number = 0;
    play(STEPS, begin, |pair, dice| {
        number += 1;
        match dice.below(30) {
            0..=8 => pair.stake(dice),
            9..=14 => pair.unstake(dice),
            15..=17 => pair.withdraw(dice),
            18 if dice.once_in(3) => pair.slash(dice),
            19..=20 => pair.set_take(dice),
            21 => pair.delegate(dice),
            22..=23 => pair.sync_votes(dice),
            24..=25 => pair.ask(dice),
            _ => {
                let seconds = dice.between(1, 30);
                dice.doing("wait", seconds);
                pair.net.world.warp(seconds);
            }
        }
        if number % EVERY == 0 {
            pair.compare_all(dice);
        }
    });
}
