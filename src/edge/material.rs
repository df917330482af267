//! What a configuration names on disk: certificates and keys for clients and for the operator's door, CA files for origins.
//! All problems at once.

use std::path::Path;

use super::radar::{CertificateSide, OwnCertificate};
use crate::config::{Config, Problem, Site, Trust};
use crate::tls::{CertificateFacts, CertificateProblem, CertificatesBuilder, ProblemKind, TrustSource};
use crate::tls::{client_certificate, leaf_facts, read_pem, trust_roots};

/// What was read, and what is wrong or doubtful with it.
pub struct Material {
    /// The certificates that clients see. Worth nothing where a problem is more than a warning.
    pub certificates: CertificatesBuilder,
    /// What the operator's door shows; `None` where it is closed or plain.
    pub door: Option<CertificatesBuilder>,
    /// All of these and those that we show to origins, as facts.
    pub own: Vec<OwnCertificate>,
    /// Problems, warnings among them.
    pub problems: Vec<Problem>,
}

impl Material {
    /// Reads it all. `unix` is the time by which certificates are judged, in seconds since the epoch.
    pub fn read(config: &Config, unix: i64) -> Material {
        let mut builder = CertificatesBuilder::default();
        let (mut problems, mut own, mut door) = (Vec::new(), Vec::new(), None);
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
        match door_certificate(config) {
            Ok(None) => {}
            Ok(Some((builder, facts))) => {
                let shown = facts.map(OwnCertificate::of_door);
                for warning in shown.iter().filter_map(|shown| shown.row(unix).warning()) {
                    note("admin.certificate".into(), warning, String::new(), true);
                }
                own.extend(shown);
                door = Some(builder);
            }
            Err(Trouble { key, what, hint }) => note(key, what, hint, false),
        }
        let has_listener = !config.listen.https.is_empty();
        if has_listener && config.sites.iter().all(|site| site.https.is_none()) {
            let hint = "give a site [site.https] with certificate and key, or take https out of [listen]";
            note("listen.https".into(), "no site has a certificate".into(), hint.into(), false);
        }
        Material { certificates: builder, door, own, problems }
    }

    /// The same without problems, unless something stands against it; warnings are logged.
    ///
    /// # Errors
    /// All problems that are more than warnings.
    pub fn accepted(self) -> Result<Material, Vec<Problem>> {
        let (doubts, problems): (Vec<_>, Vec<_>) = self.problems.into_iter().partition(|problem| problem.is_warning);
        if !problems.is_empty() {
            return Err(problems);
        }
        doubts.iter().for_each(|doubt| log::warn!("{doubt}"));
        Ok(Material { problems: Vec::new(), ..self })
    }
}

/// Something wrong with the file that a key names.
struct Trouble {
    key: String,
    what: String,
    hint: String,
}

impl Trouble {
    /// Something wrong with a chain or its private key; `keys` name the two in the configuration.
    fn with([certificate, key]: &[String; 2], problem: CertificateProblem) -> Trouble {
        use ProblemKind::{EncryptedKey, MismatchedKey, NoKey, UnusableKey};
        let is_about_key = matches!(problem.kind, NoKey | EncryptedKey | UnusableKey | MismatchedKey);
        let key = if is_about_key { key } else { certificate };
        Trouble { key: key.clone(), what: problem.what, hint: problem.hint.to_owned() }
    }
}

/// Adds a site's certificate; what clients will complain about comes back.
fn add_certificate(
    builder: &mut CertificatesBuilder,
    site: &Site,
    unix: i64,
) -> Result<(Option<CertificateFacts>, Vec<String>), Trouble> {
    let Some(https) = &site.https else { return Ok((None, Vec::new())) };
    let keys = ["https.certificate", "https.key"].map(|name| path_of(site, name));
    let (chain, private) = read_pair((&https.certificate, &https.key), &keys)?;
    let added = builder.add(&site.domains, &chain, &private);
    added.map(|info| (leaf_facts(&chain), info.warnings(unix))).map_err(|problem| Trouble::with(&keys, problem))
}

/// What the operator's door shows, where it is open and has a certificate.
fn door_certificate(config: &Config) -> Result<Option<(CertificatesBuilder, Option<CertificateFacts>)>, Trouble> {
    let door = config.admin.as_ref().filter(|door| door.listen.is_some());
    let Some((door, https)) = door.and_then(|door| Some((door, door.https.as_ref()?))) else { return Ok(None) };
    let keys = ["admin.certificate", "admin.key"].map(str::to_owned);
    let (chain, private) = read_pair((&https.certificate, &https.key), &keys)?;
    let names: Vec<String> = door.hosts.iter().cloned().chain(["localhost".to_owned()]).collect();
    let mut builder = CertificatesBuilder::default();
    match builder.add(&names, &chain, &private) {
        // Whoever opens the console by an address has a name on the certificate that is none of these: nothing to warn of.
        Ok(_) => Ok(Some((builder, leaf_facts(&chain)))),
        Err(problem) => Err(Trouble::with(&keys, problem)),
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
    let keys =
        ["origin.client_certificate.certificate", "origin.client_certificate.key"].map(|name| path_of(site, name));
    let (chain, private) = read_pair((&paths.certificate, &paths.key), &keys)?;
    let checked = client_certificate(&chain, &private);
    checked.map(|_| leaf_facts(&chain)).map_err(|problem| Trouble::with(&keys, problem))
}

/// A chain and its private key; `keys` name the two in the configuration.
fn read_pair(paths: (&Path, &Path), keys: &[String; 2]) -> Result<(Vec<u8>, Vec<u8>), Trouble> {
    let [certificate, key] = keys;
    Ok((read_file(paths.0, certificate)?, read_file(paths.1, key)?))
}

fn read_file(path: &Path, key: &str) -> Result<Vec<u8>, Trouble> {
    read_pem(path).map_err(|error| Trouble {
        key: key.to_owned(),
        what: format!("cannot read {}: {error}", path.display()),
        hint: "give the path of a PEM file that this user may read".into(),
    })
}

fn path_of(site: &Site, name: &str) -> String {
    format!("site[{}].{name}", site.number + 1)
}
