//! One value for each service, or for each topic: never one too few, and none by a number.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use crate::{ServiceName, TopicName};

macro_rules! per {
    ($(#[$doc:meta])* $name:ident by $key:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name<T>([T; $key::ALL.len()]);

        impl<T> $name<T> {
            /// The value that `value` gives for each, asked in the order of `ALL`.
            pub fn of(value: impl FnMut($key) -> T) -> Self {
                $name($key::ALL.map(value))
            }

            /// Each with its value, in the order of `ALL`.
            pub fn iter(&self) -> impl Iterator<Item = ($key, &T)> {
                $key::ALL.into_iter().zip(&self.0)
            }
        }

        impl<T> Index<$key> for $name<T> {
            type Output = T;

            fn index(&self, key: $key) -> &T {
                &self.0[key as usize]
            }
        }

        impl<T> IndexMut<$key> for $name<T> {
            fn index_mut(&mut self, key: $key) -> &mut T {
                &mut self.0[key as usize]
            }
        }

        impl<T> IntoIterator for $name<T> {
            type Item = ($key, T);
            type IntoIter = std::iter::Zip<
                std::array::IntoIter<$key, { $key::ALL.len() }>,
                std::array::IntoIter<T, { $key::ALL.len() }>,
            >;

            fn into_iter(self) -> Self::IntoIter {
                $key::ALL.into_iter().zip(self.0)
            }
        }

        impl<T> TryFrom<Vec<T>> for $name<T> {
            type Error = Vec<T>;

            /// From one value for each, in the order of `ALL`; the values again where there are more or fewer.
            fn try_from(values: Vec<T>) -> Result<Self, Vec<T>> {
                values.try_into().map($name)
            }
        }
    };
}

per!(
    /// One value for each service.
    PerService by ServiceName
);
per!(
    /// One value for each topic.
    PerTopic by TopicName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_by_what_it_was_made_for() {
        let (services, mut topics) = (PerService::of(ServiceName::as_str), PerTopic::of(TopicName::as_str));
        for (service, name) in services {
            assert_eq!((services[service], name), (service.as_str(), service.as_str()));
        }
        for topic in TopicName::ALL {
            assert_eq!(topics[topic], topic.as_str());
        }
        topics[TopicName::StockEvents] = "other";
        let changed: Vec<TopicName> =
            topics.iter().filter(|(topic, name)| topic.as_str() != **name).map(|it| it.0).collect();
        assert_eq!(changed, [TopicName::StockEvents]);
    }

    #[test]
    fn a_list_must_have_one_for_each() {
        let names = ServiceName::ALL.map(ServiceName::as_str).to_vec();
        assert_eq!(PerService::try_from(names).map(|all| all[ServiceName::Payment]), Ok("payment"));
        assert_eq!(PerService::try_from(vec![1, 2]), Err(vec![1, 2]));
    }
}
