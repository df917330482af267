//! Who we are and who they are: the certificates that Millpond shows to clients, and the check of those that origins
//! show to it.
//!
//! The only room that builds rustls configurations; ring is the only crypto provider. It opens no socket and no
//! configuration file, and it knows no site: callers hand in PEM bytes, domain names and rules, and get `Arc`s of rustls
//! configurations back. Files of certificates and keys are read here ([`read_pem`]), whoever names them.

mod certificate_problem;
mod certificates;
mod der;
mod facts;
mod names;
mod outward;
mod pem_file;
mod reject;
mod trust;
mod verifier;
mod watch;

pub(crate) use certificate_problem::{CertificateProblem, ProblemKind};
pub(crate) use certificates::{Certificates, CertificatesBuilder, WARN_DAYS, client_certificate, leaf_facts};
pub(crate) use certificates::{refusal_alert, server_config};
pub(crate) use facts::CertificateFacts;
pub(crate) use names::{NameRule, PresentedNames, is_whitelisted};
pub use outward::{TlsClient, TlsFailure, TlsStream, Trusted};
pub(crate) use pem_file::read_pem;
pub(crate) use reject::{Reason, reject_of};
pub(crate) use trust::{TrustSource, trust_roots};
pub(crate) use verifier::{ClientSide, NameCheck, client_config, fingerprint, origin_verifier};
pub(crate) use watch::{Seen, Watch};

#[cfg(test)]
mod tests_certificates;
#[cfg(test)]
mod tests_names;
#[cfg(test)]
mod tests_support;
#[cfg(test)]
mod tests_verifier;
