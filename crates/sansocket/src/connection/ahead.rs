//! What the input begins with, for those who want to know before they take it.

use super::{Connection, Phase};
use crate::frame::{FrameHeader, RSV1};
use crate::role::Role;

impl<R: Role> Connection<R> {
    /// Whether `input` holds the rest of a message's last frame: without more input, `receive` will give the last piece of a message (a
    /// character that was cut may come before it, as a piece of its own), or find the message to be bad, if the output has room for [`MAX_REPLY`](crate::MAX_REPLY) bytes.
    ///
    /// An adapter that lends messages out of its own buffer asks this before it borrows the buffer for good. A compressed message has no
    /// pieces that could be lent from there: of such a one, this is false.
    pub fn completes_message(&self, input: &[u8]) -> bool {
        self.data_ahead(input).is_some_and(|data| data.fin && data.left <= data.there as u64)
    }

    /// Whether `input` begins with something of a message: the next `receive` over it will give a piece, or find the message to
    /// be bad, if the output has room for [`MAX_REPLY`](crate::MAX_REPLY) bytes. Of a compressed message, this is false.
    pub fn continues_message(&self, input: &[u8]) -> bool {
        self.data_ahead(input).is_some_and(|data| data.there > 0 || data.left == 0)
    }

    /// How many bytes of the frame that `input` begins with have not come; of a header that is cut itself, at least one. 0: the frame is there as
    /// a whole, or what `input` begins with is no frame. Whether the frame may come here and now is not looked at.
    ///
    /// A read that has filled its buffer leaves a cut frame at the end. Where this much still fits behind it, it may be moved to the
    /// front before more is read: then its message lies in one place, and need not be joined. What is left to lie there is not
    /// validated, so do that only if more bytes are sure to be there.
    #[inline]
    pub fn missing(&self, input: &[u8]) -> u64 {
        // Whatever it is, nothing is missing of it if there are so many bytes: that is known at once for all but the last frame of a read.
        let at_most = match *input {
            [_, second, high, low, ..] => match second & 0x7F {
                126 => usize::from(u16::from_be_bytes([high, low])).saturating_add(8),
                127 => usize::MAX,
                len => 6 + usize::from(len),
            },
            _ => usize::MAX,
        };
        if input.len() >= at_most { 0 } else { self.missing_of_last(input) }
    }

    #[inline(never)]
    fn missing_of_last(&self, input: &[u8]) -> u64 {
        if !matches!(self.phase, Phase::BetweenMessages | Phase::Header) || self.held > 0 || input.is_empty() {
            return 0;
        }
        match FrameHeader::parse(input) {
            Ok(Some((header, end))) => header.payload_len().saturating_sub((input.len() - end) as u64),
            Ok(None) => 1,
            Err(_) => 0,
        }
    }

    /// The data frame that `input` begins with or continues, if it does.
    fn data_ahead(&self, input: &[u8]) -> Option<DataAhead> {
        match self.phase {
            Phase::Control | Phase::Over => None,
            Phase::Data if self.incoming.is_some_and(|incoming| incoming.compressed) => None,
            Phase::Data => Some(DataAhead { fin: self.fin, left: self.payload_left, there: input.len() }),
            Phase::BetweenMessages | Phase::Header => {
                let (joined, len) = self.join_header(input);
                let (header, end) = FrameHeader::parse(&joined[..len]).ok().flatten()?;
                let there = input.len() - (end - usize::from(self.held));
                let data = DataAhead { fin: header.is_fin(), left: header.payload_len(), there };
                let compressed = match self.incoming {
                    Some(incoming) => incoming.compressed,
                    None => header.reserved() == RSV1 && self.negotiated.compression().is_some(),
                };
                (!header.opcode().is_control() && !compressed).then_some(data)
            }
        }
    }
}

/// A data frame in the input: whether it is its message's last, its payload still to come, and how much of the input is behind
/// its header.
struct DataAhead {
    fin: bool,
    left: u64,
    there: usize,
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::super::receive::tests::{SERVER, connection, frame};
    use crate::{Limits, Negotiated};

    #[test]
    fn what_is_missing_of_a_frame_is_told_at_its_beginning() {
        for payload_len in [0, 5, 125, 126, 1000] {
            let whole = frame(SERVER, 0x82, &vec![7; payload_len]);
            let whole = &whole[..whole.len() - 2];
            let header_len = whole.len() - payload_len;
            let new = || connection(SERVER, Negotiated::default(), Limits::DEFAULT);
            for there in 1..=whole.len() {
                let missing = if there < header_len { 1 } else { (whole.len() - there) as u64 };
                assert_eq!(new().missing(&whole[..there]), missing, "{there} of {payload_len}");
            }
            // Inside of a header or of a payload, nothing begins.
            for there in 1..whole.len() {
                let (mut connection, mut begun) = (new(), whole[..there].to_vec());
                let mut input = &mut begun[..];
                while connection.receive(&mut input, &mut Vec::new()).is_some() {}
                assert_eq!(connection.missing(&whole[there..]), 0);
            }
        }
        let mut server = connection(SERVER, Negotiated::default(), Limits::DEFAULT);
        assert_eq!(server.missing(&[]), 0);
        // A reserved opcode; behind it, nothing counts.
        assert_eq!(server.missing(&[0x83]), 0);
        assert!(server.receive(&mut &mut [0x83][..], &mut Vec::new()).is_some());
        assert_eq!(server.missing(&[0x82]), 0);
    }
}
