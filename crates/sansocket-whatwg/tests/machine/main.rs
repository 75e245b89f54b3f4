//! The object without a network: against a naive model, against the page that describes it, and by example. Tests are named after the rows of
//! `docs/websocket-object.md`.

mod closing;
mod life;
mod model;
mod program;
mod properties;
mod strategies;
mod table;
mod verbs;
