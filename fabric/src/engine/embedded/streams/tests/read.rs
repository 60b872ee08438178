use super::fixture::{Fixture, batch, items, packed, persistent, run};
use crate::engine::embedded::streams::tests::fixture::create;

/// With everything in memory, and with nothing.
fn both(test: impl Fn(Fixture)) {
    test(Fixture::new());
    test(Fixture::with(|options| options.tail_cache_bytes = 0));
}

#[test]
fn a_page_begins_at_its_key_and_is_bounded() {
    both(|mut fixture| {
        fixture.create(persistent());
        fixture.write(run(10, 5, 1)).unwrap();
        fixture.write(batch(None, &[20, 5, 5], &["20", "25", "30"])).unwrap();
        let keys = |fixture: &Fixture, from, count, bytes| {
            let page = fixture.read(from, count, bytes);
            let items = items(&page);
            assert!(items.iter().all(|(key, value)| key.to_string().as_bytes() == value));
            assert_eq!(page.count, items.len() as u64);
            assert_eq!(page.last_key, items.last().map(|(key, _)| *key));
            items.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(keys(&fixture, i64::MIN, 100, 1000), [10, 11, 12, 13, 14, 20, 25, 30]);
        assert_eq!(keys(&fixture, 12, 100, 1000), [12, 13, 14, 20, 25, 30]);
        assert_eq!(keys(&fixture, 21, 100, 1000), [25, 30]);
        assert_eq!(keys(&fixture, 31, 100, 1000), [0i64; 0]);
        // A batch that is larger than the credit is cut, one that does not fit behind others waits.
        assert_eq!(keys(&fixture, 11, 2, 1000), [11, 12]);
        assert_eq!(keys(&fixture, 13, 3, 1000), [13, 14]);
        assert_eq!(keys(&fixture, 20, 2, 1000), [20, 25]);
        assert_eq!(keys(&fixture, 10, 100, 7), [10, 11]);
        // One item always fits.
        assert_eq!(keys(&fixture, 10, 0, 0), [10]);
    });
}

#[test]
fn the_end_comes_after_the_last_item() {
    both(|mut fixture| {
        fixture.create(persistent());
        fixture.write(run(1, 3, 1)).unwrap();
        assert_eq!(fixture.read_all(i64::MIN, 2).0.len(), 3);
        super::lifecycle::complete(&mut fixture, None).unwrap();
        let (items, ended) = fixture.read_all(i64::MIN, 2);
        assert_eq!((items.len(), ended), (3, true));
        assert!(fixture.read(4, 1, 1).end.is_some());
        fixture.restart();
        let (items, ended) = fixture.read_all(2, 2);
        assert_eq!((items.len(), ended), (2, true));
    });
}

#[test]
fn readers_wait_at_a_gap_until_it_is_filled_or_the_end_skips_it() {
    both(|mut fixture| {
        fixture.create(packed(2, 0));
        fixture.write(run(0, 2, 2)).unwrap();
        fixture.write(run(10, 2, 2)).unwrap();
        fixture.write(run(20, 1, 2)).unwrap();
        assert_eq!(fixture.keys(i64::MIN), [0, 2]);
        assert!(fixture.keys(3).is_empty());
        // From behind the gap there is nothing to wait for.
        assert_eq!(fixture.keys(10), [10, 12]);
        fixture.restart();
        assert_eq!(fixture.keys(i64::MIN), [0, 2]);
        fixture.write(run(4, 3, 2)).unwrap();
        assert_eq!(fixture.keys(i64::MIN), [0, 2, 4, 6, 8, 10, 12]);
        fixture.restart();
        assert_eq!(fixture.keys(3), [4, 6, 8, 10, 12]);
        super::lifecycle::complete(&mut fixture, None).unwrap();
        assert_eq!(fixture.keys(3), [4, 6, 8, 10, 12, 20]);
        // 14, 16 and 18.
        assert_eq!(fixture.read(21, 1, 1).end.unwrap().skipped, 3);
    });
}

#[test]
fn streams_do_not_see_each_others_items() {
    both(|mut fixture| {
        fixture.create(persistent());
        fixture.send(create("t", persistent())).unwrap();
        fixture.send(super::fixture::write("t", 1, run(5, 5, 1))).unwrap();
        assert!(fixture.keys(i64::MIN).is_empty());
        fixture.write(run(1, 2, 1)).unwrap();
        assert_eq!(fixture.keys(i64::MIN), [1, 2]);
    });
}

#[test]
fn the_tail_cache_keeps_its_bound() {
    let mut fixture = Fixture::with(|options| options.tail_cache_bytes = 10_000);
    fixture.create(persistent());
    for at in 0..200 {
        fixture.write(batch(Some(at), &[], &[&"x".repeat(500)])).unwrap();
    }
    let batches = fixture.engine().streams.with(|streams| {
        let number = streams.table.number_of("s").unwrap();
        streams.table.get(number).unwrap().tail.len()
    });
    assert!((10..=20).contains(&batches), "{batches}");
    assert_eq!(fixture.keys(i64::MIN), (0..200).collect::<Vec<_>>());
}
