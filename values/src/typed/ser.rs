//! Serialisation.

use super::hook;
use crate::validate::deeper;
use crate::{Error, Result, Writer, validate};
use serde::ser::{self, Serialize};

/// Encodes anything that is `Serialize`.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(128);
    to_buffer(value, &mut out)?;
    Ok(out)
}

/// The same, appended to a buffer. After an error the buffer is as it was.
pub fn to_buffer<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let mut doubtful = false;
    let result = value
        .serialize(Serializer { out, depth: 0, doubtful: &mut doubtful, form: Form::Item })
        .and_then(|()| if doubtful { validate(&out[start..]) } else { Ok(()) });
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Writes one value. See [`to_vec`].
#[derive(Debug)]
pub struct Serializer<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
    /// Set when only a look at the finished bytes can tell whether they keep the rules, such as distinct keys of a
    /// map; structs and arrays need no such look.
    doubtful: &'a mut bool,
    form: Form,
}

/// How the next thing is written; anything but `Item` comes from a hook. A hook used wrongly writes something else
/// than it meant, which the look at the finished bytes finds if it breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Item,
    /// Bytes are put in place as they are.
    Raw,
    /// A tuple has no head, and its first element is the number of a tag.
    Tagged,
    /// A `u64` is the number of a tag.
    Tag,
    /// An array is no level of its own, being part of a scalar.
    Flat,
}

impl<'a> Serializer<'a> {
    fn writer(&mut self) -> Writer<'_> {
        Writer::new(self.out)
    }

    /// For something within this, in its ordinary form.
    fn within(&mut self) -> Serializer<'_> {
        Serializer { out: self.out, depth: self.depth, doubtful: self.doubtful, form: Form::Item }
    }

    /// Opens an array (major type 4) or map (5) of so many elements or entries, if that is known.
    fn open(self, major: u8, length: Option<usize>) -> Result<Compound<'a>> {
        let depth = if self.form == Form::Flat { self.depth } else { deeper(self.depth)? };
        let start = self.out.len();
        let pair = self.form == Form::Tagged;
        if !pair {
            Writer::new(self.out).head(major, length.unwrap_or(0) as u64);
        }
        Ok(Compound {
            announced: length.unwrap_or(0),
            pair,
            major,
            start,
            body: self.out.len(),
            key: 0,
            count: 0,
            inner: Serializer { depth, form: Form::Item, ..self },
        })
    }

    /// Opens the content of a variant that has some: a map of one entry.
    fn variant(mut self, variant: &str) -> Result<Self> {
        let depth = deeper(self.depth)?;
        let mut writer = self.writer();
        writer.map(1);
        writer.text(variant);
        Ok(Self { depth, form: Form::Item, ..self })
    }
}

macro_rules! integers {
    ($($method:ident $type:ty,)*) => {$(
        fn $method(mut self, value: $type) -> Result<()> {
            self.writer().integer(value);
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for Serializer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Variant<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Variant<'a>;

    integers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32,
    }

    fn serialize_u64(mut self, value: u64) -> Result<()> {
        match self.form {
            Form::Tag => self.writer().tag(value),
            _ => self.writer().integer(value),
        }
        Ok(())
    }

    fn serialize_u128(mut self, value: u128) -> Result<()> {
        self.writer().big_integer(&value.into());
        Ok(())
    }

    fn serialize_bool(mut self, value: bool) -> Result<()> {
        self.writer().bool(value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(mut self, value: f64) -> Result<()> {
        self.writer().float(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(mut self, value: &str) -> Result<()> {
        self.writer().text(value);
        Ok(())
    }

    fn serialize_bytes(mut self, value: &[u8]) -> Result<()> {
        match self.form {
            Form::Raw => self.writer().encoded(value),
            _ => self.writer().bytes(value),
        }
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(mut self) -> Result<()> {
        self.writer().null();
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        if let Some(tag) = hook::tag(name) {
            // Sets may hold equal elements, and whoever uses a hook by hand may err about the content.
            *self.doubtful = true;
            self.writer().tag(tag);
            let form = if name == hook::DECIMAL { Form::Flat } else { Form::Item };
            return value.serialize(Self { form, ..self });
        }
        let form = match name {
            hook::RAW => Form::Raw,
            hook::TAGGED => Form::Tagged,
            _ => return value.serialize(self),
        };
        *self.doubtful = true;
        value.serialize(Self { form, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self.variant(variant)?).map_err(|error| error.at_member(variant))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Compound<'a>> {
        self.open(4, length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Compound<'a>> {
        self.open(4, Some(length))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Compound<'a>> {
        self.open(4, Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Variant<'a>> {
        Ok(Variant(self.variant(variant)?.open(4, Some(length))?, variant))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Compound<'a>> {
        *self.doubtful |= length.is_none_or(|length| length > 1);
        self.open(5, length)
    }

    fn serialize_struct(self, _name: &'static str, length: usize) -> Result<Compound<'a>> {
        self.open(5, Some(length))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Variant<'a>> {
        Ok(Variant(self.variant(variant)?.open(5, Some(length))?, variant))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// An open array or map.
#[derive(Debug)]
pub struct Compound<'a> {
    inner: Serializer<'a>,
    major: u8,
    announced: usize,
    count: usize,
    /// Where the head begins, where the elements begin, and where the present key begins.
    start: usize,
    body: usize,
    key: usize,
    /// Whether this is no array at all, but a tag and its content.
    pair: bool,
}

impl Compound<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let index = self.count;
        self.count += 1;
        if self.pair {
            let form = if index == 0 { Form::Tag } else { Form::Item };
            return value.serialize(Serializer { form, ..self.inner.within() });
        }
        value.serialize(self.inner.within()).map_err(|error| error.at_index(index))
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.count += 1;
        self.inner.writer().text(name);
        value.serialize(self.inner.within()).map_err(|error| error.at_member(name))
    }

    /// Corrects the head if the length was not known, or told wrongly.
    fn close(self) -> Result<()> {
        if self.count != self.announced && !self.pair {
            let mut head = Vec::new();
            Writer::new(&mut head).head(self.major, self.count as u64);
            self.inner.out.splice(self.start..self.body, head);
        }
        Ok(())
    }
}

impl ser::SerializeSeq for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

impl ser::SerializeTuple for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

impl ser::SerializeTupleStruct for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let position = self.count;
        self.count += 1;
        self.key = self.inner.out.len();
        key.serialize(self.inner.within()).map_err(|error| error.at_key(position))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value
            .serialize(self.inner.within())
            .map_err(|error| error.at_map_value(&self.inner.out[self.key..], self.count.saturating_sub(1)))
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

impl ser::SerializeStruct for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.member(name, value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

/// An open variant with its name, for the path.
#[derive(Debug)]
pub struct Variant<'a>(Compound<'a>, &'static str);

impl ser::SerializeTupleVariant for Variant<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.0.element(value).map_err(|error| error.at_member(self.1))
    }

    fn end(self) -> Result<()> {
        self.0.close()
    }
}

impl ser::SerializeStructVariant for Variant<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.0.member(name, value).map_err(|error| error.at_member(self.1))
    }

    fn end(self) -> Result<()> {
        self.0.close()
    }
}
