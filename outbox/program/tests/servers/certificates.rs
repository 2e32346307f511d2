//! Certificates for a test's servers and clients, made by the `openssl` program when the test begins.

use std::path::{Path, PathBuf};
use std::process::Command;

/// An authority with a folder for all that it signs.
pub(crate) struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// A new authority; its certificate is `ca.pem` in this folder.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let authority = Self { folder: folder.to_owned() };
        let subject = format!("/CN={name}");
        let made =
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.pem -subj";
        authority.openssl(&[made.split(' ').collect(), vec![subject.as_str()]].concat());
        authority
    }

    /// Signs a certificate, `name.pem`, for a new key, `name.key`; `alternatives` is an extension's value: `DNS:localhost`.
    pub(crate) fn sign(&self, name: &str, common_name: &str, alternatives: &str) {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let subject = format!("/CN={common_name}");
        let asked = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        let asked: Vec<&str> = asked.split(' ').chain(["-keyout", &key, "-out", &request, "-subj", &subject]).collect();
        self.openssl(&asked);
        std::fs::write(self.path("extensions"), format!("subjectAltName={alternatives}\n")).unwrap();
        let signed = "x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions";
        let signed: Vec<&str> = signed.split(' ').chain(["-in", &request, "-out", &certificate]).collect();
        self.openssl(&signed);
    }

    /// The same key once more, encrypted.
    pub(crate) fn encrypt(&self, key: &str, to: &str, password: &str) {
        let pass = format!("pass:{password}");
        self.openssl(&["pkey", "-in", key, "-out", to, "-aes256", "-passout", &pass]);
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub(crate) fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }

    fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl").args(arguments).current_dir(&self.folder).output();
        let done = done.unwrap_or_else(|error| panic!("openssl: {error}; install the Debian package openssl"));
        assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}
