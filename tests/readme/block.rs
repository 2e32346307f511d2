//! The shell blocks of a Markdown text.

/// What stands between ```sh and ```.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Of the opening fence, from 1.
    pub(crate) line: usize,
    /// The commands.
    pub(crate) text: String,
    /// Why it is not run.
    pub(crate) not_run: Option<String>,
}

impl Block {
    /// `demo` of `cargo demo --keep`, also within `$(…)`.
    pub(crate) fn cargo_commands(&self) -> Vec<String> {
        let behind = self.text.split("cargo ").skip(1);
        behind.filter_map(|rest| Some(rest.split([' ', ')', '\n', '"']).next()?.to_owned())).collect()
    }
}

/// All of them, in their order.
pub(crate) fn all(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in markdown.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let is_shell = info == "sh" || info.starts_with("sh ");
                let not_run = info.split_once("not-run: ").map(|(_, reason)| reason.trim().to_owned());
                // Other languages' blocks are kept without text until they close, so that their ends are not beginnings.
                open = Some(Block { line: if is_shell { index + 1 } else { 0 }, text: String::new(), not_run });
            }
            (Some(_), Some(_)) => blocks.extend(open.take().filter(|block| block.line > 0)),
            (Some(block), None) => block.text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_blocks_are_found_and_others_passed_over() {
        let text = "a\n```sh\nx # y\n```\n```json\n{}\n```\n```sh not-run: no\nz \"$(cargo demo env)\"\n```\n";
        let blocks = all(text);
        assert_eq!(blocks.iter().map(|block| block.line).collect::<Vec<_>>(), [2, 8]);
        assert_eq!((blocks[0].text.as_str(), blocks[0].not_run.as_deref()), ("x # y\n", None));
        assert_eq!(blocks[1].not_run.as_deref(), Some("no"));
        assert_eq!(blocks[1].cargo_commands(), ["demo"]);
    }
}
