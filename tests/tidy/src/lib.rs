//! The tidy.
