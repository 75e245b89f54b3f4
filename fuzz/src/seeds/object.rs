//! Seeds of the target `object`: for each operation at least one, and for each way to end.

use super::Seed;
use crate::object::op::{
    BINARY_TYPE, CLEAN, CLOSE, CLOSING, FAILED, GO_AWAY, HAND_OVER, LOST, MESSAGE, OPEN, PUMP, SEND, SET,
};

/// All of them.
pub(super) fn seeds() -> Vec<Seed> {
    let seed = |limit: u8, program: &[u8]| [&[limit], program].concat();
    vec![
        (
            "a-whole-life",
            seed(
                0,
                &[
                    OPEN,
                    PUMP,
                    SEND | SET,
                    5,
                    HAND_OVER,
                    0,
                    3,
                    MESSAGE | SET,
                    4,
                    MESSAGE,
                    9,
                    PUMP,
                    BINARY_TYPE | SET,
                    PUMP,
                    HAND_OVER,
                    0,
                    2,
                    PUMP,
                    CLOSE,
                    1,
                    3,
                    CLOSING,
                    CLEAN,
                    1,
                    PUMP,
                ],
            ),
        ),
        ("never-open", seed(0, &[SEND, 1, FAILED, PUMP, PUMP, PUMP, SEND, 1])),
        ("closed-while-connecting", seed(0, &[CLOSE, 0, 0, OPEN, CLEAN, 1, PUMP, PUMP, PUMP])),
        ("the-server-closes", seed(0, &[OPEN, PUMP, MESSAGE, 3, CLOSING, PUMP, PUMP, SEND, 7, CLEAN, 2, PUMP])),
        ("lost", seed(0, &[OPEN, PUMP, SEND, 9, LOST | SET, MESSAGE, 2, PUMP, PUMP])),
        ("full", seed(11, &[OPEN, PUMP, SEND, 10, SEND, 1, SEND, 2, CLOSE, 1, 0, LOST, PUMP, PUMP])),
        ("room-is-made", seed(11, &[OPEN, PUMP, SEND, 10, HAND_OVER, 0, 10, SEND, 0, PUMP, SEND, 10])),
        ("refused-closes", seed(0, &[CLOSE, 6, 0, OPEN, PUMP, CLOSE, 4, 0, CLOSE, 1, 124, CLOSE, 0, 5])),
        ("gone", seed(0, &[OPEN, PUMP, MESSAGE, 1, GO_AWAY | SET, GO_AWAY, PUMP, CLEAN, 6, PUMP])),
        ("out-of-order", seed(0, &[MESSAGE, 1, CLOSING, OPEN, OPEN, PUMP, PUMP, PUMP, PUMP, CLEAN, 7, LOST, FAILED])),
    ]
}
