//! The cases, by part of the suite.

mod claims;
mod credits;
mod epochs;
mod market;
mod stake;

use crate::{
    explain::{self, Names},
    net::Net,
    report::Row,
};

/// Every row of the table, and the names of the contracts in them.
pub(crate) fn all() -> (Vec<Row>, Names) {
    let net = Net::markets(4);
    let mut names = explain::names(&net);
    let mut rows = market::rows(net.clone(), &mut names);
    rows.extend(claims::rows(net.clone(), &mut names));
    rows.extend(credits::rows(net.clone()));
    rows.extend(stake::rows(net));
    rows.extend(epochs::rows());
    (rows, names)
}
