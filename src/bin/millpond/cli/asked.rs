//! Commands that ask about a site or a server: of which, and where its files are.

use std::path::PathBuf;

use super::given::Given;
use super::{Asked, Diagnosis, LedgerPlace, Usage};

impl Given {
    pub(super) fn diagnosis(&self) -> Result<Diagnosis, Usage> {
        let text = |name| self.option_value(name).map(|value| self.text(name, value)).transpose();
        let (url, sni, host) = (text("--origin")?, text("--sni")?, text("--host")?);
        let config = self.option_value("--config");
        match (&self.argument, url) {
            (Some(_), Some(_)) => {
                let message = "a domain and --origin exclude each other".to_owned();
                Err(self.usage(message, "give the domain of a site, or the server that no file names yet"))
            }
            (None, None) => {
                let message = "doctor needs something to look at".to_owned();
                Err(self.usage(message, "write millpond doctor DOMAIN --config FILE, or millpond doctor --origin URL"))
            }
            (None, Some(_)) if config.is_some() => {
                let message = "--config goes with a domain, not with --origin".to_owned();
                Err(self.usage(message, "leave one of them out"))
            }
            (None, Some(url)) => Ok(Diagnosis::Server { url, sni, host }),
            (Some(subject), None) => {
                if sni.is_some() || host.is_some() {
                    let message = "--sni and --host go with --origin, not with a domain".to_owned();
                    return Err(self.usage(message, "in the file, set sni and host under [site.origin]"));
                }
                let config = config.map_or_else(|| PathBuf::from("millpond.toml"), PathBuf::from);
                Ok(Diagnosis::Site { subject: self.text("the domain", subject)?, config })
            }
        }
    }

    pub(super) fn failures(&self) -> Result<Asked, Usage> {
        let ledger = match (self.option_value("--config"), self.option_value("--state")) {
            (Some(config), None) => LedgerPlace::Config(config.into()),
            (None, Some(dir)) => LedgerPlace::State(dir.into()),
            (Some(_), Some(_)) => {
                return Err(self.usage("--config and --state exclude each other".to_owned(), "give one of them"));
            }
            (None, None) => {
                let hint = "write millpond failures --config FILE, or millpond failures --state DIR";
                return Err(self.usage("failures must know where the ledger is".to_owned(), hint));
            }
        };
        let domain = self.argument.as_ref().map(|domain| self.text("DOMAIN", domain)).transpose()?;
        Ok(Asked { domain, ledger, is_json: self.option_value("--json").is_some() })
    }
}
