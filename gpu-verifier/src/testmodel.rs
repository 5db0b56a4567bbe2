//! Small models with seeded random weights, for tests and demonstrations: the same files on every machine.
//!
//! They speak no language, but everything else is as in a real one: varied tokens under sampling, hidden states that
//! depend on the whole context, and other hidden states for any other seed or size.

use std::collections::BTreeMap;
use std::path::Path;

use half::bf16;
use safetensors::{Dtype, tensor::TensorView};
use sha2::{Digest as _, Sha256};

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

/// Writes `config.json`, `model.safetensors` and `tokenizer.json` into `dir`, which is created if need be. The same
/// seed and size give the same bytes everywhere.
///
/// # Errors
/// What the file system reports.
pub fn write(dir: impl AsRef<Path>, seed: u64, size: Size) -> std::io::Result<()> {
    let dir = dir.as_ref();
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("config.json"), config(size))?;
    std::fs::write(dir.join("tokenizer.json"), tokenizer()?)?;
    let tensors: Vec<Tensor> = tensors(size).into_iter().map(|shape| shape.fill(seed, size)).collect();
    let views = tensors.iter().map(|tensor| {
        let view = TensorView::new(Dtype::BF16, tensor.shape.clone(), &tensor.bytes).map_err(std::io::Error::other)?;
        Ok((tensor.name.as_str(), view))
    });
    let views = views.collect::<std::io::Result<Vec<_>>>()?;
    let file = safetensors::serialize(views, None).map_err(std::io::Error::other)?;
    std::fs::write(dir.join("model.safetensors"), file)
}

fn layers(size: Size) -> usize {
    match size {
        Size::Full => 4,
        Size::Small => 2,
    }
}

struct Tensor {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A tensor to be: a matrix of the given deviation, or the weights of a norm.
struct Blueprint {
    name: String,
    shape: Vec<usize>,
    deviation: Option<f32>,
}

fn tensors(size: Size) -> Vec<Blueprint> {
    // With inputs of unit size, this deviation gives outputs of the size `gain`.
    let matrix = |name: String, outputs: usize, inputs: usize, gain: f32| {
        let deviation = Some(gain / (inputs as f32).sqrt());
        Blueprint { name, shape: vec![outputs, inputs], deviation }
    };
    let norm = |name: String| Blueprint { name, shape: vec![HIDDEN], deviation: None };
    let mut all = vec![
        Blueprint { name: "model.embed_tokens.weight".into(), shape: vec![VOCAB, HIDDEN], deviation: Some(1.0) },
        norm("model.norm.weight".into()),
        // Logits of deviation 2.5: tokens vary, and some are far likelier than others.
        matrix("lm_head.weight".into(), VOCAB, HIDDEN, 2.5),
    ];
    for layer in 0..layers(size) {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        all.push(norm(name("input_layernorm")));
        all.push(matrix(name("self_attn.q_proj"), HEADS * HEAD_DIM, HIDDEN, 1.4));
        all.push(matrix(name("self_attn.k_proj"), KV_HEADS * HEAD_DIM, HIDDEN, 1.4));
        all.push(matrix(name("self_attn.v_proj"), KV_HEADS * HEAD_DIM, HIDDEN, 1.0));
        all.push(matrix(name("self_attn.o_proj"), HIDDEN, HEADS * HEAD_DIM, 1.5));
        all.push(norm(name("post_attention_layernorm")));
        all.push(matrix(name("mlp.gate_proj"), FEED_FORWARD, HIDDEN, 1.5));
        all.push(matrix(name("mlp.up_proj"), FEED_FORWARD, HIDDEN, 1.5));
        all.push(matrix(name("mlp.down_proj"), HIDDEN, FEED_FORWARD, 1.0));
    }
    all
}

impl Blueprint {
    fn fill(self, seed: u64, size: Size) -> Tensor {
        let elements = self.shape.iter().product::<usize>();
        let mut stream = Stream::new(seed, size, &self.name);
        let value = |_| match self.deviation {
            Some(deviation) => stream.gaussian() * deviation,
            // Norms differ between dimensions, as in trained models: 0.5 to 1.5.
            None => 0.5 + (stream.next() >> 48) as f32 / 65_536.0,
        };
        let bytes = (0..elements).map(value).flat_map(|v| bf16::from_f32(v).to_le_bytes()).collect();
        Tensor { name: self.name, shape: self.shape, bytes }
    }
}

/// SplitMix64, one stream per tensor, so that a tensor does not depend on what was written before it.
struct Stream(u64);

impl Stream {
    fn new(seed: u64, size: Size, name: &str) -> Self {
        let hash = Sha256::digest(format!("tandem test model/{seed}/{}/{name}", layers(size)));
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
