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

/// Whether it compiles is for the gate, which unpacks it elsewhere; here it is seen that nothing of the workspace is missing.
#[test]
fn the_packed_crate_names_nothing_of_the_workspace() {
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/packed");
    let arguments = ["package", "-p", "outbox", "--allow-dirty", "--no-verify", "--offline", "--target-dir", target];
    let packed = cargo(&arguments).unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let archive = format!("{target}/package/outbox-{}.crate", env!("CARGO_PKG_VERSION"));
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar").args(arguments).arg("-f").arg(&archive).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let files = tar(&["-tz"]);
    for file in ["/src/migrate/v3.sql", "/docs/model.md", "/README.md", "/src/operate/doctor.rs"] {
        assert!(files.lines().any(|line| line.ends_with(file)), "no {file} in:\n{files}");
    }
    let manifest = tar(&["-xzO", "--wildcards", "*/Cargo.toml"]);
    assert!(manifest.contains("[dependencies.tokio-postgres]"), "{manifest}");
    assert!(!manifest.contains("dev-stack") && !manifest.contains("workspace = true"), "{manifest}");
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
        let has = |package: &str| listed.lines().any(|line| line.starts_with(&format!("{package} ")));
        assert!(!has("apache-avro"), "{features}");
        // Who only writes needs no librdkafka.
        assert_eq!(
            (has("rdkafka-sys"), has("openssl-sys")),
            (features == "--all-features", features == "--all-features")
        );
    }
}
