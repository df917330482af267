//! The book of certificates as text: a line a certificate, in the form of the ledger's (`ledger_file`), and as strict.

use std::time::Duration;

use super::certificates::{ISSUERS, IssuerChange, SeenCertificate};
use super::failure::{CERTIFICATE_NAMES, DETAIL, NAME, SERVER, clean};
use super::ledger_file::{BETWEEN_NAMES, Fields, put, put_any};

/// Appends the line of a certificate.
pub fn write(out: &mut Vec<u8>, row: &SeenCertificate) {
    out.extend_from_slice(b"certificate");
    for text in [&row.site, &row.server, &row.sni, &row.issuer, &row.organisation] {
        put(out, text.as_bytes());
    }
    put(out, row.names.join(BETWEEN_NAMES).as_bytes());
    put_any(out, Some(row.validity.0));
    put_any(out, Some(row.validity.1));
    put(out, &row.fingerprint);
    put(out, row.refusal.as_deref().unwrap_or_default().as_bytes());
    put_any(out, Some(row.seen.0.as_millis()));
    put_any(out, Some(row.seen.1.as_millis()));
    put(out, row.issuers.join(BETWEEN_NAMES).as_bytes());
    let change = row.change.as_ref();
    put(out, change.map_or("", |change| &change.from).as_bytes());
    put(out, change.map_or("", |change| &change.to).as_bytes());
    put_any(out, change.map(|change| u8::from(change.is_same_organisation)));
    put_any(out, change.map(|change| change.at.as_millis()));
    out.push(b'\n');
}

/// Reads a whole text; one line that is wrong spoils it all.
///
/// # Errors
/// The line, counted from 1, and what is wrong with it.
pub fn read(text: &[u8]) -> Result<Vec<SeenCertificate>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
    let rows = text.lines().enumerate();
    rows.map(|(index, line)| read_line(line).map_err(|what| format!("line {}: {what}", index + 1))).collect()
}

fn read_line(line: &str) -> Result<SeenCertificate, &'static str> {
    let mut fields = Fields(line.split('\t'));
    if fields.next()? != "certificate" {
        return Err("not a certificate");
    }
    let (site, server, sni) = (fields.text(NAME)?, fields.text(SERVER)?, fields.text(NAME)?);
    let (issuer, organisation) = (fields.text(NAME)?, fields.text(NAME)?);
    let names = texts(&mut fields, CERTIFICATE_NAMES, usize::MAX)?;
    let mut date = || fields.any::<i64>()?.ok_or("no date");
    let validity = (date()?, date()?);
    let fingerprint = fields.bytes(32)?.try_into().map_err(|_| "a fingerprint that is none")?;
    let refusal = Some(fields.text(DETAIL)?).filter(|words| !words.is_empty());
    let seen = (fields.moment()?, fields.moment()?);
    let issuers = texts(&mut fields, ISSUERS * (NAME + 1), ISSUERS)?;
    let (from, to) = (fields.text(NAME)?, fields.text(NAME)?);
    let change = match (fields.any::<u8>()?, fields.any::<u64>()?) {
        (Some(same), Some(at)) => {
            Some(IssuerChange { from, to, is_same_organisation: same == 1, at: Duration::from_millis(at) })
        }
        _ => None,
    };
    if fields.0.next().is_some() {
        return Err("too many fields");
    }
    let row = SeenCertificate {
        site,
        server,
        sni,
        names,
        issuer,
        organisation,
        validity,
        fingerprint,
        refusal,
        seen,
        issuers,
        change,
    };
    Ok(row)
}

/// Texts that stand in one field; as clean as those that we write.
fn texts(fields: &mut Fields<'_>, bytes: usize, most: usize) -> Result<Vec<String>, &'static str> {
    let joined = String::from_utf8(fields.bytes(bytes)?).map_err(|_| "texts that are none")?;
    let texts: Vec<String> = joined.split(BETWEEN_NAMES).filter(|text| !text.is_empty()).map(str::to_owned).collect();
    let is_ours = texts.len() <= most && texts.iter().all(|text| clean(text, NAME) == *text);
    if is_ours { Ok(texts) } else { Err("texts that are not ours") }
}
