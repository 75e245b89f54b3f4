//! What the command is told about compression.

use clap::Args;
use sansocket_std::deflate::{Config, Policy};

/// permessage-deflate, for both sides.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Compression {
    /// Compresses messages (permessage-deflate), if the other side agrees.
    #[arg(long)]
    deflate: bool,

    /// Lets messages refer to earlier ones, which makes them smaller and takes about 380 KiB for each connection.
    #[arg(long, requires = "deflate")]
    takeover: bool,

    /// How hard to compress, from 0 to 9.
    #[arg(long, value_name = "LEVEL", requires = "deflate", value_parser = clap::value_parser!(u8).range(0..=9))]
    deflate_level: Option<u8>,

    /// From how many bytes on messages are compressed; with --takeover, from an eighth of that on.
    #[arg(long, value_name = "BYTES", requires = "deflate")]
    deflate_threshold: Option<usize>,
}

impl Compression {
    /// `None`: nothing is compressed.
    pub(crate) fn config(self) -> Option<Config> {
        let policy = if self.takeover { Policy::TAKEOVER } else { Policy::DEFAULT };
        let level = self.deflate_level.unwrap_or(Config::DEFAULT.level);
        let threshold = self.deflate_threshold.unwrap_or(Config::DEFAULT.threshold);
        self.deflate.then_some(Config { policy, level, threshold, ..Config::DEFAULT })
    }
}
