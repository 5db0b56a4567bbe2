//! File, environment and flags laid over each other, the later one winning. Whatever is wrong is said with the place where
//! it was written: line of the file, variable, or flag. No text of a key, and no URL, gets into such a message.

use std::{collections::BTreeMap, fmt, ops::Range, path::Path, sync::LazyLock};

use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::{Config, ConfigError, Overrides, shape::Shape};
use crate::chain::without_urls;

/// Begins the names of environment variables that set a key: `TANDEM_KEEPER__SENDER__MAX_FEE_WEI` sets
/// `sender.max_fee_wei`.
pub const ENVIRONMENT: &str = "TANDEM_KEEPER__";

static SHAPE: LazyLock<Shape> = LazyLock::new(Shape::of::<Config>);

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Line(usize),
    Variable(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::Variable(name) => write!(formatter, "environment variable {name}"),
            Self::Flag(name) => write!(formatter, "flag {name}"),
        }
    }
}

/// Every key that a configuration can have, dotted.
pub fn keys() -> Vec<String> {
    SHAPE.keys()
}

/// The values so far, and where each was written.
struct Layers<'a> {
    path: &'a Path,
    text: &'a str,
    table: Table,
    origins: BTreeMap<String, Origin>,
}

/// Reads `text`, lays `environment` and `overrides` over it and checks everything.
pub(super) fn load(
    path: &Path,
    text: &str,
    environment: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    let mut layers = Layers { path, text, table: Table::new(), origins: BTreeMap::new() };
    layers.read_file()?;
    let mut variables: Vec<(String, String)> =
        environment.filter(|(name, value)| name.starts_with(ENVIRONMENT) && !value.is_empty()).collect();
    variables.sort();
    for (name, value) in variables {
        let path: Vec<String> = name[ENVIRONMENT.len()..].split("__").map(str::to_ascii_lowercase).collect();
        layers.set(&path, &value, Origin::Variable(name))?;
    }
    for (flag, path, value) in overrides.named() {
        layers.set(&path, &value, Origin::Flag(flag))?;
    }
    layers.finish()
}

impl Layers<'_> {
    fn malformed(&self, place: Option<&Origin>, reason: impl fmt::Display) -> ConfigError {
        let place = place.map_or_else(String::new, |origin| format!("{origin}: "));
        ConfigError::Malformed { path: self.path.to_owned(), reason: format!("{place}{reason}") }
    }

    fn line(&self, span: &Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        Origin::Line(before.matches('\n').count() + 1)
    }

    fn read_file(&mut self) -> Result<(), ConfigError> {
        // The library shows the whole line of a fault, and a line may hold what somebody took for the place of a key.
        let fault = |error: toml::de::Error| {
            let line = error.span().map(|span| self.line(&span));
            self.malformed(line.as_ref(), hidden(error.message()))
        };
        let spans = DeTable::parse(self.text).map_err(fault)?;
        self.table = toml::from_str(self.text).map_err(fault)?;
        let mut origins = BTreeMap::new();
        self.known(spans.get_ref(), &SHAPE, "", &mut origins)?;
        self.origins = origins;
        Ok(())
    }

    /// Refuses keys that do not exist and notes the lines of those that do.
    fn known(
        &self,
        table: &DeTable<'_>,
        shape: &Shape,
        prefix: &str,
        origins: &mut BTreeMap<String, Origin>,
    ) -> Result<(), ConfigError> {
        for (key, value) in table.iter() {
            let path = joined(prefix, key.get_ref());
            let line = self.line(&key.span());
            let Some(below) = shape.child(key.get_ref()) else {
                return Err(self.malformed(Some(&line), unknown(&path)));
            };
            origins.insert(path.clone(), line);
            if let (DeValue::Table(inner), Shape::Table(_) | Shape::OneOf(_)) = (value.get_ref(), below) {
                self.known(inner, below, &path, origins)?;
            }
        }
        Ok(())
    }

    /// Sets a key from its text.
    fn set(&mut self, path: &[String], text: &str, origin: Origin) -> Result<(), ConfigError> {
        let mut shape = &*SHAPE;
        for (depth, name) in path.iter().enumerate() {
            shape = match shape.child(name) {
                Some(below) => below,
                None => {
                    return Err(ConfigError::Layer {
                        place: origin.to_string(),
                        reason: unknown(&path[..=depth].join(".")),
                    });
                }
            };
        }
        let value = match shape {
            Shape::Text => Value::String(text.to_owned()),
            Shape::Table(_) => {
                let reason = format!("{} is a section: set one of its keys", path.join("."));
                return Err(ConfigError::Layer { place: origin.to_string(), reason });
            }
            Shape::Value | Shape::OneOf(_) => {
                let parsed: Result<Table, _> = toml::from_str(&format!("value = {text}"));
                parsed
                    .ok()
                    .and_then(|mut table| table.remove("value"))
                    .unwrap_or_else(|| Value::String(text.to_owned()))
            }
        };
        let (mut table, mut shape) = (&mut self.table, &*SHAPE);
        let Some((last, parents)) = path.split_last() else { return Ok(()) };
        for name in parents {
            // Of a choice there is one: the newer.
            if matches!(shape, Shape::OneOf(_)) {
                table.retain(|key, _| key == name);
            }
            shape = shape.child(name).unwrap_or(shape);
            let below = table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
            if !below.is_table() {
                *below = Value::Table(Table::new());
            }
            table = match below {
                Value::Table(below) => below,
                _ => return Ok(()),
            };
        }
        if matches!(shape, Shape::OneOf(_)) {
            table.clear();
        }
        table.insert(last.clone(), value);
        let path = path.join(".");
        let below = format!("{path}.");
        self.origins.retain(|key, _| !key.starts_with(&below));
        self.origins.insert(path, origin);
        Ok(())
    }

    /// Where `path`, or the closest thing above it, was written.
    fn origin(&self, path: &str) -> Option<&Origin> {
        let mut path = path;
        loop {
            if let Some(origin) = self.origins.get(path) {
                return Some(origin);
            }
            path = path.rsplit_once('.')?.0;
        }
    }

    fn finish(mut self) -> Result<Config, ConfigError> {
        let table = std::mem::take(&mut self.table);
        let config: Config = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            let origin = self.origin(&path);
            let words = error.inner().message().trim();
            let reason = match words.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
                Some(field) => {
                    let key = joined(&path, field);
                    format!("`{key}` is missing: set it in the file or as {}", variable(&key))
                }
                None => {
                    let near_secrets = ["keys", "store"].iter().any(|section| path.starts_with(section));
                    format!("`{path}`: {}", if near_secrets { unquoted(words) } else { hidden(words) })
                }
            };
            match origin {
                Some(origin @ (Origin::Variable(_) | Origin::Flag(_))) => {
                    ConfigError::Layer { place: origin.to_string(), reason }
                }
                origin => self.malformed(origin, reason),
            }
        })?;
        config.check().map_err(|error| match error {
            ConfigError::OutOfRange { name, reason } => {
                let place = self.origin(name).map_or_else(String::new, |origin| format!(" ({origin})"));
                ConfigError::OutOfRange { name, reason: format!("{reason}{place}") }
            }
            other => other,
        })?;
        Ok(config)
    }
}

impl Overrides {
    /// Name of the flag, key and value of each that was given.
    fn named(&self) -> Vec<(String, Vec<String>, String)> {
        let mut named = Vec::new();
        let mut add = |flag: &str, key: &str, value: Option<String>| {
            named.extend(value.map(|value| (flag.to_owned(), vec![key.to_owned()], value)));
        };
        add("--rpc", "rpc", self.rpc.clone());
        add("--manifest", "manifest", self.manifest.as_ref().map(|path| path.display().to_string()));
        add("--data-dir", "data_dir", self.data_dir.as_ref().map(|path| path.display().to_string()));
        add("--listen", "listen", self.listen.map(|address| address.to_string()));
        for (key, value) in &self.set {
            let path = key.split('.').map(str::to_owned).collect();
            named.push((format!("--set {key}"), path, value.clone()));
        }
        named
    }
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn variable(key: &str) -> String {
    format!("{ENVIRONMENT}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// That a key does not exist, with the one that was probably meant.
fn unknown(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    let parent = path.strip_suffix(last).unwrap_or_default();
    let mut names = Vec::new();
    names_in(&SHAPE, "", &mut names);
    let closest = names
        .iter()
        .map(|name| {
            let same_parent = name.strip_prefix(parent).is_some_and(|rest| !rest.contains('.'));
            let name_last = name.rsplit('.').next().unwrap_or(name);
            // Units at the end are easily left out.
            let cut = last.len() > 2 && name_last.starts_with(last);
            (if cut { 1 } else { strsim::damerau_levenshtein(last, name_last) }, !same_parent, name)
        })
        .filter(|(distance, ..)| *distance <= 1 + last.len() / 4)
        .min();
    let path = hidden(path);
    match closest {
        Some((.., name)) => format!("there is no key `{path}`; did you mean `{name}`?"),
        None => format!("there is no key `{path}`"),
    }
}

fn names_in(shape: &Shape, prefix: &str, names: &mut Vec<String>) {
    if let Shape::Table(children) | Shape::OneOf(children) = shape {
        for (name, below) in children {
            let path = joined(prefix, name);
            names_in(below, &path, names);
            names.push(path);
        }
    }
}

/// Words without URLs and without anything that could be a key.
fn hidden(words: &str) -> String {
    let words = without_urls(&words);
    let (mut shown, mut run) = (String::new(), String::new());
    let flush = |run: &mut String, shown: &mut String| {
        shown.push_str(if run.len() > 40 { "[hidden]" } else { run });
        run.clear();
    };
    for letter in words.chars() {
        if letter.is_ascii_hexdigit() {
            run.push(letter);
        } else {
            flush(&mut run, &mut shown);
            shown.push(letter);
        }
    }
    flush(&mut run, &mut shown);
    shown
}

/// Words without the values in them.
fn unquoted(words: &str) -> String {
    let parts = words.split('"').enumerate();
    let shown: Vec<&str> = parts.map(|(index, part)| if index % 2 == 0 { part } else { "[hidden]" }).collect();
    let shown = hidden(&shown.join("\""));
    // An unknown word stands between the first two backticks; those after them are the words that are known.
    match shown.strip_prefix("unknown ").and_then(|rest| rest.split_once('`')?.1.split_once('`')) {
        Some((_, rest)) => format!("an unknown word{rest}"),
        None => shown,
    }
}
