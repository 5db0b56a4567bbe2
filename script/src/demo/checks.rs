//! The promises of the network, checked on what really happened. Each check carries a witness: the amounts that make it
//! mean something.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use alloy::rpc::types::Log;
use eyre::Result;
use serde::Serialize;
use serde_json::{Value, json};
use tandem_contracts::bindings::{
    ComputeCredit, CreditDesk, EmissionController, RateCard, RewardDistributor, Settlement, TandemToken,
};
use tandem_protocol::messages::model_id;
use tandem_protocol::payment::Tokens;
use tandem_protocol::tree::RewardKind;

use super::actors::ContributorKind;
use super::launch::Crash;
use super::network::{MODEL_ID, Network};
use super::observe::{EpochRecord, Posted};

const WAD: u128 = 1_000_000_000_000_000_000;

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Whether the promise held.
    pub ok: bool,
    /// The amounts behind it.
    pub witness: Value,
}

/// What the checks look at besides the chain.
#[derive(Debug)]
pub struct Evidence {
    /// Records of all epochs.
    pub records: Vec<EpochRecord>,
    /// Posted reports of all epochs.
    pub posted: Vec<Posted>,
    /// The meme subnet.
    pub meme: u16,
    /// What the crash did.
    pub crash: Crash,
    /// The last block of the crash.
    pub crash_block: u64,
    /// What work was paid before and after it.
    pub pay: [Pay; 2],
}

/// What a contributor is paid, read at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pay {
    /// Credits for a million completion tokens, base units.
    #[serde(with = "tandem_protocol::api::decimal")]
    pub credits_per_million_tokens: u128,
    /// USDC that those credits are paid out for, base units.
    #[serde(with = "tandem_protocol::api::decimal")]
    pub usdc_per_million_tokens: u128,
}

/// Work that was settled and cashed out on one side of the crash.
#[derive(Clone, Debug, Default, Serialize)]
struct Work {
    /// Credits settled, base units.
    #[serde(with = "tandem_protocol::api::decimal")]
    credits: u128,
    /// USDC cashed out, base units.
    #[serde(with = "tandem_protocol::api::decimal")]
    usdc: u128,
    /// Settlements and cash-outs that were not at the rate.
    off_rate: u32,
}

impl Network {
    /// What work is paid now.
    pub(super) async fn pay(&self) -> Result<Pay> {
        let model = model_id(MODEL_ID);
        let card = self.suite.rate_card;
        let version = self.chain.read(card, &RateCard::latestVersionCall { model }).await?;
        let cost = RateCard::costCall { model, version, promptTokens: 0, completionTokens: 1_000_000 };
        let credits = self.chain.read(card, &cost).await?;
        let rate = self.chain.read(self.suite.credit_desk, &CreditDesk::payoutRateCall {}).await?;
        Ok(Pay {
            credits_per_million_tokens: credits.saturating_to(),
            usdc_per_million_tokens: (credits * rate / U256::from(WAD)).saturating_to(),
        })
    }

    /// Runs all checks.
    pub(super) async fn check(&self, evidence: &Evidence) -> Result<BTreeMap<&'static str, Check>> {
        Ok(BTreeMap::from([
            ("cheaters_earned_no_incentive", cheaters(evidence)),
            ("honest_all_paid", self.honest_paid(evidence).await?),
            ("reserve_covers_credits", self.reserve().await?),
            ("emission_law_holds", self.emission_law().await?),
            ("meme_subnet_emitted_no_more_than_it_earned", self.meme(evidence.meme).await?),
            ("keepers_agree_bit_for_bit", self.agreement(evidence)),
            ("claims_match_bundle", self.claims(evidence).await?),
            ("credits_never_moved_between_accounts", self.soulbound().await?),
            ("pay_unchanged_when_token_price_falls", self.pay_unchanged(evidence).await?),
        ]))
    }

    async fn honest_paid(&self, evidence: &Evidence) -> Result<Check> {
        let mut ok = true;
        let mut witness = serde_json::Map::new();
        for contributor in &self.actors.contributors {
            if contributor.kind != ContributorKind::Honest {
                continue;
            }
            let account = contributor.owner.address();
            let credits: u128 = evidence
                .records
                .iter()
                .flat_map(|record| &record.contributors)
                .filter(|record| record.name == contributor.name)
                .map(|record| record.credits_earned)
                .sum();
            let usdc = self.paid_to(contributor.netuid, RewardKind::ContributorUsdc, account).await?;
            let alpha = self.paid_to(contributor.netuid, RewardKind::ContributorAlpha, account).await?;
            ok &= credits > 0 && usdc > 0 && alpha > 0;
            witness.insert(
                contributor.name.to_owned(),
                json!({ "credits": credits.to_string(), "usdc": usdc.to_string(), "alpha": alpha.to_string() }),
            );
        }
        Ok(Check { ok: ok && !witness.is_empty(), witness: witness.into() })
    }

    async fn reserve(&self) -> Result<Check> {
        let desk = self.suite.credit_desk;
        let reserve = self.chain.read(desk, &CreditDesk::reserveCall {}).await?;
        let rate = self.chain.read(desk, &CreditDesk::payoutRateCall {}).await?;
        let supply = self.chain.read(self.suite.compute_credit, &ComputeCredit::totalSupplyCall {}).await?;
        let held = self.balance(self.suite.usdc, desk).await?;
        let owed = (supply * rate).div_ceil(U256::from(WAD));
        Ok(Check {
            ok: reserve >= owed && U256::from(held) >= reserve && !supply.is_zero(),
            witness: json!({
                "credits": supply.to_string(), "owed_usdc": owed.to_string(),
                "reserve_usdc": reserve.to_string(), "usdc_held": held.to_string(),
            }),
        })
    }

    async fn emission_law(&self) -> Result<Check> {
        let controller = self.suite.emission_controller;
        let emitted = self.chain.read(controller, &EmissionController::totalEmittedCall {}).await?;
        let burned = self.chain.read(controller, &EmissionController::totalBurnedCall {}).await?;
        let phi = self.chain.read(controller, &EmissionController::phiCall {}).await?;
        let supply = self.chain.read(self.suite.tandem_token, &TandemToken::totalSupplyCall {}).await?;
        let destroyed = U256::from(21_000_000u64) * U256::from(WAD) - supply;
        let earned = burned * phi / U256::from(WAD);
        Ok(Check {
            ok: emitted <= earned && burned <= destroyed && !emitted.is_zero() && !burned.is_zero(),
            witness: json!({
                "emitted": emitted.to_string(), "burned": burned.to_string(), "phi": phi.to_string(),
                "earned": earned.to_string(), "destroyed_in_all": destroyed.to_string(),
            }),
        })
    }

    async fn meme(&self, netuid: u16) -> Result<Check> {
        let controller = self.suite.emission_controller;
        let ledger = self.chain.read(controller, &EmissionController::ledgerOfCall { netuid }).await?;
        let phi = self.chain.read(controller, &EmissionController::phiCall {}).await?;
        let earned: u128 = (U256::from(ledger.burned) * phi / U256::from(WAD)).saturating_to();
        let price = self.spot_price(netuid).await?;
        Ok(Check {
            ok: ledger.emitted <= earned && earned > 0 && price > 0,
            witness: json!({
                "netuid": netuid, "emitted": ledger.emitted.to_string(), "earned": earned.to_string(),
                "burned": ledger.burned.to_string(), "price": price.to_string(),
            }),
        })
    }

    fn agreement(&self, evidence: &Evidence) -> Check {
        let keepers = self.keeper_urls.len();
        let ok = !evidence.posted.is_empty()
            && evidence
                .posted
                .iter()
                .all(|posted| posted.identical_bundles == keepers && posted.identical_attestations == keepers);
        let epochs: Vec<Value> = evidence
            .posted
            .iter()
            .map(|posted| {
                json!({
                    "epoch": posted.event.epoch, "bundle": posted.event.bundleHash,
                    "identical_bundles": posted.identical_bundles,
                    "identical_attestations": posted.identical_attestations,
                })
            })
            .collect();
        Check { ok, witness: json!({ "keepers": keepers, "epochs": epochs }) }
    }

    async fn claims(&self, evidence: &Evidence) -> Result<Check> {
        let Some(last) = evidence.posted.last() else {
            return Ok(Check { ok: false, witness: json!({ "posted_reports": 0 }) });
        };
        let mut ok = true;
        let mut sums: BTreeMap<String, (u128, u128)> = BTreeMap::new();
        for reward in &last.bundle.outcome.rewards {
            let paid = self.paid_to(reward.netuid, reward.kind, reward.account).await?;
            ok &= paid == reward.cumulative;
            let sum = sums.entry(format!("{:?}", reward.kind)).or_default();
            sum.0 += reward.cumulative;
            sum.1 += paid;
        }
        // What the contract says it paid must be what its events say left it.
        let events =
            self.chain.events::<RewardDistributor::Claimed>(self.suite.reward_distributor, self.first_block).await?;
        let moved: u128 = events.iter().map(|(event, _)| event.amount.saturating_to::<u128>()).sum();
        let paid: u128 = sums.values().map(|(_, paid)| paid).sum();
        ok &= moved == paid && paid > 0;
        let witness = sums
            .into_iter()
            .map(|(kind, (owed, paid))| (kind, json!({ "bundle": owed.to_string(), "paid": paid.to_string() })))
            .collect::<serde_json::Map<_, _>>();
        Ok(Check { ok, witness: witness.into() })
    }

    /// Reads every Transfer of credits ever made: births, deaths, and moves in and out of settlement; and every credit
    /// that settlement gave to somebody else than the payer must be a settled voucher's.
    async fn soulbound(&self) -> Result<Check> {
        let credit = self.suite.compute_credit;
        let settlement = self.suite.settlement;
        let transfers = self.chain.events::<ComputeCredit::Transfer>(credit, self.first_block).await?;
        let mut between_accounts = 0u64;
        let mut out_of_settlement: u128 = 0;
        for (transfer, _) in &transfers {
            let born_or_burned = transfer.from.is_zero() || transfer.to.is_zero();
            if !born_or_burned && transfer.from != settlement && transfer.to != settlement {
                between_accounts += 1;
            }
            if transfer.from == settlement {
                out_of_settlement += transfer.value.saturating_to::<u128>();
            }
        }
        let settled: u128 = self
            .chain
            .events::<Settlement::Settled>(settlement, self.first_block)
            .await?
            .iter()
            .map(|(event, _)| event.amount.saturating_to::<u128>())
            .sum();
        let returned: u128 = self
            .chain
            .events::<ComputeCredit::Returned>(credit, self.first_block)
            .await?
            .iter()
            .map(|(event, _)| (event.purchased + event.earned).saturating_to::<u128>())
            .sum();
        Ok(Check {
            ok: between_accounts == 0 && out_of_settlement == settled + returned && settled > 0,
            witness: json!({
                "transfers": transfers.len(), "between_accounts": between_accounts,
                "settled_for_work": settled.to_string(), "returned_to_payers": returned.to_string(),
            }),
        })
    }

    /// The rate card and the payout rate are as before the crash, and what was really settled and cashed out before and
    /// after it follows them to the unit.
    async fn pay_unchanged(&self, evidence: &Evidence) -> Result<Check> {
        let [before, after] = &evidence.pay;
        let [work_before, work_after] = self.settled_work(evidence).await?;
        let prices: Vec<Value> = evidence
            .crash
            .prices
            .iter()
            .map(|(netuid, before, after)| {
                json!({ "netuid": netuid, "before": before.to_string(), "after": after.to_string() })
            })
            .collect();
        let exact = work_before.off_rate == 0 && work_after.off_rate == 0;
        let meant = [&work_before, &work_after].iter().all(|work| work.credits > 0 && work.usdc > 0);
        Ok(Check {
            ok: before == after && before.usdc_per_million_tokens > 0 && !prices.is_empty() && exact && meant,
            witness: json!({
                "prices": prices, "pay_before": before, "pay_after": after,
                "work_before": work_before, "work_after": work_after,
            }),
        })
    }

    async fn settled_work(&self, evidence: &Evidence) -> Result<[Work; 2]> {
        let rate = self.rate().await?;
        let payout = self.chain.read(self.suite.credit_desk, &CreditDesk::payoutRateCall {}).await?;
        let mut work = [Work::default(), Work::default()];
        let side = |log: &Log| usize::from(log.block_number.is_some_and(|number| number > evidence.crash_block));
        let mut before: BTreeMap<U256, Tokens> = BTreeMap::new();
        for (event, log) in self.chain.events::<Settlement::Settled>(self.suite.settlement, self.first_block).await? {
            // A voucher names the tokens since the channel opened.
            let named = Tokens { prompt: event.promptTokens, completion: event.completionTokens };
            let last = before.insert(event.channelId, named).unwrap_or_default();
            let tokens = Tokens {
                prompt: named.prompt.saturating_sub(last.prompt),
                completion: named.completion.saturating_sub(last.completion),
            };
            let amount = event.amount.saturating_to::<u128>();
            let work = &mut work[side(&log)];
            work.credits += amount;
            // Vouchers are cumulative and each is rounded up, so their difference may be one unit below its own price.
            let fair = rate.cost(tokens).is_some_and(|cost| amount <= cost && cost - amount <= 1);
            work.off_rate += u32::from(!fair);
        }
        for (event, log) in self.chain.events::<CreditDesk::CashedOut>(self.suite.credit_desk, self.first_block).await?
        {
            let work = &mut work[side(&log)];
            work.usdc += event.usdc.saturating_to::<u128>();
            work.off_rate += u32::from(event.usdc != event.credits * payout / U256::from(WAD));
        }
        Ok(work)
    }

    async fn paid_to(&self, netuid: u16, kind: RewardKind, account: Address) -> Result<u128> {
        let call = RewardDistributor::paidToCall { netuid, kind: kind as u8, account };
        Ok(self.chain.read(self.suite.reward_distributor, &call).await?.saturating_to())
    }
}

fn cheaters(evidence: &Evidence) -> Check {
    let mut cheats: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    let mut honest = 0.0;
    for record in evidence.records.iter().flat_map(|record| &record.contributors) {
        if record.kind == ContributorKind::Honest {
            honest += record.incentive_share;
        } else {
            let (audited, share) = cheats.entry(record.name).or_default();
            *audited += record.tokens_audited;
            *share += record.incentive_share;
        }
    }
    let ok =
        honest > 0.0 && !cheats.is_empty() && cheats.values().all(|(audited, share)| *audited > 0 && *share == 0.0);
    let cheats: serde_json::Map<String, Value> = cheats
        .into_iter()
        .map(|(name, (audited, share))| {
            (name.to_owned(), json!({ "tokens_audited": audited, "incentive_share": share }))
        })
        .collect();
    Check { ok, witness: json!({ "cheaters": cheats, "incentive_share_of_the_honest": honest }) }
}
