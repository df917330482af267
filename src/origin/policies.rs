//! The TLS configurations of the sites, one for each policy that differs.
//!
//! A configuration is made when a policy is first used and shared by all sites that say the same. Its number is part of
//! a connection's key, so a connection verified under one policy never serves another.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConfig, RootCertStore};

use super::error::Cause;
use crate::config::{CertificateNames, ClientCertificate, OriginConfig, Site, TlsMin, Trust};
use crate::tls::{
    ClientSide, NameCheck, NameRule, TrustSource, client_certificate, client_config, origin_verifier, read_pem,
    trust_roots,
};

/// One policy in use.
#[derive(Debug)]
pub struct TlsPolicy {
    /// Differs from that of every other policy in the life of this process.
    pub id: u64,
    /// What the handshake uses.
    pub config: Arc<ClientConfig>,
    /// Whom it trusts: tells whether the CA file has changed since.
    roots: Arc<RootCertStore>,
    /// The same of the client certificate and its key.
    client: u64,
}

/// All policies in use.
#[derive(Debug, Default)]
pub struct Policies(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    policies: HashMap<Policy, Arc<TlsPolicy>>,
    made: u64,
    /// For the marks of files.
    random: RandomState,
}

/// All that two sites must have in common to share connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Policy {
    trust: Trust,
    check: NameCheck,
    client: Option<ClientCertificate>,
    tls_min: TlsMin,
}

/// What the files of a policy say.
#[derive(Debug)]
struct Files {
    /// The same bytes give the same roots as long as somebody holds them.
    roots: Arc<RootCertStore>,
    /// The client certificate and its key.
    client: Option<[Vec<u8>; 2]>,
}

/// What a look at the files of all policies brought.
#[derive(Debug, Default)]
pub struct Renewed {
    /// Policies that are no more; connections made under them are not to be used again.
    pub gone: HashSet<u64>,
    /// Of them, those in use whose files have changed.
    pub changed: usize,
}

impl Policies {
    /// The policy of a site. CA file and client certificate are read at their first use; what cannot be read is a fault
    /// of the setting.
    pub fn policy(&self, origin: &OriginConfig) -> Result<Arc<TlsPolicy>, Cause> {
        let key = Policy::of(origin);
        if let Some(policy) = self.lock().policies.get(&key) {
            return Ok(Arc::clone(policy));
        }
        // Files are read outside the lock; of two who read at once the first stays.
        let files = key.read()?;
        let config = key.config(&files)?;
        let mut table = self.lock();
        table.made += 1;
        let id = table.made;
        let (roots, mark) = (Arc::clone(&files.roots), table.random.hash_one(&files.client));
        let make = || Arc::new(TlsPolicy { id, config, roots, client: mark });
        Ok(Arc::clone(table.policies.entry(key).or_insert_with(make)))
    }

    /// Forgets the policies that none of these sites has, and those whose files say something else by now: their next use
    /// makes them anew, under another number. Reads the files, with nothing locked.
    pub fn renew(&self, sites: &[Arc<Site>]) -> Renewed {
        let in_use: HashSet<Policy> = sites.iter().map(|site| Policy::of(&site.origin)).collect();
        let table = self.lock();
        let known: Vec<_> = table.policies.iter().map(|(key, policy)| (key.clone(), Arc::clone(policy))).collect();
        let random = table.random.clone();
        drop(table);
        let mut renewed = Renewed::default();
        for (key, policy) in known {
            let is_current = || {
                let is_same = |files: Files| {
                    Arc::ptr_eq(&files.roots, &policy.roots) && random.hash_one(&files.client) == policy.client
                };
                key.read().is_ok_and(is_same)
            };
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

impl Policy {
    fn of(origin: &OriginConfig) -> Policy {
        let check = NameCheck {
            rule: rule(origin.certificate_names),
            whitelist: origin.common_name_whitelist.clone(),
            pins: origin.pin.clone(),
        };
        Policy {
            trust: origin.trust.clone(),
            check,
            client: origin.client_certificate.clone(),
            tls_min: origin.tls_min,
        }
    }

    fn read(&self) -> Result<Files, Cause> {
        let roots = trust_roots(&source(&self.trust)).map_err(|problem| Cause::Setting(problem.to_string()))?;
        let read = |path: &Path| {
            read_pem(path).map_err(|error| Cause::Setting(format!("cannot read {}: {error}", path.display())))
        };
        let client = match &self.client {
            Some(paths) => Some([read(&paths.certificate)?, read(&paths.key)?]),
            None => None,
        };
        Ok(Files { roots, client })
    }

    fn config(&self, files: &Files) -> Result<Arc<ClientConfig>, Cause> {
        let certificate = match &files.client {
            Some([chain, key]) => {
                let usable = client_certificate(chain, key);
                Some(usable.map_err(|problem| Cause::Setting(format!("client_certificate: {problem}")))?)
            }
            None => None,
        };
        let side = ClientSide { certificate, is_tls13_only: self.tls_min == TlsMin::Tls13 };
        Ok(client_config(Arc::clone(&files.roots), self.check.clone(), side))
    }
}

/// The very check that the policy of this site holds.
pub fn verifier(origin: &OriginConfig) -> Result<Arc<dyn ServerCertVerifier>, Cause> {
    let policy = Policy::of(origin);
    let roots = trust_roots(&source(&policy.trust)).map_err(|problem| Cause::Setting(problem.to_string()))?;
    Ok(origin_verifier(roots, policy.check))
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
