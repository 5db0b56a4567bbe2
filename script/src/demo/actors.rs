//! Who takes part in the demo network. All keys follow from the seed, so that the same seed gives the same accounts.

use alloy::primitives::{Address, keccak256};
use alloy::signers::local::PrivateKeySigner;
use eyre::{Context, Result};
use serde::Serialize;

/// What a contributor really does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContributorKind {
    /// Serves the model it names.
    Honest,
    /// Serves a smaller model under the large one's name.
    SmallerModel,
    /// Runs no model; its proofs are a constant polynomial.
    ForgedProofs,
}

/// A contributor of the demo.
#[derive(Clone, Debug)]
pub(super) struct Contributor {
    /// Name in tables.
    pub name: &'static str,
    /// What it does.
    pub kind: ContributorKind,
    /// Its subnet.
    pub netuid: u16,
    /// Declared speed in thousandths of an A100.
    pub speed_class: u32,
    /// Earns.
    pub owner: PrivateKeySigner,
    /// Signs commitments.
    pub hotkey: PrivateKeySigner,
}

/// A validator of the demo; it validates both working subnets.
#[derive(Clone, Debug)]
pub(super) struct Validator {
    /// Name in tables.
    pub name: &'static str,
    /// Earns.
    pub owner: PrivateKeySigner,
    /// Signs weights.
    pub hotkey: PrivateKeySigner,
    /// Buys probes.
    pub payer: PrivateKeySigner,
}

/// A keeper of the demo.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    /// Name in tables.
    pub name: &'static str,
    /// Signs reports and sends transactions.
    pub key: PrivateKeySigner,
}

/// A user: buys credits, opens channels, asks for completions.
#[derive(Clone, Debug)]
pub(super) struct User {
    /// Name in tables.
    pub name: &'static str,
    /// Owns credits.
    pub key: PrivateKeySigner,
    /// Signs vouchers.
    pub session: PrivateKeySigner,
}

/// Everybody.
#[derive(Clone, Debug)]
pub(super) struct Actors {
    /// Deploys, then has no rights left.
    pub deployer: PrivateKeySigner,
    /// The mesh council.
    pub council: PrivateKeySigner,
    /// May pause and veto.
    pub guardian: PrivateKeySigner,
    /// Three keepers.
    pub keepers: Vec<Keeper>,
    /// Four validators.
    pub validators: Vec<Validator>,
    /// Eight contributors.
    pub contributors: Vec<Contributor>,
    /// Two users.
    pub users: Vec<User>,
    /// Owners of the two working subnets.
    pub subnet_owners: Vec<PrivateKeySigner>,
    /// Registers the meme subnet.
    pub meme_owner: PrivateKeySigner,
    /// Trades alpha.
    pub trader: PrivateKeySigner,
    /// Takes auction lots.
    pub bidder: PrivateKeySigner,
}

const HONEST: ContributorKind = ContributorKind::Honest;

/// Name, kind, subnet, speed class.
const CONTRIBUTORS: [(&str, ContributorKind, u16, u32); 8] = [
    ("aurora", HONEST, 1, 1_000),
    ("birch", HONEST, 1, 800),
    ("cedar", HONEST, 1, 600),
    ("dwarf", ContributorKind::SmallerModel, 1, 1_000),
    ("ember", HONEST, 2, 1_000),
    ("fjord", HONEST, 2, 750),
    ("grove", HONEST, 2, 500),
    ("hollow", ContributorKind::ForgedProofs, 2, 1_000),
];

impl Actors {
    /// Everybody's keys from a seed.
    pub(super) fn from_seed(seed: u64) -> Result<Self> {
        let key = |role: &str| -> Result<PrivateKeySigner> {
            let secret = keccak256(format!("tandem demo {seed} {role}"));
            PrivateKeySigner::from_bytes(&secret).wrap_err("a hash outside the curve's order")
        };
        Ok(Self {
            deployer: key("deployer")?,
            council: key("council")?,
            guardian: key("guardian")?,
            keepers: ["kestrel", "kingfisher", "kite"]
                .into_iter()
                .map(|name| Ok(Keeper { name, key: key(name)? }))
                .collect::<Result<_>>()?,
            validators: ["vega", "vale", "vigil", "vortex"]
                .into_iter()
                .map(|name| {
                    Ok(Validator {
                        name,
                        owner: key(&format!("{name} owner"))?,
                        hotkey: key(&format!("{name} hotkey"))?,
                        payer: key(&format!("{name} payer"))?,
                    })
                })
                .collect::<Result<_>>()?,
            contributors: CONTRIBUTORS
                .into_iter()
                .map(|(name, kind, netuid, speed_class)| {
                    Ok(Contributor {
                        name,
                        kind,
                        netuid,
                        speed_class,
                        owner: key(&format!("{name} owner"))?,
                        hotkey: key(&format!("{name} hotkey"))?,
                    })
                })
                .collect::<Result<_>>()?,
            users: ["ursula", "umar"]
                .into_iter()
                .map(|name| Ok(User { name, key: key(name)?, session: key(&format!("{name} session"))? }))
                .collect::<Result<_>>()?,
            subnet_owners: vec![key("owner of subnet 1")?, key("owner of subnet 2")?],
            meme_owner: key("owner of the meme subnet")?,
            trader: key("trader")?,
            bidder: key("bidder")?,
        })
    }

    /// All accounts that send transactions.
    pub(super) fn senders(&self) -> Vec<Address> {
        let single = [&self.deployer, &self.council, &self.guardian, &self.meme_owner, &self.trader, &self.bidder];
        single
            .into_iter()
            .chain(self.keepers.iter().map(|keeper| &keeper.key))
            .chain(self.validators.iter().flat_map(|validator| [&validator.owner, &validator.hotkey, &validator.payer]))
            .chain(self.contributors.iter().flat_map(|contributor| [&contributor.owner, &contributor.hotkey]))
            .chain(self.users.iter().map(|user| &user.key))
            .chain(&self.subnet_owners)
            .map(PrivateKeySigner::address)
            .collect()
    }
}
