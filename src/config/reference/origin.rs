//! The keys of one site's origin that have tables of their own: the health check, and the certificate that we show.

use super::Fallback::{Means, Required, Value};
use super::{Kind, Spec, key};

/// `client_certificate = { … }`
pub(super) static CLIENT_CERTIFICATE: Spec = Spec {
    header: "client_certificate = { … }",
    doc: "What Millpond shows an origin that asks who it is (mutual TLS). Paths are relative to the folder of this file.",
    keys: &[
        key(
            "certificate",
            Kind::Text,
            Required("a certificate comes with its key"),
            "Certificate chain (PEM), our own certificate first.",
            r#""client.pem""#,
        ),
        key("key", Kind::Text, Required("a certificate comes with its key"), "Private key (PEM).", r#""client.key""#),
    ],
};

/// `[site.origin.health]`
pub(super) static HEALTH: Spec = Spec {
    header: "[site.origin.health]",
    doc: "Asks every server from time to time; those that fail are left out while another answers.",
    keys: &[
        key("path", Kind::Text, Required("a check asks for a path"), "Path that is asked for (GET).", r#""/healthz""#),
        key("status", Kind::Numbers(100, 599), Means("200"), "Statuses that mean healthy.", "[200, 204]"),
        key("interval", Kind::Duration, Value("10s"), "Between two checks of one server.", r#""30s""#),
        key("timeout", Kind::Duration, Value("5s"), "For the whole check.", r#""2s""#),
        key(
            "host",
            Kind::Text,
            Means("origin.host, else the site's first domain"),
            "Host header of the check.",
            r#""health.example.net""#,
        ),
        key("failures", Kind::Number(1, 100), Value("3"), "Failed checks in a row that take a server out.", "2"),
        key("successes", Kind::Number(1, 100), Value("2"), "Good checks in a row that bring it back.", "1"),
    ],
};
