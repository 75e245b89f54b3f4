//! The bare driver over a stream that does what a script says.

mod allocations;
mod counts;
mod fake;
mod properties;
mod scripts;
