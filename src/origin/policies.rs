//! The TLS configurations of the sites, one for each policy that differs.
//!
//! A configuration is made when a policy is first used and shared by all sites that say the same. Its number is part of
//! a connection's key, so a connection verified under one policy never serves another.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{ClientConfig, RootCertStore};

use super::error::Cause;
use crate::config::{CertificateNames, OriginConfig, Site, Trust};
use crate::tls::{NameCheck, NameRule, TrustSource, client_config, trust_roots};

/// One policy in use.
#[derive(Debug)]
pub struct TlsPolicy {
    /// Differs from that of every other policy in the life of this process.
    pub id: u64,
    /// What the handshake uses.
    pub config: Arc<ClientConfig>,
    /// Whom it trusts: tells whether the CA file has changed since.
    roots: Arc<RootCertStore>,
}

/// All policies in use.
#[derive(Debug, Default)]
pub struct Policies(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    policies: HashMap<PolicyKey, Arc<TlsPolicy>>,
    made: u64,
}

type PolicyKey = (Trust, NameCheck);

/// What a look at the files of all policies brought.
#[derive(Debug, Default)]
pub struct Renewed {
    /// Policies that are no more; connections made under them are not to be used again.
    pub gone: HashSet<u64>,
    /// Of them, those in use whose files have changed.
    pub changed: usize,
}

impl Policies {
    /// The policy of a site. The roots of a CA file are read at its first use; one that cannot be read is a fault of the
    /// setting.
    pub fn policy(&self, origin: &OriginConfig) -> Result<Arc<TlsPolicy>, Cause> {
        let key = key_of(origin);
        let mut table = self.lock();
        if let Some(policy) = table.policies.get(&key) {
            return Ok(Arc::clone(policy));
        }
        let roots = trust_roots(&source(&key.0)).map_err(|problem| Cause::Setting(problem.to_string()))?;
        table.made += 1;
        let config = client_config(Arc::clone(&roots), key.1.clone());
        let policy = Arc::new(TlsPolicy { id: table.made, config, roots });
        table.policies.insert(key, Arc::clone(&policy));
        Ok(policy)
    }

    /// Forgets the policies that none of these sites has, and those whose files say something else by now: their next use
    /// makes them anew, under another number. Reads the files, with nothing locked.
    pub fn renew(&self, sites: &[Arc<Site>]) -> Renewed {
        let in_use: HashSet<PolicyKey> = sites.iter().map(|site| key_of(&site.origin)).collect();
        let known: Vec<_> =
            self.lock().policies.iter().map(|(key, policy)| (key.clone(), Arc::clone(policy))).collect();
        let mut renewed = Renewed::default();
        for (key, policy) in known {
            // The same bytes give the same roots as long as somebody holds them, and `policy` does.
            let is_current = || trust_roots(&source(&key.0)).is_ok_and(|roots| Arc::ptr_eq(&roots, &policy.roots));
            let is_in_use = in_use.contains(&key);
            if !is_in_use || !is_current() {
                renewed.gone.insert(policy.id);
                renewed.changed += usize::from(is_in_use);
            }
        }
        self.lock().policies.retain(|_, policy| !renewed.gone.contains(&policy.id));
        renewed
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(origin: &OriginConfig) -> PolicyKey {
    let check = NameCheck {
        rule: rule(origin.certificate_names),
        whitelist: origin.common_name_whitelist.clone(),
        pins: origin.pin.clone(),
    };
    (origin.trust.clone(), check)
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
