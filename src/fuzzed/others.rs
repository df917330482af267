//! Certificates, configuration files, and what a TLS client says up to the end of its handshake.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{Fault, hold};
use crate::config::written::{Members, Value, Written};
use crate::config::{Config, Router};
use crate::tls::{
    Certificates, CertificatesBuilder, NameRule, PresentedNames, is_whitelisted, refusal_alert, server_config,
};

/// A certificate in DER, and names compared with what it says.
pub fn certificate_names(data: &[u8]) -> Result<(), Fault> {
    let Some(names) = PresentedNames::read(data) else {
        let text = String::from_utf8_lossy(data);
        whitelist(&text)?;
        return made(&text);
    };
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
fn whitelist(text: &str) -> Result<(), Fault> {
    let Some((entry, presented)) = text.split_once('\n') else { return Ok(()) };
    let is_listed = is_whitelisted(entry, presented);
    let slow = stands_for(entry, presented) || stands_for(presented, entry);
    hold(is_listed == slow, || format!("{entry:?} takes {presented:?}: {is_listed}, and read slowly {slow}"))?;
    hold(is_listed == is_whitelisted(presented, entry), || format!("{entry:?} and {presented:?}, one way only"))
}

/// RFC 9525 §6.3, label by label.
fn stands_for(pattern: &str, name: &str) -> bool {
    let labels = |name: &str| -> Vec<String> {
        name.strip_suffix('.').unwrap_or(name).split('.').map(str::to_ascii_lowercase).collect()
    };
    let (pattern, name) = (labels(pattern), labels(name));
    if pattern == [""] || name == [""] {
        return false;
    }
    let (Some((first, rest)), Some((label, others))) = (pattern.split_first(), name.split_first()) else {
        return false;
    };
    if !pattern.iter().any(|label| label.contains('*')) {
        return pattern == name;
    }
    let is_wildcard =
        first == "*" && rest.len() >= 2 && rest.iter().all(|label| !label.is_empty() && !label.contains('*'));
    let is_label =
        label == "*" || (!label.is_empty() && !label.contains('*') && name.join(".").parse::<IpAddr>().is_err());
    is_wildcard && rest == others && is_label
}

/// A certificate that is made for the names on the first lines bears these names, and is good for the name on the last line
/// where rustls finds it good.
#[cfg(feature = "demo")]
fn made(text: &str) -> Result<(), Fault> {
    let Some((names, asked)) = text.rsplit_once('\n') else { return Ok(()) };
    let names: Vec<String> = names.split('\n').take(4).map(str::to_owned).collect();
    let (Some(first), Ok(mut params)) = (names.first().cloned(), rcgen::CertificateParams::new(names.clone())) else {
        return Ok(());
    };
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, first.clone());
    static KEY: OnceLock<Option<rcgen::KeyPair>> = OnceLock::new();
    let key = KEY.get_or_init(|| rcgen::KeyPair::generate().ok()).as_ref().ok_or("no key")?;
    let Ok(certificate) = params.self_signed(key) else { return Ok(()) };
    let read = PresentedNames::read(certificate.der()).ok_or_else(|| format!("{names:?} cannot be read"))?;
    let ips: Vec<IpAddr> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let others: Vec<_> = names.iter().filter(|name| name.parse::<IpAddr>().is_err()).cloned().collect();
    let is_read = read.common_names == [first] && read.dns_names == others && read.ip_names == ips && read.has_san;
    hold(is_read, || format!("{names:?} are read as {read:?}"))?;
    let Ok(expected) = rustls::pki_types::ServerName::try_from(asked.to_owned()) else { return Ok(()) };
    let parsed = rustls::server::ParsedCertificate::try_from(certificate.der()).map_err(|error| error.to_string())?;
    let theirs = rustls::client::verify_server_name(&parsed, &expected).is_ok();
    // A name with a dot at its end is the same to us, and none to rustls.
    let is_dotted = others.iter().any(|name| name.ends_with('.')) || asked.ends_with('.');
    for rule in [NameRule::San, NameRule::SanOrCn] {
        let ours = read.is_valid_for(asked, rule);
        hold(ours == theirs || is_dotted, || format!("{names:?} for {asked:?}: {ours}, and for rustls {theirs}"))?;
    }
    Ok(())
}

#[cfg(not(feature = "demo"))]
fn made(_: &str) -> Result<(), Fault> {
    Ok(())
}

/// A configuration file: taken, and then valid in every part, or refused with problems that say where.
pub fn configuration(data: &[u8]) -> Result<(), Fault> {
    let Ok(text) = std::str::from_utf8(data) else { return Ok(()) };
    let lines = text.split('\n').count();
    let problems = match Config::parse(text, Path::new("fuzz.toml")) {
        Ok(config) => return accepted(text, &config),
        Err(problems) => problems,
    };
    hold(problems.iter().any(|problem| !problem.is_warning), || "refused for nothing".into())?;
    for problem in problems {
        let shown = problem.to_string();
        let is_line = !shown.contains(char::is_control) && !problem.message.is_empty() && problem.line <= lines;
        hold(is_line && shown.len() < 2000, || format!("{shown:?} in line {} of {lines}", problem.line))?;
    }
    Ok(())
}

/// It says the same with a remark behind it, every name leads to its site, its numbers are in bounds, and it can be changed.
fn accepted(text: &str, config: &Config) -> Result<(), Fault> {
    let again = Config::parse(&format!("{text}\n# A remark.\n"), Path::new("fuzz.toml"));
    let is_same = again.is_ok_and(|again| again.limits == config.limits && same_sites(&again, config));
    hold(is_same, || "with a remark it is another".into())?;
    let limits = &config.limits;
    let times = [limits.head_timeout, limits.handshake_timeout, limits.idle_timeout, limits.write_stall];
    let is_bounded = limits.request_line <= limits.request_head
        && limits.request_head <= 1 << 20
        && (8..=128).contains(&limits.request_fields)
        && limits.connections > 0
        && times.iter().all(|time| !time.is_zero() && time.as_secs() <= 365 * 86_400);
    hold(is_bounded, || format!("{limits:?}"))?;
    let router = Router::new(&config.sites);
    for site in &config.sites {
        for domain in &site.domains {
            let name = domain.replacen('*', "x", 1);
            let found = router.find(&name).filter(|found| Arc::ptr_eq(found, site) || name != *domain);
            hold(found.is_some(), || format!("{domain} does not lead to {}", site.name))?;
        }
    }
    let written = Written::parse(text).map_err(|error| error.to_string())?;
    let names: Vec<String> = config.sites.iter().map(|site| site.name.to_string()).collect();
    hold(written.names() == names, || format!("{names:?} are written as {:?}", written.names()))?;
    for (number, name) in names.iter().enumerate() {
        let same = written.with_patch(number, &Value::Table(Members::new()));
        hold(same.as_deref() == Ok(text), || format!("changing nothing of {name} gave {same:?}"))?;
    }
    Ok(())
}

fn same_sites(one: &Config, other: &Config) -> bool {
    format!("{:?}", one.sites) == format!("{:?}", other.sites)
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
    // Who asks for a name that nobody here bears gets an alert, and no handshake of ours.
    let is_known = whole.1.as_deref().is_none_or(|name| name.trim_end_matches('.') == "a.test");
    hold(is_known || !whole.2, || format!("{:?} is answered", whole.1))?;
    let split = shake(&config, data, usize::from(*first).max(1))?;
    hold(whole == split, || format!("whole {whole:?}, in pieces of {first} {split:?}"))
}

/// Whether it was refused, the server name that was heard, and whether it was answered with a handshake.
type Shaken = (bool, Option<String>, bool);

fn shake(config: &Arc<rustls::ServerConfig>, data: &[u8], step: usize) -> Result<Shaken, Fault> {
    let mut session = rustls::ServerConnection::new(config.clone()).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    for mut piece in data.chunks(step) {
        while !piece.is_empty() {
            let Ok(1..) = session.read_tls(&mut piece) else { return Ok((true, name_of(&session), is_answered(&out))) };
            if let Err(error) = session.process_new_packets() {
                let _ = refusal_alert(&error);
                let _ = session.write_tls(&mut out);
                return Ok((true, name_of(&session), is_answered(&out)));
            }
            while session.wants_write() {
                let _ = session.write_tls(&mut out);
            }
            hold(out.len() < 64 << 10, || format!("{} bytes for {}", out.len(), data.len()))?;
        }
    }
    hold(session.is_handshaking(), || "a handshake without a key".into())?;
    Ok((false, name_of(&session), is_answered(&out)))
}

/// The first record is of the handshake (RFC 8446 §5.1), not an alert.
fn is_answered(out: &[u8]) -> bool {
    out.first() == Some(&22)
}

fn name_of(session: &rustls::ServerConnection) -> Option<String> {
    session.server_name().map(str::to_ascii_lowercase)
}
