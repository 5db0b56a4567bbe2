//! The law of emission, pots, budgets and claims.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address, B256, Log, U256},
    sol_types::SolEventInterface,
};
use tandem_contracts::{
    bindings::{
        EmissionController, RewardDistributor,
        emission_controller::EmissionController::EmissionControllerEvents as Law,
        reward_distributor::RewardDistributor::RewardDistributorEvents as Claims,
    },
    grants::{SubnetGrant, subnet_grants},
};

use super::{Check, less, registry, small};

/// Kinds of reward: owner, validator and contributor in alpha, the same in USDC, keepers in USDC; each with its per cent of what
/// is granted.
const PERCENT: [(Asset, u128); 7] = [
    (Asset::Alpha, 18),
    (Asset::Alpha, 41),
    (Asset::Alpha, 41),
    (Asset::Usdc, 18),
    (Asset::Usdc, 39),
    (Asset::Usdc, 39),
    (Asset::Usdc, 4),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asset {
    Alpha,
    Usdc,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ledger {
    allowance: u128,
    burned: u128,
    emitted: u128,
}

/// What was granted to a subnet since the beginning.
#[derive(Clone, Copy, Default)]
struct Granting {
    alpha: u128,
    usdc: u128,
}

#[derive(Default)]
pub(super) struct Books {
    ledgers: BTreeMap<u16, Ledger>,
    /// First epoch that is not settled.
    settled_through: u64,
    grants: BTreeMap<u16, Granting>,
    pots: BTreeMap<u16, u128>,
    claimed: BTreeMap<(u16, u8), u128>,
    paid: BTreeMap<(u16, u8, Address), U256>,
    payouts: BTreeMap<Address, Address>,
    /// Current, previous, and the epoch of the current one.
    roots: (B256, B256, u64),
}

impl Books {
    /// What was granted, which pools must know too.
    pub(super) fn read_controller(&mut self, log: &Log) -> Vec<SubnetGrant> {
        match Law::decode_log(log).expect("an event of the controller").data {
            Law::BurnCredited(event) => self.ledger(event.netuid).burned += small(event.burned),
            Law::Granted(event) => {
                let subnets = subnet_grants(&event).expect("as many states as grants");
                for grant in &subnets {
                    let ledger = self.ledger(grant.netuid);
                    ledger.allowance = grant.allowance_left;
                    ledger.emitted += grant.emitted;
                    let grants = self.grants.entry(grant.netuid).or_default();
                    grants.alpha += grant.alpha_out;
                    grants.usdc += u128::from(grant.usdc);
                    less(self.pots.entry(grant.netuid).or_default(), u128::from(grant.usdc));
                }
                return subnets;
            }
            Law::EpochSettled(event) => self.settled_through = event.epoch + 1,
        }
        Vec::new()
    }

    pub(super) fn read_distributor(&mut self, log: &Log) {
        match Claims::decode_log(log).expect("an event of the distributor").data {
            Claims::Contributed(event) => *self.pots.entry(event.netuid).or_default() += small(event.usdc),
            Claims::PotSwept(event) => less(self.pots.entry(event.netuid).or_default(), small(event.usdc)),
            Claims::Claimed(event) => {
                *self.claimed.entry((event.netuid, event.kind)).or_default() += small(event.amount);
                *self.paid.entry((event.netuid, event.kind, event.account)).or_default() += event.amount;
            }
            Claims::RootActivated(event) => self.roots = (event.root, self.roots.0, event.epoch),
            Claims::PayoutChanged(event) => {
                let to = if event.to.is_zero() { event.account } else { event.to };
                self.payouts.insert(event.account, to);
            }
            _ => {}
        }
    }

    /// USDC units in pots, and granted and not claimed.
    pub(super) fn usdc_owed(&self) -> u128 {
        let granted: u128 = self.grants.values().map(|granting| granting.usdc).sum();
        self.pots.values().sum::<u128>() + granted - self.claimed_of(Asset::Usdc, None)
    }

    /// Alpha granted and not claimed: issued, and still in the vault.
    pub(super) fn alpha_unclaimed(&self, netuid: u16) -> u128 {
        let granted = self.grants.get(&netuid).copied().unwrap_or_default().alpha;
        granted - self.claimed_of(Asset::Alpha, Some(netuid))
    }

    fn claimed_of(&self, asset: Asset, subnet: Option<u16>) -> u128 {
        let counts = |(netuid, kind): (u16, u8)| {
            subnet.is_none_or(|subnet| subnet == netuid) && PERCENT[usize::from(kind)].0 == asset
        };
        self.claimed.iter().filter(|(key, _)| counts(**key)).map(|(_, amount)| amount).sum()
    }

    fn ledger(&mut self, netuid: u16) -> &mut Ledger {
        self.ledgers.entry(netuid).or_default()
    }

    pub(super) fn compare(&self, check: &mut Check<'_>, registry: &registry::Books) {
        let (controller, distributor) = (check.facts.suite.emission_controller, check.facts.suite.reward_distributor);
        for (netuid, ledger) in &self.ledgers {
            // The allowance of a pruned subnet is cancelled with its last epoch.
            let gone = registry.pruned_from(*netuid).is_some_and(|from| self.settled_through >= from);
            let books = Ledger { allowance: if gone { 0 } else { ledger.allowance }, ..*ledger };
            let there = check.view(controller, EmissionController::ledgerOfCall { netuid: *netuid });
            check.same("emission: allowance", netuid, there.allowance, books.allowance);
            check.same("emission: burned", netuid, there.burned, books.burned);
            check.same("emission: emitted", netuid, there.emitted, books.emitted);
        }
        let settled = check.view(controller, EmissionController::settledThroughCall {});
        check.same("emission: settled through", (), settled, self.settled_through);
        let emitted = small(check.view(controller, EmissionController::totalEmittedCall {}));
        check.same("emission: emitted in all", (), emitted, self.ledgers.values().map(|ledger| ledger.emitted).sum());
        let burned = small(check.view(controller, EmissionController::totalBurnedCall {}));
        check.same("emission: burned in all", (), burned, self.ledgers.values().map(|ledger| ledger.burned).sum());

        let epoch = check.running();
        for (netuid, pot) in &self.pots {
            let there = check.view(distributor, RewardDistributor::potOfCall { epoch, netuid: *netuid });
            check.same("rewards: pot", netuid, small(there), *pot);
        }
        for (netuid, granting) in &self.grants {
            for (kind, (asset, percent)) in (0_u8..).zip(PERCENT) {
                let all = if asset == Asset::Alpha { granting.alpha } else { granting.usdc };
                let ask = RewardDistributor::budgetOfCall { netuid: *netuid, kind };
                let there = check.view(distributor, ask);
                let claimed = self.claimed.get(&(*netuid, kind)).copied().unwrap_or_default();
                let what = match asset {
                    Asset::Alpha => ["rewards: alpha granted", "rewards: alpha claimed"],
                    Asset::Usdc => ["rewards: USDC granted", "rewards: USDC claimed"],
                };
                check.same(what[0], (netuid, kind), there.granted, all * percent / 100);
                check.same(what[1], (netuid, kind), there.claimed, claimed);
            }
        }
        for ((netuid, kind, account), paid) in &self.paid {
            let ask = RewardDistributor::paidToCall { netuid: *netuid, kind: *kind, account: *account };
            check.same("rewards: paid to an account", account, check.view(distributor, ask), *paid);
        }
        let paid = self.paid.keys().map(|(_, _, account)| account);
        for account in paid.chain(self.payouts.keys()).collect::<BTreeSet<_>>() {
            let there = check.view(distributor, RewardDistributor::payoutOfCall { account: *account });
            let to = self.payouts.get(account).unwrap_or(account);
            check.same("rewards: payout address", account, there, *to);
        }
        let there = check.view(distributor, RewardDistributor::rootsCall {});
        check.same("rewards: roots", (), (there.current, there.previous, there.epoch), self.roots);
    }
}
