//! An identity provider of a test's: keys made when it starts, shown over HTTP as real ones show them, and tokens signed with them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use openssl::base64::encode_block;
use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::pipeline::Outcome;

pub(crate) const AUDIENCE: &str = "orders-api";

/// A key, and the one algorithm that it signs by.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) algorithm: &'static str,
    private: PKey<Private>,
}

fn base64url(bytes: &[u8]) -> String {
    encode_block(bytes).replace('+', "-").replace('/', "_").replace(['=', '\n'], "")
}

impl Key {
    pub(crate) fn new(id: &str, algorithm: &'static str) -> Outcome<Self> {
        let private = match algorithm {
            "RS256" | "PS256" => PKey::from_rsa(Rsa::generate(2048)?)?,
            "ES256" => PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?,
            _ => PKey::generate_ed25519()?,
        };
        Ok(Key { id: id.to_owned(), algorithm, private })
    }

    /// As a set of keys has it.
    fn shown(&self) -> Outcome<Value> {
        let part = |number: &BigNumRef| base64url(&number.to_vec());
        let mut shown = match self.algorithm {
            "RS256" | "PS256" => {
                let rsa = self.private.rsa()?;
                json!({ "kty": "RSA", "n": part(rsa.n()), "e": part(rsa.e()) })
            }
            "ES256" => {
                let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
                let key = self.private.ec_key()?;
                let context = &mut *BigNumContext::new()?;
                key.public_key().affine_coordinates_gfp(key.group(), &mut x, &mut y, context)?;
                json!({ "kty": "EC", "crv": "P-256",
                    "x": base64url(&x.to_vec_padded(32)?), "y": base64url(&y.to_vec_padded(32)?) })
            }
            _ => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&self.private.raw_public_key()?) }),
        };
        shown["kid"] = json!(self.id);
        shown["use"] = json!("sig");
        Ok(shown)
    }

    fn signature(&self, message: &[u8]) -> Outcome<Vec<u8>> {
        if self.algorithm == "EdDSA" {
            return Ok(Signer::new_without_digest(&self.private)?.sign_oneshot_to_vec(message)?);
        }
        let mut signer = Signer::new(MessageDigest::sha256(), &self.private)?;
        if self.algorithm == "PS256" {
            signer.set_rsa_padding(Padding::PKCS1_PSS)?;
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        let signature = signer.sign_oneshot_to_vec(message)?;
        if self.algorithm != "ES256" {
            return Ok(signature);
        }
        let signature = EcdsaSig::from_der(&signature)?;
        Ok([signature.r().to_vec_padded(32)?, signature.s().to_vec_padded(32)?].concat())
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> Outcome<String> {
        self.token_with(&json!({ "typ": "JWT", "alg": self.algorithm, "kid": self.id }), claims)
    }

    /// The same under another header.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> Outcome<String> {
        let message = unsigned(header, claims);
        let signature = base64url(&self.signature(message.as_bytes())?);
        Ok(format!("{message}.{signature}"))
    }

    /// A token that whoever knows the public key could make, if a door took that for a shared secret.
    pub(crate) fn confused(&self, claims: &Value) -> Outcome<String> {
        let secret = PKey::hmac(&self.private.public_key_to_pem()?)?;
        let message = unsigned(&json!({ "typ": "JWT", "alg": "HS256", "kid": self.id }), claims);
        let signature = Signer::new(MessageDigest::sha256(), &secret)?.sign_oneshot_to_vec(message.as_bytes())?;
        Ok(format!("{message}.{}", base64url(&signature)))
    }
}

/// Header and claims.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()))
}

struct Shared {
    keys: Mutex<Value>,
    looks: AtomicUsize,
}

/// The provider.
pub(crate) struct Issuer {
    pub(crate) name: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

impl Issuer {
    /// Shows these keys, and with them one that is a shared secret, and one that is for something else.
    pub(crate) async fn start(keys: &[Key]) -> Outcome<Self> {
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let shared = Arc::new(Shared { keys: Mutex::default(), looks: AtomicUsize::new(0) });
        let mut issuer = Issuer { name: format!("http://{address}/shop"), address, shared, serving: None };
        issuer.show(keys)?;
        issuer.open().await?;
        Ok(issuer)
    }

    pub(crate) fn show(&self, keys: &[Key]) -> Outcome {
        let mut shown = keys.iter().map(Key::shown).collect::<Outcome<Vec<Value>>>()?;
        shown.push(json!({ "kty": "oct", "kid": "secret", "k": base64url(b"everybody knows it") }));
        shown.push(json!({ "kty": "fancy", "kid": "of tomorrow" }));
        let mut sealing = Key::new("sealing", "RS256")?.shown()?;
        sealing["use"] = json!("enc");
        shown.push(sealing);
        *self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner) = json!({ "keys": shown });
        Ok(())
    }

    /// How often its keys were looked at.
    pub(crate) fn looks(&self) -> usize {
        self.shared.looks.load(Ordering::SeqCst)
    }

    /// Answers, at the address that it has.
    pub(crate) async fn open(&mut self) -> Outcome {
        let listener = TcpListener::bind(self.address).await?;
        let document = json!({ "issuer": self.name, "jwks_uri": format!("{}/keys", self.name) });
        let router = Router::new()
            .route("/shop/.well-known/openid-configuration", get(async move || closing(Json(document))))
            .route("/shop/keys", get(keys))
            .with_state(Arc::clone(&self.shared));
        self.serving = Some(tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap_or_else(|error| panic!("the provider: {error}"));
        }));
        Ok(())
    }

    /// Answers no more.
    pub(crate) async fn close(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            drop(serving.await);
        }
    }

    /// What a good token says.
    pub(crate) fn claims(&self, who: &str, roles: &[&str]) -> Value {
        let now = Timestamp::now().as_second();
        json!({ "iss": self.name, "aud": [AUDIENCE, "account"], "sub": who, "roles": roles,
            "iat": now, "nbf": now, "exp": now + 300 })
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn keys(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    shared.looks.fetch_add(1, Ordering::SeqCst);
    closing(Json(shared.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()))
}

/// On a connection that is not used again: one that stays would answer after the end.
fn closing(body: Json<Value>) -> impl IntoResponse {
    ([(header::CONNECTION, "close")], body)
}
