//! The same chat server four times, so that a diff of two files shows what it takes to go from one library to the other:
//!
//! | from | to |
//! |---|---|
//! | [`over_tungstenite`] | [`over_sansocket`] |
//! | [`over_axum`] | [`over_sansocket_axum`] |
//!
//! A guest's first line is its name, and what it says then goes to all others. `/quit` ends it.

use std::time::Duration;

pub mod over_axum;
pub mod over_sansocket;
pub mod over_sansocket_axum;
pub mod over_tungstenite;

/// How many messages a guest may be behind. Who does not keep up is sent away; nobody waits for it.
const BACKLOG: usize = 64;

/// How long a guest may take for one message. Who takes nothing is never found to be behind: its task waits, and asks for no more.
const PATIENCE: Duration = Duration::from_secs(10);
