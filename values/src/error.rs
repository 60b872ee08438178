//! One error for the whole crate: what was wrong, and the path to the place.

use std::fmt::{self, Display, Write as _};

/// What kind of fault an [`Error`] is. Each has a stable [code](ErrorKind::code) that the golden vectors and the
/// other languages use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input ends before the value does, or a length claims more than there is.
    Truncated,
    /// There is something after the value.
    Trailing,
    /// A length is indefinite.
    Indefinite,
    /// A head that CBOR reserves.
    Malformed,
    /// A simple value other than false, true and null.
    Simple,
    /// A text is not UTF-8.
    Utf8,
    /// Two keys of a map, or two elements of a set, are equal.
    Duplicate,
    /// Nested deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    Depth,
    /// The content of a tag is not what the tag asks for.
    Tag,
    /// A number that is larger than the place for it.
    Range,
    /// A value that cannot be a key.
    NotAKey,
    /// Bytes that are no encoded key.
    MalformedKey,
    /// A value of another type than the reader asked for.
    Type,
    /// A parameter, result or member that is required is not there.
    Missing,
    /// Anything else that a `Serialize` or `Deserialize` implementation reported.
    Custom,
}

impl ErrorKind {
    /// The stable name of this kind, in snake case.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Trailing => "trailing",
            Self::Indefinite => "indefinite",
            Self::Malformed => "malformed",
            Self::Simple => "simple",
            Self::Utf8 => "utf8",
            Self::Duplicate => "duplicate",
            Self::Depth => "depth",
            Self::Tag => "tag",
            Self::Range => "range",
            Self::NotAKey => "not_a_key",
            Self::MalformedKey => "malformed_key",
            Self::Type => "type",
            Self::Missing => "missing",
            Self::Custom => "custom",
        }
    }
}

/// What was wrong, and where: `parameters[0]['a'][3]: the text is not UTF-8`.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", Prefix(.0), .0.message)]
pub struct Error(Box<Inner>);

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

// Boxed, so that a `Result` on the fast path stays one word.
#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    message: String,
    root: String,
    /// Innermost first, since an error collects its path on the way out; successes pay nothing for it.
    path: Vec<Segment>,
}

#[derive(Clone, PartialEq, Eq)]
enum Segment {
    Index(u64),
    Member(String),
    Integer(i128),
    Key(u64),
    Entry(u64),
}

/// A member name in a path is cut to this many characters: a path is for people.
const LONGEST_NAME: usize = 64;

impl Error {
    /// An error of this kind at the present place.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), root: String::new(), path: Vec::new() }))
    }

    /// What kind of fault this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was wrong, without the path.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The path to the place: the root's name if one was given, then a step for each level. `[3]` is an element or
    /// the value under an integer key, `['a']` the value under a text key, `[entry 3]` the value of the fourth entry
    /// of a map with another key, `[key 3]` inside that key itself. Empty for the outermost value.
    pub fn path(&self) -> String {
        let mut path = self.0.root.clone();
        for segment in self.0.path.iter().rev() {
            segment.render(&mut path);
        }
        path
    }

    /// Names the outermost value, such as `parameters`.
    #[must_use]
    pub fn at_root(mut self, name: &str) -> Self {
        self.0.root = name.to_owned();
        self
    }

    /// Says that the error happened inside element `index`.
    #[must_use]
    pub fn at_index(self, index: usize) -> Self {
        self.inside(Segment::Index(index as u64))
    }

    /// Says that the error happened inside the value under the text key `name`.
    #[must_use]
    pub fn at_member(self, name: &str) -> Self {
        let name = match name.char_indices().nth(LONGEST_NAME) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name.to_owned(),
        };
        self.inside(Segment::Member(name))
    }

    /// Whether no step of a path was added yet.
    pub(crate) fn is_here(&self) -> bool {
        self.0.path.is_empty()
    }

    pub(crate) fn at_integer_key(self, key: i128) -> Self {
        self.inside(Segment::Integer(key))
    }

    /// Says that the error happened inside the key of the entry at `position` of a map.
    #[must_use]
    pub fn at_key(self, position: usize) -> Self {
        self.inside(Segment::Key(position as u64))
    }

    /// Says that the error happened inside the value of the entry at `position` of a map.
    #[must_use]
    pub fn at_entry(self, position: usize) -> Self {
        self.inside(Segment::Entry(position as u64))
    }

    fn inside(mut self, segment: Segment) -> Self {
        self.0.path.push(segment);
        self
    }
}

impl Segment {
    fn render(&self, out: &mut String) {
        // Writing into a String cannot fail.
        let _ = match self {
            Self::Index(index) => write!(out, "[{index}]"),
            Self::Integer(key) => write!(out, "[{key}]"),
            Self::Key(position) => write!(out, "[key {position}]"),
            Self::Entry(position) => write!(out, "[entry {position}]"),
            Self::Member(name) => {
                out.push_str("['");
                for character in name.chars() {
                    match character {
                        '\'' | '\\' => out.extend(['\\', character]),
                        _ if character.is_control() => out.extend(character.escape_unicode()),
                        _ => out.push(character),
                    }
                }
                out.push_str("']");
                Ok(())
            }
        };
    }
}

struct Prefix<'a>(&'a Inner);

impl Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = self.0.root.clone();
        for segment in self.0.path.iter().rev() {
            segment.render(&mut path);
        }
        if path.is_empty() { Ok(()) } else { write!(f, "{path}: ") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("path", &self.path())
            .field("message", &self.0.message)
            .finish()
    }
}

impl serde::ser::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(ErrorKind::Custom, message.to_string())
    }
}

impl serde::de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(ErrorKind::Custom, message.to_string())
    }

    fn invalid_type(unexpected: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(ErrorKind::Type, format!("expected {expected}, found {unexpected}"))
    }

    fn invalid_value(unexpected: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(ErrorKind::Range, format!("expected {expected}, found {unexpected}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(ErrorKind::Missing, format!("the member '{field}' is missing"))
    }
}
