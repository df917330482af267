//! RFC 9111 and its neighbours over real sockets: who may tell us what to store, and what changes what is stored.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{cache_status, is_hit};
use support::{Origin, Pop, Reply};

#[test]
fn cdn_cache_control_takes_the_place_of_cache_control_and_is_passed_on() {
    let rows: [(&[&str], bool); 7] = [
        (
            &["Cache-Control: no-store", "CDN-Cache-Control: max-age=600", "Expires: Sun, 06 Nov 1994 08:49:37 GMT"],
            true,
        ),
        (&["Cache-Control: max-age=600", "CDN-Cache-Control: private"], false),
        (&["Cache-Control: no-store", "CDN-Cache-Control: max-age=600, &"], false),
        (&["Cache-Control: max-age=600", "CDN-Cache-Control: no-store;;"], true),
        (&["CDN-Cache-Control: no-store", "Millpond-Cache-Control: max-age=600"], true),
        (&["CDN-Cache-Control: max-age=0", "Cache-Control: max-age=600"], false),
        (&["Pragma: no-cache", "CDN-Cache-Control: public", "CDN-Cache-Control: max-age=600"], true),
    ];
    for (fields, is_stored) in rows {
        let origin = Origin::plain(move |_| Reply::response("200 OK", fields, "hello"));
        let pop = Pop::of(&origin);
        let first = pop.get("/x");
        let second = pop.get("/x");
        assert_eq!(is_hit(&second), is_stored, "{fields:?}: {}", cache_status(&second));
        for response in [&first, &second] {
            for (name, value) in fields.iter().map(|line| line.split_once(": ").unwrap()) {
                assert!(response.fields_named(name).contains(&value), "{name}: {value} in {response:?}");
            }
        }
    }
}
