//! Rotary positions: the frequencies of a head's pairs, and how configurations stretch them beyond the length that a
//! model was first trained on.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::numeric::{exp_f64, ln_f64};

/// How positions turn queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f64,
    /// How they are stretched.
    pub scaling: RopeScaling,
}

/// A published way of stretching. Field names are those of `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "rope_type", rename_all = "snake_case")]
pub enum RopeScaling {
    /// None: pair `i` of `n` turns by `theta^(-i/n)` per position.
    Default,
    /// All frequencies divided by one number (position interpolation, arXiv 2306.15595).
    Linear {
        /// The number.
        factor: f64,
    },
    /// NTK-aware scaling that sets in beyond `max_position_embeddings`. No sequence here is longer, so nothing is scaled.
    Dynamic {
        /// What would scale longer sequences.
        factor: f64,
    },
    /// As in Llama 3.1: low frequencies divided, high ones kept, a linear blend between.
    Llama3 {
        /// What low frequencies are divided by.
        factor: f64,
        /// Wavelengths above the original length divided by this are low.
        low_freq_factor: f64,
        /// Wavelengths below the original length divided by this are high.
        high_freq_factor: f64,
        /// Length that the model was first trained on.
        original_max_position_embeddings: f64,
    },
    /// YaRN (arXiv 2309.00071): a blend by pair, and cosines and sines scaled.
    Yarn {
        /// What interpolated frequencies are divided by.
        factor: f64,
        /// What cosines and sines are multiplied by.
        attention_factor: f64,
        /// Pairs that turn more often than this over the original length are kept.
        beta_fast: f64,
        /// Pairs that turn less often than this are divided.
        beta_slow: f64,
        /// Length that the model was first trained on.
        original_max_position_embeddings: f64,
        /// Whether the two bounds between which pairs are blended are rounded outwards to whole pairs.
        truncate: bool,
    },
}

/// What the loops of a backend need, in single precision.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeTable {
    /// Angle per position of each pair: half a head's width.
    pub frequencies: Vec<f32>,
    /// What cosines and sines are multiplied by.
    pub magnitude: f32,
}

impl Rope {
    /// Frequencies for heads of `head_dim` values. All arithmetic is in double precision with the functions of
    /// [`numeric`](crate::numeric) and rounded once at the end, so that every machine gets the same table.
    pub fn table(&self, head_dim: usize) -> RopeTable {
        let pairs = head_dim / 2;
        let log = ln_f64(self.theta);
        let plain = (0..pairs).map(|i| exp_f64(-(i as f64) / pairs as f64 * log));
        let mut magnitude = 1.0;
        let frequencies: Vec<f64> = match self.scaling {
            RopeScaling::Default | RopeScaling::Dynamic { .. } => plain.collect(),
            RopeScaling::Linear { factor } => plain.map(|f| f / factor).collect(),
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings: original,
            } => {
                let blend = |f: f64| {
                    let wavelength = std::f64::consts::TAU / f;
                    if wavelength < original / high_freq_factor {
                        f
                    } else if wavelength > original / low_freq_factor {
                        f / factor
                    } else {
                        let smooth = (original / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                        (1.0 - smooth) * f / factor + smooth * f
                    }
                };
                plain.map(blend).collect()
            }
            RopeScaling::Yarn {
                factor,
                attention_factor,
                beta_fast,
                beta_slow,
                original_max_position_embeddings: original,
                truncate,
            } => {
                magnitude = attention_factor;
                // The pair, as a fraction of them, that turns this often over the original length.
                let pair = |turns: f64| pairs as f64 * ln_f64(original / (turns * std::f64::consts::TAU)) / log;
                let (low, high) = (pair(beta_fast), pair(beta_slow));
                let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
                let (low, high) = (low.max(0.0), high.min(head_dim as f64 - 1.0));
                let width = if low == high { 0.001 } else { high - low };
                let blend = |(i, f): (usize, f64)| {
                    let keep = 1.0 - ((i as f64 - low) / width).clamp(0.0, 1.0);
                    f / factor * (1.0 - keep) + f * keep
                };
                plain.enumerate().map(blend).collect()
            }
        };
        RopeTable { frequencies: frequencies.into_iter().map(|f| f as f32).collect(), magnitude: magnitude as f32 }
    }
}

/// Largest number that a configuration may name here.
const LIMIT: f64 = 1e9;

/// The object `field` of a configuration: its base, if it names one, and its scaling. Every key that is not understood
/// is refused, because it may change the mathematics.
pub(super) fn parse(
    field: &str,
    object: &Map<String, Value>,
    max_positions: f64,
) -> Result<(Option<f64>, RopeScaling), String> {
    let mut keys = Keys { field, left: object.iter().filter(|(_, value)| !value.is_null()).collect() };
    let names = [keys.take("rope_type"), keys.take("type")];
    let name = match names {
        [None, None] => "default",
        [Some(Value::String(name)), None] | [None, Some(Value::String(name))] => name,
        [Some(Value::String(a)), Some(Value::String(b))] if a == b => a,
        _ => return Err(format!("{field} has no single rope_type")),
    };
    let theta = keys.number("rope_theta", 1.0, 1e12)?;
    // Says how the model came about, nothing about its mathematics.
    keys.take("finetuned");
    let factor = |keys: &mut Keys<'_>| keys.required("factor", 1.0, LIMIT);
    let scaling = match name {
        "default" => RopeScaling::Default,
        "linear" => RopeScaling::Linear { factor: factor(&mut keys)? },
        "dynamic" => {
            let original = keys.number("original_max_position_embeddings", 1.0, LIMIT)?;
            if original.is_some_and(|original| original != max_positions) {
                return Err(format!("{field}.original_max_position_embeddings is not max_position_embeddings"));
            }
            RopeScaling::Dynamic { factor: factor(&mut keys)? }
        }
        "llama3" => {
            let low_freq_factor = keys.required("low_freq_factor", 1e-3, LIMIT)?;
            let high_freq_factor = keys.required("high_freq_factor", 1e-3, LIMIT)?;
            if high_freq_factor <= low_freq_factor {
                return Err(format!("{field}.high_freq_factor is not above low_freq_factor"));
            }
            RopeScaling::Llama3 {
                factor: factor(&mut keys)?,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings: keys.required("original_max_position_embeddings", 1.0, LIMIT)?,
            }
        }
        "yarn" => yarn(&mut keys, max_positions)?,
        other => return Err(format!("{field}.rope_type {other:?} is not supported")),
    };
    match keys.left.first() {
        Some((key, value)) => Err(format!("{field}.{key} {value} is not supported for rope_type {name:?}")),
        None => Ok((theta, scaling)),
    }
}

fn yarn(keys: &mut Keys<'_>, max_positions: f64) -> Result<RopeScaling, String> {
    let factor = keys.required("factor", 1.0, LIMIT)?;
    let truncate = match keys.take("truncate") {
        None => true,
        Some(Value::Bool(truncate)) => *truncate,
        Some(other) => return Err(format!("{}.truncate is {other}, not true or false", keys.field)),
    };
    Ok(RopeScaling::Yarn {
        factor,
        attention_factor: keys.number("attention_factor", 1e-3, 1e3)?.unwrap_or(0.1 * ln_f64(factor) + 1.0),
        beta_fast: keys.number("beta_fast", 1e-3, LIMIT)?.unwrap_or(32.0),
        beta_slow: keys.number("beta_slow", 1e-3, LIMIT)?.unwrap_or(1.0),
        original_max_position_embeddings: keys
            .number("original_max_position_embeddings", 1.0, LIMIT)?
            .unwrap_or(max_positions),
        truncate,
    })
}

/// The keys of an object that nobody has asked about yet.
struct Keys<'a> {
    field: &'a str,
    left: Vec<(&'a String, &'a Value)>,
}

impl<'a> Keys<'a> {
    fn take(&mut self, key: &str) -> Option<&'a Value> {
        let at = self.left.iter().position(|(name, _)| *name == key)?;
        Some(self.left.remove(at).1)
    }

    fn number(&mut self, key: &str, low: f64, high: f64) -> Result<Option<f64>, String> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => Err(format!("{}.{key} is {value}, not {low} to {high}", self.field)),
        }
    }

    fn required(&mut self, key: &str, low: f64, high: f64) -> Result<f64, String> {
        self.number(key, low, high)?.ok_or_else(|| format!("{}.{key} is missing", self.field))
    }
}
