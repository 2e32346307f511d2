//! The rooms of a crate, its folders of modules: none of them reaches itself again by what its files import.
//!
//! An import leads to the file that defines the name, through every `use` on the way: a facade hides nothing. Each folder is
//! looked at by itself: what lies directly in it, files and folders, and the folder's own file, if that defines anything.
//! Circles of single files within one folder are not forbidden.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

/// Crates whose rooms stand above one another.
const CRATES: [&str; 1] = ["replay-tool/src/"];

/// A module's place in its crate: the crate itself has none.
type Path = Vec<String>;

/// What a file says about other modules.
#[derive(Debug, Default)]
struct Module {
    /// Everything that it names.
    paths: Vec<Path>,
    /// What is known in it by another's name: imported, or handed on.
    names: BTreeMap<String, Path>,
}

/// One for each import that closes a circle in which a folder stands.
pub(crate) fn complaints(sources: &[Source]) -> Vec<String> {
    CRATES.iter().flat_map(|root| circles(sources, root)).collect()
}

fn circles(sources: &[Source], root: &str) -> Vec<String> {
    let modules: BTreeMap<Path, Module> = sources
        .iter()
        .filter_map(|source| Some((module_of(source.path.strip_prefix(root)?)?, Module::read(&source.code))))
        .collect();
    let imports: BTreeSet<(&Path, &Path)> = modules
        .iter()
        .filter(|(importer, _)| !importer.is_empty())
        .flat_map(|(importer, module)| module.paths.iter().map(move |path| (importer, path)))
        .filter_map(|(importer, path)| Some((importer, resolve(&modules, importer, path, 0)?)))
        .filter(|(importer, definer)| importer != definer)
        .collect();
    let folders: BTreeSet<&[String]> = modules.keys().filter_map(|path| Some(path.split_last()?.1)).collect();
    folders.iter().flat_map(|folder| circles_in(folder, &imports, &folders, root)).collect()
}

/// The imports between what lies in this folder that have a way back.
fn circles_in(
    folder: &[String],
    imports: &BTreeSet<(&Path, &Path)>,
    folders: &BTreeSet<&[String]>,
    root: &str,
) -> Vec<String> {
    // What lies in the folder, or the folder's own file.
    let room = |path: &Path| path.starts_with(folder).then(|| path[..path.len().min(folder.len() + 1)].to_vec());
    let mut doors: BTreeMap<(Path, Path), Vec<(&Path, &Path)>> = BTreeMap::new();
    for (importer, definer) in imports {
        if let (Some(from), Some(to)) = (room(importer), room(definer))
            && from != to
        {
            doors.entry((from, to)).or_default().push((importer, definer));
        }
    }
    let reached = |from: &Path| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(next) = open.pop() {
            let onward = doors.keys().filter(|(from, _)| from == next).map(|(_, to)| to);
            open.extend(onward.filter(|to| reached.insert((*to).clone())));
        }
        reached
    };
    let is_folder = |path: &Path| path.len() > folder.len() && folders.contains(path.as_slice());
    // Of a circle the import that few others stand beside is most likely the one too many.
    let mut by_files: Vec<_> = doors.iter().collect();
    by_files.sort_by_key(|(_, through)| through.len());
    let mut complaints = Vec::new();
    for ((from, to), through) in by_files {
        let circle: BTreeSet<Path> = reached(from).into_iter().filter(|path| reached(path).contains(from)).collect();
        if circle.contains(to) && circle.iter().any(is_folder) {
            let files = through.iter().map(|(importer, definer)| {
                format!(
                    "{root}{}.rs imports {root}{}.rs, from which there is a way back",
                    importer.join("/"),
                    definer.join("/")
                )
            });
            complaints.extend(files);
        }
    }
    complaints
}

/// The module in a file; none where it is only compiled for tests, or is a program.
fn module_of(path: &str) -> Option<Path> {
    let path = path.strip_suffix(".rs")?.trim_end_matches("/mod");
    let parts: Path = path.split('/').map(str::to_owned).collect();
    let is_test = parts.iter().any(|part| part == "tests" || part.ends_with("_tests"));
    match path {
        "lib" => Some(Path::new()),
        "main" => None,
        _ => (!is_test).then_some(parts),
    }
}

/// The module that defines what this path names.
fn resolve<'m>(
    modules: &'m BTreeMap<Path, Module>,
    importer: &Path,
    path: &[String],
    steps: usize,
) -> Option<&'m Path> {
    let mut at = importer.clone();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => (at, rest) = (Path::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                at.pop()?;
                rest = &rest[1..];
            }
        }
        child => {
            let mut inner = importer.clone();
            inner.push(child.to_owned());
            if !modules.contains_key(&inner) {
                return None;
            }
        }
    }
    while let Some((next, behind)) = rest.split_first() {
        at.push(next.clone());
        if !modules.contains_key(&at) {
            at.pop();
            break;
        }
        rest = behind;
    }
    let (found, module) = modules.get_key_value(&at)?;
    // Handed on by a facade: eight are more than there are floors.
    let handed_on = rest.split_first().and_then(|(name, behind)| Some((module.names.get(name)?, behind)));
    match handed_on {
        Some((path, behind)) if found != importer && steps < 8 => {
            let path = [path.as_slice(), behind].concat();
            resolve(modules, found, &path, steps + 1).or(Some(found))
        }
        Some(_) | None => Some(found),
    }
}

impl Module {
    fn read(code: &str) -> Module {
        let mut module = Module::default();
        let mut tokens = tokens(code).into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                "use" => {
                    let tree: Vec<&str> = tokens.by_ref().take_while(|token| *token != ";").collect();
                    module.import(&mut tree.into_iter().peekable(), &[]);
                }
                // A visibility is no import.
                "in" if tokens.peek() == Some(&"crate") => {
                    let _: Vec<&str> = tokens.by_ref().take_while(|token| *token != ")").collect();
                }
                word if is_word(word) && tokens.peek() == Some(&"::") => {
                    let mut path = vec![word.to_owned()];
                    while tokens.next_if(|token| *token == "::").is_some() {
                        path.extend(tokens.next_if(|token| is_word(token)).map(str::to_owned));
                    }
                    module.paths.push(path);
                }
                _ => {}
            }
        }
        module
    }

    /// A use tree up to the end of its group.
    fn import<'t>(&mut self, tokens: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>, before: &[String]) {
        let (mut path, mut name) = (before.to_vec(), None);
        let mut is_group = false;
        while let Some(token) = tokens.next() {
            match token {
                "{" => {
                    self.import(tokens, &path);
                    is_group = true;
                }
                "as" => name = tokens.next().map(str::to_owned),
                "," | "}" => {
                    self.add(std::mem::replace(&mut path, before.to_vec()), name.take(), is_group);
                    is_group = false;
                    if token == "}" {
                        return;
                    }
                }
                "self" if !path.is_empty() => {}
                word if is_word(word) => path.push(word.to_owned()),
                _ => {}
            }
        }
        self.add(path, name, is_group);
    }

    fn add(&mut self, path: Path, name: Option<String>, is_group: bool) {
        let Some(last) = path.last().filter(|_| !is_group) else { return };
        self.names.insert(name.unwrap_or_else(|| last.clone()), path.clone());
        self.paths.push(path);
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Words, `::`, and every other character by itself.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_part = |part: char| part.is_alphanumeric() || part == '_';
        let length = match rest {
            _ if rest.starts_with("::") => 2,
            _ if is_part(first) => rest.find(|part| !is_part(part)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(path, text): &(&str, &str)| Source::new(format!("c/src/{path}"), *text);
        circles(&files.iter().map(source).collect::<Vec<_>>(), "c/src/")
    }

    #[test]
    fn floors_are_fine_and_so_are_files_of_one_room_that_know_each_other() {
        let files = [
            ("lib.rs", "mod ground;\nmod first;\npub use first::Up;\n"),
            ("ground.rs", "mod a;\nmod b;\nmod cellar;\npub(crate) use a::A;\n"),
            ("ground/a.rs", "use super::b::B;\nuse super::cellar::Wine;\npub(crate) struct A;\n"),
            ("ground/cellar.rs", "mod wine;\npub(crate) use wine::Wine;\n"),
            ("ground/cellar/wine.rs", "pub(crate) struct Wine;\n"),
            ("ground/b.rs", "use super::A;\npub(in crate::first) struct B;\n"),
            ("first.rs", "mod x;\npub use x::Up;\n"),
            ("first/x.rs", "use crate::ground::A;\npub struct Up;\n"),
            ("first/tests.rs", "use super::x::Up;\n"),
        ];
        assert_eq!(circles_of(&files), [""; 0]);
    }

    #[test]
    fn a_circle_is_found_however_it_is_imported() {
        let ways = [
            "use crate::first::Up;\n",
            "use crate::Up;\n",
            "use crate::{first::{self, Up as Down}};\n",
            "fn f(_: &super::super::first::x::Up) {}\n",
            "use super::Handed;\n",
        ];
        for way in ways {
            let files = [
                ("lib.rs", "mod ground;\nmod first;\npub use first::Up;\n"),
                ("ground.rs", "mod a;\npub(crate) use a::A;\npub(crate) use crate::first::Up as Handed;\n"),
                ("ground/a.rs", way),
                ("first.rs", "pub(crate) mod x;\npub use x::Up;\n"),
                ("first/x.rs", "pub struct Up(crate::ground::A);\n"),
            ];
            let found = circles_of(&files);
            let expected = "c/src/ground/a.rs imports c/src/first";
            assert!(found.iter().any(|one| one.starts_with(expected)), "{way}: {found:?}");
        }
    }

    #[test]
    fn a_folder_within_a_folder_and_the_folders_own_file_count_as_well() {
        let files = [
            ("lib.rs", "mod house;\n"),
            ("house.rs", "mod cellar;\nuse cellar::wine::Wine;\npub(crate) struct Key;\n"),
            ("house/cellar.rs", "pub(super) mod wine;\n"),
            ("house/cellar/wine.rs", "use crate::house::Key;\npub(crate) struct Wine;\n"),
        ];
        let found = circles_of(&files);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
