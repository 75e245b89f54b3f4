//! `--trace`: every frame in one line.

use std::fmt::Write as _;

use sansocket::{FrameHeader, Opcode};
use sansocket_std::Direction;

/// How much of a payload is shown, in bytes.
const SHOWN: usize = 64;

/// A function that takes the bytes of both directions.
pub(crate) trait Tracer: FnMut(Direction, &[u8]) + Send {}

impl<F: FnMut(Direction, &[u8]) + Send> Tracer for F {}

/// Gives a function that takes the bytes of both directions and prints a line for each frame on the standard error. `name` is put in
/// front.
pub(crate) fn tracer(name: String) -> impl FnMut(Direction, &[u8]) + Send + 'static {
    let (mut received, mut sent) = (Frames::new('<'), Frames::new('>'));
    move |direction, bytes| {
        let frames = match direction {
            Direction::Received => &mut received,
            Direction::Sent => &mut sent,
        };
        frames.take(bytes, |line| log!("{name}{line}"));
    }
}

/// The frames of one direction, out of bytes that are cut anywhere.
#[derive(Debug)]
struct Frames {
    arrow: char,
    /// The header under way.
    head: Vec<u8>,
    frame: Option<Frame>,
    /// Whether the bytes stopped to be frames.
    lost: bool,
}

/// A frame under way.
#[derive(Debug)]
struct Frame {
    header: FrameHeader,
    /// The beginning of the payload, without its mask.
    shown: Vec<u8>,
    left: u64,
}

impl Frames {
    const fn new(arrow: char) -> Self {
        Self { arrow, head: Vec::new(), frame: None, lost: false }
    }

    fn take(&mut self, mut bytes: &[u8], mut print: impl FnMut(String)) {
        while !self.lost {
            if let Some(frame) = &mut self.frame {
                bytes = frame.take(bytes);
                if frame.left > 0 {
                    return;
                }
                print(format!("{} {}", self.arrow, frame.describe()));
                self.frame = None;
            }
            let Some((&byte, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.head.push(byte);
            match FrameHeader::parse(&self.head) {
                Ok(Some((header, _))) => {
                    self.head.clear();
                    self.frame = Some(Frame { header, shown: Vec::new(), left: header.payload_len() });
                }
                Ok(None) => {}
                Err(error) => {
                    self.lost = true;
                    print(format!("{} {:02x?}: {error}", self.arrow, self.head));
                }
            }
        }
    }
}

impl Frame {
    /// Takes what of `bytes` is its payload, and gives the rest.
    fn take<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (payload, rest) = bytes.split_at(len);
        self.left -= len as u64;
        let key = self.header.key().unwrap_or_default();
        for byte in &payload[..len.min(SHOWN - self.shown.len())] {
            self.shown.push(byte ^ key[self.shown.len() % 4]);
        }
        rest
    }

    /// Opcode, flags, length and the beginning of the payload.
    fn describe(&self) -> String {
        let header = &self.header;
        let mut line = format!("{:?}", header.opcode()).to_lowercase();
        if !header.is_fin() {
            line.push_str(" more");
        }
        // RSV1 alone: compressed, or it should not be there.
        if header.reserved() == 0b100 {
            line.push_str(" compressed");
        } else if header.reserved() != 0 {
            let _ = write!(line, " rsv={:03b}", header.reserved());
        }
        if header.key().is_some() {
            line.push_str(" masked");
        }
        let _ = write!(line, " {}", header.payload_len());
        match (header.opcode(), &self.shown[..]) {
            (_, []) => {}
            (Opcode::Close, [high, low, reason @ ..]) => {
                let _ = write!(line, " {} {:?}", u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(reason));
            }
            (Opcode::Text, text) if header.reserved() == 0 => {
                let _ = write!(line, " {:?}", String::from_utf8_lossy(text));
            }
            (_, bytes) => bytes.iter().fold(line.push(' '), |(), byte| _ = write!(line, "{byte:02x}")),
        }
        if header.payload_len() > self.shown.len() as u64 {
            line.push('…');
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut frames = Frames::new('<');
        let mut lines = Vec::new();
        chunks.iter().for_each(|chunk| frames.take(chunk, |line| lines.push(line)));
        lines
    }

    #[test]
    fn a_line_for_each_frame_however_the_bytes_are_cut() {
        let bytes = [
            &b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..],
            b"\x02\x01\x0f\x89\x00\x80\x00",
            b"\x82\x7e\x00\xc8",
            &[0xab; 200],
            b"\x88\x05\x03\xe8bye",
            b"\x83\x00ignored",
        ]
        .concat();
        let expected = [
            "< text masked 5 \"Hello\"",
            "< binary more 1 0f",
            "< ping 0",
            "< continuation 0",
            &format!("< binary 200 {}…", "ab".repeat(64)),
            "< close 5 1000 \"bye\"",
            "< [83]: the opcode is reserved (RFC 6455, section 5.2)",
        ];
        assert_eq!(lines(&[&bytes]), expected);
        assert_eq!(lines(&bytes.chunks(1).collect::<Vec<_>>()), expected);
    }
}
