/// Everything that the reference types have in common: an id, options that are handed on unread, a capability token,
/// and the way to and from `perper_values::Reference`, through which serde sees them.
macro_rules! reference {
    ($type:ident, $kind:expr, $id:ident) => {
        impl $type {
            /// The token that its creator made, if it made one. Equality and keys ignore it.
            pub fn capability(&self) -> Option<&[u8]> {
                match self.options.get(perper_values::reference::CAPABILITY) {
                    Some(perper_values::Value::Bytes(token)) => Some(token),
                    _ => None,
                }
            }

            /// The same reference with a token in it.
            #[must_use]
            pub fn with_capability(mut self, token: impl Into<bytes::Bytes>) -> Self {
                let token = perper_values::Value::Bytes(token.into());
                self.options.set(perper_values::reference::CAPABILITY, token);
                self
            }
        }

        impl From<$type> for perper_values::Value {
            fn from(reference: $type) -> Self {
                perper_values::Value::Reference(reference.into())
            }
        }

        impl TryFrom<perper_values::Value> for $type {
            type Error = perper_values::Error;

            fn try_from(value: perper_values::Value) -> Result<Self, Self::Error> {
                match value {
                    perper_values::Value::Reference(reference) => $type::try_from(reference),
                    other => Err($crate::model::reference::not_a_reference($kind, &other)),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.$id)
            }
        }
    };
}

/// As [`reference!`], for types that are an id and nothing else that this library reads.
macro_rules! plain_reference {
    ($type:ident, $kind:expr, $id:ident) => {
        $crate::model::reference::reference!($type, $kind, $id);

        impl $type {
            /// The reference to the one of that id.
            pub fn new($id: impl Into<String>) -> Self {
                $type { $id: $id.into(), options: perper_values::Options::default() }
            }
        }

        impl From<$type> for perper_values::Reference {
            fn from(reference: $type) -> Self {
                let mut to = perper_values::Reference::new($kind, reference.$id);
                to.options = reference.options;
                to
            }
        }

        impl TryFrom<perper_values::Reference> for $type {
            type Error = perper_values::Error;

            fn try_from(reference: perper_values::Reference) -> Result<Self, Self::Error> {
                let reference = reference.expect_type($kind)?;
                Ok($type { $id: reference.id, options: reference.options })
            }
        }
    };
}

pub(super) use plain_reference;
pub(super) use reference;

/// The error for a value of another kind where a reference is needed.
pub(super) fn not_a_reference(kind: &str, value: &perper_values::Value) -> perper_values::Error {
    let message = format!("expected a reference to {kind}, found {value:?}");
    perper_values::Error::new(perper_values::ErrorKind::Type, message)
}
