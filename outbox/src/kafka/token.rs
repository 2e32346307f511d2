//! OAUTHBEARER tokens from a file, as Kubernetes projects them and agents of identity providers write them.
//!
//! The file's name goes through librdkafka's own property `sasl.oauthbearer.config`, so every client that has the user's
//! properties has it. The token is not looked into: the file is read again every minute, and whoever writes it renews it
//! earlier than that before the old one is over. Deliberately absent: fetching tokens from a provider.

use std::error::Error;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::{Duration, SystemTime};

use rdkafka::bindings as c;
use rdkafka::client::{Client, OAuthToken};
use rdkafka::error::{IsError, KafkaError};
use rdkafka::{ClientConfig, ClientContext};

/// The environment variable that names the token's file in every program.
pub const TOKEN_FILE_VARIABLE: &str = "KAFKA_SASL_TOKEN_FILE";

const PREFIX: &str = "file=";
/// The client library reads it again after four fifths of this.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The librdkafka property that makes clients take their token from this file.
pub fn token_property(file: &str) -> (&'static str, String) {
    ("sasl.oauthbearer.config", format!("{PREFIX}{file}"))
}

/// For [`ClientContext::generate_oauth_token`](rdkafka::ClientContext::generate_oauth_token).
///
/// # Errors
/// When no file is named, or it cannot be read or is empty; in words.
pub fn read_token(config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
    let file = config.and_then(|text| text.strip_prefix(PREFIX)).ok_or_else(|| {
        format!("no token: name its file with {TOKEN_FILE_VARIABLE}, or with sasl.oauthbearer.config={PREFIX}NAME")
    })?;
    let text = std::fs::read_to_string(file).map_err(|error| format!("the token's file {file}: {error}"))?;
    let token = text.trim().to_owned();
    if token.is_empty() || token.contains('\0') {
        return Err(format!("the token's file {file} holds no token").into());
    }
    let until = (SystemTime::now() + READ_AGAIN_AFTER).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let lifetime_ms = i64::try_from(until.as_millis()).unwrap_or(i64::MAX);
    // The brokers take the user from the token; this name is for the library's own log.
    Ok(OAuthToken { token, principal_name: "token-file".to_owned(), lifetime_ms })
}

/// Hand a token to a client that nobody polls, and that therefore never asks for one: the library's admin client. Does
/// nothing where `properties` name another mechanism. The client is to be short-lived: this is its only token.
///
/// # Errors
/// When there is no token, or the library does not take it; in words.
pub fn give_token<C: ClientContext>(client: &Client<C>, properties: &ClientConfig) -> Result<(), KafkaError> {
    let mechanism = properties.get("sasl.mechanism").or_else(|| properties.get("sasl.mechanisms"));
    if mechanism != Some("OAUTHBEARER") {
        return Ok(());
    }
    let failed = |words: String| KafkaError::ClientCreation(words);
    let token = read_token(properties.get("sasl.oauthbearer.config")).map_err(|error| failed(error.to_string()))?;
    let (value, name) = (CString::new(token.token)?, CString::new(token.principal_name)?);
    let mut reason: [c_char; 256] = [0; 256];
    // SAFETY: the client is alive as long as it is borrowed; the texts live until the end of this function, and the library
    // copies them; `reason` is as long as said, and is a C string afterwards. No extensions: none, of length 0.
    let (code, reason) = unsafe {
        let code = c::rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            value.as_ptr(),
            token.lifetime_ms,
            name.as_ptr(),
            ptr::null_mut(),
            0,
            reason.as_mut_ptr(),
            reason.len(),
        );
        (code, CStr::from_ptr(reason.as_ptr()).to_string_lossy().into_owned())
    };
    if code.is_error() { Err(failed(format!("the token is not taken: {reason}"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_anew_each_time_and_named_when_it_has_no_token() {
        let path = std::env::temp_dir().join(format!("outbox-token-{}", std::process::id()));
        let (_, config) = token_property(&path.display().to_string());
        let read = || read_token(Some(&config)).map(|token| token.token).map_err(|error| error.to_string());
        assert!(read().unwrap_err().contains(&path.display().to_string()));
        for token in ["first", "second"] {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            assert_eq!(read().unwrap(), token);
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(read().unwrap_err().contains("holds no token"));
        std::fs::remove_file(&path).unwrap();
        assert!(read_token(None).err().unwrap().to_string().contains(TOKEN_FILE_VARIABLE));
    }
}
