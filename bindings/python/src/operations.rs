//! What Python asks for, as records of a batch. `perper::application::worker::packed` describes them; the tables here are
//! its tables, a letter for each field.

use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyDict, PyList, PyString, PyTuple},
};

use crate::encode;

/// The fields of an operation:
///
/// | letter | Python | record |
/// | --- | --- | --- |
/// | `n` | an `int` of 0 and more | `u64` |
/// | `w` | the same | `u32` |
/// | `c` | the same | `u8` |
/// | `i` | an `int` | `i64` |
/// | `k` | an `int` or `None` | `bool` and `i64` |
/// | `b` | a `bool` | `bool` |
/// | `t` | a `str` | `text` |
/// | `y` | `bytes` | `bytes` |
/// | `v` | any value | `value` |
/// | `P` | a tuple of parameters | `[value]` |
/// | `R` | results: `None`, one, a tuple of several | `[value]` |
/// | `H` | a dict of headers, or `None` | `[text name, text value]` |
/// | `T` | a sequence of `str` | `[text]` |
/// | `F` | type, message and stack trace | `failure` |
/// | `E` | the same, or `None` | `bool` and `failure` |
/// | `M` | a failure or `None`, and results | `bool` and either |
/// | `O` | persistent, action, stride, first key, backlog, indexed members | `options` |
/// | `D` | a list of operation, key, value, expected; `...` for an empty one | operations on a dictionary |
/// | `e` | any value, `...` for an empty one | `value` |
fn fields_of(operation: u8) -> Option<&'static str> {
    Some(match operation {
        1 => "nR",
        2 => "nF",
        3 => "n",
        4 => "n",
        5 | 6 => "",
        7 => "n",
        10 => "nntttPH",
        11 => "nntttPH",
        12 => "tbn",
        13 => "nbnttttPHttbb",
        14..=16 => "t",
        17 => "tM",
        20 => "ntOtbt",
        21 => "ntOt",
        22 => "ntE",
        23..=25 => "nt",
        26 => "ntt",
        27 => "ntkw",
        30 => "nntn",
        32 | 33 => "n",
        34 => "tv",
        35 => "ntttcinnb",
        36 | 38 => "n",
        37 => "ni",
        40 => "nttT",
        41 => "tD",
        42 => "tbwy",
        43 | 53 => "t",
        50 => "ntt",
        51 => "tcne",
        52 => "twy",
        _ => return None,
    })
}

/// A record.
pub(crate) fn pack(operation: u8, request: u64, fields: &Bound<'_, PyTuple>) -> PyResult<Vec<u8>> {
    let letters = fields_of(operation)
        .ok_or_else(|| PyValueError::new_err(format!("there is no operation {operation} for Python")))?;
    if letters.len() != fields.len() {
        let message = format!("operation {operation} has {} fields, not {}", letters.len(), fields.len());
        return Err(PyValueError::new_err(message));
    }
    let mut record = Record::new(256, operation, request);
    for (letter, field) in letters.bytes().zip(fields.iter()) {
        record.field(letter, &field)?;
    }
    Ok(record.whole())
}

/// The record of one item that had no room in a writer.
pub(crate) fn pack_item(request: u64, writer: u64, key: Option<i64>, value: &[u8]) -> Vec<u8> {
    let mut record = Record::new(value.len() + 48, 31, request);
    record.u64(writer);
    record.0.push(u8::from(key.is_some()));
    record.u32(1);
    if let Some(key) = key {
        record.u64(key.cast_unsigned());
    }
    record.bytes(value);
    record.whole()
}

struct Record(Vec<u8>);

impl Record {
    fn new(capacity: usize, operation: u8, request: u64) -> Self {
        let mut record = Record(Vec::with_capacity(capacity));
        record.u32(0);
        record.0.push(operation);
        record.u64(request);
        record
    }

    /// What it is by now, behind its length.
    fn whole(mut self) -> Vec<u8> {
        self.fill(4, self.0.len() - 4);
        self.0
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1));
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &Bound<'_, PyAny>) -> PyResult<()> {
        self.bytes(text.cast::<PyString>()?.to_cow()?.as_bytes());
        Ok(())
    }

    /// A number to be filled in later.
    fn hole(&mut self) -> usize {
        self.u32(0);
        self.0.len()
    }

    fn fill(&mut self, hole: usize, number: usize) {
        let number = u32::try_from(number).unwrap_or(u32::MAX - 1);
        self.0[hole - 4..hole].copy_from_slice(&number.to_le_bytes());
    }

    fn value(&mut self, value: &Bound<'_, PyAny>, root: &str) -> PyResult<()> {
        let hole = self.hole();
        encode::encode(value, &mut self.0, root)?;
        self.fill(hole, self.0.len() - hole);
        Ok(())
    }

    fn value_or_empty(&mut self, value: &Bound<'_, PyAny>, root: &str) -> PyResult<()> {
        if value.is(value.py().Ellipsis()) {
            self.u32(0);
            return Ok(());
        }
        self.value(value, root)
    }

    fn failure(&mut self, failure: &Bound<'_, PyAny>) -> PyResult<()> {
        let parts = failure.cast::<PyTuple>()?;
        (0..3).try_for_each(|part| {
            // What a handler says is told, even if it is not quite text.
            let text = parts.get_item(part)?;
            self.bytes(text.cast::<PyString>()?.to_string_lossy().as_bytes());
            Ok(())
        })
    }

    fn field(&mut self, letter: u8, field: &Bound<'_, PyAny>) -> PyResult<()> {
        match letter {
            b'n' => self.u64(field.extract()?),
            b'w' => self.u32(field.extract()?),
            b'c' => self.0.push(field.extract()?),
            b'i' => self.u64(field.extract::<i64>()?.cast_unsigned()),
            b'k' => {
                let key = field.extract::<Option<i64>>()?;
                self.0.push(u8::from(key.is_some()));
                self.u64(key.unwrap_or_default().cast_unsigned());
            }
            b'b' => self.0.push(u8::from(field.is_truthy()?)),
            b't' => self.text(field)?,
            b'y' => self.bytes(field.extract()?),
            b'v' => self.value(field, "value")?,
            b'e' => self.value_or_empty(field, "value")?,
            b'P' | b'R' => {
                let hole = self.hole();
                let each = |value: &[u8]| self.bytes(value);
                let count = match letter {
                    b'P' => encode::encode_parameters(field, each)?,
                    _ => encode::encode_results(field, each)?,
                };
                self.fill(hole, count as usize);
            }
            b'H' => {
                if field.is_none() {
                    self.u32(0);
                    return Ok(());
                }
                let headers = field.cast::<PyDict>()?;
                let hole = self.hole();
                for (name, value) in headers {
                    self.text(&name)?;
                    self.text(&value)?;
                }
                self.fill(hole, headers.len());
            }
            b'T' => {
                let hole = self.hole();
                let mut count = 0;
                for text in field.try_iter()? {
                    self.text(&text?)?;
                    count += 1;
                }
                self.fill(hole, count);
            }
            b'F' => self.failure(field)?,
            b'E' => {
                self.0.push(u8::from(!field.is_none()));
                if !field.is_none() {
                    self.failure(field)?;
                }
            }
            b'M' => {
                let outcome = field.cast::<PyTuple>()?;
                let failure = outcome.get_item(0)?;
                let failed = !failure.is_none();
                self.0.push(u8::from(failed));
                if failed {
                    self.failure(&failure)?;
                } else {
                    self.field(b'R', &outcome.get_item(1)?)?;
                }
            }
            b'O' => {
                let options = field.cast::<PyTuple>()?;
                for (letter, option) in b"bbninT".iter().zip(options.iter()) {
                    self.field(*letter, &option)?;
                }
            }
            b'D' => {
                let operations = field.cast::<PyList>()?;
                let hole = self.hole();
                for operation in operations {
                    let operation = operation.cast_into::<PyTuple>()?;
                    self.0.push(operation.get_item(0)?.extract()?);
                    self.value_or_empty(&operation.get_item(1)?, "key")?;
                    self.value_or_empty(&operation.get_item(2)?, "value")?;
                    self.value_or_empty(&operation.get_item(3)?, "expected")?;
                }
                self.fill(hole, operations.len());
            }
            other => {
                let message = format!("there is no field {:?}", char::from(other));
                return Err(PyValueError::new_err(message));
            }
        }
        Ok(())
    }
}
