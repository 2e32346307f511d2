//! The workspace's own files, read once; and their code without comments and without test modules.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// A text file of the workspace.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the workspace's root, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
    /// Without comments, and without modules that are only compiled for tests; line numbers stay.
    pub(crate) code: String,
}

/// What stands for itself: other people's text, data, and what builds leave behind.
const SKIPPED: [&str; 4] = ["target", ".git", ".dev", "data"];
const ENDINGS: [&str; 8] = ["rs", "toml", "md", "sql", "py", "yml", "avsc", "xml"];

static ALL: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut sources = Vec::new();
    collect(root(), "", &mut sources);
    assert!(sources.len() > 100, "the workspace was not found: {} files", sources.len());
    sources
});

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every file.
pub(crate) fn all() -> &'static [Source] {
    &ALL
}

fn collect(folder: &Path, path: &str, sources: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { panic!("{} cannot be read", folder.display()) };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        if entry.path().is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                collect(&entry.path(), &path, sources);
            }
        } else if ENDINGS.iter().any(|ending| name.ends_with(&format!(".{ending}"))) {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            sources.push(Source::new(path, text));
        }
    }
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let code = if path.ends_with(".rs") { code_of(&text) } else { String::new() };
        Source { path, text, code }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// A complaint for every line of the code that holds one of these.
    pub(crate) fn lines_with(&self, forbidden: &[&str], why: &str) -> Vec<String> {
        let breach = |line: &str| forbidden.iter().find(|words| line.contains(**words)).copied();
        let complain = |(number, line): (usize, &str)| {
            breach(line).map(|words| format!("{}:{}: {words}: {why}", self.path, number + 1))
        };
        self.code.lines().enumerate().filter_map(complain).collect()
    }
}

/// Formatted code has a module's end at its beginning's indentation.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut test_module: Option<&str> = None;
    let mut is_for_tests = false;
    for line in text.lines() {
        let bare = line.trim_start();
        let indentation = &line[..line.len() - bare.len()];
        if let Some(outer) = test_module {
            if line == format!("{outer}}}") {
                test_module = None;
            }
        } else if is_for_tests && bare.starts_with("mod ") {
            test_module = bare.ends_with('{').then_some(indentation);
        } else if !bare.starts_with("//") {
            code.push_str(line.split(" // ").next().unwrap_or(line));
        }
        // Further attributes may stand between this one and the module.
        is_for_tests = bare == "#[cfg(test)]" || (is_for_tests && bare.starts_with('#'));
        code.push('\n');
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_has_neither_comments_nor_test_modules() {
        let text = "//! A.\nfn f() {} // b\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\nfn h() {}\n";
        assert_eq!(code_of(text), "\nfn f() {}\n#[cfg(test)]\n\n\n\nfn h() {}\n");
    }
}
