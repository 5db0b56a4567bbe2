//! How people begin, to get a model to write something that nobody has read before.

use rand::Rng;
use rand::seq::IndexedRandom as _;

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

/// An opening, drawn.
pub fn opening(random: &mut impl Rng) -> String {
    let mut text = pick(random, &OPENINGS).to_owned();
    while text.contains("{}") {
        text = text.replacen("{}", pick(random, &SUBJECTS), 1);
    }
    text.push_str(pick(random, &CLOSINGS));
    text
}

fn pick(random: &mut impl Rng, list: &[&'static str]) -> &'static str {
    list.choose(random).copied().unwrap_or_default()
}
