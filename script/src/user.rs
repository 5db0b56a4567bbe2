//! What users do with a network: each a plan of calls that can be shown, simulated or sent.

use alloy::primitives::{Address, U256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::local::PrivateKeySigner;
use eyre::{Context, Result, ensure};
use serde::Serialize;
use tandem_contracts::bindings::{
    AlphaPools, ComputeCredit, CreditDesk, EmissionController, LaunchGate, Settlement, SubnetRegistry, TandemToken,
};

use crate::chain::{Call, Chain};
use crate::manifest::Manifest;
use crate::units;

/// Prices may move by so much between quote and execution, in hundredths of a per cent.
pub const DEFAULT_SLIPPAGE_BPS: u64 = 100;
/// A transaction that is not mined after so many seconds must not execute at a later price.
const DEADLINE_SECONDS: u64 = 300;
const BPS: u64 = 10_000;

/// A chain with its manifest.
#[derive(Clone)]
pub struct Session {
    /// The chain.
    pub chain: Chain,
    /// What lies there.
    pub manifest: Manifest,
}

/// What a command is about to do.
#[derive(Clone, Debug)]
pub struct Intent {
    /// For the user, before anything is signed.
    pub summary: String,
    /// What will be sent, in order.
    pub calls: Vec<Call>,
}

/// What an account holds.
#[derive(Clone, Debug, Serialize)]
pub struct Balances {
    /// The account.
    pub account: Address,
    /// Coins for gas.
    pub gas: String,
    /// USDC.
    pub usdc: String,
    /// TNDM.
    pub tndm: String,
    /// Credits that were bought.
    pub credits_purchased: String,
    /// Credits that were earned and can be cashed out.
    pub credits_earned: String,
}

/// A subnet in a list.
#[derive(Clone, Debug, Serialize)]
pub struct SubnetLine {
    /// Netuid.
    pub netuid: u16,
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: Address,
    /// Neurons.
    pub neurons: u16,
    /// Price by the EMA in TNDM, if there is a pool.
    pub price: Option<String>,
    /// Allowance in TNDM.
    pub allowance: String,
    /// Emitted so far in TNDM.
    pub emitted: String,
}

/// The state of a network.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Chain.
    pub chain_id: u64,
    /// Epoch by chain time.
    pub epoch: Option<u64>,
    /// Launch phase.
    pub phase: &'static str,
    /// Credits in existence.
    pub credits: String,
    /// USDC that backs them.
    pub reserve_usdc: String,
    /// TNDM burned for subnets.
    pub burned: String,
    /// TNDM emitted.
    pub emitted: String,
    /// φ · burned: what may be emitted at most.
    pub emission_limit: String,
}

impl Session {
    /// Connects, and refuses a chain that is not the manifest's.
    pub async fn open(rpc: &str, manifest: Manifest) -> Result<Self> {
        let chain = Chain::connect(rpc).await?;
        ensure!(
            chain.id() == manifest.chain_id,
            "{rpc} is chain {}, the manifest is for chain {}; pass the right --rpc or --manifest",
            chain.id(),
            manifest.chain_id
        );
        let oracle = manifest.address("EpochOracle")?;
        ensure!(
            chain.has_code(oracle).await?,
            "there is no EpochOracle at {oracle} on chain {}: the manifest is of another deployment",
            chain.id()
        );
        Ok(Self { chain, manifest })
    }

    /// Balances of an account.
    pub async fn balances(&self, account: Address) -> Result<Balances> {
        let credit = self.manifest.address("ComputeCredit")?;
        let holding = self.chain.read(credit, &ComputeCredit::holdingOfCall { account }).await?;
        let call = TandemToken::balanceOfCall { account };
        let usdc = self.chain.read(self.manifest.address("USDC")?, &call).await?;
        let tndm = self.chain.read(self.manifest.address("TandemToken")?, &call).await?;
        Ok(Balances {
            account,
            gas: units::show(self.chain.balance(account).await?, units::TOKEN_DECIMALS),
            usdc: units::show(usdc, units::USDC_DECIMALS),
            tndm: units::show(tndm, units::TOKEN_DECIMALS),
            credits_purchased: units::show(U256::from(holding.purchased), units::TOKEN_DECIMALS),
            credits_earned: units::show(U256::from(holding.earned), units::TOKEN_DECIMALS),
        })
    }

    /// Buys credits, paying at most today's price plus the slippage.
    pub async fn buy_credits(&self, buyer: Address, credits: U256, slippage_bps: u64) -> Result<Intent> {
        let desk = self.manifest.address("CreditDesk")?;
        let usdc = self.manifest.address("USDC")?;
        let cost = self.chain.read(desk, &CreditDesk::quoteCall { credits }).await?;
        let max_usdc = cost + cost * U256::from(slippage_bps) / U256::from(BPS);
        let mut calls = self.allowance(usdc, buyer, desk, max_usdc, "USDC").await?;
        calls.push(Call::new("buy credits", desk, &CreditDesk::buyCall { credits, maxUsdc: max_usdc }));
        Ok(Intent {
            summary: format!(
                "buy {} credits for {} USDC",
                units::show(credits, units::TOKEN_DECIMALS),
                units::show(cost, units::USDC_DECIMALS)
            ),
            calls,
        })
    }

    /// Cashes earned credits out.
    pub async fn cash_out(&self, credits: U256, to: Address) -> Result<Intent> {
        let desk = self.manifest.address("CreditDesk")?;
        let rate = self.chain.read(desk, &CreditDesk::payoutRateCall {}).await?;
        Ok(Intent {
            summary: format!(
                "cash out {} earned credits at {} USDC each to {to}",
                units::show(credits, units::TOKEN_DECIMALS),
                units::show(rate, units::USDC_DECIMALS)
            ),
            calls: vec![Call::new("cash out", desk, &CreditDesk::cashOutCall { credits, to })],
        })
    }

    /// Opens a channel of the caller's credits to a contributor.
    pub async fn open_channel(
        &self,
        netuid: u16,
        uid: u16,
        credits: U256,
        seconds: u64,
        session_key: Address,
    ) -> Result<Intent> {
        let expiry = self.chain.head().await?.timestamp.saturating_add(seconds);
        let amount = u128::try_from(credits).wrap_err("too many credits for a channel")?;
        let call = Settlement::openCall { netuid, uid, amount, expiry, sessionKey: session_key };
        Ok(Intent {
            summary: format!(
                "open a channel of {} credits to uid {uid} of subnet {netuid} for {seconds} s",
                units::show(credits, units::TOKEN_DECIMALS)
            ),
            calls: vec![Call::new("open a channel", self.manifest.address("Settlement")?, &call)],
        })
    }

    /// Buys alpha for TNDM, or sells it, at no worse than today's quote less the slippage.
    pub async fn swap(
        &self,
        trader: Address,
        netuid: u16,
        amount: U256,
        buy: bool,
        slippage_bps: u64,
    ) -> Result<Intent> {
        ensure!(slippage_bps < BPS, "a slippage of 100 % or more protects from nothing");
        let pools = self.manifest.address("AlphaPools")?;
        let deadline = U256::from(self.chain.head().await?.timestamp + DEADLINE_SECONDS);
        let quote = match buy {
            true => self.chain.read(pools, &AlphaPools::quoteBuyCall { netuid, tndmIn: amount }).await?,
            false => self.chain.read(pools, &AlphaPools::quoteSellCall { netuid, alphaIn: amount }).await?,
        };
        let least = quote - quote * U256::from(slippage_bps) / U256::from(BPS);
        let (token, call, paid, got) = if buy {
            let call = AlphaPools::buyCall { netuid, tndmIn: amount, minAlphaOut: least, deadline };
            (self.manifest.address("TandemToken")?, Call::new("buy alpha", pools, &call), "TNDM", "alpha")
        } else {
            let call = AlphaPools::sellCall { netuid, alphaIn: amount, minTndmOut: least, deadline };
            let token = self.chain.read(pools, &AlphaPools::alphaOfCall { netuid }).await?;
            (token, Call::new("sell alpha", pools, &call), "alpha", "TNDM")
        };
        let mut calls = self.allowance(token, trader, pools, amount, paid).await?;
        calls.push(call);
        Ok(Intent {
            summary: format!(
                "swap {} {paid} of subnet {netuid} for about {} {got}, at least {}",
                units::show(amount, units::TOKEN_DECIMALS),
                units::show(quote, units::TOKEN_DECIMALS),
                units::show(least, units::TOKEN_DECIMALS)
            ),
            calls,
        })
    }

    /// Registers a neuron at no more than today's price plus the slippage.
    pub async fn register_neuron(
        &self,
        owner: Address,
        netuid: u16,
        hotkey: Address,
        endpoint: &str,
        slippage_bps: u64,
    ) -> Result<Intent> {
        let registry = self.manifest.address("SubnetRegistry")?;
        let price = self.chain.read(registry, &SubnetRegistry::neuronPriceCall { netuid }).await?;
        let max_price = price + price * U256::from(slippage_bps) / U256::from(BPS);
        let gate = self.manifest.address("LaunchGate")?;
        let markets = self.chain.read(gate, &LaunchGate::marketsOpenedAtCall {}).await? > 0;
        let (token, name, decimals) = match markets {
            true => (self.manifest.address("TandemToken")?, "TNDM", units::TOKEN_DECIMALS),
            false => (self.manifest.address("USDC")?, "USDC", units::USDC_DECIMALS),
        };
        let mut calls = self.allowance(token, owner, registry, max_price, name).await?;
        let call =
            SubnetRegistry::registerNeuronCall { netuid, hotkey, endpoint: endpoint.to_owned(), maxPrice: max_price };
        calls.push(Call::new("register a neuron", registry, &call));
        Ok(Intent {
            summary: format!("register {hotkey} in subnet {netuid} for {} {name}", units::show(price, decimals)),
            calls,
        })
    }

    /// All subnets.
    pub async fn subnets(&self) -> Result<Vec<SubnetLine>> {
        let registry = self.manifest.address("SubnetRegistry")?;
        let pools = self.manifest.address("AlphaPools")?;
        let controller = self.manifest.address("EmissionController")?;
        let count = self.chain.read(registry, &SubnetRegistry::subnetCountCall {}).await?;
        let mut lines = Vec::new();
        for netuid in 1..=count {
            let subnet = self.chain.read(registry, &SubnetRegistry::subnetOfCall { netuid }).await?;
            let ledger = self.chain.read(controller, &EmissionController::ledgerOfCall { netuid }).await?;
            let price = match self.chain.read(pools, &AlphaPools::existsCall { netuid }).await? {
                true => Some(self.chain.read(pools, &AlphaPools::emaOfCall { netuid }).await?),
                false => None,
            };
            let show = |amount: u128| units::show(U256::from(amount), units::TOKEN_DECIMALS);
            lines.push(SubnetLine {
                netuid,
                name: subnet.name,
                owner: subnet.owner,
                neurons: subnet.neuronCount,
                price: price.map(|price| units::show(price, units::TOKEN_DECIMALS)),
                allowance: show(ledger.allowance),
                emitted: show(ledger.emitted),
            });
        }
        Ok(lines)
    }

    /// The figures by which the network is judged.
    pub async fn health(&self) -> Result<Health> {
        let desk = self.manifest.address("CreditDesk")?;
        let controller = self.manifest.address("EmissionController")?;
        let supply =
            self.chain.read(self.manifest.address("ComputeCredit")?, &ComputeCredit::totalSupplyCall {}).await?;
        let reserve = self.chain.read(desk, &CreditDesk::reserveCall {}).await?;
        let burned = self.chain.read(controller, &EmissionController::totalBurnedCall {}).await?;
        let emitted = self.chain.read(controller, &EmissionController::totalEmittedCall {}).await?;
        let phi = self.chain.read(controller, &EmissionController::phiCall {}).await?;
        let phase = self.chain.read(self.manifest.address("LaunchGate")?, &LaunchGate::phaseCall {}).await?;
        let one = U256::from(10).pow(U256::from(units::TOKEN_DECIMALS));
        let head = self.chain.head().await?;
        Ok(Health {
            chain_id: self.chain.id(),
            epoch: self.manifest.clock()?.epoch_at(head.timestamp),
            phase: ["mesh", "token", "markets"].get(usize::from(phase)).copied().unwrap_or("unknown"),
            credits: units::show(supply, units::TOKEN_DECIMALS),
            reserve_usdc: units::show(reserve, units::USDC_DECIMALS),
            burned: units::show(burned, units::TOKEN_DECIMALS),
            emitted: units::show(emitted, units::TOKEN_DECIMALS),
            emission_limit: units::show(burned * phi / one, units::TOKEN_DECIMALS),
        })
    }

    /// Sends what was intended.
    pub async fn carry_out(&self, key: &PrivateKeySigner, intent: Intent) -> Result<Vec<TransactionReceipt>> {
        let mut receipts = Vec::new();
        for call in intent.calls {
            receipts.push(self.chain.send(key, call).await?);
        }
        Ok(receipts)
    }

    /// An approval of exactly what is needed, if what was approved before is not enough; says so early if the balance
    /// is not.
    async fn allowance(
        &self,
        token: Address,
        owner: Address,
        spender: Address,
        amount: U256,
        name: &str,
    ) -> Result<Vec<Call>> {
        let decimals = if name == "USDC" { units::USDC_DECIMALS } else { units::TOKEN_DECIMALS };
        let balance = self.chain.read(token, &TandemToken::balanceOfCall { account: owner }).await?;
        ensure!(
            balance >= amount,
            "{owner} holds {} {name}, up to {} are needed",
            units::show(balance, decimals),
            units::show(amount, decimals)
        );
        let approved = self.chain.read(token, &TandemToken::allowanceCall { owner, spender }).await?;
        if approved >= amount {
            return Ok(Vec::new());
        }
        let call = TandemToken::approveCall { spender, value: amount };
        Ok(vec![Call::new(format!("approve {name}"), token, &call)])
    }
}
