//! `bench gpu`: what a card does, beside PyTorch and transformers on the same card.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tandem_cuda::measure::{MemoryUse, Plan, Report, measure};
use tandem_verifier::model::ModelConfig;

use super::device::CardArgs;
use super::print_json;

/// Llama of 8 billion parameters.
const LLAMA_8B: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "max_position_embeddings": 32768, "eos_token_id": 128001
}"#;

const REFERENCE: &str = include_str!("../../bench/reference.py");

/// Measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    Gpu(Gpu),
}

/// Measure a card with a model of random weights, made on the card: prefill, packed audits, proofs, generation, exact mode,
/// memory; and the same prefill with PyTorch and transformers, if they are installed. Some minutes, and about 40 GB of
/// memory for the shape that is measured by default.
#[derive(Args)]
pub(crate) struct Gpu {
    #[command(flatten)]
    card: CardArgs,
    /// The model's shape: its config.json, of the Llama family [default: Llama of 8 billion parameters].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Runs per measurement; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    runs: u16,
    /// A Python with torch and transformers.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// Do not measure PyTorch.
    #[arg(long)]
    no_reference: bool,
    /// The rate card's price of a million prompt tokens, in credits: with --completion-price the card's speed is converted into
    /// normalised A100s.
    #[arg(long, value_name = "CREDITS", requires = "completion_price")]
    prompt_price: Option<f64>,
    /// The rate card's price of a million completion tokens, in credits.
    #[arg(long, value_name = "CREDITS", requires = "prompt_price")]
    completion_price: Option<f64>,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// What PyTorch and transformers took.
#[derive(Debug, Deserialize, Serialize)]
struct Reference {
    torch: String,
    transformers: String,
    device: String,
    matrix_teraflops: f64,
    prefill_seconds: Vec<f64>,
    packed_seconds: f64,
    packed_how: String,
}

/// What the card is worth by the rate card.
#[derive(Debug, Serialize)]
struct Normalised {
    formula: &'static str,
    source: &'static str,
    prompt_price: f64,
    completion_price: f64,
    /// A100s that prefill alone is worth, at each length measured.
    prefill: Vec<f64>,
    /// A100s that answering is worth, at each number of answers side by side.
    responses: Vec<f64>,
}

const FORMULA: &str = "A100s = (prompt tokens · prompt price + completion tokens · completion price) / 10^6 / minutes";
const SOURCE: &str =
    "a credit is one normalised A100-minute; prices are credits per million tokens, as RateCard publishes them";

/// A target, and what was reached.
#[derive(Debug, Serialize)]
struct Target {
    what: String,
    target: String,
    reached: f64,
    met: bool,
}

#[derive(Serialize)]
struct Output<'a> {
    plan: &'a Plan,
    card: &'a Report,
    reference: Option<&'a Reference>,
    reference_lacks: Option<String>,
    normalised: Option<Normalised>,
    targets: Vec<Target>,
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Gpu(command) = self;
        command.run()
    }
}

impl Gpu {
    fn run(self) -> anyhow::Result<ExitCode> {
        for price in [self.prompt_price, self.completion_price].into_iter().flatten() {
            ensure!(price.is_finite() && price > 0.0, "a price is a positive number of credits, not {price}");
        }
        let (text, config) = match &self.config {
            Some(path) => {
                let context = || format!("--config {}", path.display());
                // Size and content are checked before the text is held for PyTorch.
                let config = ModelConfig::read(path).with_context(context)?;
                (std::fs::read_to_string(path).with_context(context)?, config)
            }
            None => (LLAMA_8B.to_owned(), ModelConfig::parse(LLAMA_8B)?),
        };
        let plan = Plan { runs: usize::from(self.runs), ..Plan::full() };
        let longest = plan.prefill.iter().copied().max().unwrap_or(0);
        ensure!(
            config.max_positions > longest,
            "max_position_embeddings must be above {longest}, the longest sequence measured"
        );

        // A card that cannot be used is said before PyTorch takes its minutes; and it is not held while PyTorch needs it.
        drop(self.card.open(true, config.parameters() * 2)?);
        let reference = match self.no_reference {
            true => Err(anyhow::anyhow!("--no-reference")),
            false => self.reference(&text, &plan),
        };
        let device = self.card.open(true, config.parameters() * 2)?;
        let report = measure(&device, &config, &plan, &mut |step| eprintln!("{step} …"))?;
        let (reference, lacks) = match reference {
            Ok(reference) => (Some(reference), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let output = Output {
            plan: &plan,
            card: &report,
            reference: reference.as_ref(),
            reference_lacks: lacks,
            normalised: self.prompt_price.zip(self.completion_price).map(|prices| normalised(&plan, &report, prices)),
            targets: targets(&plan, &report, reference.as_ref()),
        };
        if self.json {
            print_json(&output)?
        } else {
            output.print()
        }
        Ok(ExitCode::SUCCESS)
    }

    fn reference(&self, config: &str, plan: &Plan) -> anyhow::Result<Reference> {
        eprintln!("PyTorch and transformers …");
        let config: serde_json::Value = serde_json::from_str(config)?;
        let order = json!({
            "config": config, "prefill": plan.prefill, "packed": plan.packed, "runs": plan.runs, "matrix": plan.matrix,
        });
        reference(&self.python, &order)
    }
}

/// Runs the script, which comes with this program, in `python`.
fn reference(python: &str, order: &serde_json::Value) -> anyhow::Result<Reference> {
    let mut child = Command::new(python)
        .args(["-", &order.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {python}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever does not read it ends with words of their own.
        let _ = stdin.write_all(REFERENCE.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{python} ended with {}: {}", output.status, said.lines().last().unwrap_or("nothing said"));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.lines().last().unwrap_or_default()).context("what the script printed")
}

fn normalised(plan: &Plan, report: &Report, (prompt_price, completion_price): (f64, f64)) -> Normalised {
    let worth = |prompt: usize, completion: usize, seconds: f64| {
        (prompt as f64 * prompt_price + completion as f64 * completion_price) / 1e6 / (seconds / 60.0)
    };
    let (prompt, answer) = plan.response;
    Normalised {
        formula: FORMULA,
        source: SOURCE,
        prompt_price,
        completion_price,
        prefill: report.prefill.iter().map(|pass| worth(pass.tokens, 0, pass.seconds)).collect(),
        responses: report
            .responses
            .iter()
            .map(|response| worth(prompt * response.batch, answer * response.batch, response.generation_seconds))
            .collect(),
    }
}

fn targets(plan: &Plan, report: &Report, reference: Option<&Reference>) -> Vec<Target> {
    let at_least = |what: String, least: f64, reached: f64| {
        let target = format!("at least {least}");
        Target { what, target, reached, met: reached >= least }
    };
    let at_most = |what: String, most: f64, reached: f64| {
        let target = format!("at most {most}");
        Target { what, target, reached, met: reached <= most }
    };
    let mut targets: Vec<Target> = report
        .prefill
        .iter()
        .map(|pass| at_least(format!("prefill of {} / matrix product", pass.tokens), 0.6, pass.of_matrix_product))
        .collect();
    if let Some(reference) = reference {
        if let (Some(pass), Some(seconds)) = (report.prefill.last(), reference.prefill_seconds.last()) {
            let what = format!("transformers / ours, one sequence of {}", pass.tokens);
            targets.push(at_least(what, 0.9, seconds / pass.seconds));
        }
        let what = format!("transformers ({}) / ours, {} packed", reference.packed_how, plan.packed.len());
        targets.push(at_least(what, 1.15, reference.packed_seconds / report.packed.seconds));
    }
    targets.push(at_most("checking proofs and tokens / prefill".to_owned(), 0.02, report.check_of_prefill));
    if let Some(response) = report.responses.iter().find(|response| response.batch == 1) {
        targets.push(at_most("audit / generation, one answer".to_owned(), 0.02, response.audit_of_generation));
    }
    targets.push(at_most("exact / fast".to_owned(), 15.0, report.exact_of_fast));
    let MemoryUse { weights, activations, peak, .. } = report.memory;
    let needed = (weights + activations) as f64;
    targets.push(at_most("memory at most / weights and activations".to_owned(), 1.1, peak as f64 / needed));
    let growth = report.memory.last.saturating_sub(report.memory.first) as f64 / f64::from(1 << 20);
    targets.push(at_most(format!("MiB more after {} audits", plan.stream), 0.0, growth));
    targets
}

impl Output<'_> {
    fn print(&self) {
        let Report { device, parameters, matrix_teraflops, prefill, packed, responses, memory, .. } = self.card;
        println!(
            "{device}: {:.2} billion parameters, matrix product {matrix_teraflops:.0} TFLOP/s",
            *parameters as f64 / 1e9
        );
        println!("\n| prefill | tokens | ms | TFLOP/s | of matrix product |\n|---|--:|--:|--:|--:|");
        for pass in prefill.iter().chain([packed]) {
            let (ms, part) = (pass.seconds * 1e3, pass.of_matrix_product * 100.0);
            println!("| {} | {} | {ms:.1} | {:.0} | {part:.0} % |", pass.sequences, pass.tokens, pass.teraflops);
        }
        println!("\n| answers | tokens/s | s | audit ms | audit / generation |\n|--:|--:|--:|--:|--:|");
        for response in responses {
            let (rate, seconds) = (response.tokens_per_second, response.generation_seconds);
            let (audit, part) = (response.audit_seconds * 1e3, response.audit_of_generation * 100.0);
            println!("| {} | {rate:.0} | {seconds:.2} | {audit:.2} | {part:.2} % |", response.batch);
        }
        println!("\n| memory of {} streamed audits | GiB |\n|---|--:|", self.plan.stream);
        for (what, bytes) in [
            ("weights", memory.weights),
            ("activations, by their shapes", memory.activations),
            ("taken with the model loaded", memory.loaded),
            ("taken at most", memory.peak),
            ("taken after the first packs", memory.first),
            ("taken after the last", memory.last),
        ] {
            println!("| {what} | {:.2} |", bytes as f64 / f64::from(1 << 30));
        }
        match (self.reference, &self.reference_lacks) {
            (Some(r), _) => println!(
                "PyTorch {}, transformers {}: matrix product {:.0} TFLOP/s, prefill {:?} s, packed {:.3} s ({})",
                r.torch, r.transformers, r.matrix_teraflops, r.prefill_seconds, r.packed_seconds, r.packed_how
            ),
            (None, lacks) => println!("PyTorch was not measured: {}", lacks.as_deref().unwrap_or("not asked for")),
        }
        println!("\n| target | | reached | met |\n|---|---|--:|---|");
        for Target { what, target, reached, met } in &self.targets {
            println!("| {what} | {target} | {reached:.3} | {} |", if *met { "yes" } else { "no" });
        }
        if let Some(n) = &self.normalised {
            println!("\n{}\n({})", n.formula, n.source);
            println!("prefill: {:.2?} A100s; answers: {:.2?} A100s", n.prefill, n.responses);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_cuda::measure::{Pass, Response};

    fn report() -> Report {
        let pass = |tokens, sequences, seconds, of_matrix_product| Pass {
            tokens,
            sequences,
            seconds,
            teraflops: 1.0,
            of_matrix_product,
        };
        let response = |batch, generation_seconds| Response {
            batch,
            generation_seconds,
            tokens_per_second: 1.0,
            audit_seconds: 1.0,
            audit_of_generation: 0.01,
        };
        Report {
            device: "a card".to_owned(),
            parameters: 8,
            matrix_teraflops: 700.0,
            prefill: vec![pass(2_048, 1, 0.1, 0.7), pass(16_384, 1, 1.0, 0.59)],
            packed: pass(30_000, 64, 1.5, 0.6),
            check_of_prefill: 0.03,
            responses: vec![response(1, 2.0), response(8, 4.0)],
            exact_of_fast: 15.0,
            memory: MemoryUse { weights: 80, activations: 20, loaded: 85, first: 90, last: 90, peak: 111 },
        }
    }

    fn reference_times() -> Reference {
        Reference {
            torch: String::new(),
            transformers: String::new(),
            device: String::new(),
            matrix_teraflops: 700.0,
            prefill_seconds: vec![0.2, 0.9],
            packed_seconds: 1.7,
            packed_how: "padded".to_owned(),
        }
    }

    #[test]
    fn targets_say_what_is_met_and_what_is_missed() {
        let met: Vec<bool> =
            targets(&Plan::full(), &report(), Some(&reference_times())).iter().map(|target| target.met).collect();
        assert_eq!(met, [true, false, true, false, false, true, true, false, true]);
        assert_eq!(targets(&Plan::full(), &report(), None).len(), 7);
    }

    /// At 2 credits per million prompt tokens and 6 per million completion tokens.
    #[test]
    fn a_card_is_worth_the_rate_cards_price_of_its_tokens_per_minute() {
        let n = normalised(&Plan::full(), &report(), (2.0, 6.0));
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(n.prefill[0], 2_048.0 * 2.0 / 1e6 * 600.0));
        assert!(near(n.responses[0], (256.0 * 2.0 + 256.0 * 6.0) / 1e6 * 30.0));
        assert!(near(n.responses[1], 8.0 * (256.0 * 2.0 + 256.0 * 6.0) / 1e6 * 15.0));
    }

    #[test]
    fn the_default_shape_is_one_of_eight_billion_parameters() {
        let config = ModelConfig::parse(LLAMA_8B).unwrap();
        assert_eq!(config.parameters(), 8_030_261_248);
        assert!(config.max_positions > 16_384);
    }

    /// As the script printed it, of a tiny model without a card.
    #[test]
    fn what_the_script_prints_is_read() {
        let said = r#"{"torch": "2.15.0+cu132", "transformers": "5.23.0", "device": "cpu", "matrix_teraflops": 5.2e-05,
            "prefill_seconds": [0.186, 0.2219], "packed_seconds": 0.0565, "packed_how": "padded"}"#;
        let read: Reference = serde_json::from_str(said).unwrap();
        assert_eq!((read.prefill_seconds.len(), read.packed_how.as_str()), (2, "padded"));
    }

    #[test]
    fn a_python_that_is_none_or_fails_is_said() {
        let order = json!({});
        assert!(format!("{:#}", reference("no-such-python", &order).unwrap_err()).contains("no-such-python"));
        assert!(reference("false", &order).is_err());
    }
}
