//! A certificate for this machine, and the authority behind it, made anew for each run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::folder;

/// The files, in PEM.
pub(super) struct Certificates {
    /// The authority's own certificate.
    pub(super) ca: PathBuf,
    /// That of another authority, which has signed nothing.
    pub(super) stranger: PathBuf,
    /// The server's.
    pub(super) certificate: PathBuf,
    /// The server's private key.
    pub(super) key: PathBuf,
}

impl Certificates {
    /// Makes them and writes them into the folder.
    pub(super) fn write(folder: &Path) -> Result<Self> {
        folder::empty(folder)?;
        let write = |name: &str, pem: String| {
            let path = folder.join(name);
            fs::write(&path, pem).with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(path)
        };
        let authority = authority("sansocket interop")?;
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // OpenSSL wants it if it is strict, as Python 3.13 asks it to be.
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Self {
            ca: write("ca.pem", authority.pem())?,
            stranger: write("stranger.pem", self::authority("somebody else")?.pem())?,
            certificate: write("certificate.pem", params.signed_by(&key, &authority)?.pem())?,
            key: write("key.pem", key.serialize_pem())?,
        })
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new([])?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}
