//! Buckets in a build without the feature `s3`: there are none, and the refusal says how to get a build that has them.

use std::future::Ready;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore};

use crate::error::ReplayError;

/// None.
#[derive(Debug)]
pub(in crate::archive) enum Bucket {}

impl Bucket {
    pub(in crate::archive) fn open(_: &str, _: &Path) -> Result<(Self, Arc<dyn ObjectStore>), ReplayError> {
        Err(ReplayError::arguments(
            "this build keeps archives in folders only; `cargo build --release --bin replay-tool --features replay-tool/s3` makes one that knows s3://, and the image has it",
        ))
    }

    pub(in crate::archive) fn put_new(
        &self,
        _: &dyn ObjectStore,
        _: &Path,
        _: Bytes,
    ) -> Ready<Result<bool, ReplayError>> {
        match *self {}
    }

    pub(in crate::archive) fn error(&self, _: &str, _: &Error) -> ReplayError {
        match *self {}
    }

    pub(in crate::archive) fn nothing_there(&self) -> ReplayError {
        match *self {}
    }
}
