//! Small models with seeded random weights, for tests and demonstrations: the same files on every machine.
//!
//! They speak no language, but everything else is as in a real one: varied tokens under sampling, hidden states that
//! depend on the whole context, and other hidden states for any other seed or size.
//!
//! The rule, which `tests/golden/make.py` follows too. The values of tensor `name`, row-major, come one each from
//! SplitMix64, started at the first eight bytes, big-endian, of SHA-256 of `tandem test model/SEED/LAYERS/name`. From the
//! output `z` all arithmetic is in single precision, rounded at each step, and the result rounded to bf16:
//! - a norm's weight is `0.5 + (z >> 48) / 65536`;
//! - any other value is `(s - 131070) / 37837 · d`, `s` the sum of the four 16-bit lanes of `z`, and `d` the deviation: 1
//!   for embeddings, 0.5 for biases, and `gain / √inputs` for matrices. The gain is 2.5 for `lm_head`, 1.4 for `q_proj` and
//!   `k_proj`, 1.5 for `o_proj`, `gate_proj` and `up_proj`, and 1 for others.

use std::collections::BTreeMap;
use std::path::Path;

use half::bf16;
use safetensors::{Dtype, tensor::TensorView};
use sha2::{Digest as _, Sha256};

use crate::model::{ModelConfig, ModelError};

/// Which model to write. Both have the same width, vocabulary and tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Four layers, about 0.8 million parameters.
    Full,
    /// Two layers, other weights: what a cheat might run instead.
    Small,
}

const HIDDEN: usize = 128;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 32;
const FEED_FORWARD: usize = 352;
/// 256 bytes, three special tokens, and reserved ones up to a multiple of 32.
const VOCAB: usize = 288;
const BOS: usize = 256;
const EOS: usize = 257;
const PAD: usize = 258;

/// Standard deviation of the sum of four uniform 16-bit numbers.
const LANE_SUM_DEVIATION: f32 = 37_837.0;

/// Largest model that is written, in parameters: it is held in memory.
const LIMIT: u64 = 1 << 30;

/// Writes `config.json`, `model.safetensors` and `tokenizer.json` into `dir`, which is created if need be. The same
/// seed and size give the same bytes everywhere.
///
/// # Errors
/// What the file system reports.
pub fn write(dir: impl AsRef<Path>, seed: u64, size: Size) -> std::io::Result<()> {
    write_config(dir, seed, &config(size)).map_err(|error| match error {
        ModelError::Read { error, .. } => error,
        other => std::io::Error::other(other),
    })
}

/// Writes a model of any supported kind: `config` is the text of its `config.json`. Its vocabulary must have room for the
/// tokenizer, which is the same for all.
///
/// # Errors
/// [`ModelError`] for a configuration that is refused or too large, and what the file system reports.
pub fn write_config(dir: impl AsRef<Path>, seed: u64, config: &str) -> Result<(), ModelError> {
    let dir = dir.as_ref();
    let path = dir.join("config.json");
    let failed = |error| ModelError::Read { path: dir.to_owned(), error };
    std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&path, config)).map_err(failed)?;
    let config = ModelConfig::read(&path)?;
    let wrong = |reason: String| Err(ModelError::Config { path: path.clone(), reason });
    if config.vocab_size < VOCAB {
        return wrong(format!("vocab_size is {}, the tokenizer has {VOCAB} tokens", config.vocab_size));
    }
    if config.parameters() > LIMIT {
        return wrong(format!("{} parameters are above {LIMIT}", config.parameters()));
    }
    let tensors: Vec<_> = config.tensors().into_iter().map(|(n, s)| Tensor::fill(n, s, seed, config.layers)).collect();
    let file = serialize(&tensors).map_err(failed)?;
    std::fs::write(dir.join("tokenizer.json"), tokenizer().map_err(failed)?).map_err(failed)?;
    std::fs::write(dir.join("model.safetensors"), file).map_err(failed)
}

fn layers(size: Size) -> usize {
    match size {
        Size::Full => 4,
        Size::Small => 2,
    }
}

fn serialize(tensors: &[Tensor]) -> std::io::Result<Vec<u8>> {
    let mut views = Vec::with_capacity(tensors.len());
    for Tensor { name, shape, bytes } in tensors {
        let view = TensorView::new(Dtype::BF16, shape.clone(), bytes).map_err(std::io::Error::other)?;
        views.push((name.as_str(), view));
    }
    safetensors::serialize(views, None).map_err(std::io::Error::other)
}

struct Tensor {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// With inputs of unit size, a matrix gives outputs of about this size. Logits of deviation 2.5: tokens vary, and some are
/// far likelier than others.
fn gain(name: &str) -> f32 {
    const GAINS: [(&str, f32); 7] = [
        ("lm_head", 2.5),
        ("q_proj", 1.4),
        ("k_proj", 1.4),
        ("o_proj", 1.5),
        ("gate_proj", 1.5),
        ("up_proj", 1.5),
        ("", 1.0),
    ];
    GAINS.into_iter().find(|(part, _)| name.contains(part)).map_or(1.0, |(_, gain)| gain)
}

impl Tensor {
    fn fill(name: String, shape: Vec<usize>, seed: u64, layers: usize) -> Self {
        let elements = shape.iter().product::<usize>();
        let mut stream = Stream::new(seed, layers, &name);
        // `None` for norms, which differ between dimensions as in trained models.
        let deviation = match shape.as_slice() {
            _ if name == "model.embed_tokens.weight" => Some(1.0),
            [_, inputs] => Some(gain(&name) / (*inputs as f32).sqrt()),
            _ if name.ends_with(".bias") => Some(0.5),
            _ => None,
        };
        let value = |_| match deviation {
            Some(deviation) => stream.gaussian() * deviation,
            None => 0.5 + (stream.next() >> 48) as f32 / 65_536.0,
        };
        let bytes = (0..elements).map(value).flat_map(|v| bf16::from_f32(v).to_le_bytes()).collect();
        Self { name, shape, bytes }
    }
}

/// SplitMix64, one stream per tensor, so that a tensor does not depend on what was written before it.
struct Stream(u64);

impl Stream {
    fn new(seed: u64, layers: usize, name: &str) -> Self {
        let hash = Sha256::digest(format!("tandem test model/{seed}/{layers}/{name}"));
        Self(hash.iter().take(8).fold(0, |state, &byte| state << 8 | u64::from(byte)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Nearly normal with deviation 1: four 16-bit lanes, summed and centred. Integers up to the last division, so that
    /// no library's idea of a logarithm matters.
    fn gaussian(&mut self) -> f32 {
        let z = self.next();
        let sum: i32 = (0..4).map(|lane| ((z >> (16 * lane)) & 0xffff) as i32).sum();
        (sum - 131_070) as f32 / LANE_SUM_DEVIATION
    }
}

fn config(size: Size) -> String {
    format!(
        r#"{{
  "architectures": ["LlamaForCausalLM"],
  "model_type": "llama",
  "vocab_size": {VOCAB},
  "hidden_size": {HIDDEN},
  "intermediate_size": {FEED_FORWARD},
  "num_hidden_layers": {layers},
  "num_attention_heads": {HEADS},
  "num_key_value_heads": {KV_HEADS},
  "head_dim": {HEAD_DIM},
  "hidden_act": "silu",
  "max_position_embeddings": 2048,
  "rms_norm_eps": 1e-5,
  "rope_theta": 10000.0,
  "attention_bias": false,
  "mlp_bias": false,
  "tie_word_embeddings": false,
  "bos_token_id": {BOS},
  "eos_token_id": {EOS},
  "pad_token_id": {PAD},
  "torch_dtype": "bfloat16"
}}
"#,
        layers = layers(size)
    )
}

/// A byte-level tokenizer without merges: token `b` is byte `b`. Special tokens are left out of decoded text.
fn tokenizer() -> std::io::Result<String> {
    let vocab: BTreeMap<String, usize> = byte_characters().into_iter().map(String::from).zip(0..).collect();
    let vocab = serde_json::to_string(&vocab)?;
    let special = |id: usize| {
        let name = match id {
            BOS => "<|begin|>".to_owned(),
            EOS => "<|end|>".to_owned(),
            PAD => "<|pad|>".to_owned(),
            _ => format!("<|reserved_{id}|>"),
        };
        format!(
            r#"{{"id":{id},"content":"{name}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}"#
        )
    };
    let added = (BOS..VOCAB).map(special).collect::<Vec<_>>().join(",");
    let byte_level = r#"{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}"#;
    let begin = r#"{"SpecialToken":{"id":"<|begin|>","type_id":0}}"#;
    let (first, second) = (r#"{"Sequence":{"id":"A","type_id":0}}"#, r#"{"Sequence":{"id":"B","type_id":1}}"#);
    Ok([
        r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":["#,
        &added,
        r#"],"normalizer":null,"pre_tokenizer":"#,
        byte_level,
        r#","post_processor":{"type":"TemplateProcessing","single":["#,
        begin,
        ",",
        first,
        r#"],"pair":["#,
        begin,
        ",",
        first,
        ",",
        second,
        r#"],"special_tokens":{"<|begin|>":{"id":"<|begin|>","ids":[256],"tokens":["<|begin|>"]}}},"decoder":"#,
        byte_level,
        r#","model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"#,
        r#""end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":false,"vocab":"#,
        &vocab,
        r#","merges":[]}}"#,
        "\n",
    ]
    .concat())
}

/// The printable character that stands for each byte in byte-level vocabularies: itself where it is printable, the next
/// free one from U+0100 on where it is not.
fn byte_characters() -> Vec<char> {
    let mut free = (0x100_u32..).filter_map(char::from_u32);
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    (0..=u8::MAX).filter_map(|b| if printable(b) { Some(char::from(b)) } else { free.next() }).collect()
}
