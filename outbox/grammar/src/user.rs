//! Who runs a program: the name that stands in a record of what a person has done, where none is given.

/// The name of the operating system's user, or else the number.
pub fn os_user() -> String {
    use std::os::unix::fs::MetadataExt as _;
    let named =
        ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    named.unwrap_or_else(|| match std::fs::metadata("/proc/self") {
        Ok(own) => listed_user(own.uid()).unwrap_or_else(|| format!("uid {}", own.uid())),
        Err(_) => "unknown".to_owned(),
    })
}

/// The user of this number in the system's list of users.
fn listed_user(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut found = fields.filter(|fields| fields.get(2) == Some(&uid.to_string().as_str()));
    found.next()?.first().map(|name| (*name).to_owned())
}
