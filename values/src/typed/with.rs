//! Modules for `#[serde(with = "…")]`: members whose own types serde would write in another way.
//!
//! ```
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Visit {
//!     #[serde(with = "perper_values::with::date_time")]
//!     at: std::time::SystemTime,
//!     #[serde(with = "perper_values::with::set")]
//!     tags: std::collections::HashSet<String>,
//! }
//! ```

macro_rules! converted {
    ($($(#[$doc:meta])* $module:ident $ours:ident;)*) => {$(
        $(#[$doc])*
        pub mod $module {
            use crate::$ours;
            use serde::de::{Deserialize, Deserializer, Error as _};
            use serde::ser::{Error as _, Serialize, Serializer};
            use std::fmt::Display;

            /// Writes anything that converts.
            pub fn serialize<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
            where
                T: Clone + TryInto<$ours, Error: Display>,
                S: Serializer,
            {
                value.clone().try_into().map_err(S::Error::custom)?.serialize(serializer)
            }

            /// Reads anything that converts.
            pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
            where
                $ours: TryInto<T, Error: Display>,
                D: Deserializer<'de>,
            {
                $ours::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
            }

            /// The same within an `Option`.
            pub mod option {
                use super::*;

                /// Writes anything that converts, or null.
                pub fn serialize<T, S>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
                where
                    T: Clone + TryInto<$ours, Error: Display>,
                    S: Serializer,
                {
                    match value {
                        Some(value) => super::serialize(value, serializer),
                        None => serializer.serialize_none(),
                    }
                }

                /// Reads anything that converts, or null. Add `#[serde(default)]` if the member may be missing.
                pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
                where
                    $ours: TryInto<T, Error: Display>,
                    D: Deserializer<'de>,
                {
                    let value = Option::<$ours>::deserialize(deserializer)?;
                    value.map(|value| value.try_into().map_err(D::Error::custom)).transpose()
                }
            }
        }
    )*};
}

converted! {
    /// Date-times: `SystemTime`; with the features, `time::OffsetDateTime` and `chrono::DateTime`.
    date_time DateTime;
    /// UUIDs: with the feature, `uuid::Uuid`.
    uuid Uuid;
    /// Decimals: with the feature, `rust_decimal::Decimal`.
    decimal Decimal;
}

/// Collections that are written as sets.
pub mod set {
    use super::super::hook::SET;
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};

    /// Writes a set, tag 258.
    pub fn serialize<C: Serialize, S: Serializer>(collection: &C, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(SET, collection)
    }

    /// Reads a set or an array.
    pub fn deserialize<'de, C: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<C, D::Error> {
        C::deserialize(deserializer)
    }
}
