//! The TLS configurations of the sites, one for each policy that differs.
//!
//! A configuration is made when a policy is first used and shared by all sites that say the same. Its number is part of
//! a connection's key, so a connection verified under one policy never serves another.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ClientConfig;
use rustls::sign::SingleCertAndKey;

use super::error::Cause;
use crate::config::{CertificateNames, ClientCertificate, OriginConfig, TlsMin, Trust};
use crate::tls::{ClientSide, NameCheck, NameRule, TrustSource, client_certificate, client_config, trust_roots};

/// One policy in use.
#[derive(Debug)]
pub struct TlsPolicy {
    /// Differs from that of every other policy in the life of this process.
    pub id: u64,
    /// What the handshake uses.
    pub config: Arc<ClientConfig>,
}

/// All policies in use.
#[derive(Debug, Default)]
pub struct Policies(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    policies: HashMap<Policy, Arc<TlsPolicy>>,
    made: u64,
}

/// All that two sites must have in common to share connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Policy {
    trust: Trust,
    check: NameCheck,
    client: Option<ClientCertificate>,
    tls_min: TlsMin,
}

impl Policies {
    /// The policy of a site. CA file and client certificate are read at their first use; what cannot be read is a fault
    /// of the setting.
    pub fn policy(&self, origin: &OriginConfig) -> Result<Arc<TlsPolicy>, Cause> {
        let check = NameCheck {
            rule: rule(origin.certificate_names),
            whitelist: origin.common_name_whitelist.clone(),
            pins: origin.pin.clone(),
        };
        let key = Policy {
            trust: origin.trust.clone(),
            check,
            client: origin.client_certificate.clone(),
            tls_min: origin.tls_min,
        };
        if let Some(policy) = self.lock().policies.get(&key) {
            return Ok(Arc::clone(policy));
        }
        // Files are read outside the lock; of two who read at once the first stays.
        let config = key.config()?;
        let mut table = self.lock();
        table.made += 1;
        let id = table.made;
        Ok(Arc::clone(table.policies.entry(key).or_insert_with(|| Arc::new(TlsPolicy { id, config }))))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Policy {
    fn config(&self) -> Result<Arc<ClientConfig>, Cause> {
        let roots = trust_roots(&source(&self.trust)).map_err(|problem| Cause::Setting(problem.to_string()))?;
        let side = ClientSide {
            certificate: self.client.as_ref().map(certificate).transpose()?,
            is_tls13_only: self.tls_min == TlsMin::Tls13,
        };
        Ok(client_config(roots, self.check.clone(), side))
    }
}

fn certificate(paths: &ClientCertificate) -> Result<Arc<SingleCertAndKey>, Cause> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| Cause::Setting(format!("cannot read {}: {error}", path.display())))
    };
    let (chain, key) = (read(&paths.certificate)?, read(&paths.key)?);
    client_certificate(&chain, &key).map_err(|problem| Cause::Setting(format!("client_certificate: {problem}")))
}

fn rule(names: CertificateNames) -> NameRule {
    match names {
        CertificateNames::San => NameRule::San,
        CertificateNames::SanOrCn => NameRule::SanOrCn,
        CertificateNames::Cn => NameRule::Cn,
    }
}

fn source(trust: &Trust) -> TrustSource {
    match trust {
        Trust::System => TrustSource::System,
        Trust::Bundled => TrustSource::Bundled,
        Trust::File(path) => TrustSource::File(path.clone()),
    }
}
