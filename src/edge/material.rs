//! What a configuration names on disk: certificates and keys for clients, CA files for origins. All problems at once.

use std::path::Path;

use super::radar::{CertificateSide, OwnCertificate};
use crate::config::{Config, Problem, Site, Trust};
use crate::tls::{CertificateFacts, CertificatesBuilder, ProblemKind, TrustSource};
use crate::tls::{client_certificate, leaf_facts, trust_roots};

/// What was read, and what is wrong or doubtful with it.
pub struct Material {
    /// The certificates that clients see. Worth nothing where a problem is more than a warning.
    pub certificates: CertificatesBuilder,
    /// The same and those that we show to origins, as facts.
    pub own: Vec<OwnCertificate>,
    /// Problems, warnings among them.
    pub problems: Vec<Problem>,
}

impl Material {
    /// Reads it all. `unix` is the time by which certificates are judged, in seconds since the epoch.
    pub fn read(config: &Config, unix: i64) -> Material {
        let mut builder = CertificatesBuilder::default();
        let (mut problems, mut own) = (Vec::new(), Vec::new());
        let mut note = |key: String, what: String, hint: String, is_warning: bool| {
            problems.push(Problem { is_warning, ..config.problem_at(key, what, hint) });
        };
        for site in &config.sites {
            match add_certificate(&mut builder, site, unix) {
                Ok((facts, warnings)) => {
                    own.extend(facts.map(|facts| OwnCertificate::new(CertificateSide::Client, site, facts)));
                    warnings.into_iter().for_each(|warning| {
                        note(path_of(site, "https.certificate"), warning, String::new(), true);
                    });
                }
                Err(Trouble { key, what, hint }) => note(key, what, hint, false),
            }
            let shown = check_client_certificate(site).map(|facts| {
                let shown = facts.map(|facts| OwnCertificate::new(CertificateSide::ToOrigin, site, facts));
                for warning in shown.iter().filter_map(|shown| shown.row(unix).warning()) {
                    note(path_of(site, "origin.client_certificate.certificate"), warning, String::new(), true);
                }
                own.extend(shown);
            });
            for trouble in [check_trust(site), shown].into_iter().filter_map(Result::err) {
                note(trouble.key, trouble.what, trouble.hint, false);
            }
        }
        let has_listener = !config.listen.https.is_empty();
        if has_listener && config.sites.iter().all(|site| site.https.is_none()) {
            let hint = "give a site [site.https] with certificate and key, or take https out of [listen]";
            note("listen.https".into(), "no site has a certificate".into(), hint.into(), false);
        }
        Material { certificates: builder, own, problems }
    }

    /// A problem with the key rather than with the certificate.
    pub fn is_about_key(kind: ProblemKind) -> bool {
        use ProblemKind::{EncryptedKey, MismatchedKey, NoKey, UnusableKey};
        matches!(kind, NoKey | EncryptedKey | UnusableKey | MismatchedKey)
    }

    /// What was read, unless something stands against it; warnings are logged.
    ///
    /// # Errors
    /// All problems that are more than warnings.
    pub fn accepted(self) -> Result<(CertificatesBuilder, Vec<OwnCertificate>), Vec<Problem>> {
        let (doubts, problems): (Vec<_>, Vec<_>) = self.problems.into_iter().partition(|problem| problem.is_warning);
        if !problems.is_empty() {
            return Err(problems);
        }
        doubts.iter().for_each(|doubt| log::warn!("{doubt}"));
        Ok((self.certificates, self.own))
    }
}

/// Something wrong with the file that a key names.
struct Trouble {
    key: String,
    what: String,
    hint: String,
}

/// Adds a site's certificate; what clients will complain about comes back.
fn add_certificate(
    builder: &mut CertificatesBuilder,
    site: &Site,
    unix: i64,
) -> Result<(Option<CertificateFacts>, Vec<String>), Trouble> {
    let Some(https) = &site.https else { return Ok((None, Vec::new())) };
    let chain = read_file(&https.certificate, site, "https.certificate")?;
    let private = read_file(&https.key, site, "https.key")?;
    match builder.add(&site.domains, &chain, &private) {
        Ok(info) => Ok((leaf_facts(&chain), info.warnings(unix))),
        Err(problem) => {
            let name = if Material::is_about_key(problem.kind) { "https.key" } else { "https.certificate" };
            Err(Trouble { key: path_of(site, name), what: problem.what, hint: problem.hint.to_owned() })
        }
    }
}

fn check_trust(site: &Site) -> Result<(), Trouble> {
    let Trust::File(path) = &site.origin.trust else { return Ok(()) };
    let key = path_of(site, "origin.trust");
    trust_roots(&TrustSource::File(path.clone())).map(|_| ()).map_err(|problem| Trouble {
        key,
        what: problem.what,
        hint: problem.hint,
    })
}

/// The certificate that the site's origin sees must be of use before any origin asks for it.
fn check_client_certificate(site: &Site) -> Result<Option<CertificateFacts>, Trouble> {
    let Some(paths) = &site.origin.client_certificate else { return Ok(None) };
    let names = ["origin.client_certificate.certificate", "origin.client_certificate.key"];
    let chain = read_file(&paths.certificate, site, names[0])?;
    let private = read_file(&paths.key, site, names[1])?;
    client_certificate(&chain, &private).map(|_| leaf_facts(&chain)).map_err(|problem| Trouble {
        key: path_of(site, if Material::is_about_key(problem.kind) { names[1] } else { names[0] }),
        what: problem.what,
        hint: problem.hint.to_owned(),
    })
}

fn read_file(path: &Path, site: &Site, name: &str) -> Result<Vec<u8>, Trouble> {
    std::fs::read(path).map_err(|error| Trouble {
        key: path_of(site, name),
        what: format!("cannot read {}: {error}", path.display()),
        hint: "give the path of a PEM file that this user may read".into(),
    })
}

fn path_of(site: &Site, name: &str) -> String {
    format!("site[{}].{name}", site.number + 1)
}
