//! Requests that look like anybody's: text, length, temperature and seed are drawn from private randomness.

use rand::Rng;
use rand::seq::IndexedRandom as _;

use crate::model::Text;

/// What a probe asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Text to go on from.
    pub prompt: String,
    /// Longest answer, tokens.
    pub max_tokens: u64,
    /// Temperature in thousandths.
    pub temperature_milli: u32,
    /// Sampling seed.
    pub seed: u64,
}

const OPENINGS: [&str; 20] = [
    "Write a short story about {}.",
    "Explain {} to a ten-year-old.",
    "What are the advantages and disadvantages of {}?",
    "Give me five ideas for a blog post about {}.",
    "Summarise what is known about {} in three sentences.",
    "Write a polite e-mail asking for more information on {}.",
    "Translate into French: I have been reading about {}.",
    "Q: What should a beginner know about {}?\nA:",
    "Draft the opening paragraph of an article on {}.",
    "I am preparing an exam on {}. Ask me three questions.",
    "Compare {} with {}.",
    "List the most common mistakes people make with {}.",
    "Once upon a time there was somebody who cared for nothing but {}.",
    "Compose a haiku about {}.",
    "Act as an expert in {} and answer briefly: where do I start?",
    "The following is a conversation about {}.\nAlice: I never understood it.\nBob:",
    "Make a weekly plan for learning about {}.",
    "Why do people disagree about {}?",
    "Rewrite in a more formal tone: hey, got anything on {}?",
    "In one paragraph, describe the history of {}.",
];

const SUBJECTS: [&str; 36] = [
    "the tides",
    "growing tomatoes",
    "the French Revolution",
    "sorting algorithms",
    "sourdough bread",
    "black holes",
    "compound interest",
    "learning the violin",
    "electric bicycles",
    "the immune system",
    "medieval castles",
    "remote work",
    "photosynthesis",
    "chess openings",
    "plate tectonics",
    "the stock market",
    "beekeeping",
    "Rust and C++",
    "marathon training",
    "the Silk Road",
    "vaccines",
    "home insulation",
    "jazz",
    "neural networks",
    "coffee roasting",
    "volcanoes",
    "public transport",
    "poetry",
    "regular expressions",
    "the Roman aqueducts",
    "glaciers",
    "double-entry bookkeeping",
    "migratory birds",
    "watercolour painting",
    "nuclear fusion",
    "negotiation",
];

const CLOSINGS: [&str; 8] = [
    "",
    "",
    "",
    " Keep it short.",
    " Please be specific.",
    " Answer in plain English.",
    " Use an example.",
    " Thanks!",
];

/// Lengths that clients ask for.
const LENGTHS: [u64; 8] = [16, 24, 32, 40, 48, 64, 80, 100];
/// Temperatures that clients ask for, thousandths; greedy answers show least.
const TEMPERATURES: [u32; 7] = [0, 300, 700, 700, 800, 1000, 1000];

impl Probe {
    /// Draws a probe of at most `max_tokens` (at least 1).
    pub fn draw(random: &mut impl Rng, max_tokens: u64) -> Self {
        let mut prompt = pick(random, &OPENINGS).to_owned();
        while prompt.contains("{}") {
            prompt = prompt.replacen("{}", pick(random, &SUBJECTS), 1);
        }
        prompt.push_str(pick(random, &CLOSINGS));
        Self {
            prompt,
            max_tokens: (*LENGTHS.choose(random).unwrap_or(&16)).min(max_tokens).max(1),
            temperature_milli: *TEMPERATURES.choose(random).unwrap_or(&1000),
            seed: random.random(),
        }
    }

    /// The prompt's tokens, cut to fit a model of `max_positions` together with the answer. Cutting text, not tokens: what is
    /// sent is text, and the contributor must find the same tokens.
    pub fn fit(&mut self, text: &Text, max_positions: usize) -> Result<Vec<u32>, tokenizers::Error> {
        let room = max_positions.saturating_sub(self.max_tokens as usize).max(1);
        loop {
            let tokens = text.encode(&self.prompt)?;
            if tokens.len() <= room || self.prompt.is_empty() {
                return Ok(tokens);
            }
            let half = self.prompt.len() / 2;
            let cut = (0..=half).rev().find(|at| self.prompt.is_char_boundary(*at)).unwrap_or(0);
            self.prompt.truncate(cut);
        }
    }
}

fn pick(random: &mut impl Rng, list: &[&'static str]) -> &'static str {
    list.choose(random).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn probes_differ_and_leave_no_gap_unfilled() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let probes: Vec<Probe> = (0..200).map(|_| Probe::draw(&mut random, 64)).collect();
        let prompts: std::collections::HashSet<_> = probes.iter().map(|probe| &probe.prompt).collect();
        assert!(prompts.len() > 150, "{} different prompts of 200", prompts.len());
        assert!(probes.iter().all(|probe| !probe.prompt.contains("{}") && (1..=64).contains(&probe.max_tokens)));
    }
}
