//! The file with orders: read once to plan the stock, and again to publish. Standard input is put into a file first.

use std::path::{Path, PathBuf};

use client::OrderFile;

use crate::error::DemoError;
use crate::stock_plan::{Demand, StockPlan};
use crate::wave::Wave;

/// The orders to publish.
#[derive(Debug)]
pub(crate) struct Input {
    /// In a file that can be read again.
    pub(crate) wave: Wave,
    /// What to receive before publishing it.
    pub(crate) plan: StockPlan,
    /// Orders in it that the order service should accept.
    pub(crate) acceptable: usize,
}

impl Input {
    /// Reads the whole file, or its first `limit` orders. `folder` gets a copy of standard input.
    pub(crate) fn prepare(orders: Option<&Path>, limit: Option<u64>, folder: &Path) -> Result<Self, DemoError> {
        let path = match orders {
            None => sample()?,
            Some(path) if path == Path::new("-") => spool(folder)?,
            Some(path) => path.to_path_buf(),
        };
        let name = orders.map(|path| path.display().to_string());
        let mut demand = Demand::default();
        let mut lines = 0;
        for entry in OrderFile::open(&path)? {
            if let Ok(order) = entry?.content {
                demand.add(&order);
                lines += 1;
            }
            if limit == Some(lines) {
                break;
            }
        }
        let wave = Wave { path, name, limit, orders: lines, has_warehouse: true };
        Ok(Self { wave, plan: demand.plan(), acceptable: demand.acceptable() })
    }
}

/// The sample orders lie in the workspace.
fn sample() -> Result<PathBuf, DemoError> {
    const NAME: &str = "tests/data/orders-2017-01.jsonl.zst";
    let path = dev_stack::workspace().join(NAME);
    path.is_file()
        .then_some(path)
        .ok_or_else(|| DemoError::Words(format!("the sample orders {NAME} are not there; give a file with --orders")))
}

fn spool(folder: &Path) -> Result<PathBuf, DemoError> {
    let path = folder.join("orders-from-stdin");
    let mut file = std::fs::File::create(&path).map_err(DemoError::file("create", &path))?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file).map_err(DemoError::file("write", &path))?;
    Ok(path)
}
