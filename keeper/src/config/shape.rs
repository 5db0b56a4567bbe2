//! Which keys a configuration has, learnt from the types that read it, so that no second list of them can go stale.
//!
//! serde tells a deserializer the fields of a struct before it asks for their values. [`Shape::of`] walks into one field
//! after the other, notes what it is asked for, and breaks off.

use std::{cell::RefCell, fmt};

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, VariantAccess, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};

/// What stands at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text, or what is written as one.
    Text,
    /// Any other value: number, list, table with free keys.
    Value,
    /// A table with these keys.
    Table(Vec<(&'static str, Shape)>),
    /// One of these words, or a table with exactly one of these keys.
    OneOf(Vec<(&'static str, Shape)>),
}

impl Shape {
    /// The shape of what `T` reads.
    pub fn of<T: DeserializeOwned>() -> Self {
        explore::<T>(&mut Vec::new())
    }

    /// What stands at the key `name` below this one.
    pub fn child(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Table(children) | Self::OneOf(children) => {
                children.iter().find(|(child, _)| *child == name).map(|(_, shape)| shape)
            }
            Self::Text | Self::Value => None,
        }
    }

    /// Every key that takes a value, dotted, in the order of the types. A choice is one key.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        self.collect("", &mut keys);
        keys
    }

    fn collect(&self, prefix: &str, keys: &mut Vec<String>) {
        match self {
            Self::Table(children) => {
                for (name, shape) in children {
                    let dot = if prefix.is_empty() { "" } else { "." };
                    shape.collect(&format!("{prefix}{dot}{name}"), keys);
                }
            }
            _ => keys.push(prefix.to_owned()),
        }
    }
}

#[derive(Clone, Copy)]
enum Found {
    Text,
    Value,
    Nothing,
    Table(&'static [&'static str]),
    OneOf(&'static [&'static str]),
}

fn explore<T: DeserializeOwned>(path: &mut Vec<&'static str>) -> Shape {
    let found = RefCell::new(Found::Value);
    // The answer is always an error: the walk breaks off as soon as it has seen what it came for.
    let _ = T::deserialize(Probe { path, found: &found });
    let mut children = |names: &[&'static str]| {
        let mut explored = Vec::new();
        for name in names {
            path.push(name);
            explored.push((*name, explore::<T>(path)));
            path.pop();
        }
        explored
    };
    match found.into_inner() {
        Found::Text => Shape::Text,
        Found::Value => Shape::Value,
        Found::Nothing => Shape::Table(Vec::new()),
        Found::Table(names) => Shape::Table(children(names)),
        Found::OneOf(names) => Shape::OneOf(children(names)),
    }
}

/// Breaks a walk off.
#[derive(Debug)]
struct Seen;

impl fmt::Display for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("seen")
    }
}

impl std::error::Error for Seen {}

impl de::Error for Seen {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Walks along `path` and notes what is asked for at its end.
#[derive(Clone, Copy)]
struct Probe<'a> {
    path: &'a [&'static str],
    found: &'a RefCell<Found>,
}

impl<'a> Probe<'a> {
    fn note<T>(self, found: Found) -> Result<T, Seen> {
        if self.path.is_empty() {
            *self.found.borrow_mut() = found;
        }
        Err(Seen)
    }

    fn next(self) -> Option<(&'static str, Self)> {
        self.path.split_first().map(|(name, path)| (*name, Self { path, found: self.found }))
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Seen;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Seen> {
        self.note(Found::Value)
    }

    fn deserialize_str<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Seen> {
        self.note(Found::Text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Seen> {
        self.note(Found::Text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Seen> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Seen> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Seen> {
        match self.next() {
            Some((name, below)) => visitor.visit_map(One { name: Some(name), below }),
            None => self.note(Found::Table(fields)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Seen> {
        match self.next() {
            Some((name, below)) => visitor.visit_enum(One { name: Some(name), below }),
            None => self.note(Found::OneOf(variants)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple tuple_struct
        map identifier ignored_any
    }
}

/// A table, or a choice, of which only one key is shown.
struct One<'a> {
    name: Option<&'static str>,
    below: Probe<'a>,
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Seen;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Seen> {
        let Some(name) = self.name.take() else { return Ok(None) };
        let name: StrDeserializer<'_, Seen> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Seen> {
        seed.deserialize(self.below)
    }
}

impl<'de> EnumAccess<'de> for One<'_> {
    type Error = Seen;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Seen> {
        let name: StrDeserializer<'_, Seen> = self.name.unwrap_or_default().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for One<'_> {
    type Error = Seen;

    fn unit_variant(self) -> Result<(), Seen> {
        self.below.note(Found::Nothing)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Seen> {
        seed.deserialize(self.below)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Seen> {
        self.below.note(Found::Value)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Seen> {
        self.below.deserialize_struct("", fields, visitor)
    }
}
