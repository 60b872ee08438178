//! Small applications on Perper: see `src/bin/`. This library holds the examples of the documents, so that they are
//! compiled and run as tests.

#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust.md")]
struct Tutorial;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
