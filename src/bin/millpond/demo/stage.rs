//! What the walk walks on: an origin, a folder with two configuration files, and a Millpond running on each of them.
//!
//! `before.toml` holds three mistakes that people make; `after.toml` is the same file with the three lines that mend them.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use millpond::config::Config;
use millpond::{Edge, Stats};

use super::origin::{DemoOrigin, POP_NAME};
use crate::failure::Failure;

/// Everything that runs during the demo.
pub struct Stage {
    /// Where the content is.
    pub origin: DemoOrigin,
    /// Millpond with the mistakes.
    pub before: Pop,
    /// Millpond with the mistakes mended.
    pub after: Pop,
    folder: Folder,
}

/// One Millpond, a point of presence.
pub struct Pop {
    /// Where visitors reach it by HTTP.
    pub http: SocketAddr,
    /// The same by HTTPS.
    pub https: SocketAddr,
    /// What `millpond check` would say of its configuration.
    pub warnings: Vec<String>,
    edge: Edge,
}

/// A mistake in a site's configuration and the line that mends it.
pub struct Mistake {
    /// The site.
    pub domain: &'static str,
    /// The line as it was; empty where one was missing.
    pub before: &'static str,
    /// The line to set.
    pub after: &'static str,
}

impl Stage {
    /// Starts it all, on free loopback ports.
    pub fn set_up() -> Result<Stage, Failure> {
        let failed = |error: io::Error| Failure::Failed(format!("millpond: the demo cannot be set up: {error}"));
        let origin = DemoOrigin::start().map_err(failed)?;
        let folder = Folder::make(&origin).map_err(failed)?;
        let before = Pop::start(&folder.0.join("before.toml"))?;
        let after = Pop::start(&folder.0.join("after.toml"))?;
        Ok(Stage { origin, before, after, folder })
    }

    /// Ends it all and removes the folder.
    pub fn strike(self) {
        self.before.edge.shutdown();
        self.after.edge.shutdown();
    }

    /// The certificate authority's file.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.0.join("ca.pem")
    }

    /// Lines to copy while the stage stands.
    pub fn invitation(&self) -> String {
        let Pop { http, https, .. } = &self.before;
        let mended = self.after.http;
        let (folder, ca) = (self.folder.0.display(), self.ca_file());
        let (ca, port) = (ca.display(), https.port());
        let [certificate, plain, ..] = &MISTAKES;
        let (shop, news) = (certificate.domain, plain.domain);
        format!(
            "
Now it is yours. It serves until you press Ctrl-C. Lines to copy into another terminal:

    # A page from memory. Watch its Age grow, and see it fetched anew after a minute.
    curl -i -H 'Host: {POP_NAME}' http://{http}/

    # The same over HTTPS.
    curl -i --cacert {ca} --resolve {POP_NAME}:{port}:127.0.0.1 https://{POP_NAME}:{port}/

    # A crowd of your own: fifty clients on a page that nobody has asked for yet.
    seq 50 | xargs -P 50 -I@ curl -s -o /dev/null -D - -H 'Host: {POP_NAME}' 'http://{http}/slow?crowd' \
        | grep Cache-Status | sort | uniq -c

    # A 502 with its cause: the page, and the Proxy-Status field. Then the same, mended.
    curl -i -H 'Host: {shop}' http://{http}/
    curl -i -H 'Host: {shop}' http://{mended}/
    curl -i -H 'Host: {news}' -H 'Accept: application/json' http://{http}/

    # The three lines that made the difference, and what they are checked by.
    diff {folder}/before.toml {folder}/after.toml
    millpond check --config {folder}/before.toml

"
        )
    }
}

impl Pop {
    fn start(file: &Path) -> Result<Pop, Failure> {
        let config = Config::load(file)?;
        let warnings = config.warnings().iter().map(ToString::to_string).collect();
        let edge = Edge::start(config)?;
        let addresses = edge.addresses();
        let (Some(http), Some(https)) = (addresses.http.first(), addresses.https.first()) else {
            return Err(Failure::Failed("millpond: the demo listens on no port".into()));
        };
        Ok(Pop { http: *http, https: *https, warnings, edge })
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.edge.stats()
    }
}

/// The folder for certificates and configurations, readable by its owner alone, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn make(origin: &DemoOrigin) -> io::Result<Folder> {
        let path = Folder::create()?;
        let folder = Folder(path);
        for (name, content) in [
            ("ca.pem", &origin.ca_pem),
            ("www.pem", &origin.pop.certificate),
            ("www.key", &origin.pop.key),
            ("before.toml", &configuration(origin, |mistake| mistake.before)),
            ("after.toml", &configuration(origin, |mistake| mistake.after)),
        ] {
            fs::write(folder.0.join(name), content)?;
        }
        Ok(folder)
    }

    /// A new folder. A killed demo may have left one behind under the same number.
    fn create() -> io::Result<PathBuf> {
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for number in 0..100 {
            let suffix = if number == 0 { String::new() } else { format!("-{number}") };
            let path = std::env::temp_dir().join(format!("millpond-demo-{}{suffix}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in the folder for temporary files.
        _ = fs::remove_dir_all(&self.0);
    }
}

/// The configuration, with each mistake or its remedy.
fn configuration(origin: &DemoOrigin, line: impl Fn(&Mistake) -> &'static str) -> String {
    let (https, http) = (origin.https, origin.http);
    let [certificate, plain, tls] = &MISTAKES;
    let remedies = [line(certificate), line(plain), line(tls)];
    let [certificate_line, plain_line, tls_line] =
        remedies.map(|line| if line.is_empty() { String::new() } else { format!("{line}\n") });
    format!(
        r#"# The configuration of Millpond's demo. It is removed when the demo ends.

[listen]
http = "127.0.0.1:0"    # 0 is any free port
https = "127.0.0.1:0"

# A site as it should be.
[[site]]
domains = ["{POP_NAME}"]
share_schemes = true
[site.https]
certificate = "www.pem"
key = "www.key"
[site.origin]
servers = ["{https}"]
protocol = "https"
trust = "ca.pem"

# The origin has no certificate for this name. It shows the one that it has.
[[site]]
domains = ["{}"]
[site.origin]
servers = ["{https}"]
protocol = "https"
trust = "ca.pem"
{certificate_line}
# The origin's port speaks plain HTTP.
[[site]]
domains = ["{}"]
[site.origin]
servers = ["{http}"]
{plain_line}
# The origin's port speaks TLS.
[[site]]
domains = ["{}"]
[site.origin]
servers = ["{https}"]
sni = "{POP_NAME}"
trust = "ca.pem"
{tls_line}"#,
        certificate.domain, plain.domain, tls.domain
    )
}

/// A certificate for another name, HTTPS to a plain port, plain HTTP to an HTTPS port.
pub const MISTAKES: [Mistake; 3] = [
    Mistake { domain: "shop.example.test", before: "", after: "common_name_whitelist = [\"origin.internal.test\"]" },
    Mistake { domain: "news.example.test", before: "protocol = \"https\"", after: "protocol = \"http\"" },
    Mistake { domain: "blog.example.test", before: "", after: "protocol = \"https\"" },
];
