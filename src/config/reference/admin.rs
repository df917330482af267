//! The keys of the operator's door.

use super::Fallback::{Means, Value};
use super::{Kind, Spec, key};

/// `[admin]`
pub(super) static ADMIN: Spec = Spec {
    header: "[admin]",
    doc: "The operator's door: API, console, metrics. Whoever comes in needs the token that is made at the first start.",
    keys: &[
        key(
            "listen",
            Kind::Text,
            Value("127.0.0.1:9180"),
            "Where it listens: an IP address with a port, or \"off\". Beyond this machine it wants a certificate.",
            r#""127.0.0.1:9180""#,
        ),
        key(
            "hosts",
            Kind::Texts,
            Means("localhost and IP addresses"),
            "Further names that the console may be opened under; any other name is refused (DNS rebinding).",
            r#"["console.example.net"]"#,
        ),
        key("certificate", Kind::Text, Means("plain HTTP"), "Certificate chain (PEM) of the door.", r#""admin.pem""#),
        key("key", Kind::Text, Means("plain HTTP"), "Private key of that certificate (PEM).", r#""admin.key""#),
        key(
            "insecure",
            Kind::Flag,
            Value("false"),
            "Listen beyond this machine without a certificate all the same: token and settings can be read on the way.",
            "true",
        ),
        key(
            "any_target",
            Kind::Flag,
            Value("false"),
            "Let the door's doctor look at servers that no site names at private, loopback and link-local addresses too.",
            "true",
        ),
    ],
};
