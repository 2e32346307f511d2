//! The relay while its servers die: broker and database killed and paused, on a stack of its own.

#[cfg(test)]
mod servers_die;

#[cfg(test)]
#[path = "../servers/rig.rs"]
#[expect(dead_code, reason = "shared with the other test program, which uses all of it")]
mod rig;
#[cfg(test)]
#[path = "../servers/topic.rs"]
#[expect(dead_code, reason = "shared with the other test program, which uses all of it")]
mod topic;
