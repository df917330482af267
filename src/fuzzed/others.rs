//! Certificates, configuration files, and what a TLS client says up to the end of its handshake.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{Fault, hold};
use crate::config::Config;
use crate::tls::{
    Certificates, CertificatesBuilder, NameRule, PresentedNames, is_whitelisted, refusal_alert, server_config,
};

/// A certificate in DER, and names compared with what it says.
pub fn certificate_names(data: &[u8]) -> Result<(), Fault> {
    let Some(names) = PresentedNames::read(data) else { return whitelist(data) };
    for name in names.all() {
        for rule in [NameRule::San, NameRule::SanOrCn, NameRule::Cn] {
            let _ = names.is_valid_for(&name, rule);
            hold(!names.is_valid_for("", rule), || format!("{names:?} is valid for nothing"))?;
            hold(
                !names.is_valid_for("no.such.name.test", rule) || name.contains("test") || name.contains('*'),
                || format!("{names:?} is valid for another name"),
            )?;
        }
        let _ = is_whitelisted(&name, &name);
    }
    Ok(())
}

/// Two names on two lines.
fn whitelist(data: &[u8]) -> Result<(), Fault> {
    let text = String::from_utf8_lossy(data);
    let Some((entry, presented)) = text.split_once('\n') else { return Ok(()) };
    let is_listed = is_whitelisted(entry, presented);
    let labels = |name: &str| name.trim_end_matches('.').split('.').count();
    hold(!is_listed || labels(entry) == labels(presented), || format!("{entry:?} takes {presented:?}"))
}

/// A configuration file: taken, or refused with problems that say where.
pub fn configuration(data: &[u8]) -> Result<(), Fault> {
    let Ok(text) = std::str::from_utf8(data) else { return Ok(()) };
    match Config::parse(text, Path::new("fuzz.toml")) {
        Ok(config) => {
            let again = Config::parse(text, Path::new("fuzz.toml"));
            hold(again.is_ok_and(|again| again.limits == config.limits), || "read twice, two things".into())
        }
        Err(problems) => {
            let shown: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
            hold(!shown.is_empty(), || "refused without a word".into())
        }
    }
}

fn certificates() -> Option<Arc<Certificates>> {
    static ONE: OnceLock<Option<Arc<Certificates>>> = OnceLock::new();
    ONE.get_or_init(|| {
        let (chain, key) = self_signed()?;
        let mut builder = CertificatesBuilder::default();
        builder.add(&["a.test".to_owned()], chain.as_bytes(), key.as_bytes()).ok()?;
        Some(builder.build())
    })
    .clone()
}

/// A certificate and its key in PEM, made on the fly where the demo's means are there.
#[cfg(feature = "demo")]
fn self_signed() -> Option<(String, String)> {
    let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).ok()?;
    Some((made.cert.pem(), made.signing_key.serialize_pem()))
}

#[cfg(not(feature = "demo"))]
fn self_signed() -> Option<(String, String)> {
    None
}

/// What a client says on a TLS port, as one flight and in pieces of a size that its first byte gives.
pub fn client_hello(data: &[u8]) -> Result<(), Fault> {
    let config = server_config(certificates().ok_or("no certificate")?);
    let Some((first, data)) = data.split_first() else { return Ok(()) };
    let whole = shake(&config, data, data.len().max(1))?;
    let split = shake(&config, data, usize::from(*first).max(1))?;
    hold(whole == split, || format!("whole {whole:?}, in pieces of {first} {split:?}"))
}

/// Whether it was refused, and the server name that was heard.
fn shake(config: &Arc<rustls::ServerConfig>, data: &[u8], step: usize) -> Result<(bool, Option<String>), Fault> {
    let mut session = rustls::ServerConnection::new(config.clone()).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    for mut piece in data.chunks(step) {
        while !piece.is_empty() {
            let Ok(1..) = session.read_tls(&mut piece) else { return Ok((true, name_of(&session))) };
            if let Err(error) = session.process_new_packets() {
                let _ = refusal_alert(&error);
                let _ = session.write_tls(&mut out);
                return Ok((true, name_of(&session)));
            }
            while session.wants_write() {
                let _ = session.write_tls(&mut out);
            }
            hold(out.len() < 64 << 10, || format!("{} bytes for {}", out.len(), data.len()))?;
        }
    }
    hold(session.is_handshaking(), || "a handshake without a key".into())?;
    Ok((false, name_of(&session)))
}

fn name_of(session: &rustls::ServerConnection) -> Option<String> {
    session.server_name().map(str::to_ascii_lowercase)
}
