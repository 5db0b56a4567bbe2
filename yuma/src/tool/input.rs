//! An epoch as JSON.

use core::fmt;
use core::marker::PhantomData;
use std::borrow::{Cow, ToOwned};
use std::io::Read;
use std::string::String;
use std::vec;
use std::vec::Vec;
use std::{format, str};

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::refusal::{Code, Refusal};
use crate::{Error, Hyperparameters, LiquidAlpha, Outcome, Profile, Row, Rules, Snapshot};

/// Longest input that is read.
pub const MAX_BYTES: usize = 64 << 20;
/// Most uids: as many as a `u16` can number.
pub const MAX_UIDS: usize = 1 << 16;
/// Most entries of the weights, and as many of the bonds: 2,048 validators that weigh 2,048 miners.
pub const MAX_CELLS: usize = 1 << 22;

/// One epoch, read and checked.
///
/// ```
/// use yuma::tool::{Case, EXAMPLE};
///
/// let case = Case::parse(EXAMPLE.as_bytes())?;
/// assert_eq!(case.run()?.consensus[2].to_u16(), 49_151);
///
/// let refusal = Case::parse(EXAMPLE.replace("[3,1]", "[9,1]").as_bytes()).unwrap_err();
/// assert_eq!(refusal.to_string(), "weights[0][1]: uid 9 is beyond the 4 uids");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The rules by which it is computed.
    pub params: Hyperparameters,
    /// What is paid to both sides together.
    pub emission: u64,
    /// Stake by uid.
    pub stakes: Vec<u128>,
    /// Who votes, and keeps bonds.
    pub permits: Vec<bool>,
    /// Whose stake votes.
    pub active: Vec<bool>,
    /// Weights by uid, ascending whatever their order was.
    pub weights: Vec<Vec<(u16, u16)>>,
    /// Bonds by uid, ascending whatever their order was.
    pub bonds: Vec<Vec<(u16, u16)>>,
}

impl Case {
    /// Reads to the end, but no more than [`MAX_BYTES`].
    ///
    /// # Errors
    /// If reading fails, or as [`Case::parse`].
    pub fn read(reader: impl Read) -> Result<Self, Refusal> {
        let mut json = Vec::new();
        let most = MAX_BYTES as u64 + 1;
        match reader.take(most).read_to_end(&mut json) {
            Ok(_) => Self::parse(&json),
            Err(error) => Err(Refusal::new(Code::Read, "", format!("the input cannot be read: {error}"))),
        }
    }

    /// Reads one document and nothing after it.
    ///
    /// # Errors
    /// A [`Refusal`] with the place of what is wrong. A case that is read is one that the engine accepts.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let refuse = |code, message: &str| Err(Refusal::new(code, "", message));
        if json.len() > MAX_BYTES {
            return refuse(Code::Size, &format!("the input is longer than {MAX_BYTES} bytes"));
        }
        let json = match str::from_utf8(json) {
            Ok(json) if json.trim_ascii().is_empty() => {
                return refuse(Code::Read, "the input is empty, one epoch as JSON is expected");
            }
            Ok(json) => json,
            Err(error) => return refuse(Code::Shape, &format!("not UTF-8 after byte {}", error.valid_up_to())),
        };
        let mut reader = serde_json::Deserializer::from_str(json);
        let Object(document): Object<Document<'_>> =
            serde_path_to_error::deserialize(&mut reader).map_err(|error| {
                // How the library writes the whole document, or no place at all.
                let path = format!("{}", error.path()).replace('?', "");
                Refusal::new(Code::Shape, path.trim_end_matches('.'), error.inner())
            })?;
        reader.end().map_err(|error| Refusal::new(Code::Shape, "", format!("after the document: {error}")))?;
        document.check()
    }

    /// Hands the epoch out in the engine's form.
    pub fn with<T>(&self, look: impl FnOnce(&Snapshot<'_>) -> T) -> T {
        let (weights, bonds) = (rows(&self.weights), rows(&self.bonds));
        look(&Snapshot {
            stakes: &self.stakes,
            permits: &self.permits,
            active: &self.active,
            weights: &weights,
            bonds: &bonds,
        })
    }

    /// Computes the epoch.
    ///
    /// # Errors
    /// None, unless a field was changed after it had been read.
    pub fn run(&self) -> Result<Outcome, Error> {
        self.with(|snapshot| snapshot.run(&self.params))
    }
}

fn rows(table: &[Vec<(u16, u16)>]) -> Vec<Row<'_>> {
    table.iter().map(Vec::as_slice).collect()
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(deserialize_with = "profile")]
    profile: Profile,
    rules: Object<RulesDocument>,
    emission: u64,
    #[serde(borrow)]
    stakes: List<Text<'a>>,
    #[serde(default)]
    permits: Given<List<bool>>,
    #[serde(default)]
    active: Given<List<bool>>,
    weights: Table,
    #[serde(default)]
    bonds: Given<Table>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesDocument {
    #[serde(deserialize_with = "version")]
    version: Rules,
    liquid_alpha: bool,
    kappa: u16,
    bonds_moving_average: u32,
    bonds_penalty: u16,
    alpha_low: u16,
    alpha_high: u16,
    alpha_steepness: i16,
}

impl RulesDocument {
    fn check(&self, profile: Profile) -> Result<Hyperparameters, Refusal> {
        let refuse = |key: &str, message| Err(Refusal::new(Code::Rules, format!("rules.{key}"), message));
        let (most, low, high) = (1_000_000, self.alpha_low, self.alpha_high);
        if self.bonds_moving_average > most {
            let given = self.bonds_moving_average;
            return refuse("bonds_moving_average", format!("{given} is more than {most} parts per million"));
        }
        if self.liquid_alpha && low > high {
            return refuse("alpha_low", format!("{low} is above alpha_high, which is {high}"));
        }
        Ok(Hyperparameters {
            profile,
            liquid_alpha: self.liquid_alpha.then_some(LiquidAlpha { low, high, steepness: self.alpha_steepness }),
            kappa: self.kappa,
            bonds_moving_average: self.bonds_moving_average,
            bonds_penalty: self.bonds_penalty,
            ..Hyperparameters::subtensor(self.version)
        })
    }
}

impl Document<'_> {
    fn check(self) -> Result<Case, Refusal> {
        let params = self.rules.0.check(self.profile)?;
        let stakes = stakes(&self.stakes.0)?;
        let uids = stakes.len();
        let flags = |name, list: Given<List<bool>>| match list.0 {
            Some(List(list)) => same_length(name, list.len(), uids).map(|()| list),
            None => Ok(vec![true; uids]),
        };
        Ok(Case {
            params,
            emission: self.emission,
            permits: flags("permits", self.permits)?,
            active: flags("active", self.active)?,
            weights: self.weights.check("weights", uids)?,
            bonds: match self.bonds.0 {
                Some(bonds) => bonds.check("bonds", uids)?,
                None => vec![Vec::new(); uids],
            },
            stakes,
        })
    }
}

fn same_length(list: &str, given: usize, stakes: usize) -> Result<(), Refusal> {
    if given == stakes {
        return Ok(());
    }
    Err(Refusal::new(Code::Length, list, format!("{given} entries, but there are {stakes} stakes")))
}

fn stakes(texts: &[Text<'_>]) -> Result<Vec<u128>, Refusal> {
    let mut total = 0u128;
    let mut stakes = Vec::with_capacity(texts.len());
    for (uid, text) in texts.iter().enumerate() {
        let refuse = |message: &str| Refusal::new(Code::Stake, format!("stakes[{uid}]"), message);
        if text.0.is_empty() || !text.0.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refuse(&format!("\"{}\" is no decimal number of base units", text.0)));
        }
        // Nothing but digits: what does not parse is too large.
        let stake: u128 = text.0.parse().map_err(|_| refuse("beyond 2^128"))?;
        total = total
            .checked_add(stake)
            .filter(|total| total >> 96 == 0)
            .ok_or_else(|| refuse("brings the total stake to 2^96 or more"))?;
        stakes.push(stake);
    }
    Ok(stakes)
}

fn profile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Profile, D::Error> {
    let Text(name) = Text::deserialize(deserializer)?;
    match name.as_ref() {
        "subtensor" => Ok(Profile::Subtensor),
        "tandem" => Ok(Profile::Tandem),
        name => Err(de::Error::unknown_variant(name, &["subtensor", "tandem"])),
    }
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rules, D::Error> {
    let Text(name) = Text::deserialize(deserializer)?;
    match name.as_ref() {
        "yuma2" => Ok(Rules::Yuma2),
        "yuma3" => Ok(Rules::Yuma3),
        name => Err(de::Error::unknown_variant(name, &["yuma2", "yuma3"])),
    }
}

/// Keys and values, as nothing else: left to itself, serde takes a list of the values, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Expected<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Expected(PhantomData))
    }
}

/// A string, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;
        impl<'de> Visitor<'de> for Expected {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Expected)
    }
}

/// What may be left out, but is not `null`.
struct Given<T>(Option<T>);

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

/// A list with an entry per uid.
struct List<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Expected<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list with an entry per uid")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    bounded(list.len(), MAX_UIDS, "uids")?;
                    list.push(entry);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_seq(Expected(PhantomData))
    }
}

fn bounded<E: de::Error>(before: usize, most: usize, what: &str) -> Result<(), E> {
    if before < most { Ok(()) } else { Err(E::custom(format_args!("more than {most} {what}"))) }
}

/// Sparse rows, one per uid, as they were written.
struct Table(Vec<Vec<(u16, u16)>>);

impl Table {
    /// Brings rows into ascending order.
    fn check(self, name: &str, uids: usize) -> Result<Vec<Vec<(u16, u16)>>, Refusal> {
        same_length(name, self.0.len(), uids)?;
        let mut rows = self.0;
        // The last row, counted from 1, that named a uid.
        let mut seen = vec![0u32; uids];
        for (uid, row) in rows.iter_mut().enumerate() {
            for (position, &(target, _)) in row.iter().enumerate() {
                let refuse =
                    |message: String| Err(Refusal::new(Code::Uid, format!("{name}[{uid}][{position}]"), message));
                match seen.get_mut(usize::from(target)) {
                    None => return refuse(format!("uid {target} is beyond the {uids} uids")),
                    Some(last) if *last == uid as u32 + 1 => {
                        return refuse(format!("uid {target} a second time in this row"));
                    }
                    Some(last) => *last = uid as u32 + 1,
                }
            }
            row.sort_unstable_by_key(|cell| cell.0);
        }
        Ok(rows)
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;
        impl<'de> Visitor<'de> for Expected {
            type Value = Table;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list with a row per uid")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let (mut rows, mut cells) = (Vec::new(), 0);
                while let Some(row) = entries.next_element_seed(RowSeed { before: cells })? {
                    bounded(rows.len(), MAX_UIDS, "uids")?;
                    cells += row.len();
                    rows.push(row);
                }
                Ok(Table(rows))
            }
        }
        deserializer.deserialize_seq(Expected)
    }
}

/// A row after so many cells in the rows before it.
struct RowSeed {
    before: usize,
}

impl<'de> DeserializeSeed<'de> for RowSeed {
    type Value = Vec<(u16, u16)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowSeed {
    type Value = Vec<(u16, u16)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row of [uid, value]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut row = Vec::new();
        while let Some(Cell(uid, value)) = entries.next_element()? {
            bounded(self.before + row.len(), MAX_CELLS, "entries in all rows")?;
            row.push((uid, value));
        }
        Ok(row)
    }
}

struct Cell(u16, u16);

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;
        impl<'de> Visitor<'de> for Expected {
            type Value = Cell;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pair [uid, value]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Self::Value, A::Error> {
                let uid = pair.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let value = pair.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
                match pair.next_element::<IgnoredAny>()? {
                    Some(_) => Err(de::Error::invalid_length(3, &self)),
                    None => Ok(Cell(uid, value)),
                }
            }
        }
        deserializer.deserialize_seq(Expected)
    }
}
