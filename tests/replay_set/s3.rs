//! A small object store that speaks as much of S3 as a set needs, and takes no request that is not signed as
//! Signature Version 4 says (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::sha256;

pub const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const REGION: &str = "eu-central-1";
pub const BUCKET: &str = "sets";

/// What it holds and what was asked of it.
#[derive(Default)]
pub struct Inside {
    /// Objects by path.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// Parts of uploads that were begun, by path.
    pub parts: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// Requests that were signed rightly: method and path, in order; parts with their number.
    pub log: Vec<String>,
    /// Writing to paths with this end is refused with this code.
    pub refuse: Option<(&'static str, StatusCode, &'static str)>,
}

#[derive(Clone, Default)]
pub struct S3(Arc<Mutex<Inside>>);

impl S3 {
    /// Starts one; with its address.
    pub async fn start() -> (S3, String) {
        let store = S3::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let limit = axum::extract::DefaultBodyLimit::disable();
        let router = Router::new().fallback(answer).layer(limit).with_state(store.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (store, url)
    }

    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().expect("not poisoned")
    }
}

async fn answer(
    State(store): State<S3>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    signed(&method, &uri, &headers, &body).map_err(|code| error(StatusCode::FORBIDDEN, code))?;
    let path = uri.path().to_owned();
    let query: BTreeMap<&str, &str> =
        uri.query().unwrap_or_default().split('&').map(|p| p.split_once('=').unwrap_or((p, ""))).collect();
    let mut inside = store.inside();
    let number = query.get("partNumber").map_or_else(String::new, |n| format!(" part {n}"));
    inside.log.push(format!("{method} {path}{number}"));
    if !path.starts_with(&format!("/{BUCKET}/")) {
        return Err(error(StatusCode::NOT_FOUND, "NoSuchBucket"));
    }
    if let Some((end, status, code)) = inside.refuse
        && method != Method::GET
        && method != Method::DELETE
        && format!("{path}{number}").ends_with(end)
    {
        return Err(error(status, code));
    }
    let etag = |bytes: &[u8]| [("etag", format!("\"{}\"", &sha256(bytes)[..32]))];
    let created = headers.get("if-none-match").is_some_and(|v| v == "*");
    match (method.as_str(), query.contains_key("uploads"), query.contains_key("uploadId")) {
        ("GET", false, false) => match inside.objects.get(&path) {
            Some(object) => {
                Ok((etag(object), [("last-modified", "Sun, 01 Mar 2026 00:00:00 GMT")], object.clone()).into_response())
            }
            None => Err(error(StatusCode::NOT_FOUND, "NoSuchKey")),
        },
        ("PUT", false, false) if created && inside.objects.contains_key(&path) => {
            Err(error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed"))
        }
        ("PUT", false, false) => {
            inside.objects.insert(path, body.to_vec());
            Ok(etag(&body).into_response())
        }
        ("POST", true, false) => {
            inside.parts.insert(path.clone(), BTreeMap::new());
            Ok(xml("InitiateMultipartUploadResult", "<UploadId>one</UploadId>"))
        }
        ("PUT", false, true) => {
            let number = query["partNumber"].parse().expect("a number");
            inside.parts.get_mut(&path).expect("begun").insert(number, body.to_vec());
            Ok(etag(&body).into_response())
        }
        ("POST", false, true) => {
            let parts = inside.parts.remove(&path).expect("begun");
            inside.objects.insert(path, parts.into_values().flatten().collect());
            Ok(xml("CompleteMultipartUploadResult", "<ETag>\"whole\"</ETag>"))
        }
        ("DELETE", false, true) => {
            inside.parts.remove(&path);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => panic!("nobody asks so: {method} {uri}"),
    }
}

fn xml(name: &str, inner: &str) -> Response {
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    format!("{head}<{name} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</{name}>").into_response()
}

fn error(status: StatusCode, code: &str) -> Response {
    let text = format!("<Error><Code>{code}</Code><Message>what {code} means</Message></Error>");
    (status, text).into_response()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Whether a request is signed with the only key that there is; S3's name of the error if not.
fn signed(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let Some(given) = header("authorization").strip_prefix("AWS4-HMAC-SHA256 ") else {
        return Err("AccessDenied");
    };
    let parts: BTreeMap<&str, &str> = given.split(',').filter_map(|p| p.trim().split_once('=')).collect();
    let (credential, names) = (parts["Credential"], parts["SignedHeaders"]);
    let (key, scope) = credential.split_once('/').expect("a scope");
    if key != KEY {
        return Err("InvalidAccessKeyId");
    }
    let at = header("x-amz-date");
    let date = &at[..8];
    assert_eq!(scope, format!("{date}/{REGION}/s3/aws4_request"));
    for must in ["host", "x-amz-content-sha256", "x-amz-date"] {
        assert!(names.split(';').any(|name| name == must), "{must} is not signed: {names}");
    }
    assert_eq!(header("x-amz-content-sha256"), sha256(body), "what is signed is what came");
    let mut query: Vec<String> = uri.query().unwrap_or_default().split('&').map(str::to_owned).collect();
    query.retain(|pair| !pair.is_empty());
    query.iter_mut().filter(|pair| !pair.contains('=')).for_each(|pair| pair.push('='));
    query.sort();
    let lines: String = names.split(';').map(|name| format!("{name}:{}\n", header(name).trim())).collect();
    let canonical = [method.as_str(), uri.path(), &query.join("&"), &lines, names, &sha256(body)].join("\n");
    let text = ["AWS4-HMAC-SHA256", at, scope, &sha256(canonical)].join("\n");
    let mut signing = format!("AWS4{SECRET}").into_bytes();
    for part in [date, REGION, "s3", "aws4_request"] {
        signing = mac(&signing, part);
    }
    let expected: String = mac(&signing, &text).iter().map(|byte| format!("{byte:02x}")).collect();
    if expected == parts["Signature"] { Ok(()) } else { Err("SignatureDoesNotMatch") }
}
