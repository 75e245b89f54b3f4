//! Panics that somebody catches, as a server does its handlers': without this, no test would hear of an assertion that fails there.

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic;
use std::sync::Once;
use std::thread;

thread_local! {
    /// How often this thread has panicked.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Panics when it is dropped if the thread has panicked since it was made, and somebody has caught that. A test that wants to panic in such a place
/// does so by [`resume_unwind`](panic::resume_unwind), which does not count.
#[derive(Debug)]
pub struct PanicWatch {
    before: usize,
    /// It belongs to its thread.
    thread: PhantomData<*const ()>,
}

impl PanicWatch {
    /// Begins to watch this thread.
    #[expect(clippy::new_without_default, reason = "it is made for what it does when it is dropped")]
    pub fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let others = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                PANICS.set(PANICS.get() + 1);
                others(info);
            }));
        });
        Self { before: PANICS.get(), thread: PhantomData }
    }
}

impl Drop for PanicWatch {
    fn drop(&mut self) {
        assert!(
            PANICS.get() == self.before || thread::panicking(),
            "this thread has panicked, and that was caught: see above"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, resume_unwind};

    use super::PanicWatch;

    #[test]
    fn a_panic_that_was_caught_is_told_behind_it() {
        let watched = catch_unwind(|| {
            let _watch = PanicWatch::new();
            let _ = catch_unwind(|| panic!("an assertion"));
        });
        assert!(watched.is_err());
    }

    #[test]
    fn what_unwinds_on_purpose_and_what_was_before_is_not_told() {
        let _ = catch_unwind(|| panic!("before"));
        let _watch = PanicWatch::new();
        assert!(catch_unwind(|| resume_unwind(Box::new(()))).is_err());
    }
}
