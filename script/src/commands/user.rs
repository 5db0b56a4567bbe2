//! The user commands. Each shows what it is about to do, simulates it, and asks before it signs.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use clap::{Args, Subcommand};
use eyre::{Context, Result, bail};
use serde_json::json;
use tandem::keys;
use tandem::manifest::Manifest;
use tandem::units::{self, TOKEN_DECIMALS};
use tandem::user::{DEFAULT_SLIPPAGE_BPS, Intent, Session};

use super::print_json;

/// Which network.
#[derive(Args)]
pub(crate) struct NetworkOptions {
    /// Endpoint of the chain's node.
    #[arg(long, env = "TANDEM_RPC", default_value = "http://127.0.0.1:8545")]
    rpc: String,
    /// Manifest of the network.
    #[arg(long, env = "TANDEM_MANIFEST", default_value = "deployments/31337.json", value_name = "FILE")]
    manifest: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Who signs, and how carefully.
#[derive(Args)]
pub(crate) struct SigningOptions {
    #[command(flatten)]
    network: NetworkOptions,
    /// Key that signs: a file, or env:NAME.
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Simulate only, sign nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Protection against prices that move meanwhile.
#[derive(Args)]
pub(crate) struct SlippageOptions {
    /// Largest accepted move of the price, in hundredths of a per cent.
    #[arg(long, default_value_t = DEFAULT_SLIPPAGE_BPS, value_name = "BPS")]
    slippage: u64,
}

/// `tandem balance`.
#[derive(Args)]
pub(crate) struct BalanceOptions {
    #[command(flatten)]
    network: NetworkOptions,
    /// The account.
    account: Address,
}

/// `tandem health`.
#[derive(Args)]
pub(crate) struct HealthOptions {
    #[command(flatten)]
    network: NetworkOptions,
}

/// `tandem credits …`.
#[derive(Subcommand)]
pub(crate) enum CreditsCommand {
    /// Buy credits with USDC.
    Buy {
        /// Credits.
        amount: String,
        #[command(flatten)]
        slippage: SlippageOptions,
        #[command(flatten)]
        signing: SigningOptions,
    },
    /// Turn earned credits into USDC.
    CashOut {
        /// Credits.
        amount: String,
        /// Who receives the USDC; the signer by default.
        #[arg(long, value_name = "ADDRESS")]
        to: Option<Address>,
        #[command(flatten)]
        signing: SigningOptions,
    },
    /// Open a payment channel to a contributor.
    OpenChannel {
        /// Subnet.
        netuid: u16,
        /// Contributor.
        uid: u16,
        /// Credits.
        amount: String,
        /// Address of the key that will sign vouchers.
        #[arg(long, value_name = "ADDRESS")]
        session_key: Address,
        /// Seconds until the channel expires.
        #[arg(long, default_value_t = 86_400)]
        seconds: u64,
        #[command(flatten)]
        signing: SigningOptions,
    },
}

/// `tandem subnet …`.
#[derive(Subcommand)]
pub(crate) enum SubnetCommand {
    /// List all subnets.
    List {
        #[command(flatten)]
        network: NetworkOptions,
    },
    /// Register a neuron: a contributor with an endpoint, or a validator without.
    Register {
        /// Subnet.
        netuid: u16,
        /// Key that will sign commitments or weights.
        #[arg(long, value_name = "ADDRESS")]
        hotkey: Address,
        /// Where a contributor is reached.
        #[arg(long, default_value = "", value_name = "URL")]
        endpoint: String,
        #[command(flatten)]
        slippage: SlippageOptions,
        #[command(flatten)]
        signing: SigningOptions,
    },
}

/// `tandem swap …`.
#[derive(Subcommand)]
pub(crate) enum SwapCommand {
    /// Buy alpha of a subnet.
    Buy(SwapOptions),
    /// Sell alpha of a subnet.
    Sell(SwapOptions),
}

/// Flags of a swap.
#[derive(Args)]
pub(crate) struct SwapOptions {
    /// Subnet.
    netuid: u16,
    /// What is given: TNDM to buy, alpha to sell.
    amount: String,
    #[command(flatten)]
    slippage: SlippageOptions,
    #[command(flatten)]
    signing: SigningOptions,
}

pub(crate) async fn balance(options: &BalanceOptions) -> Result<bool> {
    let session = open(&options.network).await?;
    let balances = session.balances(options.account).await?;
    if options.network.json {
        print_json(&balances)?;
    } else {
        println!("gas      {}", balances.gas);
        println!("USDC     {}", balances.usdc);
        println!("TNDM     {}", balances.tndm);
        println!("credits  {} purchased, {} earned", balances.credits_purchased, balances.credits_earned);
    }
    Ok(true)
}

pub(crate) async fn health(options: &HealthOptions) -> Result<bool> {
    let session = open(&options.network).await?;
    let health = session.health().await?;
    if options.network.json {
        print_json(&health)?;
    } else {
        let epoch = health.epoch.map_or_else(|| "not begun".to_owned(), |epoch| epoch.to_string());
        println!("chain {}, epoch {epoch}, phase {}", health.chain_id, health.phase);
        println!("credits  {} backed by {} USDC", health.credits, health.reserve_usdc);
        println!("TNDM     {} burned, {} emitted of {} earned", health.burned, health.emitted, health.emission_limit);
    }
    Ok(true)
}

pub(crate) async fn credits(command: &CreditsCommand) -> Result<bool> {
    match command {
        CreditsCommand::Buy { amount, slippage, signing } => {
            let (session, key) = sign_in(signing).await?;
            let amount = units::parse(amount, TOKEN_DECIMALS)?;
            let intent = session.buy_credits(key.address(), amount, slippage.slippage).await?;
            carry_out(&session, &key, intent, signing).await
        }
        CreditsCommand::CashOut { amount, to, signing } => {
            let (session, key) = sign_in(signing).await?;
            let intent = session.cash_out(units::parse(amount, TOKEN_DECIMALS)?, to.unwrap_or(key.address())).await?;
            carry_out(&session, &key, intent, signing).await
        }
        CreditsCommand::OpenChannel { netuid, uid, amount, session_key, seconds, signing } => {
            let (session, key) = sign_in(signing).await?;
            let amount = units::parse(amount, TOKEN_DECIMALS)?;
            let intent = session.open_channel(*netuid, *uid, amount, *seconds, *session_key).await?;
            carry_out(&session, &key, intent, signing).await
        }
    }
}

pub(crate) async fn subnet(command: &SubnetCommand) -> Result<bool> {
    match command {
        SubnetCommand::List { network } => {
            let lines = open(network).await?.subnets().await?;
            if network.json {
                print_json(&lines)?;
                return Ok(true);
            }
            for line in lines {
                let price = line.price.unwrap_or_else(|| "no pool".to_owned());
                println!(
                    "{:>3}  {:<20} {:>4} neurons  price {price}  allowance {}",
                    line.netuid, line.name, line.neurons, line.allowance
                );
            }
            Ok(true)
        }
        SubnetCommand::Register { netuid, hotkey, endpoint, slippage, signing } => {
            let (session, key) = sign_in(signing).await?;
            let intent = session.register_neuron(key.address(), *netuid, *hotkey, endpoint, slippage.slippage).await?;
            carry_out(&session, &key, intent, signing).await
        }
    }
}

pub(crate) async fn swap(command: &SwapCommand) -> Result<bool> {
    let (SwapCommand::Buy(options) | SwapCommand::Sell(options)) = command;
    let buy = matches!(command, SwapCommand::Buy(_));
    let (session, key) = sign_in(&options.signing).await?;
    let amount = units::parse(&options.amount, TOKEN_DECIMALS)?;
    let intent = session.swap(key.address(), options.netuid, amount, buy, options.slippage.slippage).await?;
    carry_out(&session, &key, intent, &options.signing).await
}

async fn open(options: &NetworkOptions) -> Result<Session> {
    Session::open(&options.rpc, Manifest::read(&options.manifest)?).await
}

async fn sign_in(options: &SigningOptions) -> Result<(Session, PrivateKeySigner)> {
    let key = keys::read(&options.key)?;
    Ok((open(&options.network).await?, key))
}

async fn carry_out(
    session: &Session,
    key: &PrivateKeySigner,
    intent: Intent,
    options: &SigningOptions,
) -> Result<bool> {
    let summary = intent.summary.clone();
    // The first call can always be simulated; later ones may depend on it.
    if let Some(first) = intent.calls.first() {
        session.chain.simulate(key.address(), first).await?;
    }
    if options.dry_run {
        let calls: Vec<_> =
            intent.calls.iter().map(|call| json!({ "what": call.what, "to": call.to, "data": call.data })).collect();
        if options.network.json {
            print_json(&json!({ "summary": summary, "calls": calls, "sent": false }))?;
        } else {
            println!("would {summary} in {} transactions; nothing was signed", calls.len());
        }
        return Ok(true);
    }
    if !options.yes && !confirmed(&summary)? {
        bail!("not confirmed, nothing was signed");
    }
    let receipts = session.carry_out(key, intent).await?;
    let transactions: Vec<_> =
        receipts.iter().map(|receipt| json!({ "hash": receipt.transaction_hash, "gas": receipt.gas_used })).collect();
    if options.network.json {
        print_json(&json!({ "summary": summary, "transactions": transactions, "sent": true }))?;
    } else {
        println!("done: {summary}");
        for receipt in &receipts {
            println!("  {} ({} gas)", receipt.transaction_hash, receipt.gas_used);
        }
    }
    Ok(true)
}

fn confirmed(summary: &str) -> Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!("about to {summary}; there is nobody to ask, pass --yes");
    }
    eprint!("About to {summary}. Go on? [y/N] ");
    std::io::stderr().flush().wrap_err("cannot ask")?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer).wrap_err("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
