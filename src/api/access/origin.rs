//! Which page a request comes from. A page from elsewhere may make a browser send requests with
//! whatever the browser adds by itself: a cookie, or just the fact of running on this machine.

use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};

use super::super::problem::Problem;

/// Refuses a write that a page from elsewhere has asked for. Browsers say it in `sec-fetch-site`, older
/// ones in `origin` only; what says neither is no browser and has no cookies to be lent.
pub(super) fn check(parts: &Parts) -> Result<(), Problem> {
    let site = text(parts, &HeaderName::from_static("sec-fetch-site"));
    let origin = text(parts, &header::ORIGIN);
    let own = match (site, origin) {
        (Some(site), _) => ["same-origin", "none"].contains(&site),
        (None, Some(origin)) => host(parts).is_some_and(|host| authority(origin) == host),
        (None, None) => true,
    };
    if own {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "a page from elsewhere may not write here"))
}

/// Whether the request was meant for this machine: a page from elsewhere whose name was made to
/// point here (DNS rebinding) says its own name in `Host`, and a page from elsewhere its own in `Origin`.
pub(super) fn names_this_machine(parts: &Parts) -> bool {
    host(parts).is_some_and(is_local) && text(parts, &header::ORIGIN).is_none_or(|o| is_local(authority(o)))
}

/// The host that the request names, with its port.
fn host(parts: &Parts) -> Option<&str> {
    text(parts, &header::HOST).or_else(|| parts.uri.authority().map(axum::http::uri::Authority::as_str))
}

/// A header's value, empty if it is no text.
fn text<'a>(parts: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    parts.headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// The host and port of an origin.
fn authority(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

fn is_local(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Parts {
        let mut request = axum::http::Request::builder().header("host", "driftd.example:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn only_this_machine_is_local() {
        for local in ["localhost", "localhost:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]"] {
            assert!(is_local(local), "{local}");
        }
        for other in ["", "evil.example", "localhost.evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1:80", "::"]
        {
            assert!(!is_local(other), "{other}");
        }
    }

    #[test]
    fn pages_from_elsewhere_may_not_write() {
        for own in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://driftd.example:8080")],
            // A proxy in between may have changed the host; the browser knows better.
            &[("sec-fetch-site", "same-origin"), ("origin", "https://public.example")],
        ] {
            check(&request(own)).unwrap_or_else(|_| panic!("{own:?}"));
        }
        for foreign in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "same-origin, cross-site")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://driftd.example:3000")],
            &[("origin", "https://driftd.example:8080.evil.example")],
        ] {
            assert_eq!(check(&request(foreign)).expect_err("foreign").status, 403, "{foreign:?}");
        }
    }
}
