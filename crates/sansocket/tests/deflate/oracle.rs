//! DEFLATE (RFC 1951) by others: miniz_oxide, and one of our own that is slow and tells how far back its data refer.

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};

/// What a compressor leaves out at a message's end.
pub(crate) const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// miniz_oxide as a peer's compressor.
pub(crate) struct Packer {
    codec: Box<CompressorOxide>,
    level: u8,
}

impl Packer {
    pub(crate) fn new(level: u8) -> Self {
        // Negative: no header and no checksum around the data.
        let flags = create_comp_flags_from_zip_params(level.into(), -15, 0);
        Self { codec: Box::new(CompressorOxide::new(flags)), level }
    }

    /// Compresses and flushes.
    pub(crate) fn pack(&mut self, mut bytes: &[u8], flush: MZFlush) -> Vec<u8> {
        let mut packed = Vec::new();
        let mut room = vec![0; 64 * 1024];
        loop {
            let result = deflate(&mut self.codec, bytes, &mut room, flush);
            bytes = &bytes[result.bytes_consumed..];
            packed.extend(&room[..result.bytes_written]);
            if bytes.is_empty() && result.bytes_written < room.len() {
                break;
            }
        }
        if flush == MZFlush::Finish {
            // What follows a final block is new data.
            *self = Self::new(self.level);
        }
        packed
    }

    /// A message as RFC 7692, section 7.2.1, makes it of this.
    pub(crate) fn message(&mut self, bytes: &[u8]) -> Vec<u8> {
        let packed = self.pack(bytes, MZFlush::Sync);
        match packed.strip_suffix(&TAIL) {
            Some(message) => message.to_vec(),
            // 7.2.3.6: nothing was there to be flushed.
            None => vec![0],
        }
    }
}

/// `bytes` as a message of a peer that begins anew with each, and what its last fragment ends with.
pub(crate) fn packed(bytes: &[u8]) -> Vec<u8> {
    Packer::new(6).message(bytes)
}

/// miniz_oxide as a peer's decompressor.
pub(crate) struct Unpacker(Box<InflateState>);

impl Unpacker {
    pub(crate) fn new() -> Self {
        Self(InflateState::new_boxed(DataFormat::Raw))
    }

    /// Inflates a message as RFC 7692, section 7.2.2, says.
    pub(crate) fn message(&mut self, message: &[u8]) -> Vec<u8> {
        self.unpack(&[message, &TAIL].concat())
    }

    /// Inflates what there is.
    pub(crate) fn unpack(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut unpacked = Vec::new();
        let mut room = vec![0; 64 * 1024];
        loop {
            let result = inflate(&mut self.0, bytes, &mut room, MZFlush::None);
            bytes = &bytes[result.bytes_consumed..];
            unpacked.extend(&room[..result.bytes_written]);
            if result.bytes_consumed == 0 && result.bytes_written == 0 {
                break;
            }
            assert!(result.status.is_ok(), "{:?}", result.status);
        }
        assert_eq!(bytes, b"", "data behind the end");
        unpacked
    }
}

/// RFC 1951 as it is written down, over data that begin and end at a block's border.
///
/// Adds to `history` and gives the largest distance.
pub(crate) fn farthest(data: &[u8], history: &mut Vec<u8>) -> usize {
    let mut bits = Bits { data, at: 0 };
    let mut farthest = 0;
    while !bits.is_at_end() {
        let is_final = bits.take(1) == 1;
        match bits.take(2) {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let (len, complement) = (bits.take(16), bits.take(16));
                assert_eq!(len ^ complement, 0xFFFF, "a stored block's length");
                history.extend((0..len).map(|_| u8::try_from(bits.take(8)).unwrap()));
            }
            1 => {
                let lengths: Vec<_> = (0..288)
                    .map(|symbol| [8, 9, 7, 8][[144, 256, 280].partition_point(|&end| end <= symbol)])
                    .collect();
                let codes = (Code::new(&lengths), Code::new(&[5; 30]));
                farthest = farthest.max(bits.block(&codes, history));
            }
            2 => {
                let codes = bits.codes();
                farthest = farthest.max(bits.block(&codes, history));
            }
            _ => panic!("a block of type 3"),
        }
        if is_final {
            bits.at = bits.at.next_multiple_of(8);
        }
    }
    farthest
}

struct Bits<'d> {
    data: &'d [u8],
    at: usize,
}

impl Bits<'_> {
    fn is_at_end(&self) -> bool {
        self.at == self.data.len() * 8
    }

    fn take(&mut self, count: usize) -> usize {
        let bit = |at: usize| usize::from(self.data[at / 8] >> (at % 8) & 1);
        let value = (0..count).map(|i| bit(self.at + i) << i).sum();
        self.at += count;
        value
    }

    /// 3.2.7.
    fn codes(&mut self) -> (Code, Code) {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let (literals, distances, lengths) = (self.take(5) + 257, self.take(5) + 1, self.take(4) + 4);
        let mut of_lengths = [0; 19];
        ORDER[..lengths].iter().for_each(|&symbol| of_lengths[symbol] = self.take(3));
        let code = Code::new(&of_lengths);
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match code.symbol(self) {
                16 => (*lengths.last().unwrap(), 3 + self.take(2)),
                17 => (0, 3 + self.take(3)),
                18 => (0, 11 + self.take(7)),
                length => (length, 1),
            };
            lengths.extend((0..times).map(|_| length));
        }
        (Code::new(&lengths[..literals]), Code::new(&lengths[literals..]))
    }

    /// 3.2.5.
    fn block(&mut self, (literals, distances): &(Code, Code), history: &mut Vec<u8>) -> usize {
        let mut farthest = 0;
        loop {
            match literals.symbol(self) {
                literal @ 0..256 => history.push(u8::try_from(literal).unwrap()),
                256 => return farthest,
                symbol => {
                    let length = match symbol - 257 {
                        28 => 258,
                        code @ 0..8 => code + 3,
                        code => self.base(code, 2) + 3,
                    };
                    let distance = match distances.symbol(self) {
                        code @ 0..4 => code + 1,
                        code => self.base(code, 1) + 1,
                    };
                    assert!(distance <= history.len(), "nothing is {distance} bytes back");
                    farthest = farthest.max(distance);
                    (0..length).for_each(|_| history.push(history[history.len() - distance]));
                }
            }
        }
    }

    /// Both tables of 3.2.5: every 2 to the power of `log` codes have one bit more.
    fn base(&mut self, code: usize, log: usize) -> usize {
        let extra = (code >> log) - 1;
        ((1 << log | code & ((1 << log) - 1)) << extra) + self.take(extra)
    }
}

/// A Huffman code (3.2.2): the first code of each length, and the symbols in order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|&length| counts[length] += 1);
        counts[0] = 0;
        let mut symbols: Vec<_> = (0..lengths.len()).filter(|&symbol| lengths[symbol] > 0).collect();
        symbols.sort_by_key(|&symbol| lengths[symbol]);
        Self { counts, symbols }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &self.counts[1..] {
            code |= bits.take(1);
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("no such code");
    }
}

#[test]
fn the_oracles_agree() {
    let text: Vec<u8> =
        (0..60_000u32).flat_map(|i| (u64::from(i / 7 % 1000) * 2_654_435_761).to_string().into_bytes()).collect();
    let text = &text[..100_000];
    for level in 0..=10 {
        let (mut packer, mut unpacker, mut history) = (Packer::new(level), Unpacker::new(), Vec::new());
        for part in text.chunks(40_000) {
            let message = packer.message(part);
            assert_eq!(unpacker.message(&message), part);
            let before = history.len();
            let distance = farthest(&[&message[..], &TAIL].concat(), &mut history);
            assert!(distance <= 32768, "{distance}");
            assert_eq!(&history[before..], part);
        }
    }
    assert_eq!(farthest(b"\xF3\x48\xCD\xC9\xC9\x07\x00\xF2\x00\x11\x00\x00\x00\x00\xFF\xFF", &mut Vec::new()), 5);
}
