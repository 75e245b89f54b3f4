//! Events and tasks in order: rows 1 to 9 as far as they are about events, 64 and 65.
