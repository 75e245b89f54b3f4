//! `--ca` and `--insecure`: whom to trust.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use sansocket_std::TlsConnector;

/// Whom to trust, if the URL asks for TLS.
#[derive(Args, Debug)]
pub(crate) struct Trust {
    /// Trusts the certificates in this PEM file alone, instead of those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Trusts every server: encrypted, but nobody knows with whom. For experiments.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
}

impl Trust {
    /// To be asked where the URL asks for TLS: it warns.
    pub(crate) fn connector(&self) -> anyhow::Result<TlsConnector> {
        Ok(match &self.ca {
            Some(file) => {
                let pem = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                TlsConnector::with_ca(&pem).with_context(|| format!("cannot trust {}", file.display()))?
            }
            None if self.insecure => {
                eprintln!(
                    "sansocket: warning: --insecure trusts every server; anybody on the way can read and change everything"
                );
                TlsConnector::insecure()
            }
            // A machine without roots of its own, a small container say, is none to fail on.
            None => TlsConnector::platform_roots().unwrap_or_else(|_| TlsConnector::bundled_roots()),
        })
    }
}
