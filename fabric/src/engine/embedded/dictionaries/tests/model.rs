//! Random operations against an ordered map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Update(Vec<Op>),
    /// Several requests at once: the later ones meet what is queued and not yet written.
    Frame(Vec<Vec<Op>>),
    Restart,
}

#[derive(Debug, Clone)]
enum Op {
    Get(i64),
    Set(i64, i64),
    SetIfAbsent(i64, i64),
    ReplaceIfEqual(i64, i64, i64),
    GetAndReplace(i64, i64),
    GetAndRemove(i64),
    Remove(i64),
    RemoveIfEqual(i64, i64),
    Contains(i64),
    Count,
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    // Few keys and values, so that conditions hold about as often as they do not.
    let (k, v) = (0..24i64, 0..3i64);
    prop_oneof![
        4 => k.clone().prop_map(Op::Get),
        12 => (k.clone(), v.clone()).prop_map(|(k, v)| Op::Set(k, v)),
        3 => (k.clone(), v.clone()).prop_map(|(k, v)| Op::SetIfAbsent(k, v)),
        2 => (k.clone(), v.clone(), v.clone()).prop_map(|(k, e, v)| Op::ReplaceIfEqual(k, e, v)),
        2 => (k.clone(), v.clone()).prop_map(|(k, v)| Op::GetAndReplace(k, v)),
        3 => k.clone().prop_map(Op::GetAndRemove),
        3 => k.clone().prop_map(Op::Remove),
        2 => (k.clone(), v).prop_map(|(k, v)| Op::RemoveIfEqual(k, v)),
        2 => k.prop_map(Op::Contains),
        2 => Just(Op::Count),
        1 => Just(Op::Clear),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ops = || prop::collection::vec(op(), 1..5);
    let step = prop_oneof![
        20 => ops().prop_map(Step::Update),
        5 => prop::collection::vec(ops(), 1..8).prop_map(Step::Frame),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..120)
}

/// Keys and values are written as floats every other time: they are the same.
fn number(value: i64, spin: usize) -> Bytes {
    if spin.is_multiple_of(2) { integer(value) } else { float(value as f64) }
}

fn operation(op: &Op, spin: usize) -> Operation {
    let get = |key: &i64| Get { key: number(*key, spin) };
    let set = |key: &i64, value: &i64| Set { key: number(*key, spin), value: integer(*value) };
    match op {
        Op::Get(k) => Operation::Get(get(k)),
        Op::Set(k, v) => Operation::Set(set(k, v)),
        Op::SetIfAbsent(k, v) => Operation::SetIfAbsent(set(k, v)),
        Op::ReplaceIfEqual(k, e, v) => Operation::ReplaceIfEqual(ReplaceIfEqual {
            key: number(*k, spin),
            expected: number(*e, spin),
            value: integer(*v),
        }),
        Op::GetAndReplace(k, v) => Operation::GetAndReplace(set(k, v)),
        Op::GetAndRemove(k) => Operation::GetAndRemove(get(k)),
        Op::Remove(k) => Operation::Remove(get(k)),
        Op::RemoveIfEqual(k, e) => {
            Operation::RemoveIfEqual(RemoveIfEqual { key: number(*k, spin), expected: number(*e, spin) })
        }
        Op::Contains(k) => Operation::Contains(get(k)),
        Op::Count => Operation::Count(v1::dictionary_operation::Count {}),
        Op::Clear => clear(),
    }
}

/// What the operations answer on the model; the model changes only if all conditions hold.
fn expected(model: &mut BTreeMap<i64, i64>, ops: &[Op]) -> v1::UpdateDictionaryResponse {
    let mut changed = model.clone();
    let mut results = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        let mut applied = true;
        let mut value = None;
        let mut count = 0;
        let holds = match op {
            Op::SetIfAbsent(k, _) => !changed.contains_key(k),
            Op::ReplaceIfEqual(k, e, _) | Op::RemoveIfEqual(k, e) => changed.get(k) == Some(e),
            Op::GetAndReplace(k, _) => changed.contains_key(k),
            _ => true,
        };
        if !holds {
            return v1::UpdateDictionaryResponse {
                results: vec![v1::DictionaryResult::default(); ops.len()],
                failed_operation: Some(index as u32),
            };
        }
        match op {
            Op::Get(k) => {
                value = changed.get(k).copied();
                applied = false;
            }
            Op::Set(k, v) | Op::SetIfAbsent(k, v) | Op::ReplaceIfEqual(k, _, v) => {
                changed.insert(*k, *v);
            }
            Op::GetAndReplace(k, v) => value = changed.insert(*k, *v),
            Op::GetAndRemove(k) => {
                value = changed.remove(k);
                applied = value.is_some();
            }
            Op::Remove(k) => applied = changed.remove(k).is_some(),
            Op::RemoveIfEqual(k, _) => drop(changed.remove(k)),
            Op::Contains(k) => applied = changed.contains_key(k),
            Op::Count => {
                count = changed.len() as u64;
                applied = false;
            }
            Op::Clear => {
                changed.clear();
                applied = false;
            }
        }
        results.push(v1::DictionaryResult { value: value.map(integer), applied, count });
    }
    *model = changed;
    v1::UpdateDictionaryResponse { results, failed_operation: None }
}

/// The entries with their keys as integers, whichever way they were written.
fn contents(fixture: &Fixture) -> Vec<(i64, Bytes)> {
    let plain = |key: Bytes| match perper_values::decode(&perper_values::canonicalise(&key).unwrap()).unwrap()
    {
        Value::Integer(key) => i64::try_from(key.as_i128().unwrap()).unwrap(),
        other => panic!("{other:?}"),
    };
    all(fixture).into_iter().map(|(key, value)| (plain(key), value)).collect()
}

fn same(model: &BTreeMap<i64, i64>) -> Vec<(i64, Bytes)> {
    model.iter().map(|(key, value)| (*key, integer(*value))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_dictionary_is_an_ordered_map(steps in steps()) {
        let mut fixture = Fixture::memory();
        create(&fixture, "d", None).unwrap();
        let mut model = BTreeMap::new();
        for (spin, step) in steps.into_iter().enumerate() {
            let build = |ops: &[Op]| request(ops.iter().map(|op| operation(op, spin)).collect());
            match step {
                Step::Update(ops) => {
                    prop_assert_eq!(answer(fixture.send(build(&ops))).unwrap(), expected(&mut model, &ops));
                }
                Step::Frame(requests) => {
                    let operations = requests
                        .iter()
                        .map(|ops| crate::engine::Operation { identity: None, request: build(ops) })
                        .collect();
                    for (outcome, ops) in fixture.apply(operations).into_iter().zip(&requests) {
                        prop_assert_eq!(answer(outcome).unwrap(), expected(&mut model, ops));
                    }
                }
                Step::Restart => {
                    fixture.restart();
                    prop_assert_eq!(contents(&fixture), same(&model));
                }
            }
        }
        prop_assert_eq!(contents(&fixture), same(&model));
        prop_assert_eq!(count(&fixture), model.len() as u64);
        fixture.restart();
        prop_assert_eq!(contents(&fixture), same(&model));
        fixture.wait_until_swept(Space::Dictionaries);
        prop_assert_eq!(fixture.stored(Space::Dictionaries), model.len());
    }
}
