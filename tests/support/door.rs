//! The operator's door of a POP, asked as a program asks it: with the token, or with whatever a scene makes up.

use std::net::SocketAddr;

use serde_json::Value;

use super::client::{Client, Response};
use super::pop::Pop;

/// The way in.
pub struct Door {
    pub address: SocketAddr,
    pub token: String,
}

/// A door on any free port.
pub const OPEN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

impl Door {
    /// The door of a POP that has just made its token.
    #[track_caller]
    pub fn of(pop: &Pop) -> Door {
        let sign_in = pop.edge().sign_in().expect("a new token");
        let (_, token) = sign_in.split_once("/#token=").expect("the token is in the address");
        Door { address: pop.edge().addresses().admin.expect("the door is open"), token: token.to_owned() }
    }

    /// Any request as it is, on a new connection.
    #[track_caller]
    pub fn raw(&self, method: &str, target: &str, fields: &[&str], body: &str) -> Response {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        fields.iter().for_each(|field| text += &format!("{field}\r\n"));
        if !body.is_empty() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut client = Client::plain(self.address);
        client.send(format!("{text}\r\n{body}"));
        client.response_to(method)
    }

    /// With the token.
    #[track_caller]
    pub fn ask(&self, method: &str, target: &str, body: &str) -> Response {
        self.ask_with(method, target, &[], body)
    }

    /// With the token and further fields.
    #[track_caller]
    pub fn ask_with(&self, method: &str, target: &str, fields: &[&str], body: &str) -> Response {
        let token = self.bearer();
        let fields: Vec<&str> = std::iter::once(token.as_str()).chain(fields.iter().copied()).collect();
        self.raw(method, target, &fields, body)
    }

    /// GET with the token.
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.ask("GET", target, "")
    }

    /// The JSON that GET brings with 200.
    #[track_caller]
    pub fn json(&self, target: &str) -> Value {
        let response = self.get(target);
        assert_eq!(response.status, 200, "{response:?}");
        json_of(&response)
    }

    /// The JSON that POST brings, with its status.
    #[track_caller]
    pub fn post(&self, target: &str, body: &Value) -> (u16, Value) {
        let response = self.ask_with("POST", target, &["Content-Type: application/json"], &body.to_string());
        (response.status, if response.body.is_empty() { Value::Null } else { json_of(&response) })
    }

    /// The field that shows the token.
    pub fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }
}

/// The content as JSON.
#[track_caller]
pub fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}
