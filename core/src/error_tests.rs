use std::collections::HashSet;

use super::*;

#[test]
fn every_reason_of_the_protocol_has_a_kind_of_the_same_name() {
    for &reason in Reason::ALL {
        let kind = kind_of(reason).unwrap_or_else(|| panic!("{} is missing from the table", reason.name()));
        assert_eq!(kind.name(), reason.name());
    }
}

#[test]
fn codes_and_names_are_unique_and_lead_back() {
    let mut names = HashSet::new();
    let mut last = 0;
    for &kind in ErrorKind::ALL {
        assert!(kind.code() > last, "{kind} is not in the order of the numbers");
        last = kind.code();
        assert_eq!(ErrorKind::from_code(kind.code()), Some(kind));
        assert!(names.insert(kind.name()), "{kind} is there twice");
    }
}

#[test]
fn an_error_of_a_newer_server_keeps_its_reason() {
    let error = Error::from_proto(v1::Error {
        code: tonic::Code::NotFound as i32,
        reason: "MOON_NOT_FOUND".to_owned(),
        message: "there is no moon".to_owned(),
        metadata: BTreeMap::from([("planet".to_owned(), "Venus".to_owned())]),
    });
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.reason(), "MOON_NOT_FOUND");
    assert_eq!(error.metadata()["planet"], "Venus");
    assert_eq!(error.to_string(), "there is no moon (MOON_NOT_FOUND)");
}

#[test]
fn an_error_crosses_to_the_protocol_and_back() {
    for &reason in Reason::ALL {
        let error = Error::from_proto(reason.error("why").with("key", 7));
        assert_eq!(error.to_proto(), reason.error("why").with("key", 7));
        assert_eq!(Error::from_status(&reason.error("why").to_status()).kind(), error.kind());
    }
}

#[test]
fn a_failure_of_a_handler_is_kept_whole() {
    let failure = v1::Failure {
        r#type: "ValueError".to_owned(),
        message: "no such city".to_owned(),
        stack_trace: "line 1\nline 2".to_owned(),
    };
    let error = Error::from_end(Reason::ExecutionFailed.error(""), Some(failure.clone()));
    assert_eq!(error.kind(), ErrorKind::ExecutionFailed);
    assert_eq!(error.message(), "no such city");
    assert_eq!(v1::Failure::from(error.failure().cloned().unwrap_or_default()), failure);
}

#[test]
fn a_failure_crosses_to_the_protocol_and_back_where_there_is_only_an_error() {
    let failure = Failure {
        type_name: "ValueError".to_owned(),
        message: "no such city".to_owned(),
        stack_trace: "line 1".to_owned(),
    };
    let error = Error::from_proto(Error::from_failure(failure.clone()).to_proto());
    assert_eq!((error.kind(), error.failure()), (ErrorKind::ExecutionFailed, Some(&failure)));
}
