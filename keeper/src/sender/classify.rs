//! What a node's refusal of a transaction means. Nodes agree on neither codes nor words, so the words are compared, most
//! telling first, and the code is not believed.

/// Meaning of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The node has this very transaction: success.
    AlreadyKnown,
    /// The nonce is used: look for a receipt of any of our hashes.
    NonceTooLow,
    /// A transaction before this one is missing.
    NonceTooHigh,
    /// The fees do not replace what is there, or are below the node's floor: raise them.
    Underpriced,
    /// The gas key cannot pay.
    InsufficientFunds,
    /// Anything else: try again later.
    Other,
}

/// Parts of messages of geth, erigon, nethermind, besu, reth, anvil, op-geth and nitro.
const TABLE: [(&str, Refusal); 22] = [
    ("already known", Refusal::AlreadyKnown),
    ("alreadyknown", Refusal::AlreadyKnown),
    ("known transaction", Refusal::AlreadyKnown),
    ("already imported", Refusal::AlreadyKnown),
    ("already in mempool", Refusal::AlreadyKnown),
    ("already exists in", Refusal::AlreadyKnown),
    ("nonce too low", Refusal::NonceTooLow),
    ("oldnonce", Refusal::NonceTooLow),
    ("nonce is too low", Refusal::NonceTooLow),
    ("nonce has already been used", Refusal::NonceTooLow),
    ("nonce too high", Refusal::NonceTooHigh),
    ("noncegap", Refusal::NonceTooHigh),
    ("nonce gap", Refusal::NonceTooHigh),
    ("underpriced", Refusal::Underpriced),
    ("feetoolow", Refusal::Underpriced),
    ("fee too low", Refusal::Underpriced),
    ("max fee per gas less than block base fee", Refusal::Underpriced),
    ("gas price below", Refusal::Underpriced),
    ("less than block base fee", Refusal::Underpriced),
    ("insufficient funds", Refusal::InsufficientFunds),
    ("insufficientfunds", Refusal::InsufficientFunds),
    ("upfront cost exceeds", Refusal::InsufficientFunds),
];

/// Reads a refusal.
pub fn classify(message: &str) -> Refusal {
    let message = message.to_ascii_lowercase();
    // "unknown transaction" is no "known transaction".
    let message = message.replace("unknown", "");
    TABLE.iter().find(|(part, _)| message.contains(part)).map_or(Refusal::Other, |(_, refusal)| *refusal)
}
