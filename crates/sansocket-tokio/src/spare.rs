//! Buffers that no connection uses. A thread lends them to whichever of its connections has something to read or to write, so that one that
//! waits for its peer holds none.

use std::cell::RefCell;
use std::mem;

/// How many of each a thread keeps. More are in use at once only where tasks are interrupted with something in hand.
const KEPT: usize = 8;

/// The longest output that is kept, in bytes.
const LONGEST: usize = 128 * 1024;

#[derive(Default)]
struct Spare {
    inputs: Vec<Box<[u8]>>,
    outputs: Vec<Vec<u8>>,
}

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { inputs: Vec::new(), outputs: Vec::new() }) };
}

/// A buffer to read into, of `size` bytes. What lies in it is of no meaning.
pub(crate) fn input(size: usize) -> Box<[u8]> {
    let spare = SPARE.with_borrow_mut(|spare| spare.inputs.pop());
    spare.filter(|buffer| buffer.len() == size).unwrap_or_else(|| vec![0; size].into())
}

/// Takes back what [`input`] has lent.
pub(crate) fn return_input(buffer: Box<[u8]>) {
    SPARE.with_borrow_mut(|spare| {
        if spare.inputs.len() < KEPT && !buffer.is_empty() {
            spare.inputs.push(buffer);
        }
    });
}

/// Memory for an output that has none.
pub(crate) fn output() -> Vec<u8> {
    SPARE.with_borrow_mut(|spare| spare.outputs.pop()).unwrap_or_default()
}

/// Takes the memory of an output that holds nothing any more.
pub(crate) fn return_output(output: &mut Vec<u8>) {
    let mut output = mem::take(output);
    SPARE.with_borrow_mut(|spare| {
        if spare.outputs.len() < KEPT && (1..=LONGEST).contains(&output.capacity()) {
            output.clear();
            spare.outputs.push(output);
        }
    });
}
