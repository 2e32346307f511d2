//! Where a record lies for good: what the ids of refusals and dead letters are made of.
//!
//! It is the partition and the offset, until an archive is restored into another number of partitions: then records get other
//! offsets, and keep their first place in a header. What is written later must not have the place of an older record, so its
//! partition is counted on behind all that the topic ever had. Which is which, only the reading service's own tables say: a
//! header alone proves nothing, because any client can send one.

use std::fmt;
use std::str::FromStr;

/// On a restored record: its first place.
pub const RESTORED_FROM_HEADER: &str = "restored-from";

/// On a dead letter: the place of its record, where that is not its partition and offset.
pub const ORIGINAL_PLACE_HEADER: &str = "kafka_dlt-original-place";

/// A record's place, without the topic; written as `3@17`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The partition, counted through all that the topic ever had.
    pub partition: i32,
    /// The offset that it had there.
    pub offset: i64,
}

/// What restores into other numbers of partitions have made of a topic partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restoration {
    /// Records below this offset were restored.
    pub below: i64,
    /// How many partitions the topic had before, all restores together.
    pub shift: i32,
}

/// Text that is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no place of a record, as in 3@17")]
pub struct PlaceError;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let (partition, offset) = text.split_once('@').ok_or(PlaceError)?;
        let place = Place {
            partition: partition.parse().map_err(|_| PlaceError)?,
            offset: offset.parse().map_err(|_| PlaceError)?,
        };
        if place.partition >= 0 && place.offset >= 0 { Ok(place) } else { Err(PlaceError) }
    }
}

impl Place {
    /// The place in a header's value; none where it is none.
    pub fn in_header(value: Option<&[u8]>) -> Option<Place> {
        std::str::from_utf8(value?).ok()?.parse().ok()
    }
}

impl Restoration {
    /// The place of the record that lies here; `restored_from` gives the value of its last header of that name, and is asked
    /// only where that counts.
    pub fn place<'h>(self, partition: i32, offset: i64, restored_from: impl FnOnce() -> Option<&'h [u8]>) -> Place {
        let first = if self.covers(offset) { Place::in_header(restored_from()) } else { None };
        first.unwrap_or(Place { partition: partition.saturating_add(self.shift), offset })
    }

    /// Takes from the headers of the record of this offset what the restore has put there: the last one of that name.
    pub fn strip<N: AsRef<str>, V>(self, offset: i64, headers: &mut Vec<(N, V)>) {
        if self.covers(offset)
            && let Some(index) = headers.iter().rposition(|(name, _)| name.as_ref() == RESTORED_FROM_HEADER)
        {
            headers.remove(index);
        }
    }

    /// Whether the record of this offset was restored, so that its header counts.
    const fn covers(self, offset: i64) -> bool {
        offset < self.below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read() {
        let place = Place { partition: 3, offset: 17 };
        assert_eq!(place.to_string(), "3@17");
        assert_eq!("3@17".parse(), Ok(place));
        for bad in ["", "3", "3@", "@17", "-1@17", "3@-1", "3@17x"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_counts_below_the_bound_only() {
        let restored = Restoration { below: 10, shift: 3 };
        let header = || Some(&b"2@40"[..]);
        assert_eq!(restored.place(1, 9, header), Place { partition: 2, offset: 40 });
        assert_eq!(restored.place(1, 10, header), Place { partition: 4, offset: 10 });
        assert_eq!(Restoration::default().place(1, 9, header), Place { partition: 1, offset: 9 });
    }

    #[test]
    fn what_is_new_never_has_the_place_of_what_was_restored() {
        let restored = Restoration { below: 2, shift: 3 };
        let old = restored.place(1, 1, || Some(b"1@7"));
        assert_ne!(restored.place(1, 7, || None), old);
    }
}
