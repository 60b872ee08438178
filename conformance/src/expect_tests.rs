use super::*;

fn checked(expected: Json, found: Json) -> Result<Names> {
    let mut names = Names::new();
    check(&expected, &found, &mut names).map(|()| names)
}

#[test]
fn equal_values_fit_however_they_are_written() {
    for (expected, found) in [
        (json!(null), json!(null)),
        (json!(1), json!({ "$float": "1.0" })),
        (json!({ "a": 1, "b": 2 }), json!({ "$map": [["b", 2], ["a", 1]] })),
        (json!({ "$set": [1, 2] }), json!({ "$set": [2, 1] })),
        (json!({ "$decimal": "1.50" }), json!({ "$decimal": "1.5" })),
        (json!([1, [2]]), json!([1, [2]])),
        (json!([{ "$any": null }, 2]), json!([1, 2])),
        (json!({ "a": { "$any": null } }), json!({ "a": [1] })),
        (json!({ "$has": { "a": 1 } }), json!({ "a": 1, "b": 2 })),
        (json!({ "$contains": "pp" }), json!("apples")),
        (json!({ "$between": [1, 2] }), json!(1.5)),
        (json!({ "$between": [1, 2] }), json!({ "$float": "2.0" })),
        (json!({ "$length": 2 }), json!([1, 1])),
        (json!({ "$unordered": [1, 2] }), json!([2, 1])),
        (json!({ "$json": { "$has": { "a": 1 } } }), json!(r#"{"ok": {"a": 1, "b": 2}}"#)),
    ] {
        checked(expected.clone(), found.clone())
            .unwrap_or_else(|error| panic!("{expected}, {found}: {error:#}"));
    }
}

#[test]
fn whatever_differs_does_not_fit_and_the_place_is_told() {
    for (expected, found, complaint) in [
        (json!(null), json!(0), "0"),
        (json!(1), json!("1"), "\"1\""),
        (json!([]), json!([null]), "[null]"),
        (json!([1, 2]), json!([2, 1]), "[2,1]"),
        (json!({ "a": 1 }), json!({ "a": 1, "b": 2 }), "\"b\""),
        (json!([{ "$any": null }]), json!([1, 2]), "2 elements, not 1"),
        (json!([{ "$any": null }, { "a": 1 }]), json!([1, { "a": 2 }]), "it[1]"),
        (json!({ "a": { "$any": null } }), json!({ "a": 1, "b": 2 }), "\"b\""),
        (json!({ "a": { "$any": null } }), json!({}), "\"a\""),
        (json!({ "$has": { "a": 1 } }), json!({ "a": 2 }), "\"a\""),
        (json!({ "$has": { "a": null } }), json!({}), "\"a\""),
        (json!({ "$contains": "pears" }), json!("apples"), "pears"),
        (json!({ "$between": [1, 2] }), json!(3), "between"),
        (json!({ "$between": [1, 2] }), json!(null), "no number"),
        (json!({ "$length": 1 }), json!([]), "0 elements"),
        (json!({ "$unordered": [1, 2] }), json!([1, 1]), "hold"),
        (json!({ "$unordered": [1, 2] }), json!([2, 1, 1]), "hold"),
        (json!({ "$json": 1 }), json!("2"), "2"),
        (json!({ "$misspelt": 1 }), json!(1), "$misspelt"),
    ] {
        let error = checked(expected.clone(), found.clone()).expect_err("it differs");
        assert!(format!("{error:#}").contains(complaint), "{expected}, {found}: {error:#}");
    }
}

#[test]
fn names_stand_for_what_they_were_given() -> Result<()> {
    let names = checked(
        json!({ "agent": { "$as": "shop" }, "results": [{ "$as": "first" }] }),
        json!({
            "agent": { "$agent": "Shop", "instance": "s" },
            "results": [[1, 2]],
        }),
    )?;
    let step = json!({
        "agent": "$shop",
        "other": { "$with": "$shop", "instance": "t" },
        "element": { "$at": ["$first", 1] },
        "text": { "$repeat": "ab", "times": 2 },
        "range": { "$range": [1, 3] },
        "deep": { "$nest": 2 },
    });
    let resolved = json!({
        "agent": { "$agent": "Shop", "instance": "s" },
        "other": { "$agent": "Shop", "instance": "t" },
        "element": 2,
        "text": "abab",
        "range": [1, 2],
        "deep": [[1]],
    });
    assert_eq!(resolve(&step, &names)?, resolved);
    let error = resolve(&json!(["$nobody"]), &names).expect_err("nothing has that name");
    assert!(error.to_string().contains("$nobody"), "{error}");
    Ok(())
}
