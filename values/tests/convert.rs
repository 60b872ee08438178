//! The types of other crates, through bytes and back. Each part needs the feature of its name.

#![cfg(all(feature = "time", feature = "chrono", feature = "uuid", feature = "rust_decimal"))]

use perper_values::{DateTime, Decimal, Uuid, Value, decode, from_slice, to_vec};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Foreign {
    #[serde(with = "perper_values::with::date_time")]
    system: SystemTime,
    #[serde(with = "perper_values::with::date_time")]
    time: time::OffsetDateTime,
    #[serde(with = "perper_values::with::date_time")]
    utc: chrono::DateTime<chrono::Utc>,
    #[serde(with = "perper_values::with::date_time")]
    offset: chrono::DateTime<chrono::FixedOffset>,
    #[serde(with = "perper_values::with::date_time::option", default)]
    maybe: Option<SystemTime>,
    #[serde(with = "perper_values::with::uuid")]
    id: uuid::Uuid,
    #[serde(with = "perper_values::with::decimal")]
    price: rust_decimal::Decimal,
    #[serde(with = "perper_values::with::decimal::option", default)]
    rebate: Option<rust_decimal::Decimal>,
}

#[test]
fn members_of_foreign_types() {
    let at: DateTime = "1969-12-31T23:59:58.25+02:00".parse().unwrap();
    let foreign = Foreign {
        system: SystemTime::UNIX_EPOCH - Duration::from_millis(7_201_750),
        time: at.try_into().unwrap(),
        utc: at.try_into().unwrap(),
        offset: at.try_into().unwrap(),
        maybe: None,
        id: uuid::Uuid::from_u128(7),
        price: "12.50".parse().unwrap(),
        rebate: Some("-0.1".parse().unwrap()),
    };
    let bytes = to_vec(&foreign).unwrap();
    assert_eq!(from_slice::<Foreign>(&bytes).unwrap(), foreign);
    let value = decode(&bytes).unwrap();
    for member in ["system", "time", "utc", "offset"] {
        assert_eq!(value.get(member), Some(&Value::DateTime(at)), "{member}");
    }
    assert_eq!(foreign.time.offset().whole_minutes(), 120);
    assert_eq!(value.get("id"), Some(&Value::Uuid(Uuid(*foreign.id.as_bytes()))));
    assert!(matches!(value.get("price"), Some(Value::Decimal(price)) if price.to_string() == "12.50"));
    assert_eq!(value.get("maybe"), Some(&Value::Null));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let decimal = |text: &str| rust_decimal::Decimal::try_from(text.parse::<Decimal>().unwrap());
    assert_eq!(decimal("1E+28").unwrap().to_string(), "10000000000000000000000000000");
    assert_eq!(decimal("1.00000000000000000000000000000000").unwrap().to_string(), "1");
    assert!(decimal("1E+29").is_err());
    assert!(decimal("1E-29").is_err());
    assert!(decimal("1E+2147483647").is_err());
    assert!(DateTime::try_from(chrono::DateTime::<chrono::Utc>::MAX_UTC).is_err());
    let wrong = to_vec(&Some("12,50")).unwrap();
    assert!(from_slice::<Decimal>(&wrong).unwrap_err().message().contains("12,50"));
}
