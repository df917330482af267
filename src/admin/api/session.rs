//! Signing in and out.

use serde_json::json;

use super::super::access::set_cookie;
use super::super::{Desk, turned_away};
use super::{Answered, Reply, Request, Row};

/// Endpoint by endpoint.
pub static ROWS: &[Row] = &[
    Row::post("/api/v1/session", sign_in).now(sign_in).open().with_body(Some(4096)),
    Row::get("/api/v1/session", |_, _| Ok(Reply::json(&json!({ "signed_in": true })))),
    Row::get("/api/v1/session", sign_out).with_method("DELETE"),
];

/// The token for a session's cookie.
fn sign_in(desk: &Desk, request: &Request) -> Answered {
    let members = request.json(&["token"])?;
    let token = members.text("token")?;
    let tried = desk.access.try_token(token.as_bytes(), request.peer, request.now);
    tried.map_err(|denied| turned_away(denied, request.is_https))?;
    match desk.access.begin_session(request.now) {
        Some(session) => Ok(Reply::none().with("Set-Cookie", set_cookie(Some(&session), request.is_https))),
        None => Err(Reply::problem(500, "No session", "the system has no random numbers")),
    }
}

fn sign_out(desk: &Desk, request: &Request) -> Answered {
    desk.access.end_session(request.field("cookie"));
    Ok(Reply::none().with("Set-Cookie", set_cookie(None, request.is_https)))
}
