//! The ordered store under the embedded engine.
