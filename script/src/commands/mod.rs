//! The commands: what is read from flags, what is printed.

pub(crate) mod deploy;
pub(crate) mod user;
pub(crate) mod verify;

use eyre::{Context, Result};
use serde::Serialize;

/// `tandem demo`; false if a promise was broken.
pub(crate) async fn demo(options: &tandem::demo::Options) -> Result<bool> {
    let report = tandem::demo::run(options).await?;
    if options.json {
        print_json(&report)?;
    }
    Ok(report.all_held())
}

/// One JSON object on standard output.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value).wrap_err("cannot write JSON")?);
    Ok(())
}
