//! A small pipeline in memory, run by the real cores; then something is planted, and the checker has to find it.

mod aftercare;
mod gathering;
mod mistakes;
mod planted;
mod shelf;
mod tampering;
mod unreadable;
mod world;
