//! A model's files: `config.json`, safetensors weights, `tokenizer.json`. They come from strangers; every error names
//! the file, and the tensor or field in it, that is wrong.

mod chat;
mod config;
mod pyjson;
mod rope;
mod speech;
mod text;
mod weights;

use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub use chat::{ChatError, ChatTemplate, Message, Role};
pub use config::{Architecture, ModelConfig};
pub use rope::{Rope, RopeScaling, RopeTable};
pub use speech::{MAX_STOP_BYTES, MAX_STOPS, Speech, Stops, stop_at};
pub use text::Text;
pub use weights::Weights;

const GENERATION: &str = "generation_config.json";
/// Files that change answers or prompts and need not be there.
const OPTIONAL: [&str; 3] = [GENERATION, "tokenizer_config.json", "chat_template.jinja"];

/// Why a model cannot be used.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A file is missing or unreadable.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// `config.json` is not what it should be, or asks for something that is not supported.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The field and what is wrong with it.
        reason: String,
    },
    /// An architecture that nobody implemented here.
    #[error("{}: unknown architecture {name:?}, supported: {supported}", path.display(), supported = Architecture::SUPPORTED)]
    Architecture {
        /// The file.
        path: PathBuf,
        /// The architecture asked for.
        name: String,
    },
    /// A weights file or its index is broken.
    #[error("{}: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor is missing or not what the configuration says.
    #[error("tensor {name}: {reason}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `tokenizer.json` is broken or does not fit the model.
    #[error("{}: {reason}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl ModelError {
    pub(crate) fn tensor(name: &str, reason: impl Into<String>) -> Self {
        Self::Tensor { name: name.to_owned(), reason: reason.into() }
    }
}

/// A model's folder with its configuration parsed and its weights mapped into memory.
#[derive(Debug)]
pub struct ModelFiles {
    dir: PathBuf,
    config: ModelConfig,
    weights: Weights,
}

impl ModelFiles {
    /// Opens the folder of a model as it lies on the hub. Tokens that end an answer are those of `config.json` and those of
    /// `generation_config.json`, if there is one.
    ///
    /// # Errors
    /// [`ModelError`] where `config.json` or the weights are missing, broken or unsupported. Tensors are checked when
    /// a backend takes them, the tokenizer when [`tokenizer`](Self::tokenizer) is called.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, ModelError> {
        let dir = dir.as_ref().to_owned();
        let mut config = ModelConfig::read(&dir.join("config.json"))?;
        config.add_generation(&dir.join(GENERATION))?;
        let weights = Weights::open(&dir)?;
        Ok(Self { dir, config, weights })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The tensors.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Checks that the files hold every tensor that the configuration asks for, of the right type and shape, and none that
    /// it has no use for: a bias or a norm that nobody reads would be another model's.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] naming the tensor.
    pub fn check_tensors(&self) -> Result<(), ModelError> {
        let asked = self.config.tensors();
        for (name, shape) in &asked {
            self.weights.bf16(name, shape)?;
        }
        let asked: HashSet<&str> = asked.iter().map(|(name, _)| name.as_str()).collect();
        // Old files carry the rotary frequencies, and some a copy of the tied matrix.
        let idle = |name: &str| {
            name.ends_with(".rotary_emb.inv_freq") || (self.config.tie_word_embeddings && name == "lm_head.weight")
        };
        match self.weights.names().find(|name| !asked.contains(name.as_str()) && !idle(name)) {
            Some(name) => Err(ModelError::tensor(&name, "the configuration has no use for it")),
            None => Ok(()),
        }
    }

    /// Reads `tokenizer.json` and the chat template.
    ///
    /// # Errors
    /// [`ModelError`] when it is missing, broken, or has tokens that the model does not.
    pub fn tokenizer(&self) -> Result<Text, ModelError> {
        Text::read(&self.dir, self.config.vocab_size)
    }

    /// SHA-256 over name, length and content of `config.json`, `tokenizer.json`, all weights files and, where they exist,
    /// `generation_config.json`, `tokenizer_config.json` and `chat_template.jinja`, in the order of their names: what two parties
    /// compare to know that they run the same model.
    ///
    /// # Errors
    /// [`ModelError::Read`].
    pub fn digest(&self) -> Result<[u8; 32], ModelError> {
        let mut paths = vec![self.dir.join("config.json"), self.dir.join("tokenizer.json")];
        let optional = OPTIONAL.iter().map(|name| self.dir.join(name));
        paths.extend(optional.filter(|path| path.try_exists().unwrap_or_default()));
        paths.extend(self.weights.files().map(Path::to_owned));
        paths.sort();
        let mut hash = Sha256::new();
        for path in paths {
            let failed = |error| ModelError::Read { path: path.clone(), error };
            let mut file = std::fs::File::open(&path).map_err(failed)?;
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update(file.metadata().map_err(failed)?.len().to_le_bytes());
            std::io::copy(&mut file, &mut hash).map_err(failed)?;
        }
        Ok(hash.finalize().into())
    }
}

/// A file's content; `None` if it is larger than `limit` bytes, as a stranger's may be.
fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ModelError> {
    let failed = |error| ModelError::Read { path: path.to_owned(), error };
    let mut content = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut content).map_err(failed)?;
    Ok((content.len() as u64 <= limit).then_some(content))
}

/// Reads a JSON file of bounded size.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path, limit: u64) -> Result<Result<T, String>, ModelError> {
    Ok(match read(path, limit)? {
        None => Err(format!("larger than {limit} bytes")),
        Some(text) => serde_json::from_slice(&text).map_err(|error| error.to_string()),
    })
}
