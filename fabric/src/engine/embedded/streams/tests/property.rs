//! Random histories against a model that is too simple to be wrong.

use std::collections::BTreeMap;

use perper_proto::v1::StreamOptions;
use perper_proto::v1::attach_listener_request::Start;
use proptest::prelude::*;

use super::fixture::{Fixture, batch, first_key, items, write};

#[derive(Debug, Clone)]
enum Step {
    /// By one of the writers, so far after (or before) the last key, with these distances.
    Write {
        writer: u64,
        offset: i64,
        distances: Vec<i64>,
    },
    /// From a key, so many items and bytes.
    Read {
        from: i64,
        items: u64,
        bytes: u64,
    },
    /// By one of the listeners, so many items on.
    Acknowledge {
        listener: usize,
        items: usize,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0..3u64, -3..20i64, prop::collection::vec(1..4i64, 0..8))
        .prop_map(|(writer, offset, distances)| Step::Write { writer, offset, distances });
    let read =
        (-5..120i64, 0..12u64, 0..60u64).prop_map(|(from, items, bytes)| Step::Read { from, items, bytes });
    let acknowledge =
        (0..2usize, 0..10usize).prop_map(|(listener, items)| Step::Acknowledge { listener, items });
    let step = prop_oneof![6 => write, 6 => read, 3 => acknowledge, 1 => Just(Step::Restart)];
    prop::collection::vec(step, 1..60)
}

/// What should be there.
struct Model {
    stride: i64,
    items: BTreeMap<i64, String>,
    closed: Vec<u64>,
    /// What each listener has not acknowledged begins here.
    unread: [i64; 2],
}

impl Model {
    fn may_write(&self, keys: &[i64]) -> bool {
        match self.stride {
            0 => self.items.last_key_value().is_none_or(|(last, _)| *last < keys[0]),
            stride => keys.iter().all(|key| *key >= 0 && key % stride == 0 && !self.items.contains_key(key)),
        }
    }

    /// The items that can be read from a key on, in order.
    fn readable(&self, from: i64) -> Vec<(i64, String)> {
        let items = self.items.range(from..).map(|(key, value)| (*key, value.clone()));
        if self.stride == 0 {
            return items.collect();
        }
        let mut next = (from.max(0) as u64).div_ceil(self.stride as u64) as i64 * self.stride;
        let run = items.take_while(|(key, _)| {
            let there = *key == next;
            next += self.stride;
            there
        });
        run.collect()
    }
}

fn check(stride: i64, cache: usize, ephemeral: bool, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut fixture = Fixture::with(|options| options.tail_cache_bytes = cache);
    fixture.create(StreamOptions { stride: stride as u64, persistent: !ephemeral, ..Default::default() });
    fixture.attach("0", Some(Start::Beginning(true)));
    fixture.attach("1", Some(Start::Beginning(true)));
    let mut model = Model { stride, items: BTreeMap::new(), closed: Vec::new(), unread: [i64::MIN; 2] };
    let mut written = 0;
    for step in steps {
        match step {
            Step::Write { writer, offset, distances } => {
                let last = model.items.last_key_value().map_or(0, |(last, _)| *last);
                let first = last + offset * stride.max(1);
                let mut keys = vec![first];
                for distance in distances {
                    keys.push(keys[keys.len() - 1] + if stride == 0 { distance } else { stride });
                }
                let values: Vec<_> = keys.iter().map(|key| format!("{key}#{written}")).collect();
                written += 1;
                let texts: Vec<_> = values.iter().map(String::as_str).collect();
                let mut deltas = vec![keys[0]];
                deltas.extend(keys.windows(2).map(|pair| pair[1] - pair[0]));
                let batch = match stride {
                    0 => batch(None, &deltas, &texts),
                    _ => batch(Some(first), &[], &texts),
                };
                let outcome = first_key(fixture.send(write("s", writer, batch)));
                if model.closed.contains(&writer) {
                    prop_assert_eq!(outcome, Err("WRITER_CLOSED".to_owned()));
                } else if model.may_write(&keys) {
                    prop_assert_eq!(outcome, Ok(first));
                    model.items.extend(keys.into_iter().zip(values));
                } else {
                    prop_assert!(outcome.is_err_and(|reason| reason.starts_with("STREAM_KEY_")));
                    model.closed.push(writer);
                }
            }
            Step::Read { from, items: count, bytes } => {
                // Below it, items may be gone.
                let unread = *model.unread.iter().min().unwrap_or(&from);
                let from = if ephemeral { from.max(unread) } else { from };
                let page = fixture.read(from, count, bytes);
                let expected = model.readable(from);
                let found = items(&page);
                prop_assert!(found.len() as u64 <= count.max(1));
                prop_assert_eq!(found.is_empty(), expected.is_empty());
                for ((key, value), (expected, content)) in found.iter().zip(&expected) {
                    prop_assert_eq!((key, &value[..]), (expected, content.as_bytes()));
                }
            }
            Step::Acknowledge { listener, items } => {
                let readable = model.readable(model.unread[listener].max(0));
                let through = readable.get(items.min(readable.len().wrapping_sub(1)));
                if let Some((through, _)) = through {
                    fixture.acknowledge(&listener.to_string(), fixture_epoch(&fixture, listener), *through);
                    model.unread[listener] = through + 1;
                }
            }
            Step::Restart => fixture.restart(),
        }
        // Nothing that a listener has not acknowledged is gone.
        for (listener, unread) in model.unread.iter().enumerate() {
            let found = fixture.read_all(*unread, 7).0;
            let expected = model.readable(*unread);
            prop_assert_eq!(found.len(), expected.len(), "listener {} from {}", listener, unread);
            for ((key, value), (expected, content)) in found.iter().zip(&expected) {
                prop_assert_eq!((key, &value[..]), (expected, content.as_bytes()));
            }
        }
        let last = model.items.last_key_value().map(|(last, _)| *last);
        prop_assert_eq!(fixture.stream().last_key, last);
        prop_assert_eq!(fixture.stream().items_written, model.items.len() as u64);
    }
    Ok(())
}

fn fixture_epoch(fixture: &Fixture, listener: usize) -> u64 {
    let listeners = crate::engine::Engine::scan_listeners(&**fixture.engine(), Some("s"), ("", ""), 9);
    listeners[listener].epoch
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_unpacked_stream_is_a_sorted_map(steps in steps(), ephemeral: bool, cache in 0..3usize) {
        check(0, [0, 1000, 1 << 20][cache], ephemeral, steps)?;
    }

    #[test]
    fn a_packed_stream_is_a_sorted_map_that_stops_at_gaps(
        steps in steps(), ephemeral: bool, cache in 0..3usize, stride in 1..4i64,
    ) {
        check(stride, [0, 1000, 1 << 20][cache], ephemeral, steps)?;
    }
}
