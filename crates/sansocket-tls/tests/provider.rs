//! The provider of the process: alone in a program of its own, since whoever installs one does it for all tests.

use rcgen::{CertificateParams, KeyPair};
use sansocket_tls::rustls::crypto::CryptoProvider;
use sansocket_tls::{TlsAcceptor, TlsConnector};

#[test]
fn no_provider_has_to_be_installed_and_none_is() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let with_ca = TlsConnector::with_ca(certificate.as_bytes()).unwrap();
    for connector in [TlsConnector::bundled_roots(), TlsConnector::insecure(), with_ca] {
        connector.session("localhost").unwrap();
    }
    TlsAcceptor::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap().session().unwrap();
    assert!(CryptoProvider::get_default().is_none());
}
