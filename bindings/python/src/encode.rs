//! From objects of Python to CBOR, without a tree between.

use perper_values::{DateTime, Decimal, Error, ErrorKind, Integer, MAX_DEPTH, Uuid, Writer, validate};
use pyo3::{
    exceptions::{PyOverflowError, PyUnicodeEncodeError},
    ffi,
    prelude::*,
    types::{
        PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
        PyType,
    },
};

use crate::{errors, types::Types};

type Object<'py> = Bound<'py, PyAny>;

/// Why a value was not encoded.
enum Fault {
    /// It is not of those that can be; with the path to the place.
    Value(Error),
    /// Code of the user's (a property of an enum, an iterator of a mapping) raised something.
    Raised(PyErr),
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Fault::Raised(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Value(error)
    }
}

impl Fault {
    fn within(self, place: impl FnOnce(Error) -> Error) -> Self {
        match self {
            Fault::Value(error) => Fault::Value(place(error)),
            raised @ Fault::Raised(_) => raised,
        }
    }

    fn raise(self, root: &str) -> PyErr {
        match self {
            Fault::Value(error) if root.is_empty() => errors::not_encodable(&error),
            Fault::Value(error) => errors::not_encodable(&error.at_root(root)),
            Fault::Raised(error) => error,
        }
    }
}

/// Appends one value. `root` names it in the path that an error tells.
pub(crate) fn encode(value: &Object<'_>, out: &mut Vec<u8>, root: &str) -> PyResult<()> {
    one(value, out).map_err(|fault| fault.raise(root))
}

/// The values of a call's parameters, each handed on with its bytes.
pub(crate) fn encode_parameters(parameters: &Object<'_>, mut each: impl FnMut(&[u8])) -> PyResult<u32> {
    let parameters = parameters.cast::<PyTuple>()?;
    let mut buffer = Vec::new();
    for (index, parameter) in parameters.iter().enumerate() {
        buffer.clear();
        one(&parameter, &mut buffer)
            .map_err(|fault| fault.within(|error| error.at_index(index)).raise("parameters"))?;
        each(&buffer);
    }
    Ok(u32::try_from(parameters.len()).unwrap_or(u32::MAX - 1))
}

/// The values of a handler's results: a plain tuple is several, `None` is none.
pub(crate) fn encode_results(results: &Object<'_>, mut each: impl FnMut(&[u8])) -> PyResult<u32> {
    if results.is_none() {
        return Ok(0);
    }
    let mut buffer = Vec::new();
    if let Ok(several) = results.cast_exact::<PyTuple>()
        && hint(several)?.is_none()
    {
        for (index, result) in several.iter().enumerate() {
            buffer.clear();
            one(&result, &mut buffer)
                .map_err(|fault| fault.within(|error| error.at_index(index)).raise("results"))?;
            each(&buffer);
        }
        return Ok(u32::try_from(several.len()).unwrap_or(u32::MAX - 1));
    }
    one(results, &mut buffer).map_err(|fault| fault.raise("result"))?;
    each(&buffer);
    Ok(1)
}

/// An item of a stream, and its key if it has one: a pair whose first is an integer, or `keyed`.
pub(crate) fn encode_item(item: &Object<'_>, out: &mut Vec<u8>) -> PyResult<Option<i64>> {
    let py = item.py();
    let pair = match item.cast_exact::<PyTuple>() {
        Ok(pair) => {
            (pair.len() == 2 && hint(pair)?.is_none() && pair.get_item(0)?.is_exact_instance_of::<PyInt>())
                .then_some(pair)
        }
        Err(_) if is_basic(item) => None,
        Err(_) => match item.is_instance(Types::get(py)?.keyed.bind(py))? {
            true => Some(item.cast::<PyTuple>()?),
            false => None,
        },
    };
    let Some(pair) = pair else {
        encode(item, out, "item")?;
        return Ok(None);
    };
    let key = pair.get_item(0)?;
    let key = key.extract::<i64>().map_err(|_| {
        errors::not_encodable(&Error::new(
            ErrorKind::Range,
            format!("item: the key {key} is no signed integer of 64 bits"),
        ))
    })?;
    encode(&pair.get_item(1)?, out, "item")?;
    Ok(Some(key))
}

/// Types that most values are of, for which a look into the tables of classes is saved.
fn is_basic(value: &Object<'_>) -> bool {
    value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyDict>()
        || value.is_exact_instance_of::<PyList>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_none()
}

fn one(value: &Object<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    let mut encoder = Encoder { out, within: Vec::new(), doubtful: false };
    encoder.value(value)?;
    if encoder.doubtful {
        validate(&out[start..])?;
    }
    Ok(())
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    /// The containers that are being written, to tell cycles.
    within: Vec<*mut ffi::PyObject>,
    /// Only a look at the bytes can tell whether keys or elements are distinct.
    doubtful: bool,
}

impl Encoder<'_> {
    fn writer(&mut self) -> Writer<'_> {
        Writer::new(self.out)
    }

    fn value(&mut self, value: &Object<'_>) -> Result<(), Fault> {
        if value.is_none() {
            self.writer().null();
        } else if let Ok(text) = value.cast_exact::<PyString>() {
            return self.text(text);
        } else if value.is_exact_instance_of::<PyInt>() {
            return self.integer(value);
        } else if let Ok(float) = value.cast_exact::<PyFloat>() {
            self.writer().float(float.value());
        } else if let Ok(flag) = value.cast_exact::<PyBool>() {
            let flag = flag.is_true();
            self.writer().bool(flag);
        } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            self.writer().bytes(bytes.as_bytes());
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            return self.nested(value, |it| it.list(list));
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            return self.nested(value, |it| it.dict(dict));
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            if let Some(hint) = hint(tuple)? {
                let hinted = hint.call_method1("_hinted", (tuple.get_item(0)?,))?;
                return self.value(&hinted);
            }
            return self.nested(value, |it| it.tuple(tuple));
        } else {
            return self.rare(value);
        }
        Ok(())
    }

    fn text(&mut self, text: &Bound<'_, PyString>) -> Result<(), Fault> {
        let py = text.py();
        match text.to_cow() {
            Ok(text) => {
                self.writer().text(&text);
                Ok(())
            }
            Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(py) => {
                Err(Error::new(ErrorKind::Utf8, "the text has lone surrogates, which UTF-8 cannot hold")
                    .into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn integer(&mut self, value: &Object<'_>) -> Result<(), Fault> {
        let py = value.py();
        match value.extract::<i64>() {
            Ok(small) => {
                self.writer().integer(small);
                return Ok(());
            }
            Err(error) if error.is_instance_of::<PyOverflowError>(py) => {}
            Err(error) => return Err(error.into()),
        }
        let negative = value.lt(0)?;
        let magnitude = if negative { value.call_method0("__invert__")? } else { value.clone() };
        let bits: usize = magnitude.call_method0("bit_length")?.extract()?;
        let bytes = magnitude.call_method1("to_bytes", (bits.div_ceil(8), "big"))?;
        let integer =
            Integer::from_bignum(negative, bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
        self.writer().big_integer(&integer);
        Ok(())
    }

    /// Writes something that holds others.
    fn nested(
        &mut self,
        value: &Object<'_>,
        write: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let address = value.as_ptr();
        if self.within.contains(&address) {
            let message = format!("this {} contains itself; only trees can be encoded", type_name(value));
            return Err(Error::new(ErrorKind::Depth, message).into());
        }
        if self.within.len() >= MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} deep");
            return Err(Error::new(ErrorKind::Depth, message).into());
        }
        self.within.push(address);
        let outcome = write(self);
        self.within.pop();
        outcome
    }

    fn list(&mut self, list: &Bound<'_, PyList>) -> Result<(), Fault> {
        let length = list.len();
        self.writer().array(length);
        for index in 0..length {
            // Code of the user's may have made it shorter meanwhile.
            let element = list.get_item(index)?;
            self.value(&element).map_err(|fault| fault.within(|error| error.at_index(index)))?;
        }
        Ok(())
    }

    fn tuple(&mut self, tuple: &Bound<'_, PyTuple>) -> Result<(), Fault> {
        self.writer().array(tuple.len());
        self.all(tuple)
    }

    fn all(&mut self, tuple: &Bound<'_, PyTuple>) -> Result<(), Fault> {
        for (index, element) in tuple.iter().enumerate() {
            self.value(&element).map_err(|fault| fault.within(|error| error.at_index(index)))?;
        }
        Ok(())
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Result<(), Fault> {
        // A list of its own: a value's code may change the dictionary while it is written.
        let items = dict.items();
        self.writer().map(items.len());
        for (position, item) in items.iter().enumerate() {
            let item = item.cast::<PyTuple>().map_err(PyErr::from)?;
            self.entry(position, &item.get_item(0)?, &item.get_item(1)?)?;
        }
        Ok(())
    }

    fn entry(&mut self, position: usize, key: &Object<'_>, value: &Object<'_>) -> Result<(), Fault> {
        if let Ok(text) = key.cast_exact::<PyString>() {
            self.text(text).map_err(|fault| fault.within(|error| error.at_key(position)))?;
            let at = |error: Error| match text.to_cow() {
                Ok(text) => error.at_member(&text),
                Err(_) => error.at_entry(position),
            };
            return self.value(value).map_err(|fault| fault.within(at));
        }
        let number = key.is_exact_instance_of::<PyInt>();
        // Keys of these types are as distinct as Python takes them for.
        self.doubtful |= !number && !key.is_exact_instance_of::<PyBytes>();
        self.value(key).map_err(|fault| fault.within(|error| error.at_key(position)))?;
        let index = if number { key.extract::<usize>().ok() } else { None };
        let at = |error: Error| match index {
            Some(index) => error.at_index(index),
            None => error.at_entry(position),
        };
        self.value(value).map_err(|fault| fault.within(at))
    }

    /// Whatever is not of the commonest types.
    fn rare(&mut self, value: &Object<'_>) -> Result<(), Fault> {
        let py = value.py();
        let types = Types::get(py)?;
        if value.is_instance(types.enumeration.bind(py))? {
            return if value.is_instance_of::<PyInt>() {
                let number = value.getattr("value")?;
                self.integer(&number)
            } else {
                let name = value.getattr("name")?;
                if name.is_none() {
                    // A flag that combines several.
                    return Err(unencodable(value));
                }
                self.text(name.cast::<PyString>().map_err(PyErr::from)?)
            };
        }
        if let Ok(text) = value.cast::<PyString>() {
            return self.text(text);
        }
        if value.is_instance_of::<PyInt>() {
            return self.integer(value);
        }
        if let Ok(float) = value.cast::<PyFloat>() {
            self.writer().float(float.value());
            return Ok(());
        }
        if let Ok(bytes) = value.cast::<PyBytes>() {
            self.writer().bytes(bytes.as_bytes());
            return Ok(());
        }
        if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<pyo3::types::PyMemoryView>() {
            let bytes = py.get_type::<PyBytes>().call1((value,))?;
            self.writer().bytes(bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
            return Ok(());
        }
        if value.is_instance(types.datetime.bind(py))? {
            let date_time = date_time(value)?;
            self.writer().date_time(&date_time);
            return Ok(());
        }
        if value.is_instance(types.uuid.bind(py))? {
            let bytes: [u8; 16] = value.getattr("bytes")?.extract()?;
            self.writer().uuid(&Uuid(bytes));
            return Ok(());
        }
        if value.is_instance(types.decimal.bind(py))? {
            let decimal = decimal(value)?;
            self.writer().decimal(&decimal);
            return Ok(());
        }
        self.rare_container(value, types)
    }

    fn rare_container(&mut self, value: &Object<'_>, types: &Types) -> Result<(), Fault> {
        let py = value.py();
        if value.is_instance(types.reference.bind(py))? {
            return self.nested(value, |it| it.reference(value));
        }
        if value.is_instance(types.tagged.bind(py))? {
            let tag: u64 = value.getattr("tag")?.extract()?;
            self.doubtful = true;
            self.writer().tag(tag);
            let content = value.getattr("value")?;
            return self.nested(value, |it| it.value(&content));
        }
        if value.is_instance(types.entries.bind(py))? {
            self.doubtful = true;
            let pairs = value.cast::<PyTuple>().map_err(PyErr::from)?;
            return self.nested(value, |it| {
                it.writer().map(pairs.len());
                for (position, pair) in pairs.iter().enumerate() {
                    it.entry(position, &pair.get_item(0)?, &pair.get_item(1)?)?;
                }
                Ok(())
            });
        }
        if value.is_instance(types.elements.bind(py))? {
            return self.set(value, value.cast::<PyTuple>().map_err(PyErr::from)?);
        }
        if value.is_instance_of::<PySet>() || value.is_instance_of::<PyFrozenSet>() {
            let elements = py.get_type::<PyTuple>().call1((value,))?;
            return self.set(value, elements.cast::<PyTuple>().map_err(PyErr::from)?);
        }
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return self.nested(value, |it| it.tuple(tuple));
        }
        if let Ok(list) = value.cast::<PyList>() {
            return self.nested(value, |it| it.list(list));
        }
        if value.is_instance(types.mapping.bind(py))? {
            let items = py.get_type::<PyTuple>().call1((value.call_method0("items")?,))?;
            let items = items.cast::<PyTuple>().map_err(PyErr::from)?;
            return self.nested(value, |it| {
                it.writer().map(items.len());
                for (position, item) in items.iter().enumerate() {
                    it.entry(position, &item.get_item(0)?, &item.get_item(1)?)?;
                }
                Ok(())
            });
        }
        // A dataclass: its fields as a map, by their names.
        if !value.is_instance_of::<PyType>()
            && let Ok(fields) = value.getattr("__dataclass_fields__")
        {
            let names = py.import("dataclasses")?.call_method1("fields", (value,))?;
            let names = names.cast::<PyTuple>().map_err(PyErr::from)?;
            drop(fields);
            return self.nested(value, |it| {
                it.writer().map(names.len());
                for (position, field) in names.iter().enumerate() {
                    let name = field.getattr("name")?;
                    let member = value.getattr(name.cast::<PyString>().map_err(PyErr::from)?)?;
                    it.entry(position, &name, &member)?;
                }
                Ok(())
            });
        }
        Err(unencodable(value))
    }

    fn set(&mut self, value: &Object<'_>, elements: &Bound<'_, PyTuple>) -> Result<(), Fault> {
        self.doubtful = true;
        self.nested(value, |it| {
            it.writer().set(elements.len());
            it.all(elements)
        })
    }

    fn reference(&mut self, value: &Object<'_>) -> Result<(), Fault> {
        let written = value.call_method0("_write")?;
        let (kind, id, options): (String, String, Bound<'_, PyDict>) = written.extract()?;
        self.writer().reference(&kind, &id, options.len());
        for (name, option) in options {
            let name = name.cast_into::<PyString>().map_err(PyErr::from)?;
            self.text(&name)?;
            self.value(&option)?;
        }
        Ok(())
    }
}

fn decimal(value: &Object<'_>) -> Result<Decimal, Fault> {
    let (negative, digits, exponent): (u8, Vec<u8>, Object<'_>) =
        value.call_method0("as_tuple")?.extract()?;
    let unfit = || {
        let message = format!("the decimal {value} is not finite, or has too many digits, to be encoded");
        Error::new(ErrorKind::Range, message)
    };
    // The exponent of an infinity is a letter.
    let exponent = exponent.extract::<i32>().map_err(|_| unfit())?;
    let sign = if negative == 1 { "-" } else { "" };
    let digits: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
    let coefficient: Decimal = format!("{sign}{digits}").parse().map_err(|_| unfit())?;
    Ok(Decimal::new(coefficient.coefficient().clone(), exponent)?)
}

/// The class in a pair of a value and a type that tells how to write it, as Perper 0.8 had them.
fn hint<'py>(pair: &Bound<'py, PyTuple>) -> PyResult<Option<Object<'py>>> {
    if pair.len() != 2 {
        return Ok(None);
    }
    let second = pair.get_item(1)?;
    let is_hint = second.is_instance_of::<PyType>() && second.hasattr("_hinted")?;
    Ok(is_hint.then_some(second))
}

fn type_name(value: &Object<'_>) -> String {
    value.get_type().fully_qualified_name().map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

fn unencodable(value: &Object<'_>) -> Fault {
    let message = format!(
        "an object of type {} cannot be encoded; see docs/values.md for what can, or make it a dataclass",
        type_name(value)
    );
    Error::new(ErrorKind::Custom, message).into()
}

fn date_time(value: &Object<'_>) -> Result<DateTime, Fault> {
    let offset = value.call_method0("utcoffset")?;
    if offset.is_none() {
        let message =
            format!("the date-time {value} has no time zone; use datetime.now(timezone.utc) and the like");
        return Err(Error::new(ErrorKind::Type, message).into());
    }
    let field = |name: &str| value.getattr(name)?.extract::<i64>();
    let seconds =
        offset.getattr("days")?.extract::<i64>()? * 86_400 + offset.getattr("seconds")?.extract::<i64>()?;
    let minutes = i16::try_from(seconds / 60).unwrap_or(i16::MAX);
    if seconds % 60 != 0 || offset.getattr("microseconds")?.extract::<i64>()? != 0 {
        let message = format!("the date-time {value} has an offset that is no whole number of minutes");
        return Err(Error::new(ErrorKind::Range, message).into());
    }
    let days = days(field("year")?, field("month")?, field("day")?);
    let local = days * 86_400 + field("hour")? * 3600 + field("minute")? * 60 + field("second")?;
    let nanosecond = if value.hasattr("nanosecond")? { field("nanosecond")? } else { 0 };
    let nanos = u32::try_from(field("microsecond")? * 1000 + nanosecond).unwrap_or(u32::MAX);
    Ok(DateTime::new(local - seconds, nanos, minutes)?)
}

/// Days from 1970-01-01 to a date; see `civil` in `decode.rs`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
