use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::json;
use sha2::Sha256;

use super::*;

/// Modulus of a key of 2,048 bits, and a token that its private half has signed:
/// `openssl genrsa 2048`, then `openssl dgst -sha256 -sign` over `header.claims`. The private half is gone.
const RSA_N: &str = "to9bo_WeI8_pk388rJIkSLjRO4OmqMzLPT5gUEQdoPeaFw8mLN0EbWT7FYBlhkpyW9z8A4_K6AF6hQbCLis3hGfe-AHuO4FGgxlE\
    EXfaRL5Zxmmis35k5t24k2tX75Dzlrt-Rg4YqZb0T5JNWWpONkQAEzljGsw2cLvYlpRmL9fg5VeBW4mcG8ErF1ROZRw560DU_8yw\
    b0IbeFCuKpslCW3bA4DQ8vIOfqOXGE3UaS0moloRB82BIWGsZm4-BmGuqRFwJrtO4yooq4UgtEGCVsfolBKehLahss2yoQq9wytb\
    -EsjGmAMTUOa4UdCxKDEhVb6Gq6PObiKuEcn3dZ07w";
const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOls\
    iZHJpZnRkIiwib3RoZXIiXSwic3ViIjoidTEiLCJleHAiOjIwMDB9.TqJ2w3z6zxbqSK_NBCr3_hehuy51Du3TCW6OBfuwH3MXPo\
    0TKVyvEDchZQO7glVx_wx61EuNMK5Ak4lqQzZt3niR2QqYiiGJHBSPoeCYuI_PAIF8pckWOpE-lw2gJkjYXVIZLeQ-DhnWmgvKpz\
    s5NRmPOPnTakl6OuwcPJAlaXwODeX5j4jdLW75m2_fWcQCsq1zCXEKsjIsWVz1OgCzNrr9TilX1L0f5ohE0aZPmDpgK38UJZGWnU\
    0nmcKTHZ3cxoM0SmNz_r0mB6_PsCBeDMQpVThrVV-WCQZISRg-uJjkuxN5pgOw0FlY0OmJkAsBMA3GkLufXQs3efsnnmgClA";

/// An issuer with a key of each kind whose private half is here.
struct Issuer {
    ed25519: Ed25519KeyPair,
    p256: EcdsaKeyPair,
}

impl Issuer {
    fn new() -> Issuer {
        let random = SystemRandom::new();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        Issuer {
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).expect("its own"),
            p256: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random).expect("its own"),
        }
    }

    fn set(&self) -> Value {
        let point = self.p256.public_key().as_ref();
        json!({"keys": [
            {"kty": "RSA", "kid": "rsa", "use": "sig", "n": RSA_N, "e": "AQAB"},
            {"kty": "EC", "kid": "ec", "crv": "P-256", "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..])},
            {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": BASE64.encode(self.ed25519.public_key())},
            {"kty": "OKP", "kid": "enc", "use": "enc", "crv": "Ed25519", "x": BASE64.encode(self.ed25519.public_key())},
            {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
        ]})
    }

    fn keys(&self) -> KeySet {
        KeySet::parse(&self.set().to_string()).expect("a set")
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = signed(header, claims);
        let signature = match header["alg"].as_str() {
            Some("ES256") => self.p256.sign(&SystemRandom::new(), signed.as_bytes()).expect("signs").as_ref().to_vec(),
            _ => self.ed25519.sign(signed.as_bytes()).as_ref().to_vec(),
        };
        format!("{signed}.{}", BASE64.encode(signature))
    }
}

fn signed(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

fn expected() -> Expected {
    Expected { issuer: "https://id.example".into(), audience: "driftd".into() }
}

fn claims() -> Value {
    json!({"iss": "https://id.example", "aud": "driftd", "sub": "u1", "exp": 2_000, "nbf": 1_000})
}

const NOW: f64 = 1_500.0;

#[test]
fn tokens_of_all_three_algorithms_prove_their_subject() {
    let issuer = Issuer::new();
    let keys = issuer.keys();
    for header in [
        json!({"alg": "EdDSA", "kid": "ed", "typ": "JWT"}),
        json!({"alg": "ES256", "kid": "ec", "typ": "at+jwt"}),
        json!({"alg": "ES256"}),
    ] {
        let token = issuer.sign(&header, &claims());
        assert_eq!(keys.verify(&token, &expected(), NOW).expect("valid")["sub"], "u1", "{header}");
    }
    assert_eq!(keys.verify(RSA_TOKEN, &expected(), NOW).expect("valid")["sub"], "u1");
}

#[test]
fn forged_headers_prove_nothing() {
    let issuer = Issuer::new();
    let keys = issuer.keys();
    let refused = |token: &str| keys.verify(token, &expected(), NOW).expect_err(token);
    for alg in ["none", "None", "NONE", "HS256", "HS384", "HS512", "PS256", "RS512", "ES384", "eddsa", ""] {
        let header = json!({"alg": alg, "kid": "ed"});
        assert_eq!(refused(&issuer.sign(&header, &claims())), TokenError::Algorithm, "{alg}");
        assert_eq!(refused(&format!("{}.", signed(&header, &claims()))), TokenError::Algorithm, "{alg}, unsigned");
    }
    // The public key as a shared secret, in the forms in which it is known.
    for secret in
        [RSA_N.as_bytes().to_vec(), BASE64.decode(RSA_N).expect("base64"), issuer.set().to_string().into_bytes()]
    {
        for alg in ["HS256", "RS256"] {
            let signed = signed(&json!({"alg": alg, "kid": "rsa"}), &claims());
            let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length");
            mac.update(signed.as_bytes());
            let token = format!("{signed}.{}", BASE64.encode(mac.finalize().into_bytes()));
            assert!([TokenError::Algorithm, TokenError::Signature].contains(&refused(&token)), "{alg}");
        }
    }
    // A key of another kind than the header says, one for something else, one that is nobody's.
    assert_eq!(refused(&issuer.sign(&json!({"alg": "EdDSA", "kid": "ec"}), &claims())), TokenError::Algorithm);
    for kid in
        ["enc", "shared", "other", "../../etc/passwd", "/dev/null", "' or 1=1 --", "https://evil.example/key", ""]
    {
        let header = json!({"alg": "EdDSA", "kid": kid, "jku": "https://evil.example", "jwk": issuer.set()["keys"][2]});
        assert_eq!(refused(&issuer.sign(&header, &claims())), TokenError::UnknownKey, "{kid}");
    }
    let stranger = Issuer::new();
    assert_eq!(refused(&stranger.sign(&json!({"alg": "EdDSA", "kid": "ed"}), &claims())), TokenError::Signature);
    for header in [json!({"alg": "EdDSA", "crit": ["b64"], "b64": false}), json!({"alg": "EdDSA", "typ": "logout+jwt"})]
    {
        assert_eq!(refused(&issuer.sign(&header, &claims())), TokenError::Malformed, "{header}");
    }
}

#[test]
fn a_changed_token_is_refused() {
    let issuer = Issuer::new();
    let keys = issuer.keys();
    let good = issuer.sign(&json!({"alg": "EdDSA", "kid": "ed"}), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let mut more = claims();
    more["groups"] = json!(["admins"]);
    let swapped = format!("{}.{}.{}", parts[0], BASE64.encode(more.to_string()), parts[2]);
    assert_eq!(keys.verify(&swapped, &expected(), NOW), Err(TokenError::Signature));
    for bad in [
        "",
        ".",
        "..",
        "a.b.c",
        &format!("{}.{}", parts[0], parts[1]),
        &format!("{good}.{}", parts[2]),
        &format!("{good}="),
        &"x".repeat(20_000),
    ] {
        let refused = keys.verify(bad, &expected(), NOW).expect_err(bad);
        assert!([TokenError::Malformed, TokenError::Signature].contains(&refused), "{bad}: {refused}");
    }
    assert_eq!(keys.verify(&format!("{}.{}.", parts[0], parts[1]), &expected(), NOW), Err(TokenError::Signature));
}

#[test]
fn claims_are_checked_to_the_letter() {
    let issuer = Issuer::new();
    let keys = issuer.keys();
    let with = |name: &str, value: Value, now: f64| {
        let mut claims = claims();
        claims[name] = value;
        keys.verify(&issuer.sign(&json!({"alg": "EdDSA", "kid": "ed"}), &claims), &expected(), now).err()
    };
    for (name, value, error) in [
        ("iss", json!("https://id.example/"), TokenError::Issuer),
        ("iss", json!(["https://id.example"]), TokenError::Issuer),
        ("iss", json!(null), TokenError::Issuer),
        ("aud", json!("driftd2"), TokenError::Audience),
        ("aud", json!(["other"]), TokenError::Audience),
        ("aud", json!({"driftd": true}), TokenError::Audience),
        ("exp", json!(null), TokenError::Expired),
        ("exp", json!("9999999999"), TokenError::Expired),
        ("exp", json!(1_440), TokenError::Expired),
        ("nbf", json!(1_561), TokenError::Early),
        ("nbf", json!("1"), TokenError::Early),
        ("sub", json!(""), TokenError::Subject),
        ("sub", json!(7), TokenError::Subject),
    ] {
        assert_eq!(with(name, value.clone(), NOW), Some(error), "{name} {value}");
    }
    for (name, value) in [("exp", json!(1_440.5)), ("nbf", json!(1_560)), ("aud", json!(["other", "driftd"]))] {
        assert_eq!(with(name, value.clone(), NOW), None, "within a minute: {name} {value}");
    }
    assert_eq!(with("iat", json!(0), 2_059.9), None);
    assert_eq!(with("iat", json!(0), 2_060.0), Some(TokenError::Expired));
}

#[test]
fn a_set_without_a_key_of_ours_is_told() {
    for bad in [
        "",
        "{}",
        r#"{"keys": []}"#,
        r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#,
        r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]}"#,
    ] {
        assert!(KeySet::parse(bad).is_err(), "{bad}");
    }
}
