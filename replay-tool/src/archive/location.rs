//! Where an archive lies, as people write it: a folder, `file:///folder` or `s3://bucket/prefix`.
//!
//! Deliberately absent: URLs of other stores, which programs that use this library hand over themselves; credentials in a
//! URL, which would be shown wherever the URL is.

use std::ffi::OsStr;
use std::path::PathBuf;

use object_store::path::Path;
use url::Url;

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    Folder(PathBuf),
    /// Its name, and what stands before the names of all objects; nothing: the archive has it for itself.
    Bucket {
        name: String,
        prefix: Path,
    },
}

/// Why a URL names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoLocation {
    #[error("an archive lies in a folder, file:///folder or s3://bucket/prefix, and this URL begins with {0}:")]
    Scheme(String),
    #[error("this URL cannot be read: {0}")]
    Malformed(String),
    #[error(
        "a URL of an archive has no user and no password; credentials are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    Credentials,
    #[error("a URL of an archive has no port; the server is named by AWS_ENDPOINT_URL")]
    Port,
    #[error("a URL of an archive has no `?` and no `#`; write %3F and %23 where they are in a name")]
    Query,
    #[error("which bucket? write s3://bucket/prefix")]
    NoBucket,
    #[error("a file URL names a folder of this machine, from its root: file:///folder")]
    NoFolder,
}

impl Location {
    /// What this text names. A folder whose name looks like a URL is written `./s3:…`.
    pub(super) fn parse(written: &OsStr) -> Result<Location, NoLocation> {
        let Some(text) = written.to_str().filter(|text| is_url(text)) else {
            return Ok(Location::Folder(PathBuf::from(written)));
        };
        let url = Url::parse(text).map_err(|error| NoLocation::Malformed(error.to_string()))?;
        if !matches!(url.scheme(), "file" | "s3") {
            return Err(NoLocation::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NoLocation::Credentials);
        }
        if url.port().is_some() {
            return Err(NoLocation::Port);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(NoLocation::Query);
        }
        if url.scheme() == "file" {
            return url.to_file_path().map(Location::Folder).map_err(|()| NoLocation::NoFolder);
        }
        let name = url.host_str().filter(|name| !name.is_empty()).ok_or(NoLocation::NoBucket)?;
        let prefix = Path::from_url_path(url.path()).map_err(|error| NoLocation::Malformed(error.to_string()))?;
        Ok(Location::Bucket { name: name.to_owned(), prefix })
    }
}

/// Also without the slashes, where somebody has forgotten them: a folder `s3:` is never meant.
fn is_url(text: &str) -> bool {
    let has_scheme = |(scheme, rest): (&str, &str)| {
        matches!(scheme, "file" | "s3")
            || rest.starts_with("//") && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    text.split_once(':').is_some_and(has_scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Location, NoLocation> {
        Location::parse(OsStr::new(text))
    }

    #[test]
    fn folders_are_taken_as_they_are_written() {
        for folder in ["archive", "/var/archive", "./s3:archive", "a:b", "archive of 17:00//x", ""] {
            assert_eq!(parsed(folder), Ok(Location::Folder(folder.into())), "{folder}");
        }
        assert_eq!(parsed("file:///var/my%20archive/"), Ok(Location::Folder("/var/my archive/".into())));
        assert_eq!(parsed("file://localhost/var"), Ok(Location::Folder("/var".into())));
    }

    #[test]
    fn a_bucket_has_a_name_and_a_prefix() {
        for (text, name, prefix) in [
            ("s3://shop", "shop", ""),
            ("s3://shop/", "shop", ""),
            ("s3://shop/archive", "shop", "archive"),
            ("s3://shop.example_1/a/b%20c/", "shop.example_1", "a/b c"),
        ] {
            let prefix = Path::parse(prefix).unwrap();
            assert_eq!(parsed(text), Ok(Location::Bucket { name: name.into(), prefix }), "{text}");
        }
    }

    #[test]
    fn what_names_no_place_is_refused_and_no_credentials_are_shown() {
        for (text, words) in [
            ("gs://shop/archive", "begins with gs:"),
            ("https://shop.example/archive", "begins with https:"),
            ("s3://user:hush@shop/archive", "no user and no password"),
            ("s3://user@shop/archive", "no user and no password"),
            ("s3://shop:9000/archive", "AWS_ENDPOINT_URL"),
            ("s3://shop/archive?region=x", "no `?`"),
            ("s3://shop/archive#1", "no `#`"),
            ("s3://", "which bucket?"),
            ("s3:///archive", "which bucket?"),
            ("s3:shop/archive", "which bucket?"),
            ("s3://shop/a//b", "cannot be read"),
            ("file://shop/archive", "of this machine"),
        ] {
            let refused = parsed(text).unwrap_err().to_string();
            assert!(refused.contains(words) && !refused.contains("hush"), "{text}: {refused}");
        }
    }
}
