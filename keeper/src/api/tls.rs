//! TLS. Certificates are renewed while the keeper runs: the files are looked at again and again, and what cannot be used
//! leaves the old pair in place.

use std::{
    fs,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use metrics::counter;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::TlsConfig;
use crate::telemetry;

/// Why the API cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or others can read the key.
    #[error("[K-TLS-1] {path}: {reason}")]
    File {
        /// File.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("[K-TLS-2] certificate and key: {0}")]
    Pair(#[from] tokio_rustls::rustls::Error),
}

/// The pair in use.
pub(super) struct Tls {
    config: TlsConfig,
    current: RwLock<(Times, TlsAcceptor)>,
}

type Times = (Option<SystemTime>, Option<SystemTime>);

impl Tls {
    pub(super) fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let current = RwLock::new((times(&config), acceptor(&config)?));
        Ok(Self { config, current })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Takes the files over if they have changed. New connections use them, open ones go on.
    pub(super) fn refresh(&self) {
        let seen = times(&self.config);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).0 == seen {
            return;
        }
        match acceptor(&self.config) {
            Ok(acceptor) => {
                tracing::info!(cert = %self.config.cert.display(), "the new certificate is in use");
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = (seen, acceptor);
            }
            // Tried again at the next look: the second of two files may still be on its way.
            Err(error) => {
                counter!(telemetry::TLS_FAILURES).increment(1);
                tracing::error!(%error, "the new certificate cannot be used, the old one stays");
            }
        }
    }
}

fn times(config: &TlsConfig) -> Times {
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    (time(&config.cert), time(&config.key))
}

fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let fault = |path: &Path, reason: String| TlsError::File { path: path.display().to_string(), reason };
    let certificates = CertificateDer::pem_file_iter(&config.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(&config.cert, error.to_string()))?;
    if certificates.is_empty() {
        return Err(fault(&config.cert, "there is no certificate in it".to_owned()));
    }
    refuse_if_shared(&config.key).map_err(|reason| fault(&config.key, reason))?;
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|error| fault(&config.key, error.to_string()))?;
    let mut server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

#[cfg(unix)]
fn refuse_if_shared(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.permissions().mode() & 0o007 != 0 {
        return Err(format!("everybody can read it; run `chmod 640 {}`", path.display()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_if_shared(_path: &Path) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that tests share")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn write(config: &TlsConfig, cert: &str, key: &str, age: u64) {
        for (path, text) in [(&config.cert, cert), (&config.key, key)] {
            fs::write(path, text).unwrap();
            #[cfg(unix)]
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
    }

    #[test]
    fn a_new_pair_is_taken_over_and_one_that_does_not_fit_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = TlsConfig { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        assert!(matches!(Tls::load(config.clone()), Err(TlsError::File { .. })));
        let pair = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (one, two) = (pair(), pair());
        write(&config, &one.cert.pem(), &one.signing_key.serialize_pem(), 40);
        let tls = Tls::load(config.clone()).unwrap();
        let in_use = || Arc::as_ptr(tls.acceptor().config());
        let first = in_use();
        tls.refresh();
        assert_eq!(in_use(), first, "nothing has changed");

        write(&config, &two.cert.pem(), &one.signing_key.serialize_pem(), 30);
        tls.refresh();
        assert_eq!(in_use(), first, "the key is another certificate's");
        write(&config, "", "", 20);
        tls.refresh();
        assert_eq!(in_use(), first, "nothing in the files");
        write(&config, &two.cert.pem(), &two.signing_key.serialize_pem(), 10);
        tls.refresh();
        assert_ne!(in_use(), first);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_everybody_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let config = TlsConfig { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        write(&config, &pair.cert.pem(), &pair.signing_key.serialize_pem(), 0);
        fs::set_permissions(&config.key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let refused = Tls::load(config).err().unwrap().to_string();
        assert!(refused.contains("chmod 640"), "{refused}");
    }
}
