//! The README, word by word: every ```sh block is run, in its order, in one shell, as a person types it.
//!
//! What is real: the programs, the servers that `cargo demo --keep` starts, the shell. `cargo` itself is a few lines here,
//! because a test must not compile programs in another set of features; that its aliases exist is looked up. A block that
//! cannot run says so behind its ```sh (`not-run: why`), and stands in the list below.

mod block;
mod shell;

use std::collections::BTreeSet;

use tests::{Outcome, trouble};

use block::Block;
use shell::Shell;

/// Every block that is not run, by its reason: nobody takes one out in silence.
const NOT_RUN: [&str; 2] = [".ci/run runs both", "installs packages"];

fn readme() -> Outcome<Vec<Block>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))?;
    let blocks = block::all(&text);
    if blocks.len() > NOT_RUN.len() { Ok(blocks) } else { Err(trouble("the README has no blocks to run")) }
}

#[test]
fn blocks_that_are_not_run_are_listed() -> Outcome {
    let reasons: Vec<String> = readme()?.into_iter().filter_map(|block| block.not_run).collect();
    assert_eq!(reasons, NOT_RUN);
    Ok(())
}

#[test]
fn every_cargo_command_is_an_alias() -> Outcome {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../.cargo/config.toml"))?;
    let config: toml::Table = text.parse()?;
    let aliases = config.get("alias").and_then(|aliases| aliases.as_table()).cloned().unwrap_or_default();
    let named: BTreeSet<String> = readme()?.iter().flat_map(Block::cargo_commands).collect();
    assert!(named.contains("demo"), "{named:?}");
    for name in named {
        assert!(aliases.contains_key(&name), "cargo {name} is no alias");
    }
    Ok(())
}

#[test]
fn every_block_does_what_it_says() -> Outcome {
    let shell = Shell::open()?;
    let blocks: Vec<Block> = readme()?.into_iter().filter(|block| block.not_run.is_none()).collect();
    let told = shell.run(&blocks)?;
    for words in [
        "Everything keeps running.",
        "1 completed",
        "A-1  completed",
        "Everything holds",
        "\"kept_minor\":70",
        "event: OrderRefunded",
        "refund refund-1 of USD 0.30 is refunded",
        "through the API: 30 placed, each once",
    ] {
        assert!(told.contains(words), "nothing of {words:?} in:\n{told}");
    }
    Ok(())
}

/// The README only names it; small, it takes no longer than the demo itself.
#[test]
fn the_flash_sale_sells_every_piece_once() -> Outcome {
    let shell = Shell::open()?;
    let sale = "cargo demo flash-sale --orders 300 --pieces 20 --hot-orders 60 --hot-skus 4 --instances 2";
    let told = shell.run(&block::all(&format!("```sh\n{sale}\n{sale} --decline-percent 0\n```\n")))?;
    for words in ["= 20 that were there", "20 confirmed + 0 available", "none is or was below zero", "no violation"] {
        assert!(told.contains(words), "nothing of {words:?} in:\n{told}");
    }
    Ok(())
}

/// That the other tests can fail.
#[test]
fn a_command_that_is_wrong_or_missing_fails_with_its_line() -> Outcome {
    let shell = Shell::open()?;
    for wrong in ["orders publish --no-such-option x", "no-such-program", "cargo no-such-alias"] {
        let text = format!("# A\n\n```sh\ntrue\n{wrong}\ntrue\n```\n");
        let failed = shell.run(&block::all(&text)).err().ok_or_else(|| trouble(format!("{wrong} went well")))?;
        let words = failed.to_string();
        assert!(words.contains("README.md:3") && words.contains(wrong), "{words}");
    }
    Ok(())
}
