//! Tasks and purges: begun, watched, steered.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::Desk;
use super::super::reply::time_text;
use super::super::request::Members;
use super::{Answered, MOST_BODY, Reply, Request, Row};
use crate::proxy::{Purge, Scope};
use crate::task::{Page, Prefetch, Task, TaskError, TaskState, TaskUrl, Tasks, UrlState, Window};

/// Endpoint by endpoint.
pub static ROWS: &[Row] = &[
    Row::post("/api/v1/purge", purge),
    Row::get("/api/v1/tasks", list).with_query(&["limit", "after", "state"]).later(list),
    Row::post("/api/v1/tasks", begin).with_body(Some(MOST_BODY)),
    Row::get("/api/v1/tasks/{id}", show).later(show),
    Row::post("/api/v1/tasks/{id}", remove).with_method("DELETE").with_body(None),
    Row::get("/api/v1/tasks/{id}/urls", urls).with_query(&["limit", "after", "state"]).later(urls),
    Row::post("/api/v1/tasks/{id}/pause", |desk, request| steer(desk, request, Tasks::pause)).with_body(None),
    Row::post("/api/v1/tasks/{id}/resume", |desk, request| steer(desk, request, Tasks::resume)).with_body(None),
    Row::post("/api/v1/tasks/{id}/cancel", |desk, request| steer(desk, request, Tasks::cancel)).with_body(None),
    Row::post("/api/v1/tasks/{id}/retry", |desk, request| steer(desk, request, Tasks::retry)).with_body(None),
];

fn begin(desk: &Desk, request: &Request) -> Answered {
    let members = request.json(&MEMBERS)?;
    members.choice_if("kind", &["prefetch"])?;
    let small = |name: &str| -> Result<Option<u32>, Reply> {
        let number = members.number_if(name)?.map(u32::try_from).transpose();
        number.map_err(|_| Reply::unfit(&format!("{name:?} is too large")))
    };
    let text = |name: &str| members.text_if(name).map(|text| text.map(str::to_owned));
    let prefetch = Prefetch {
        urls: members.texts("urls")?,
        sitemap: text("sitemap")?,
        manifest: text("manifest")?,
        fields: members.pairs("headers")?,
        rate: small("rate_per_second")?,
        parallel: small("parallel")?,
        window: members.text_if("window")?.map(Window::parse).transpose().map_err(refused)?,
        is_dry: members.flag_if("dry_run")?.unwrap_or(false),
    };
    let task = tasks(desk)?.begin(&prefetch).map_err(refused)?;
    Ok(Reply::json_of(202, &task_json(&task)).with("Location", format!("/api/v1/tasks/{}", task.id)))
}

fn list(desk: &Desk, request: &Request) -> Answered {
    let page = request.page()?;
    let state = choice(request, &TaskState::ALL, TaskState::token)?;
    let listed = tasks(desk)?.list(cursor(page.after.as_deref())?, page.limit, state);
    Ok(Reply::json(&page_json(&listed, task_json)))
}

fn show(desk: &Desk, request: &Request) -> Answered {
    let task = tasks(desk)?.get(id(request)?).ok_or_else(unknown)?;
    Ok(Reply::json(&task_json(&task)))
}

fn urls(desk: &Desk, request: &Request) -> Answered {
    let page = request.page()?;
    let state = choice(request, &UrlState::ALL, UrlState::token)?;
    let listed = tasks(desk)?.urls(id(request)?, cursor(page.after.as_deref())?, page.limit, state);
    Ok(Reply::json(&page_json(&listed.ok_or_else(unknown)?, url_json)))
}

fn steer(desk: &Desk, request: &Request, steer: fn(&Tasks, u64) -> Result<Task, TaskError>) -> Answered {
    let task = steer(&*tasks(desk)?, id(request)?).map_err(refused)?;
    Ok(Reply::json(&task_json(&task)))
}

fn remove(desk: &Desk, request: &Request) -> Answered {
    tasks(desk)?.remove(id(request)?).map_err(refused)?;
    Ok(Reply::none())
}

fn purge(desk: &Desk, request: &Request) -> Answered {
    let members = request.json(&["scope", "value", "site", "mode", "then_prefetch"])?;
    let scope = scope(&members)?;
    let mode = members.choice_if("mode", &["hard", "soft", "count"])?.unwrap_or("hard");
    let then_prefetch = members.flag_if("then_prefetch")?.unwrap_or(false);
    if then_prefetch && mode == "count" {
        return Err(Reply::unfit("counting takes nothing, so there is nothing to prefetch: leave then_prefetch out"));
    }
    let (proxy, tasks) = (desk.proxy()?, tasks(desk)?);
    let refused = |error: crate::proxy::PurgeError| Reply::unfit(&error.to_string());
    let start = desk.clock.now().monotonic;
    let urls = if then_prefetch { proxy.urls_of(&scope).map_err(refused)? } else { Vec::new() };
    let purge = match mode {
        "soft" => Purge::soft(scope),
        "count" => Purge::count(scope),
        _ => Purge::hard(scope),
    };
    let purged = proxy.purge(&purge).map_err(refused)?;
    let taken = desk.clock.now().monotonic.saturating_sub(start);
    // What was purged is purged; that nothing could be begun after it is told all the same.
    let begun = match urls.is_empty() {
        true => Ok(None),
        false => tasks.begin(&Prefetch { urls, ..Prefetch::default() }).map(Some),
    };
    let (task, error) = match begun {
        Ok(task) => (task.map(|task| task.id.to_string()), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Reply::json(&json!({
        "count": purged.responses,
        "milliseconds": u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
        "prefetch_task": task,
        "prefetch_error": error,
    })))
}

fn scope(members: &Members) -> Result<Scope, Reply> {
    let kinds = ["url", "prefix", "glob", "site", "group", "everything"];
    let Some(kind) = members.choice_if("scope", &kinds)? else {
        return Err(Reply::unfit(&format!("\"scope\" is missing: one of {}", kinds.join(", "))));
    };
    let value = || members.text("value").map(str::to_owned);
    if kind != "group" && members.text_if("site")?.is_some() {
        return Err(Reply::unfit("\"site\" goes with the scope \"group\" alone: leave it out"));
    }
    Ok(match kind {
        "url" => Scope::Url(value()?),
        "prefix" => Scope::Prefix(value()?),
        "glob" => Scope::Glob(value()?),
        "site" => Scope::Site(value()?),
        "group" => Scope::Group { origin: members.text("site")?.to_owned(), name: value()? },
        _ if members.value("value").is_some() || members.value("site").is_some() => {
            // Whoever names something does not mean everything.
            return Err(Reply::unfit(
                "the scope \"everything\" takes no value and no site: leave them out, or say another scope",
            ));
        }
        _ => Scope::Everything,
    })
}

fn tasks(desk: &Desk) -> Result<Arc<Tasks>, Reply> {
    desk.control.tasks().ok_or_else(|| Reply::problem(503, "Stopping", "Millpond is stopping"))
}

fn id(request: &Request) -> Result<u64, Reply> {
    request.parameter().parse().map_err(|_| unknown())
}

fn unknown() -> Reply {
    Reply::missing("there is no such task, or none any more; the list of tasks has those that are kept")
}

fn cursor(after: Option<&str>) -> Result<Option<u64>, Reply> {
    let parsed = after.map(str::parse).transpose();
    parsed.map_err(|_| Reply::bad("after is what an earlier page gave as next"))
}

fn choice<T: Copy>(request: &Request, all: &[T], token: fn(T) -> &'static str) -> Result<Option<T>, Reply> {
    let Some(text) = request.query("state") else { return Ok(None) };
    let found = all.iter().copied().find(|one| token(*one) == text);
    let words = || all.iter().map(|one| token(*one)).collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| Reply::bad(&format!("state is one of {}, not {text:?}", words())))
}

fn refused(error: TaskError) -> Reply {
    match &error {
        TaskError::Unknown => unknown(),
        TaskError::Unfit(text) => Reply::unfit(text),
        TaskError::State(text) => Reply::conflict(text),
        TaskError::Full(text) => Reply::problem(503, "Busy", text).with("Retry-After", "60"),
    }
}

fn page_json<T>(page: &Page<T>, json_of: fn(&T) -> Value) -> Value {
    let items: Vec<Value> = page.items.iter().map(json_of).collect();
    json!({ "items": items, "next": page.next.map(|next| next.to_string()), "total": page.total })
}

fn task_json(task: &Task) -> Value {
    let time = |time: Option<Duration>| time.map(time_text);
    json!({
        "id": task.id.to_string(),
        "kind": "prefetch",
        "state": task.state.token(),
        "created": time_text(task.created),
        "started": time(task.started),
        "ended": time(task.ended),
        "total": task.total,
        "done": task.done,
        "failed": task.failed,
        "bytes": task.bytes,
        "rate_per_second": (task.rate * 10.0).round() / 10.0,
        "seconds_left": task.seconds_left,
        "dry_run": task.is_dry,
        "source": task.source,
        "error": task.error,
    })
}

fn url_json(url: &TaskUrl) -> Value {
    json!({
        "url": url.url,
        "state": url.state.token(),
        "bytes": url.bytes,
        "status": url.status,
        "cache": url.cache,
        "reason": url.reason,
        "lifetime_seconds": url.lifetime,
        "cause": url.cause,
        "phase": url.phase,
        "detail": url.detail,
        "attempts": url.attempts,
    })
}

const MEMBERS: [&str; 9] =
    ["kind", "urls", "sitemap", "manifest", "headers", "rate_per_second", "parallel", "window", "dry_run"];
