//! The TLS configurations of the sites, one for each policy that differs.
//!
//! A configuration is made when a policy is first used and shared by all sites that say the same. Its number is part of
//! a connection's key, so a connection verified under one policy never serves another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;

use super::error::Cause;
use crate::config::{CertificateNames, OriginConfig, Trust};
use crate::tls::{NameCheck, NameRule, TrustSource, client_config, origin_verifier, trust_roots};

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
    policies: HashMap<(Trust, NameCheck), Arc<TlsPolicy>>,
    made: u64,
}

impl Policies {
    /// The policy of a site. The roots of a CA file are read at its first use; one that cannot be read is a fault of the
    /// setting.
    pub fn policy(&self, origin: &OriginConfig) -> Result<Arc<TlsPolicy>, Cause> {
        let key = (origin.trust.clone(), name_check(origin));
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = table.policies.get(&key) {
            return Ok(Arc::clone(policy));
        }
        let roots = trust_roots(&source(&key.0)).map_err(|problem| Cause::Setting(problem.to_string()))?;
        table.made += 1;
        let policy = Arc::new(TlsPolicy { id: table.made, config: client_config(roots, key.1.clone()) });
        table.policies.insert(key, Arc::clone(&policy));
        Ok(policy)
    }
}

/// The very check that the policy of this site holds.
pub fn verifier(origin: &OriginConfig) -> Result<Arc<dyn ServerCertVerifier>, Cause> {
    let roots = trust_roots(&source(&origin.trust)).map_err(|problem| Cause::Setting(problem.to_string()))?;
    Ok(origin_verifier(roots, name_check(origin)))
}

fn name_check(origin: &OriginConfig) -> NameCheck {
    NameCheck {
        rule: rule(origin.certificate_names),
        whitelist: origin.common_name_whitelist.clone(),
        pins: origin.pin.clone(),
    }
}

/// Which names of a certificate count, as `tls` has it.
pub fn rule(names: CertificateNames) -> NameRule {
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
