//! Tests that need a process of their own.

use std::env;
use std::process::{Child, Command, Stdio};

const ROLE: &str = "SANSOCKET_TEST_ROLE";

/// Whether this process was started by `child`.
pub(crate) fn is_child() -> bool {
    env::var_os(ROLE).is_some()
}

/// Runs one test of this binary in a process of its own, behind some words of the shell's.
pub(crate) fn child(shell: &str, test: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("{shell}; exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(ROLE, "child")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
