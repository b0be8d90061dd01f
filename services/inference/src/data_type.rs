//! The element types a tensor may hold, one table for all of them.
//!
//! Adding a type is one line in the table at the foot of this file; the compiler then names each place that has to
//! decide about it (the backends' type maps and the gRPC typed contents).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that can be the element of a [`Tensor`](crate::Tensor). Sealed: the set is that of [`DataType`].
pub trait Element: sealed::Sealed + Clone + Default + Send + Sync + 'static {
    /// The data type that holds this element.
    const DATA_TYPE: DataType;
    /// The elements, when `data` holds this type.
    fn slice(data: &TensorData) -> Option<&[Self]>;
    /// The elements by value, when `data` holds this type.
    fn take(data: TensorData) -> Option<Vec<Self>>;
}

macro_rules! element_types {
    ($($(#[$doc:meta])* $variant:ident($element:ty) = $name:literal, $width:expr;)*) => {
        /// The element type of a tensor. Its serialised form is the Open Inference Protocol's name (`FP32`, `INT64`…).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DataType {
            $($(#[$doc])* $variant,)*
        }

        /// The elements of a tensor in row-major order, by type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum TensorData {
            $($(#[$doc])* $variant(Vec<$element>),)*
        }

        impl DataType {
            /// Every data type, in the order of the protocol's table.
            pub const ALL: &'static [DataType] = &[$(DataType::$variant),*];

            /// The protocol's name, such as `FP32`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(DataType::$variant => $name,)*
                }
            }

            /// Bytes an element takes on the wire; `None` where elements differ in length ([`DataType::Bytes`]).
            pub const fn byte_width(self) -> Option<usize> {
                match self {
                    $(DataType::$variant => $width,)*
                }
            }
        }

        impl TensorData {
            /// The type of the elements.
            pub fn data_type(&self) -> DataType {
                match self {
                    $(TensorData::$variant(_) => DataType::$variant,)*
                }
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                match self {
                    $(TensorData::$variant(values) => values.len(),)*
                }
            }

            /// `count` elements of zero, `false` or the empty string.
            pub(crate) fn zeros(data_type: DataType, count: usize) -> TensorData {
                match data_type {
                    $(DataType::$variant => TensorData::$variant(vec![<$element>::default(); count]),)*
                }
            }
        }

        $(
            impl sealed::Sealed for $element {}

            impl Element for $element {
                const DATA_TYPE: DataType = DataType::$variant;

                fn slice(data: &TensorData) -> Option<&[Self]> {
                    match data {
                        TensorData::$variant(values) => Some(values),
                        _ => None,
                    }
                }

                fn take(data: TensorData) -> Option<Vec<Self>> {
                    match data {
                        TensorData::$variant(values) => Some(values),
                        _ => None,
                    }
                }
            }

            impl From<Vec<$element>> for TensorData {
                fn from(values: Vec<$element>) -> Self {
                    TensorData::$variant(values)
                }
            }
        )*

        /// Runs `$body` with `$values` bound to the vector inside `$data`, whatever its type.
        macro_rules! with_elements {
            ($data:expr, $values:ident => $body:expr) => {
                match $data {
                    $($crate::data_type::TensorData::$variant($values) => $body,)*
                }
            };
        }
        pub(crate) use with_elements;
    };
}

element_types! {
    /// One byte on the wire, 0 or 1.
    Bool(bool) = "BOOL", Some(1);
    /// Unsigned 8-bit integer.
    U8(u8) = "UINT8", Some(1);
    /// Unsigned 16-bit integer.
    U16(u16) = "UINT16", Some(2);
    /// Unsigned 32-bit integer.
    U32(u32) = "UINT32", Some(4);
    /// Unsigned 64-bit integer.
    U64(u64) = "UINT64", Some(8);
    /// Signed 8-bit integer.
    I8(i8) = "INT8", Some(1);
    /// Signed 16-bit integer.
    I16(i16) = "INT16", Some(2);
    /// Signed 32-bit integer.
    I32(i32) = "INT32", Some(4);
    /// Signed 64-bit integer.
    I64(i64) = "INT64", Some(8);
    /// IEEE 754 half precision.
    F16(half::f16) = "FP16", Some(2);
    /// bfloat16.
    Bf16(half::bf16) = "BF16", Some(2);
    /// IEEE 754 single precision.
    F32(f32) = "FP32", Some(4);
    /// IEEE 754 double precision.
    F64(f64) = "FP64", Some(8);
    /// Byte strings of any length, UTF-8 where JSON carries them.
    Bytes(Vec<u8>) = "BYTES", None;
}

impl DataType {
    /// The data type of a protocol name; `None` when the protocol has no such name.
    pub fn from_name(name: &str) -> Option<DataType> {
        DataType::ALL.iter().copied().find(|data_type| data_type.name() == name)
    }

    /// Every protocol name, for an error that says what is allowed.
    pub(crate) fn names() -> String {
        DataType::ALL.iter().map(|data_type| data_type.name()).collect::<Vec<_>>().join(", ")
    }
}

impl TensorData {
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for DataType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for DataType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        DataType::from_name(&name)
            .ok_or_else(|| D::Error::custom(format!("data type '{name}', allowed: {}", DataType::names())))
    }
}
