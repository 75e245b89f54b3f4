//! Memory that no connection uses. A thread lends it to whichever of its connections has something to read or to write, so that one that
//! waits for its peer holds none.

use std::cell::RefCell;
use std::mem;

use crate::READ_BUFFER;

/// How many of each a thread keeps. More are in use at once only where tasks are interrupted with something in hand.
const KEPT: usize = 8;

/// The longest output or message whose memory is kept, in bytes.
const LONGEST: usize = 128 * 1024;

#[derive(Default)]
struct Spare {
    buffers: Vec<Box<[u8]>>,
    outputs: Vec<Vec<u8>>,
    messages: Vec<Vec<u8>>,
}

thread_local! {
    static SPARE: RefCell<Spare> =
        const { RefCell::new(Spare { buffers: Vec::new(), outputs: Vec::new(), messages: Vec::new() }) };
}

/// A buffer to read into, of [`READ_BUFFER`] bytes. What lies in it is of no meaning.
pub(crate) fn buffer() -> Box<[u8]> {
    SPARE.with_borrow_mut(|spare| spare.buffers.pop()).unwrap_or_else(|| vec![0; READ_BUFFER].into())
}

/// Takes back what [`buffer`] has lent; another one is dropped.
pub(crate) fn return_buffer(buffer: Box<[u8]>) {
    SPARE.with_borrow_mut(|spare| {
        if spare.buffers.len() < KEPT && buffer.len() == READ_BUFFER {
            spare.buffers.push(buffer);
        }
    });
}

/// Memory for a message that is joined, if there is some. What lies in it is of no meaning.
pub(crate) fn message() -> Option<Vec<u8>> {
    SPARE.with_borrow_mut(|spare| spare.messages.pop())
}

/// Takes memory in which nobody needs a message any more.
pub(crate) fn return_message(message: Vec<u8>) {
    SPARE.with_borrow_mut(|spare| keep(&mut spare.messages, message));
}

/// Lends memory to an output that has none.
pub fn lend_output(output: &mut Vec<u8>) {
    if let Some(spare) = SPARE.with_borrow_mut(|spare| spare.outputs.pop()) {
        *output = spare;
    }
}

/// Takes the memory of an output that holds nothing any more.
pub fn return_output(output: &mut Vec<u8>) {
    if output.capacity() > 0 {
        let mut output = mem::take(output);
        output.clear();
        SPARE.with_borrow_mut(|spare| keep(&mut spare.outputs, output));
    }
}

fn keep(kept: &mut Vec<Vec<u8>>, memory: Vec<u8>) {
    if kept.len() < KEPT && (1..=LONGEST).contains(&memory.capacity()) {
        kept.push(memory);
    }
}
