//! TLS as a connection's `tls` says. The certificates of `ca` are trusted in place of the system's.

use std::sync::Arc;

use manade_model::{Secret, Tls};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::ConnectError;
use crate::secret::{self, Revealed};

pub fn connector(tls: &Tls) -> Result<TlsConnector, ConnectError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| ConnectError::new(e.to_string()))?.with_root_certificates(roots(tls)?);
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates("cert", cert)?;
            let pem = reveal("key", key)?;
            let key = PrivateKeyDer::from_pem_slice(pem.bytes()).map_err(|_| no_pem("key", "private key"))?;
            builder.with_client_auth_cert(chain, key).map_err(|_| {
                ConnectError::new("`tls.cert` and `tls.key` do not belong together, or are of a kind that is not known")
            })?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(tls: &Tls) -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = &tls.ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let error = ConnectError::new("this system has no certificates that are trusted");
            return Err(error.with_hint("install them (Debian: ca-certificates), or name them with `tls: { ca: ... }`"));
        }
        return Ok(roots);
    };
    for certificate in certificates("ca", ca)? {
        roots.add(certificate).map_err(|_| ConnectError::new("`tls.ca` has a certificate that cannot be trusted"))?;
    }
    Ok(roots)
}

fn certificates(key: &str, secret: &Secret) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let pem = reveal(key, secret)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.bytes()).collect();
    let found = found.unwrap_or_default();
    if found.is_empty() { Err(no_pem(key, "certificate")) } else { Ok(found) }
}

fn reveal(key: &str, secret: &Secret) -> Result<Revealed, ConnectError> {
    secret::reveal(secret).map_err(|e| ConnectError::new(format!("`tls.{key}`: {e}")))
}

fn no_pem(key: &str, what: &str) -> ConnectError {
    let label = what.to_uppercase();
    ConnectError::new(format!("`tls.{key}` holds no {what} in PEM"))
        .with_hint(format!("PEM begins with `-----BEGIN {label}-----`"))
}
