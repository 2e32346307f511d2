//! Who may: keys by name, with roles, of a file that holds their digests alone.
//!
//! A key is 256 random bits, so a plain digest of it gives nothing away. All digests are compared, each in constant time.
//! Deliberately absent: users, sessions; tokens of an identity provider are in `tokens`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use grammar::SettingError;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Role {
    /// Look at orders, payments and stock.
    #[serde(rename = "orders:read")]
    OrdersRead,
    /// Place orders, ship, cancel, refund and take them back.
    #[serde(rename = "orders:write")]
    OrdersWrite,
    /// Receive and adjust stock.
    #[serde(rename = "stock:write")]
    StockWrite,
    /// Hold, release and reject orders.
    #[serde(rename = "ops:act")]
    OpsAct,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 4] = [Role::OrdersRead, Role::OrdersWrite, Role::StockWrite, Role::OpsAct];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::OrdersRead => "orders:read",
            Role::OrdersWrite => "orders:write",
            Role::StockWrite => "stock:write",
            Role::OpsAct => "ops:act",
        }
    }

    /// The role of this name.
    ///
    /// # Errors
    /// In words, which there are.
    pub fn parse(name: &str) -> Result<Role, String> {
        let names = Role::ALL.map(Role::as_str).join(", ");
        Role::ALL.into_iter().find(|role| role.as_str() == name).ok_or_else(|| format!("no role; there are {names}"))
    }
}

/// Who asks; cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Known>);

#[derive(Debug)]
struct Known {
    name: String,
    roles: Vec<Role>,
    allowance: Option<Arc<Allowance>>,
}

static LOCAL: LazyLock<Caller> = LazyLock::new(|| Caller::new("local".to_owned(), Role::ALL.to_vec()));

impl Caller {
    /// Whoever asks where no keys are configured: somebody on this machine, who may do everything.
    pub fn local() -> Self {
        LOCAL.clone()
    }

    /// Somebody of this name.
    pub fn new(name: String, roles: Vec<Role>) -> Self {
        Caller::bounded(name, roles, None)
    }

    /// The same, who may ask so much a second.
    pub fn bounded(name: String, roles: Vec<Role>, allowance: Option<Arc<Allowance>>) -> Self {
        Caller(Arc::new(Known { name, roles, allowance }))
    }

    /// Its name: what commands say of who asked, and the tenant whose idempotency keys these are.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it has the role.
    pub fn may(&self, role: Role) -> bool {
        self.0.roles.contains(&role)
    }

    /// Whether it is the same, with the same roles.
    pub fn is_as(&self, other: &Caller) -> bool {
        self.0.name == other.0.name && self.0.roles == other.0.roles
    }

    /// Takes one request of what is allowed a second; else how long to wait.
    ///
    /// # Errors
    /// How long until the next one is allowed.
    pub fn take_turn(&self) -> Result<(), Duration> {
        self.0.allowance.as_ref().map_or(Ok(()), |allowance| allowance.take(Instant::now()))
    }
}

/// So many requests a second, and as many at once.
#[derive(Debug)]
pub struct Allowance {
    interval: Duration,
    burst: Duration,
    /// When all that was taken would be due, one after the other.
    due: Mutex<Option<Instant>>,
}

impl Allowance {
    fn of(per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Allowance { interval, burst: Duration::from_secs(1), due: Mutex::new(None) }
    }

    /// Whether less than all of it is left.
    fn is_in_use(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due > now)
    }

    fn due(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut due = self.due();
        let next = due.unwrap_or(now).max(now) + self.interval;
        let ahead = next.duration_since(now);
        if ahead > self.burst {
            return Err(ahead.saturating_sub(self.burst));
        }
        *due = Some(next);
        Ok(())
    }
}

/// The same allowance for each of many names that no file lists.
#[derive(Debug)]
pub struct Allowances {
    per_second: u32,
    by_name: Mutex<HashMap<String, Arc<Allowance>>>,
}

/// With so many names, those who have not asked for a second are forgotten. They have all of theirs again, as whoever is new; so no more
/// are kept for long than there are requests in a second.
const NAMES_KEPT: usize = 1_000;

impl Allowances {
    /// So many requests a second for each.
    pub fn of(per_second: u32) -> Self {
        Allowances { per_second, by_name: Mutex::default() }
    }

    /// What this name may ask, wherever it has come up before.
    pub fn named(&self, name: &str) -> Arc<Allowance> {
        self.named_at(name, Instant::now())
    }

    fn named_at(&self, name: &str, now: Instant) -> Arc<Allowance> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(allowance) = by_name.get(name) {
            return Arc::clone(allowance);
        }
        if by_name.len() >= NAMES_KEPT {
            by_name.retain(|_, allowance| allowance.is_in_use(now));
        }
        Arc::clone(by_name.entry(name.to_owned()).or_insert_with(|| Arc::new(Allowance::of(self.per_second))))
    }
}

/// All keys.
#[derive(Debug)]
pub struct Keys(Vec<([u8; 32], Caller)>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    key: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sha256: String,
    roles: Vec<Role>,
    requests_per_second: Option<u32>,
}

impl Keys {
    /// Reads the file: its text, and the keys that it has.
    ///
    /// # Errors
    /// It cannot be read, or is not as it has to be; the digests are not repeated.
    pub fn read(path: &Path) -> Result<(String, Self), SettingError> {
        let wrong =
            |reason: String| SettingError::File { what: "the file of keys", path: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let keys = Keys::parse(&text).map_err(wrong)?;
        Ok((text, keys))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let File { key: entries } = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let mut keys: Vec<([u8; 32], Caller)> = Vec::with_capacity(entries.len());
        for Entry { name, sha256, roles, requests_per_second } in entries {
            schemas::CommandId::new(name.as_str())
                .map_err(|_| "a key's name has 1 to 64 printable bytes".to_owned())?;
            if keys.iter().any(|(_, caller)| caller.name() == name) {
                return Err(format!("two keys are named {name}"));
            }
            let digest = digest_of_hex(&sha256).ok_or_else(|| {
                format!("sha256 of {name} is no SHA-256 digest in hexadecimal; `order-api key` makes one")
            })?;
            let allowance = requests_per_second.map(|limit| Arc::new(Allowance::of(limit)));
            keys.push((digest, Caller(Arc::new(Known { name, roles, allowance }))));
        }
        if keys.is_empty() { Err("it has no key".to_owned()) } else { Ok(Keys(keys)) }
    }

    /// Whether a key has this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(_, caller)| caller.name() == name)
    }

    /// Whose key this is.
    pub fn caller(&self, key: &str) -> Option<&Caller> {
        let given: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut found = None;
        for (digest, caller) in &self.0 {
            if openssl::memcmp::eq(digest, &given) {
                found = Some(caller);
            }
        }
        found
    }
}

fn digest_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// A new key, and what the file has of it.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_key(name: &str, roles: &[Role]) -> Result<(String, String), String> {
    let mut bytes = [0; 32];
    openssl::rand::rand_bytes(&mut bytes).map_err(|error| error.to_string())?;
    let key = format!("oak_{}", hex(&bytes));
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let roles: Vec<String> = roles.iter().map(|role| format!("\"{}\"", role.as_str())).collect();
    let name = toml::Value::String(name.to_owned());
    let entry = format!("[[key]]\nname = {name}\nsha256 = \"{}\"\nroles = [{}]\n", hex(&digest), roles.join(", "));
    Ok((key, entry))
}

/// In hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_known_by_its_entry_and_no_other_is() {
        let (key, entry) = new_key("web \"shop\"", &[Role::OrdersRead, Role::OpsAct]).unwrap();
        let (other, second) = new_key("other", &[Role::StockWrite]).unwrap();
        assert!(!entry.contains(&key[4..]), "the file has no key");
        let keys = Keys::parse(&(entry + &second)).unwrap();
        let caller = keys.caller(&key).unwrap();
        assert_eq!(caller.name(), "web \"shop\"");
        assert_eq!(Role::ALL.map(|role| caller.may(role)), [true, false, false, true]);
        assert_eq!(keys.caller(&other).unwrap().name(), "other");
        for wrong in ["", "oak_", &key[..key.len() - 1], &key.to_uppercase()] {
            assert!(keys.caller(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named_and_no_digest_is_repeated() {
        let digest = "ab".repeat(32);
        let entry = |name: &str, digest: &str, roles: &str| {
            format!("[[key]]\nname = \"{name}\"\nsha256 = \"{digest}\"\nroles = [{roles}]\n")
        };
        let wrong = [
            (String::new(), "key"),
            ("key = []".to_owned(), "no key"),
            (entry("a", "abc", ""), "order-api key"),
            (entry("a", &"zz".repeat(32), ""), "order-api key"),
            (entry("a", &digest, "\"orders:all\""), "orders:all"),
            (entry("a", &digest, "") + &entry("a", &digest, ""), "two keys are named a"),
            (entry("", &digest, ""), "1 to 64"),
        ];
        for (file, words) in wrong {
            let said = Keys::parse(&file).unwrap_err();
            assert!(said.contains(words) && !said.contains(&digest), "{file}: {said}");
        }
    }

    #[test]
    fn so_many_requests_a_second_are_allowed_and_the_rest_told_when() {
        let (allowance, now) = (Allowance::of(10), Instant::now());
        let taken = (0..15).filter(|_| allowance.take(now).is_ok()).count();
        assert_eq!(taken, 10);
        assert_eq!(allowance.take(now), Err(Duration::from_millis(100)));
        assert_eq!(allowance.take(now + Duration::from_millis(100)), Ok(()));
    }

    #[test]
    fn one_name_has_one_allowance_and_who_rests_is_forgotten() {
        let (allowances, now) = (Allowances::of(2), Instant::now());
        let take = |name: &str, now| allowances.named_at(name, now).take(now).is_ok();
        assert_eq!(["a", "a", "a", "b"].map(|name| take(name, now)), [true, true, false, true]);
        let kept = || allowances.by_name.lock().unwrap().len();
        for number in 0..NAMES_KEPT {
            assert!(take(&format!("c-{number}"), now));
        }
        assert_eq!(kept(), NAMES_KEPT + 2, "all of them have just asked");
        assert!(!take("a", now), "whoever is kept goes on");
        let later = now + Duration::from_secs(2);
        assert!(take("a", later) && take("d", later) && take("a", later));
        assert_eq!(kept(), 2);
    }
}
