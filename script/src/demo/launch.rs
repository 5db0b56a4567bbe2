//! Walks the network through its launch and its markets: what councils, traders and bidders do.

use alloy::primitives::{Address, U256};
use eyre::{Context, Result};
use futures_util::future::try_join_all;
use tandem_contracts::bindings::{
    Airdrop, AlphaPools, BurnAuction, ComputeCredit, CreditDesk, EmissionController, GenesisAllocation, LaunchGate,
    SubnetRegistry, TandemToken,
};
use tracing::{info, warn};

use super::network::{Network, WORKING_SUBNETS};
use crate::chain::Call;

/// Genesis allocations of the demo, by their place in the configuration.
pub(super) const TRADER_ALLOCATION: u64 = 0;
/// See [`TRADER_ALLOCATION`].
pub(super) const BIDDER_ALLOCATION: u64 = 1;
/// See [`TRADER_ALLOCATION`].
pub(super) const MEME_ALLOCATION: u64 = 2;

const WAD: u128 = 1_000_000_000_000_000_000;
/// Steps of one settlement: a few epochs of a few subnets.
const SETTLE_STEPS: u64 = 64;
/// What the trader puts into each pool before the crash: enough to more than triple the price of a fresh pool.
const PUMP: u128 = 4_500 * WAD;
/// Traffic in the meme subnet's alpha, per epoch.
const MEME_TRADE: u128 = 500 * WAD;
/// The price must fall by this share of itself at least, in percent.
const CRASH_PERCENT: u128 = 70;

/// Phase of the launch as the contract numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Trusted pool, no TNDM in circulation.
    Mesh,
    /// TNDM is born, markets are closed.
    Token,
    /// Everything is open.
    Markets,
}

impl Phase {
    /// In words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Token => "token",
            Self::Markets => "markets",
        }
    }
}

/// Steps of the launch, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The thresholds are met and the token is announced.
    Announce,
    /// The token opens.
    OpenToken,
    /// The markets open.
    OpenMarkets,
}

/// Prices of the crash, WAD TNDM per alpha.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Subnet and its price before and after.
    pub prices: Vec<(u16, u128, u128)>,
}

impl Network {
    /// The phase the launch is in.
    pub(super) async fn phase(&self) -> Result<Phase> {
        let gate = self.suite.launch_gate;
        Ok(match self.chain.read(gate, &LaunchGate::phaseCall {}).await? {
            0 => Phase::Mesh,
            1 => Phase::Token,
            _ => Phase::Markets,
        })
    }

    /// Takes the steps of the launch that are possible now, up to `farthest`; what is not possible yet waits for the next
    /// round.
    pub(crate) async fn advance_launch(&self, farthest: Step) -> Result<()> {
        let gate = self.suite.launch_gate;
        let council = &self.actors.council;
        if self.phase().await? == Phase::Mesh {
            let mut open = Vec::new();
            for contributor in &self.actors.contributors {
                let account = contributor.owner.address();
                let call = Call::new("qualify", gate, &LaunchGate::qualifyCall { account });
                // Not verified yet, or qualified before: neither is worth a transaction.
                if self.chain.simulate(council.address(), &call).await.is_ok() {
                    open.push(call);
                }
            }
            self.chain.send_all(council, open).await?;
            self.delegate_allocations().await?;
        }
        let steps = [
            (Step::Announce, Call::new("record that the thresholds are met", gate, &LaunchGate::recordMetCall {})),
            (Step::Announce, Call::new("announce the token", gate, &LaunchGate::announceCall {})),
            (Step::OpenToken, Call::new("open the token", gate, &LaunchGate::openTokenCall {})),
            (Step::OpenMarkets, Call::new("open the markets", gate, &LaunchGate::openMarketsCall {})),
        ];
        for (step, call) in steps {
            if step <= farthest && self.chain.simulate(council.address(), &call).await.is_ok() {
                info!("launch: {}", call.what);
                self.chain.send(council, call).await?;
            }
        }
        Ok(())
    }

    /// Those with genesis allocations let them vote: the token needs enough of them.
    async fn delegate_allocations(&self) -> Result<()> {
        let allocation = self.suite.genesis_allocation;
        for holder in [&self.actors.trader, &self.actors.bidder, &self.actors.meme_owner] {
            let account = holder.address();
            let delegate = self.chain.read(allocation, &GenesisAllocation::delegatesCall { account }).await?;
            if delegate.is_zero() {
                let call = GenesisAllocation::delegateCall { delegatee: account };
                self.chain.send(holder, Call::new("let an allocation vote", allocation, &call)).await?;
            }
        }
        Ok(())
    }

    /// Promises each contributor that earned in the mesh phase its part of the airdrop.
    async fn airdrop(&self) -> Result<()> {
        let airdrop = self.suite.airdrop;
        let mut due = Vec::new();
        for contributor in &self.actors.contributors {
            let account = contributor.owner.address();
            let call = Call::new("register for the airdrop", airdrop, &Airdrop::registerCall { account });
            // Nothing earned, or registered before: neither is worth a transaction.
            if self.chain.simulate(self.actors.council.address(), &call).await.is_ok() {
                due.push(call);
            }
        }
        self.chain.send_all(&self.actors.council, due).await.map(|_| ())
    }

    /// What follows the opening of markets: allocations are released, the airdrop is promised, the meme subnet is registered, its alpha
    /// traded.
    pub(super) async fn enter_markets(&self) -> Result<u16> {
        let allocation = self.suite.genesis_allocation;
        for id in [TRADER_ALLOCATION, BIDDER_ALLOCATION, MEME_ALLOCATION] {
            let call = GenesisAllocation::releaseCall { id: U256::from(id) };
            self.chain.send(&self.actors.council, Call::new("release an allocation", allocation, &call)).await?;
        }
        self.airdrop().await?;
        let Network { suite, actors, .. } = self;
        try_join_all([
            self.approve(&actors.trader, suite.tandem_token, suite.alpha_pools),
            self.approve(&actors.bidder, suite.tandem_token, suite.burn_auction),
            self.approve(&actors.meme_owner, suite.tandem_token, suite.subnet_registry),
        ])
        .await?;
        // A new pool's first price is the median of settled ones; keepers settle too, whoever comes first.
        let settle = EmissionController::settleCall { maxSubnets: U256::from(SETTLE_STEPS) };
        let settle = Call::new("settle ended epochs", suite.emission_controller, &settle);
        if self.chain.simulate(actors.council.address(), &settle).await.is_ok() {
            self.chain.send(&actors.council, settle).await?;
        }
        let call = SubnetRegistry::registerSubnetCall { name: "meme".to_owned(), maxLock: U256::MAX };
        self.chain
            .send(&actors.meme_owner, Call::new("register the meme subnet", suite.subnet_registry, &call))
            .await?;
        let count = self.chain.read(suite.subnet_registry, &SubnetRegistry::subnetCountCall {}).await?;
        let alpha_tokens = try_join_all((1..=count).map(|netuid| async move {
            self.chain.read(suite.alpha_pools, &AlphaPools::alphaOfCall { netuid }).await
        }))
        .await?;
        for token in alpha_tokens {
            self.approve(&actors.trader, token, suite.alpha_pools).await?;
        }
        Ok(count)
    }

    /// Buys alpha with TNDM.
    pub(super) async fn buy_alpha(&self, netuid: u16, tndm: u128) -> Result<()> {
        let call =
            AlphaPools::buyCall { netuid, tndmIn: U256::from(tndm), minAlphaOut: U256::from(1), deadline: U256::MAX };
        self.chain.send(&self.actors.trader, Call::new("buy alpha", self.suite.alpha_pools, &call)).await?;
        Ok(())
    }

    /// Sells alpha for TNDM.
    pub(super) async fn sell_alpha(&self, netuid: u16, alpha: u128) -> Result<()> {
        let call =
            AlphaPools::sellCall { netuid, alphaIn: U256::from(alpha), minTndmOut: U256::from(1), deadline: U256::MAX };
        self.chain.send(&self.actors.trader, Call::new("sell alpha", self.suite.alpha_pools, &call)).await?;
        Ok(())
    }

    /// Buying and selling of the meme subnet's alpha: activity without work.
    pub(super) async fn trade_meme(&self, netuid: u16) -> Result<()> {
        self.buy_alpha(netuid, MEME_TRADE).await?;
        let held = self.alpha_of_trader(netuid).await?;
        self.sell_alpha(netuid, held / 4).await
    }

    /// Spot price of a pool, WAD TNDM per alpha.
    pub(super) async fn spot_price(&self, netuid: u16) -> Result<u128> {
        let price = self.chain.read(self.suite.alpha_pools, &AlphaPools::spotPriceCall { netuid }).await?;
        u128::try_from(price).wrap_err("a price beyond 128 bits")
    }

    /// Starts a lot if one may start, and takes what is for sale at its price.
    pub(super) async fn run_auction(&self) -> Result<bool> {
        let auction = self.suite.burn_auction;
        let bidder = &self.actors.bidder;
        let start = Call::new("start a lot", auction, &BurnAuction::startLotCall {});
        if self.chain.simulate(bidder.address(), &start).await.is_ok() {
            self.chain.send(bidder, start).await?;
        }
        let mut attributed = false;
        let lots: u64 = self.chain.read(auction, &BurnAuction::lotCountCall {}).await?.saturating_to();
        for id in 1..=lots {
            let lot = U256::from(id);
            let contents = self.chain.read(auction, &BurnAuction::lotOfCall { lotId: lot }).await?;
            if contents.sold {
                continue;
            }
            let cost = self.chain.read(auction, &BurnAuction::costOfCall { lotId: lot }).await?;
            let take = BurnAuction::takeCall { lotId: lot, maxTndm: cost, deadline: U256::MAX };
            let take = Call::new(format!("take lot {id}"), auction, &take);
            match self.chain.simulate(bidder.address(), &take).await {
                Ok(_) => {
                    self.chain.send(bidder, take).await?;
                    attributed |= contents.attributed;
                    info!(lot = id, usdc = contents.usdc, tndm = %cost, "auction lot taken");
                }
                Err(error) => warn!(lot = id, "not taken: {error:#}"),
            }
        }
        Ok(attributed)
    }

    /// Drives the price of every pool up and then down by at least 70 % of it.
    pub(super) async fn crash(&self, netuids: &[u16]) -> Result<Crash> {
        let mut prices = Vec::new();
        for &netuid in netuids {
            self.buy_alpha(netuid, PUMP).await?;
            let before = self.spot_price(netuid).await?;
            let held = self.alpha_of_trader(netuid).await?;
            self.sell_alpha(netuid, held).await?;
            let after = self.spot_price(netuid).await?;
            eyre::ensure!(
                after * 100 <= before * (100 - CRASH_PERCENT),
                "the price of alpha {netuid} fell from {before} to {after} only"
            );
            prices.push((netuid, before, after));
        }
        Ok(Crash { prices })
    }

    /// One in `every` contributors turns half of its earned credits into USDC, all at once.
    pub(crate) async fn cash_out_some(&self, every: usize, offset: usize) -> Result<()> {
        let chosen = self.actors.contributors.iter().enumerate().filter(|(index, _)| index % every == offset % every);
        try_join_all(chosen.map(|(_, contributor)| async {
            let account: Address = contributor.owner.address();
            let holding = self.chain.read(self.suite.compute_credit, &ComputeCredit::holdingOfCall { account }).await?;
            let half = holding.earned / 2;
            if half > 0 {
                let call = CreditDesk::cashOutCall { credits: U256::from(half), to: account };
                let what = format!("{} cashes out", contributor.name);
                self.chain.send(&contributor.owner, Call::new(what, self.suite.credit_desk, &call)).await?;
            }
            Ok::<_, eyre::Report>(())
        }))
        .await?;
        Ok(())
    }

    async fn alpha_of_trader(&self, netuid: u16) -> Result<u128> {
        let token = self.chain.read(self.suite.alpha_pools, &AlphaPools::alphaOfCall { netuid }).await?;
        let account = self.actors.trader.address();
        let balance = self.chain.read(token, &TandemToken::balanceOfCall { account }).await?;
        u128::try_from(balance).wrap_err("a balance beyond 128 bits")
    }

    /// Subnets where work is done, and the meme subnet once it exists.
    pub(super) fn netuids(meme: Option<u16>) -> Vec<u16> {
        WORKING_SUBNETS.into_iter().chain(meme).collect()
    }
}
