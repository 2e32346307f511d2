//! An archive in a folder, made by hand: read, checked, and damaged in every way that can be thought of.

mod damage;
mod folder;
mod notes;
mod reading;
mod store;
mod unreadable;
