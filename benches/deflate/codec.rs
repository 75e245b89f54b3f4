//! The codec alone: what an echo cannot cost less than.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use crate::wire::Stream;
use crate::{Echo, Setting};

/// What a compressor leaves out at a message's end (RFC 7692, 7.2.1).
pub(crate) const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// Compresses one message after the other.
pub(crate) struct Compressor {
    codec: Deflate,
    takeover: bool,
    out: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new(setting: Setting) -> Self {
        let config = DeflateConfig {
            level: setting.level.into(),
            window_bits: -15,
            mem_level: setting.memory_level.into(),
            ..DeflateConfig::default()
        };
        Self { codec: Deflate::new_with_config(config), takeover: setting.takeover, out: Vec::new() }
    }

    /// The message as it is sent, without the tail. Once this has met the longest message, it allocates nothing.
    pub(crate) fn compress(&mut self, message: &[u8]) -> &[u8] {
        let most = message.len() + message.len() / 8 + 64;
        if self.out.len() < most {
            self.out.resize(most, 0);
        }
        let before = self.codec.total_out();
        self.codec.compress(message, &mut self.out, DeflateFlush::SyncFlush).expect("there is room");
        let len = (self.codec.total_out() - before) as usize;
        if !self.takeover {
            self.codec.reset();
        }
        self.out[..len].strip_suffix(&TAIL).expect("a flush ends with it")
    }
}

/// Inflates one message after the other.
pub(crate) struct Decompressor {
    codec: Inflate,
    takeover: bool,
    out: Vec<u8>,
}

impl Decompressor {
    /// For messages of at most `longest` bytes.
    pub(crate) fn new(takeover: bool, longest: usize) -> Self {
        Self { codec: Inflate::new(false, 15), takeover, out: vec![0; longest + 1] }
    }

    /// The message, of which `compressed` has the tail as well.
    pub(crate) fn inflate(&mut self, compressed: &[u8]) -> &[u8] {
        let before = self.codec.total_out();
        self.codec.decompress(compressed, &mut self.out, InflateFlush::SyncFlush).expect("it is well-formed");
        let len = (self.codec.total_out() - before) as usize;
        if !self.takeover {
            self.codec.reset(false);
        }
        &self.out[..len]
    }
}

/// Inflates and compresses again, without frames.
pub(crate) struct Codec {
    /// Compressed messages, with their tails.
    messages: Vec<Vec<u8>>,
    position: usize,
    decompressor: Decompressor,
    compressor: Compressor,
}

impl Codec {
    pub(crate) fn new(setting: Setting, stream: &Stream) -> Self {
        Self {
            messages: stream.tailed(),
            position: 0,
            decompressor: Decompressor::new(setting.takeover, stream.longest),
            compressor: Compressor::new(setting),
        }
    }
}

impl Echo for Codec {
    fn echo(&mut self, count: usize, mut each: impl FnMut(&[u8])) {
        for _ in 0..count {
            let message = self.decompressor.inflate(&self.messages[self.position]);
            each(message);
            std::hint::black_box(self.compressor.compress(message));
            self.position = (self.position + 1) % self.messages.len();
        }
    }
}
