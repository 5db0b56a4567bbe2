//! What is measured: names, and what they mean. All of them exist from the start.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Requests by outcome.
pub(super) const REQUESTS: &str = "tandem_node_requests_total";
/// Payments refused by code.
pub(super) const PAYMENTS_REFUSED: &str = "tandem_node_payments_refused_total";
/// Prompt tokens answered.
pub(super) const PROMPT_TOKENS: &str = "tandem_node_prompt_tokens_total";
/// Completion tokens answered.
pub(super) const COMPLETION_TOKENS: &str = "tandem_node_completion_tokens_total";
/// Vouchers taken.
pub(super) const VOUCHERS: &str = "tandem_node_vouchers_total";
/// Vouchers settled.
pub(super) const VOUCHERS_SETTLED: &str = "tandem_node_vouchers_settled_total";
/// Clients that hung up.
pub(super) const DISCONNECTED: &str = "tandem_node_disconnected_total";
/// Answers being computed.
pub(super) const RUNNING: &str = "tandem_node_requests_running";
/// Requests waiting.
pub(super) const WAITING: &str = "tandem_node_requests_waiting";
/// Answers waiting for a top-up.
pub(super) const UNPAID: &str = "tandem_node_requests_unpaid";
/// Open connections.
pub(super) const CONNECTIONS: &str = "tandem_node_connections";
/// Credits not settled.
pub(super) const OWED: &str = "tandem_node_credits_owed";
/// Age of the chain's head.
pub(super) const CHAIN_AGE: &str = "tandem_node_chain_age_seconds";
/// From the model's first work to the first token.
pub(super) const FIRST_TOKEN_SECONDS: &str = "tandem_node_first_token_seconds";
/// Between two tokens.
pub(super) const TOKEN_SECONDS: &str = "tandem_node_token_seconds";
/// From the model's first work to the end.
pub(super) const ANSWER_SECONDS: &str = "tandem_node_answer_seconds";

/// Why a payment may be refused.
const PAYMENT_CODES: [&str; 11] = [
    "payment_required",
    "unknown_channel",
    "channel_of_another_contributor",
    "channel_expired",
    "channel_exhausted",
    "voucher_signature",
    "voucher_rate",
    "voucher_not_growing",
    "voucher_insufficient",
    "channel_busy",
    "no_answer_under_way",
];

/// Says what each metric means, and starts it at zero.
pub(super) fn start() {
    for (name, help) in [
        (REQUESTS, "Requests for answers, by outcome: ok, or the code of the refusal"),
        (PAYMENTS_REFUSED, "Payments and top-ups refused, by code"),
        (PROMPT_TOKENS, "Tokens of prompts that were answered"),
        (COMPLETION_TOKENS, "Tokens of answers"),
        (VOUCHERS, "Vouchers taken, by kind: request or top_up"),
        (VOUCHERS_SETTLED, "Vouchers settled on the chain"),
        (DISCONNECTED, "Clients that hung up before their answer ended"),
    ] {
        describe_counter!(name, help);
    }
    for (name, help) in [
        (RUNNING, "Answers being computed"),
        (WAITING, "Paid requests that wait for a place at the model"),
        (UNPAID, "Streamed answers that wait for a top-up"),
        (CONNECTIONS, "Open connections"),
        (OWED, "Credits in vouchers that are not settled"),
    ] {
        describe_gauge!(name, help);
        gauge!(name).set(0.0);
    }
    describe_gauge!(CHAIN_AGE, Unit::Seconds, "Time since the chain was last heard of");
    gauge!(CHAIN_AGE).set(0.0);
    for (name, help) in [
        (FIRST_TOKEN_SECONDS, "From the model's first work on a request to its first token"),
        (TOKEN_SECONDS, "Between two tokens of an answer"),
        (ANSWER_SECONDS, "From the model's first work on a request to the end of its answer"),
    ] {
        describe_histogram!(name, Unit::Seconds, help);
        let _ = histogram!(name);
    }
    for name in [PROMPT_TOKENS, COMPLETION_TOKENS, VOUCHERS_SETTLED, DISCONNECTED] {
        counter!(name).absolute(0);
    }
    counter!(REQUESTS, "outcome" => "ok").absolute(0);
    for code in PAYMENT_CODES {
        counter!(PAYMENTS_REFUSED, "code" => code).absolute(0);
    }
    for kind in ["request", "top_up"] {
        counter!(VOUCHERS, "kind" => kind).absolute(0);
    }
}
