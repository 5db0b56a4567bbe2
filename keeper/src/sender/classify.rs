//! What a node's refusal of a transaction means. Nodes agree on neither codes nor words, and one forwards another's words
//! under its own code, so the words are compared first, most telling first, and the code is a last resort.

/// Meaning of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The node has this very transaction: success.
    AlreadyKnown,
    /// The nonce is used: look for a receipt of any of our hashes.
    NonceTooLow,
    /// The fees do not replace what is there: raise them when it is time to.
    ReplacementUnderpriced,
    /// The fees are below the node's floor or the base fee: raise them.
    Underpriced,
    /// The gas key cannot pay.
    InsufficientFunds,
    /// A transaction before this one is missing.
    NonceTooHigh,
    /// The gas limit is more than a block or the node takes, or too little to begin.
    GasLimit,
    /// The node does not let anybody pay so much.
    FeeCap,
    /// Too many requests, or a full pool: try again later.
    Busy,
    /// Anything else: try again later.
    Other,
}

/// Parts of messages, in lower case. A row stands before every row that is part of it.
const TABLE: [(&str, Refusal); 64] = [
    // geth, op-geth, reth, besu ("Known transaction"), nethermind ("AlreadyKnown"), anvil and reth's pool, erigon, services
    ("already known", Refusal::AlreadyKnown),
    ("alreadyknown", Refusal::AlreadyKnown),
    ("already_known", Refusal::AlreadyKnown),
    ("known transaction", Refusal::AlreadyKnown),
    ("already imported", Refusal::AlreadyKnown),
    ("already in mempool", Refusal::AlreadyKnown),
    ("already in the mempool", Refusal::AlreadyKnown),
    ("already in the pool", Refusal::AlreadyKnown),
    ("already exists in", Refusal::AlreadyKnown),
    ("existing tx with same hash", Refusal::AlreadyKnown),
    ("transaction with the same hash", Refusal::AlreadyKnown),
    // geth and kin, nethermind ("OldNonce"), besu, services
    ("nonce too low", Refusal::NonceTooLow),
    ("nonce_too_low", Refusal::NonceTooLow),
    ("nonce is too low", Refusal::NonceTooLow),
    ("oldnonce", Refusal::NonceTooLow),
    ("old nonce", Refusal::NonceTooLow),
    ("nonce has already been used", Refusal::NonceTooLow),
    ("nonce already used", Refusal::NonceTooLow),
    // geth and kin, erigon ("could not replace existing tx"), nethermind, reth and anvil
    ("replacement transaction underpriced", Refusal::ReplacementUnderpriced),
    ("transaction_replacement_underpriced", Refusal::ReplacementUnderpriced),
    ("could not replace existing", Refusal::ReplacementUnderpriced),
    ("replacementnotallowed", Refusal::ReplacementUnderpriced),
    ("replacement not allowed", Refusal::ReplacementUnderpriced),
    ("to replace existing transaction", Refusal::ReplacementUnderpriced),
    ("future transaction tries to replace pending", Refusal::ReplacementUnderpriced),
    ("replacement fee too low", Refusal::ReplacementUnderpriced),
    // geth and kin, nethermind ("FeeTooLow", "FeeTooLowToCompete"), erigon, besu, nitro
    ("underpriced", Refusal::Underpriced),
    ("feetoolow", Refusal::Underpriced),
    ("fee too low", Refusal::Underpriced),
    ("less than block base fee", Refusal::Underpriced),
    ("below chain minimum", Refusal::Underpriced),
    ("gas price below", Refusal::Underpriced),
    ("gas_price_too_low", Refusal::Underpriced),
    ("gas price is too low", Refusal::Underpriced),
    ("gas price too low", Refusal::Underpriced),
    ("effective gas price is lower", Refusal::Underpriced),
    // all but besu; geth counts what is queued too
    ("insufficient funds", Refusal::InsufficientFunds),
    ("insufficientfunds", Refusal::InsufficientFunds),
    ("insufficient balance", Refusal::InsufficientFunds),
    ("upfront cost exceeds", Refusal::InsufficientFunds),
    ("would cause overdraft", Refusal::InsufficientFunds),
    // geth and kin, nethermind ("NonceGap", "NonceTooFarInFuture"), besu
    ("nonce too high", Refusal::NonceTooHigh),
    ("nonce_too_high", Refusal::NonceTooHigh),
    ("noncegap", Refusal::NonceTooHigh),
    ("nonce gap", Refusal::NonceTooHigh),
    ("gapped-nonce", Refusal::NonceTooHigh),
    ("noncetoofarinfuture", Refusal::NonceTooHigh),
    ("nonce is too distant", Refusal::NonceTooHigh),
    ("transaction with a lower nonce", Refusal::NonceTooHigh),
    // geth and kin, nethermind ("GasLimitExceeded"), besu
    ("exceeds block gas limit", Refusal::GasLimit),
    ("gaslimitexceeded", Refusal::GasLimit),
    ("gas limit too high", Refusal::GasLimit),
    ("intrinsic gas", Refusal::GasLimit),
    // geth and kin, besu
    ("exceeds the configured cap", Refusal::FeeCap),
    ("fee cap exceeded", Refusal::FeeCap),
    // geth, reth ("txpool is full", "due to pool size constraints"), erigon ("sub-pool is full"), nitro, services
    ("pool is full", Refusal::Busy),
    ("mempool is full", Refusal::Busy),
    ("pool size constraints", Refusal::Busy),
    ("queue is full", Refusal::Busy),
    ("queue full", Refusal::Busy),
    ("too many requests", Refusal::Busy),
    ("rate limit", Refusal::Busy),
    ("compute units per second", Refusal::Busy),
    ("request limit reached", Refusal::Busy),
];

/// What services answer beyond a limit of requests, as JSON-RPC code and as HTTP status.
const BUSY_CODES: [i64; 2] = [-32005, 429];

/// Reads a refusal.
pub fn classify(code: i64, message: &str) -> Refusal {
    let message = message.to_ascii_lowercase();
    // "unknown transaction" is no "known transaction".
    let message = message.replace("unknown", "");
    let found = TABLE.iter().find(|(part, _)| message.contains(part)).map(|(_, refusal)| *refusal);
    found.unwrap_or(if BUSY_CODES.contains(&code) { Refusal::Busy } else { Refusal::Other })
}
