//! Enums of the contract: their values are the symbols of an Avro enum, and are called the same everywhere.
//!
//! A definition gives the type, what serde writes, and the symbol as text, so that columns, reports and traces need no
//! list of their own.

macro_rules! symbols {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$value_doc])* $value),+
        }

        impl $name {
            /// Every value, in the order of the schema.
            pub const ALL: [Self; [$(stringify!($value)),+].len()] = [$(Self::$value),+];

            /// The symbol in the schema.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => stringify!($value),)+
                }
            }

            /// The value of this symbol.
            pub fn parse(symbol: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.as_str() == symbol)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use symbols;
