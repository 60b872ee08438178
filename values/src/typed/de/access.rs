//! Elements, entries and variants, each of which adds its step to the path of an error.

use super::Deserializer;
use crate::typed::members::{Given, find_folded};
use crate::{Error, Reader, Result, Token};
use serde::de::{self, DeserializeSeed, Visitor, value::BorrowedStrDeserializer};

pub(super) struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    index: usize,
    length: usize,
}

impl<'a, 'de> Elements<'a, 'de> {
    pub(super) fn new(reader: &'a mut Reader<'de>, length: usize) -> Self {
        Self { reader, index: 0, length }
    }

    /// Steps over what the visitor did not ask for.
    pub(super) fn finish(self) -> Result<()> {
        (self.index..self.length).try_for_each(|_| self.reader.skip().map(drop))
    }
}

impl<'de> de::SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.index == self.length {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        seed.deserialize(Deserializer::new(self.reader)).map(Some).map_err(|error| error.at_index(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.length - self.index)
    }
}

pub(super) struct Entries<'a, 'de> {
    reader: &'a mut Reader<'de>,
    position: usize,
    length: usize,
    /// Where the first key and the present one stand.
    first: Reader<'de>,
    key: Reader<'de>,
    /// For a struct, the names it asks for; and once a name did not match exactly, which members have been given.
    members: Option<&'static [&'static str]>,
    given: Option<Given>,
}

impl<'a, 'de> Entries<'a, 'de> {
    pub(super) fn new(
        reader: &'a mut Reader<'de>,
        length: usize,
        members: Option<&'static [&'static str]>,
    ) -> Self {
        let (first, key) = (reader.clone(), reader.clone());
        Self { reader, position: 0, length, first, key, members, given: None }
    }

    pub(super) fn visit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let value = visitor.visit_map(&mut self)?;
        while self.position < self.length {
            self.reader.skip()?;
            self.reader.skip()?;
            self.position += 1;
        }
        Ok(value)
    }

    /// The member that `name` means, else the name itself, which serde then takes for an unknown one.
    fn resolve(&mut self, members: &'static [&'static str], name: &'de str) -> Result<&'de str> {
        // Mostly they come in the order of declaration.
        if members.get(self.position - 1) == Some(&name) || members.contains(&name) {
            return Ok(name);
        }
        let Some(member) = find_folded(members, name) else { return Ok(name) };
        if self.given.is_none() {
            self.given = Some(self.exact(members)?);
        }
        // An exact match anywhere in the map wins, else the first.
        let new = self.given.as_mut().is_some_and(|given| given.mark(member));
        Ok(if new { members[member] } else { name })
    }

    fn exact(&self, members: &'static [&'static str]) -> Result<Given> {
        let mut given = Given::default();
        let mut reader = self.first.clone();
        for _ in 0..self.length {
            if let Ok(Token::Text(name)) = Reader::new(reader.skip()?).token()
                && let Some(member) = members.iter().position(|candidate| *candidate == name)
            {
                given.mark(member);
            }
            reader.skip()?;
        }
        Ok(given)
    }
}

impl<'de> de::MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        while self.position < self.length {
            let position = self.position;
            self.position += 1;
            self.key = self.reader.clone();
            let Some(members) = self.members else {
                let key = seed.deserialize(Deserializer::new(self.reader));
                return key.map(Some).map_err(|error| error.at_key(position));
            };
            if self.reader.peek() >> 5 == 3 {
                let head = self.reader.head()?;
                let name = self.reader.text(head)?;
                let name = self.resolve(members, name)?;
                return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
            }
            // No member has such a key; serde would take an integer for the number of a member.
            self.reader.skip()?;
            self.reader.skip()?;
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let value = seed.deserialize(Deserializer::new(self.reader));
        value.map_err(|error| error.at_map_value(self.key.rest(), self.position - 1))
    }

    fn size_hint(&self) -> Option<usize> {
        self.members.is_none().then_some(self.length - self.position)
    }
}

/// A variant with content.
pub(super) struct Variant<'a, 'de> {
    pub(super) name: &'de str,
    pub(super) reader: &'a mut Reader<'de>,
}

impl<'a, 'de> de::EnumAccess<'de> for Variant<'a, 'de> {
    type Error = Error;
    type Variant = Deserializer<'a, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant)> {
        let variant = seed.deserialize(BorrowedStrDeserializer::<Error>::new(self.name))?;
        Ok((variant, Deserializer::new(self.reader)))
    }
}

impl<'de> de::VariantAccess<'de> for Deserializer<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        de::Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_tuple(self, length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        de::Deserializer::deserialize_struct(self, "", members, visitor)
    }
}
