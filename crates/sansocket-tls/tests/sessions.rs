//! Sessions in memory: who is trusted, and configurations of the caller's own.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use sansocket_tls::rustls::crypto::ring;
use sansocket_tls::rustls::{ClientConfig, Connection, RootCertStore, ServerConfig};
use sansocket_tls::{TlsAcceptor, TlsConnector, TlsError};

/// A server that signs for itself, and its certificate in PEM.
fn server() -> (TlsAcceptor, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    (TlsAcceptor::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap(), certificate)
}

/// Carries bytes both ways until both are done with the handshake.
fn shake_hands(client: &mut Connection, server: &mut Connection) -> Result<(), TlsError> {
    while client.is_handshaking() || server.is_handshaking() {
        carry(client, server)?;
        carry(server, client)?;
    }
    Ok(())
}

fn carry(from: &mut Connection, to: &mut Connection) -> Result<(), TlsError> {
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire)?;
    }
    let mut wire = wire.as_slice();
    while !wire.is_empty() {
        to.read_tls(&mut wire)?;
        to.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn a_session_carries_bytes_once_hands_are_shaken() {
    let (acceptor, certificate) = server();
    for connector in [TlsConnector::with_ca(certificate.as_bytes()).unwrap(), TlsConnector::insecure()] {
        let mut client = connector.session("localhost").unwrap().into();
        let mut server = acceptor.session().unwrap().into();
        shake_hands(&mut client, &mut server).unwrap();
        client.writer().write_all(b"hello").unwrap();
        carry(&mut client, &mut server).unwrap();
        let mut bytes = [0; 5];
        server.reader().read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"hello");
    }
}

#[test]
fn nobody_else_is_trusted() {
    let (acceptor, certificate) = server();
    let mut client = TlsConnector::bundled_roots().session("localhost").unwrap().into();
    let error = shake_hands(&mut client, &mut acceptor.session().unwrap().into()).unwrap_err();
    assert!(matches!(error, TlsError::UnknownIssuer(_)), "{error:?}");

    let mut client = TlsConnector::with_ca(certificate.as_bytes()).unwrap().session("elsewhere").unwrap().into();
    let error = shake_hands(&mut client, &mut acceptor.session().unwrap().into()).unwrap_err();
    assert!(matches!(error, TlsError::WrongHost(_)), "{error:?}");
}

#[test]
fn a_configuration_of_ones_own_is_used_as_it_is() {
    let provider = || Arc::new(ring::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    client.enable_sni = false;
    let hello = |connector: TlsConnector| {
        let (mut hello, mut session) = (Vec::new(), connector.session("elsewhere.example").unwrap());
        session.write_tls(&mut hello).unwrap();
        hello
    };
    let names = |hello: &[u8]| hello.windows(17).any(|window| window == b"elsewhere.example");
    assert!(names(&hello(TlsConnector::bundled_roots())));
    assert!(!names(&hello(client.clone().into())));
    assert!(!names(&hello(Arc::new(client).into())));

    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    for acceptor in [TlsAcceptor::from(server.clone()), TlsAcceptor::from(Arc::new(server))] {
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates({
                let mut roots = RootCertStore::empty();
                roots.add(certificate.der().clone()).unwrap();
                roots
            })
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut client = TlsConnector::from(client).session("localhost").unwrap().into();
        let mut server = acceptor.session().unwrap().into();
        shake_hands(&mut client, &mut server).unwrap();
        assert_eq!(server.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
}

#[test]
fn hosts_are_names_and_addresses_with_or_without_brackets() {
    let connector = TlsConnector::bundled_roots();
    for host in ["localhost", "127.0.0.1", "::1", "[::1]"] {
        connector.session(host).unwrap();
    }
    for host in ["", "a b", "[", "a:80"] {
        assert!(matches!(connector.session(host), Err(TlsError::HostName)), "{host}");
    }
}

#[test]
fn an_error_of_rustls_is_found_inside_one_of_a_stream() {
    use sansocket_tls::rustls::{CertificateError, Error};
    let expired = || Error::InvalidCertificate(CertificateError::Expired);
    assert!(matches!(TlsError::from(expired()), TlsError::Expired(_)));
    assert!(matches!(TlsError::from(io::Error::new(io::ErrorKind::InvalidData, expired())), TlsError::Expired(_)));
    assert!(matches!(TlsError::from(Error::DecryptError), TlsError::Rustls(_)));
    assert!(matches!(TlsError::from(io::Error::from(io::ErrorKind::BrokenPipe)), TlsError::Io(_)));
}
