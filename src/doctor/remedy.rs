//! From a remedy to the very line of the configuration: which key, in which file, at which line. Pure.

use super::advice::Advice;
use super::failed::duration_text;
use super::report::{Change, Fix};
use crate::config::{CertificateNames, Config, OriginConfig, Site, Timeouts};
use crate::policy::redirect::bracketed;

/// Writes changes for one server of one site.
#[derive(Clone, Copy, Debug)]
pub struct Remedies<'a> {
    /// The configuration that is diagnosed.
    pub config: &'a Config,
    /// The site as it is configured.
    pub site: &'a Site,
    /// Which of its servers, from 0.
    pub server: usize,
}

impl Remedies<'_> {
    /// Words alone.
    pub fn words(what: impl Into<String>) -> Fix {
        Fix { what: what.into(), ..Fix::default() }
    }

    /// Words and changes.
    pub fn fix(what: impl Into<String>, changes: Vec<Change>) -> Fix {
        Fix { what: what.into(), changes, trusts: String::new() }
    }

    /// `[site.origin]` of this site: the key `name` with the value as it stands in TOML.
    pub fn origin(&self, name: &str, value: &str) -> Change {
        self.change(&format!("origin.{name}"), "[site.origin]", "origin", &format!("{name} = {value}"))
    }

    /// The same for `host` and `sni`, which a server may have of its own.
    pub fn named(&self, name: &str, value: &str) -> Change {
        let number = self.server + 1;
        let own = self.origin(&format!("servers[{number}].{name}"), "");
        let text = format!("{name} = {value:?}");
        if own.line > 0 { Change { text, ..own } } else { self.origin(name, &format!("{value:?}")) }
    }

    /// Keys of `[site.origin.timeouts]`, with their values as they stand in TOML. An inline table is written whole.
    pub fn timeouts(&self, changed: &[(&'static str, String)]) -> Vec<Change> {
        let of_key = |(name, value): &(&'static str, String)| {
            let key = format!("origin.timeouts.{name}");
            self.change(&key, "[site.origin.timeouts]", "origin.timeouts", &format!("{name} = {value}"))
        };
        let table = self.origin("timeouts", "");
        let written = |name: &'static str| of_key(&(name, String::new())).line;
        let timeouts = &self.site.origin.timeouts;
        let present = TIMEOUTS.into_iter().filter(|(name, _)| written(name) > 0);
        let is_section = table.line > 0 && present.clone().all(|(name, _)| written(name) > table.line);
        if is_section {
            return changed.iter().map(of_key).collect();
        }
        let is_kept = |name: &str| changed.iter().all(|(other, _)| *other != name);
        let kept =
            present.filter(|(name, _)| is_kept(name)).map(|(name, value)| format!("{name} = {}", value(timeouts)));
        let entries = kept.chain(changed.iter().map(|(name, value)| format!("{name} = {value}")));
        vec![self.origin("timeouts", &format!("{{ {} }}", entries.collect::<Vec<_>>().join(", ")))]
    }

    /// The key `name` of the site itself.
    pub fn site_key(&self, name: &str, value: &str) -> Change {
        self.change(name, "[[site]]", "", &format!("{name} = {value}"))
    }

    /// The list of servers, this one written as `address`.
    pub fn server(&self, address: &str) -> Change {
        let own = self.origin(&format!("servers[{}].address", self.server + 1), "");
        if own.line > 0 {
            return Change { text: format!("address = {address:?}"), ..own };
        }
        let servers = self.site.origin.servers.iter().enumerate().map(|(index, server)| {
            if index == self.server { address.to_owned() } else { server_text(&server.name, server.port) }
        });
        self.origin("servers", &list(servers))
    }

    /// `protocol`, with the port that this server is to be spoken to on.
    pub fn protocol(&self, is_tls: bool, port: u16) -> Vec<Change> {
        let origin = &self.site.origin;
        let word = if is_tls { "https" } else { "http" };
        let mut changes = vec![self.origin("protocol", &format!("{word:?}"))];
        let custom = if is_tls { origin.https_port } else { origin.http_port };
        let own = origin.servers.get(self.server).and_then(|server| server.port);
        if custom.or(own).unwrap_or(if is_tls { 443 } else { 80 }) != port {
            changes.push(self.origin("ports", &ports(origin, is_tls, port)));
        }
        changes
    }

    /// The advice as a remedy.
    pub fn of(&self, advice: &Advice) -> Fix {
        let origin = &self.site.origin;
        let fix = match advice {
            Advice::Sni(name) => Remedies::fix("", vec![self.named("sni", name)]),
            Advice::Whitelist(entry) => {
                let entries = origin.common_name_whitelist.iter().chain([entry]).cloned();
                Remedies::fix("", vec![self.origin("common_name_whitelist", &list(entries))])
            }
            Advice::Names(rule) => {
                let word = match rule {
                    CertificateNames::San => "san",
                    CertificateNames::SanOrCn => "san-or-cn",
                    CertificateNames::Cn => "cn",
                };
                Remedies::fix("", vec![self.origin("certificate_names", &format!("{word:?}"))])
            }
            Advice::Pin(fingerprint) => {
                let known = origin.pin.iter().map(hex);
                Remedies::fix("", vec![self.origin("pin", &list(known.chain([fingerprint.clone()])))])
            }
            Advice::Trust(issuer) => {
                let what = format!("if {issuer:?} is your own CA, put its certificate beside the configuration");
                Remedies::fix(what, vec![self.origin("trust", "\"ca.pem\"")])
            }
            Advice::AtOrigin(words) => Remedies::words(words.clone()),
        };
        Fix { trusts: advice.trusts(), ..fix }
    }

    fn change(&self, key: &str, section: &'static str, section_key: &str, text: &str) -> Change {
        let site = format!("site[{}]", self.config.place_of(self.site));
        let place = |key: &str| self.config.problem_at(key.to_owned(), String::new(), String::new());
        let found = place(&format!("{site}.{key}"));
        let section_line = if section_key.is_empty() { 0 } else { place(&format!("{site}.{section_key}")).line };
        // A table that is not written counts as standing where its parent does.
        let is_table = matches!(key, "origin.ports" | "origin.timeouts" | "origin.client_certificate");
        let is_absent = is_table && found.line == section_line;
        let line = if is_absent { 0 } else { found.line };
        Change { file: found.file, line, key: found.key, section, section_line, text: text.to_owned() }
    }
}

/// A setting as it stands in TOML.
type Written = fn(&Timeouts) -> String;

/// Every key of `timeouts`, and its value as the file has it.
const TIMEOUTS: [(&str, Written); 8] = [
    ("resolve", |it| duration_text(it.resolve)),
    ("connect", |it| duration_text(it.connect)),
    ("tls_handshake", |it| duration_text(it.tls_handshake)),
    ("first_byte", |it| duration_text(it.first_byte)),
    ("between_bytes", |it| duration_text(it.between_bytes)),
    ("head", |it| duration_text(it.head)),
    ("total", |it| duration_text(it.total)),
    ("min_rate", |it| it.min_rate.to_string()),
];

/// `name:port` as `servers` takes it.
pub fn server_text(name: &str, port: Option<u16>) -> String {
    let name = bracketed(name);
    port.map_or(name.clone(), |port| format!("{name}:{port}"))
}

fn ports(origin: &OriginConfig, is_tls: bool, port: u16) -> String {
    let other = if is_tls { origin.http_port } else { origin.https_port };
    match (is_tls, other) {
        (true, None) => format!("{{ https = {port} }}"),
        (true, Some(http)) => format!("{{ http = {http}, https = {port} }}"),
        (false, None) => format!("{{ http = {port} }}"),
        (false, Some(https)) => format!("{{ http = {port}, https = {https} }}"),
    }
}

fn hex(pin: &[u8; 32]) -> String {
    pin.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A TOML list of texts.
fn list(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.map(|text| format!("{text:?}")).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"x.test:80\", { address = \
                        \"y.test\", sni = \"old.test\" }]\ncommon_name_whitelist = [\"one.test\"]\nprotocol = \"http\"\n";

    #[test]
    fn timeouts_are_written_where_the_file_has_them() {
        let changes = |timeouts: &str| {
            let config = Config::parse(&format!("{TEXT}{timeouts}"), "m.toml".as_ref()).unwrap();
            let remedies = Remedies { config: &config, site: &config.sites[0], server: 0 };
            let changes = remedies.timeouts(&[("first_byte", "\"60s\"".into()), ("head", "\"2m\"".into())]);
            changes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let inline = "timeouts = { connect = \"1500ms\", first_byte = \"30s\", min_rate = 100 }\n";
        assert_eq!(
            changes(inline),
            [
                "m.toml:7: site[1].origin.timeouts: write timeouts = { connect = \"1500ms\", min_rate = 100, first_byte = \
                 \"60s\", head = \"2m\" }"
            ]
        );
        assert_eq!(
            changes("[site.origin.timeouts]\nfirst_byte = \"30s\"\n"),
            [
                "m.toml:8: site[1].origin.timeouts.first_byte: write first_byte = \"60s\"",
                "m.toml:7: under [site.origin.timeouts] add head = \"2m\""
            ]
        );
    }

    fn remedy(server: usize, fix: impl Fn(&Remedies<'_>) -> Vec<Change>) -> Vec<String> {
        let config = Config::parse(TEXT, "m.toml".as_ref()).unwrap();
        let remedies = Remedies { config: &config, site: &config.sites[0], server };
        fix(&remedies).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_site_is_counted_where_it_stands_now_whatever_stood_before_it() {
        let before = format!("[[site]]\ndomains = [\"gone.test\"]\n[site.origin]\nservers = [\"z.test\"]\n{TEXT}");
        let old = Config::parse(&before, "m.toml".as_ref()).unwrap();
        let mut config = Config::parse(TEXT, "m.toml".as_ref()).unwrap();
        config.succeed(&old, &mut 2);
        let remedies = Remedies { config: &config, site: &config.sites[0], server: 0 };
        assert_eq!(config.sites[0].number, 1);
        let change = remedies.origin("protocol", "\"https\"");
        assert_eq!((change.key.as_str(), change.line), ("site[1].origin.protocol", 6));
    }

    #[test]
    fn every_change_names_its_line_and_is_whole() {
        let advice = |advice: Advice| move |it: &Remedies<'_>| it.of(&advice).changes;
        assert_eq!(
            remedy(0, advice(Advice::Sni("b.test".into()))),
            ["m.toml:3: under [site.origin] add sni = \"b.test\""]
        );
        let own = remedy(1, advice(Advice::Sni("b.test".into())));
        assert_eq!(own, ["m.toml:4: site[1].origin.servers[2].sni: write sni = \"b.test\""]);
        assert_eq!(
            remedy(0, advice(Advice::Whitelist("two.test".into()))),
            [
                "m.toml:5: site[1].origin.common_name_whitelist: write common_name_whitelist = [\"one.test\", \"two.test\"]"
            ]
        );
        let pin = remedy(0, advice(Advice::Pin("sha256:00".into())));
        assert_eq!(pin, ["m.toml:3: under [site.origin] add pin = [\"sha256:00\"]"]);
        assert_eq!(
            remedy(0, |it| it.protocol(true, 443)),
            [
                "m.toml:6: site[1].origin.protocol: write protocol = \"https\"",
                "m.toml:3: under [site.origin] add ports = { https = 443 }"
            ]
        );
        assert_eq!(remedy(1, |it| it.protocol(true, 443)).len(), 1);
        assert_eq!(remedy(0, |it| it.protocol(true, 80)).len(), 1);
        let timeout = remedy(0, |it| it.timeouts(&[("first_byte", "\"60s\"".into())]));
        assert_eq!(timeout, ["m.toml:3: under [site.origin] add timeouts = { first_byte = \"60s\" }"]);
    }
}
