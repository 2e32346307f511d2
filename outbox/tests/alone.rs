//! The crate stands alone: it needs nothing else of this repository, and its example runs as it is.
//!
//! What a team copies from has to work from nothing, by itself, to a good end; so cargo is asked as a newcomer asks it: from
//! the root and without `-p`, which would be another set of features and compile the dependencies once more.

use std::process::{Command, Output};

fn cargo(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(env!("CARGO")).args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).output()
}

#[test]
fn the_example_shop_tells_its_story_and_ends_well() {
    let ran = cargo(&["run", "--quiet", "--example", "shop"]).unwrap();
    let (told, complaints) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{told}\n{complaints}");
    for line in [
        "A-3 rolled back",
        "A-1 is in the topic 2 times, and one mail was sent for it",
        "1 dead letter, and the mailer goes on",
        "7 orders, 7 mails: A-1, A-2, A-4, A-5, A-6, A-7, A-8",
    ] {
        assert!(told.contains(line), "nothing of `{line}` in:\n{told}");
    }
}

/// Direct and indirect dependencies, in every combination that somebody may build.
#[test]
fn it_depends_on_no_other_member_and_on_no_avro() {
    for features in ["--all-features", "--no-default-features"] {
        let tree = cargo(&["tree", "-p", "outbox", "-e", "normal", "--prefix", "none", features]).unwrap();
        let listed = String::from_utf8_lossy(&tree.stdout);
        assert!(tree.status.success() && listed.lines().count() > 20, "{}", String::from_utf8_lossy(&tree.stderr));
        // A member is listed with its folder; the first line is the crate itself.
        let members = listed.lines().skip(1).filter(|line| line.contains("(/") && !line.starts_with("outbox "));
        assert_eq!(members.collect::<Vec<_>>(), Vec::<&str>::new(), "{features}");
        assert!(!listed.lines().any(|line| line.starts_with("apache-avro ")), "{features}");
    }
}
