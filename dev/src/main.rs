//! `dev-stack`: keeps a stack for this workspace. The first version runs it until its input ends.

use std::io::{self, Read};

fn main() -> dev_stack::Result<()> {
    let started = std::time::Instant::now();
    let stack = dev_stack::Stack::start(dev_stack::StackConfig::in_project())?;
    println!("{} {} {:?}", stack.brokers(), stack.database_url(), started.elapsed());
    let mut input = String::new();
    let _ = io::stdin().read_to_string(&mut input);
    stack.stop()
}
