use perper_values::{Reference, Result, Value, from_slice, reference, to_vec};

use super::*;

fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> Result<T> {
    from_slice(&to_vec(value)?)
}

#[test]
fn references_go_through_values_whole() -> Result<()> {
    let agent = Agent::new("Shop", "shop-1").with_capability(vec![1, 2, 3]);
    let back = round_trip(&agent)?;
    assert_eq!((&back, back.capability()), (&agent, Some(&[1, 2, 3][..])));

    let plain = Stream::new("s");
    assert_eq!(round_trip(&plain)?, plain);
    let stream = Stream::new("s").replay(-5).packed(10).local_to_data();
    assert_eq!(round_trip(&stream)?, stream);
    assert_eq!(round_trip(&stream.clone().replay_all())?.start, Some(i64::MIN));

    assert_eq!(round_trip(&Execution::new("e"))?, Execution::new("e"));
    assert_eq!(round_trip(&Dictionary::new("d"))?, Dictionary::new("d"));
    assert_eq!(round_trip(&List::new("l"))?, List::new("l"));
    Ok(())
}

#[test]
fn what_is_not_set_takes_no_room() {
    assert!(Reference::from(Stream::new("s")).options.0.is_empty());
    assert!(Reference::from(Agent::new("A", "")).options.0.is_empty());
}

#[test]
fn unknown_options_survive() -> Result<()> {
    let reference = Reference::new(reference::STREAM, "s")
        .with_option("colour", Value::Text("green".into()))
        .with_option("start", Value::from(7i64));
    let stream: Stream = from_slice(&to_vec(&reference)?)?;
    assert_eq!(stream.start, Some(7));
    let back: Reference = from_slice(&to_vec(&stream)?)?;
    assert_eq!(back.options.get("colour"), Some(&Value::Text("green".into())));
    assert_eq!(back.options.get("start"), Some(&Value::from(7i64)));
    Ok(())
}

#[test]
fn a_capability_does_not_tell_references_apart() {
    assert_eq!(List::new("l").with_capability(vec![1]), List::new("l"));
    assert_ne!(List::new("l"), List::new("m"));
}

#[test]
fn another_kind_is_refused_by_name() -> Result<()> {
    let error = from_slice::<Stream>(&to_vec(&List::new("l"))?).expect_err("a list is no stream");
    assert!(
        error.to_string().contains("perper.Stream") && error.to_string().contains("perper.List"),
        "{error}"
    );
    let stride = Reference::new(reference::STREAM, "s").with_option("stride", Value::from(-1i64));
    let error = Stream::try_from(stride).expect_err("a negative stride");
    assert!(error.to_string().contains("stride"), "{error}");
    Ok(())
}
