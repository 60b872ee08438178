//! Random operations against a vector.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Add(i64),
    Pop,
    Dequeue,
    InsertAt(u64, i64),
    RemoveAt(u64),
    SetAt(u64, i64),
    GetAt(u64),
    IndexOf(i64),
    Remove(i64),
    Clear,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0..50i64).prop_map(Step::Add),
        4 => Just(Step::Pop),
        4 => Just(Step::Dequeue),
        // Far more than are taken, so that chunks split; all over the list, and often at one place.
        40 => (any::<u64>(), 0..50i64).prop_map(|(at, value)| Step::InsertAt(at, value)),
        5 => (0..50i64).prop_map(|value| Step::InsertAt(0, value)),
        12 => any::<u64>().prop_map(Step::RemoveAt),
        4 => (any::<u64>(), 0..50i64).prop_map(|(at, value)| Step::SetAt(at, value)),
        4 => any::<u64>().prop_map(Step::GetAt),
        2 => (0..60i64).prop_map(Step::IndexOf),
        4 => (0..60i64).prop_map(Step::Remove),
        1 => Just(Step::Restart),
    ];
    let many = prop::collection::vec(step, 0..600);
    (many, prop::option::weighted(0.2, any::<prop::sample::Index>())).prop_map(|(mut steps, clear)| {
        if let Some(clear) = clear.filter(|_| !steps.is_empty()) {
            let at = clear.index(steps.len());
            steps.insert(at, Step::Clear);
        }
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_list_is_a_vector(steps in steps()) {
        let mut fixture = Fixture::memory();
        create(&fixture, "l", None).unwrap();
        let mut model: Vec<i64> = Vec::new();
        for step in steps {
            // Every other index is one that exists.
            let place = |at: u64, length: usize| if length == 0 { at } else { at % (length as u64 + at % 2) };
            let length = model.len();
            let (operation, value, index) = match step {
                Step::Add(value) => {
                    model.push(value);
                    (Operation::Add(integer(value)), None, Some(length as u64))
                }
                Step::Pop => (Operation::Pop(v1::ListPop {}), model.pop(), None),
                Step::Dequeue => {
                    let first = (length > 0).then(|| model.remove(0));
                    (Operation::Dequeue(v1::ListDequeue {}), first, None)
                }
                Step::InsertAt(at, value) => {
                    let index = at % (length as u64 + 1);
                    model.insert(index as usize, value);
                    (Operation::InsertAt(v1::ListInsertAt { index, value: integer(value) }), None, None)
                }
                Step::RemoveAt(at) | Step::GetAt(at) if place(at, length) >= length as u64 => {
                    let error = update(&fixture, Operation::GetAt(place(at, length))).unwrap_err();
                    prop_assert_eq!(error.reason, "INDEX_OUT_OF_RANGE");
                    continue;
                }
                Step::RemoveAt(at) => {
                    let index = place(at, length);
                    (Operation::RemoveAt(index), Some(model.remove(index as usize)), None)
                }
                Step::GetAt(at) => {
                    let index = place(at, length);
                    (Operation::GetAt(index), Some(model[index as usize]), None)
                }
                Step::SetAt(_, _) if length == 0 => continue,
                Step::SetAt(at, value) => {
                    let index = at % length as u64;
                    model[index as usize] = value;
                    (Operation::SetAt(v1::ListSetAt { index, value: integer(value) }), None, None)
                }
                Step::IndexOf(value) => {
                    let index = model.iter().position(|element| *element == value).map(|index| index as u64);
                    (Operation::IndexOf(integer(value)), None, index)
                }
                Step::Remove(value) => {
                    let index = model.iter().position(|element| *element == value);
                    if let Some(index) = index {
                        model.remove(index);
                    }
                    let removed = update(&fixture, Operation::Remove(integer(value))).unwrap();
                    prop_assert_eq!(removed.found, index.is_some());
                    continue;
                }
                Step::Clear => {
                    model.clear();
                    (Operation::Clear(v1::ListClear {}), None, None)
                }
                Step::Restart => {
                    fixture.restart();
                    prop_assert_eq!(all(&fixture), integers(model.iter().copied()));
                    continue;
                }
            };
            let response = update(&fixture, operation).unwrap();
            prop_assert_eq!(response.value, value.map(integer));
            prop_assert_eq!(response.index, index);
            prop_assert_eq!(response.count, model.len() as u64);
        }
        prop_assert_eq!(all(&fixture), integers(model.iter().copied()));
        fixture.restart();
        prop_assert_eq!(all(&fixture), integers(model.iter().copied()));
        fixture.wait_until_swept(Space::Lists);
        prop_assert_eq!(fixture.stored(Space::Lists), model.len());
    }
}
