//! What a configuration names on disk: certificates and keys for clients, CA files for origins. All problems at once.

use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Problem, Site, Trust};
use crate::tls::{Certificates, CertificatesBuilder, ProblemKind, TrustSource, trust_roots};

/// Reads it all; the certificates that clients see, `None` where no listener is HTTPS.
pub fn read(config: &Config) -> Result<Option<Arc<Certificates>>, Vec<Problem>> {
    let mut builder = CertificatesBuilder::default();
    let mut problems = Vec::new();
    let mut has_certificate = false;
    for site in &config.sites {
        let troubles = [add_certificate(&mut builder, site, &mut has_certificate), check_trust(site)];
        for Trouble { key, what, hint } in troubles.into_iter().filter_map(Result::err) {
            problems.push(config.problem_at(key, what, hint));
        }
    }
    if !config.listen.https.is_empty() && !has_certificate && problems.is_empty() {
        problems.push(config.problem_at(
            "listen.https".into(),
            "no site has a certificate".into(),
            "give a site [site.https] with certificate and key, or take https out of [listen]".into(),
        ));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok((!config.listen.https.is_empty()).then(|| builder.build()))
}

/// Something wrong with the file that a key names.
struct Trouble {
    key: String,
    what: String,
    hint: String,
}

fn add_certificate(builder: &mut CertificatesBuilder, site: &Site, has_any: &mut bool) -> Result<(), Trouble> {
    let Some(https) = &site.https else { return Ok(()) };
    *has_any = true;
    let chain = read_file(&https.certificate, site, "https.certificate")?;
    let private = read_file(&https.key, site, "https.key")?;
    builder.add(&site.domains, &chain, &private).map(|_| ()).map_err(|problem| {
        let name = if is_about_key(problem.kind) { "https.key" } else { "https.certificate" };
        Trouble { key: path_of(site, name), what: problem.what, hint: problem.hint.to_owned() }
    })
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

fn is_about_key(kind: ProblemKind) -> bool {
    use ProblemKind::{EncryptedKey, MismatchedKey, NoKey, UnusableKey};
    matches!(kind, NoKey | EncryptedKey | UnusableKey | MismatchedKey)
}
