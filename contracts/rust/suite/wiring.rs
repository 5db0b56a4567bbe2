//! Who may call what, once the suite is wired.

use std::fmt;

use alloy::{
    primitives::{Address, Selector},
    sol_types::SolCall,
};
use serde::Serialize;

use super::{address::Suite, config::Authorities};
use crate::bindings::{BurnAuction, CreditDesk, EpochOracle, RateCard};

/// A role at the suite's TandemAccess. Restricted functions without a role of their own (such as
/// `KeeperSet.schedule`) are the admin's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything else and all roles; the timelock alone after the hand-over `[AC-1]`.
    Admin,
    /// May pause buying, stop lots, veto reports; nothing else.
    Guardian,
    /// Sets the credit's price.
    PriceSetter,
    /// Publishes rates.
    RatePublisher,
}

impl Role {
    /// Its number at TandemAccess.
    pub const fn id(self) -> u64 {
        match self {
            Self::Admin => 0,
            Self::Guardian => 1,
            Self::PriceSetter => 2,
            Self::RatePublisher => 3,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin",
            Self::Guardian => "guardian",
            Self::PriceSetter => "price setter",
            Self::RatePublisher => "rate publisher",
        })
    }
}

/// A function that holders of a role may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionRole {
    /// The contract's name.
    pub contract: &'static str,
    /// The contract.
    pub target: Address,
    /// The function's signature.
    pub function: &'static str,
    /// The function's selector.
    pub selector: Selector,
    /// Who may call it.
    pub role: Role,
}

/// A holder of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleGrant {
    /// What it may do.
    pub role: Role,
    /// Who.
    pub account: Address,
}

/// Every restricted function that is not the admin's.
pub(super) fn function_roles(suite: &Suite) -> Vec<FunctionRole> {
    fn entry<C: SolCall>(contract: &'static str, target: Address, role: Role) -> FunctionRole {
        FunctionRole { contract, target, function: C::SIGNATURE, selector: C::SELECTOR.into(), role }
    }
    vec![
        entry::<CreditDesk::pauseBuyingCall>("CreditDesk", suite.credit_desk, Role::Guardian),
        entry::<BurnAuction::stopCall>("BurnAuction", suite.burn_auction, Role::Guardian),
        entry::<EpochOracle::vetoCall>("EpochOracle", suite.epoch_oracle, Role::Guardian),
        entry::<CreditDesk::setPriceCall>("CreditDesk", suite.credit_desk, Role::PriceSetter),
        entry::<RateCard::publishCall>("RateCard", suite.rate_card, Role::RatePublisher),
    ]
}

/// Holders of the roles besides the admin.
pub(super) fn role_grants(suite: &Suite, authorities: &Authorities) -> Vec<RoleGrant> {
    vec![
        RoleGrant { role: Role::Guardian, account: authorities.guardian },
        RoleGrant { role: Role::PriceSetter, account: authorities.price_setter.unwrap_or(suite.tandem_timelock) },
        RoleGrant { role: Role::RatePublisher, account: authorities.rate_publisher.unwrap_or(suite.tandem_timelock) },
    ]
}
