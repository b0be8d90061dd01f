//! The protocol's binary form of a tensor: elements little-endian in row-major order, booleans as one byte, byte strings
//! each after its length as 32 bits.

use half::{bf16, f16};

use crate::{DataType, Error, Result, Tensor, TensorData, tensor::element_count};

/// Reads a tensor of input `name`.
pub(super) fn decode(name: &str, data_type: DataType, shape: Vec<usize>, bytes: &[u8]) -> Result<Tensor> {
    let count = element_count(&shape).ok_or_else(|| Error::ElementCount { got: 0, shape: shape.clone() })?;
    if let Some(width) = data_type.byte_width()
        && count.checked_mul(width) != Some(bytes.len())
    {
        let allowed = format!("{} bytes for {data_type} {shape:?}", (count as u128) * (width as u128));
        return Err(wrong(name, format!("{} bytes", bytes.len()), allowed));
    }
    macro_rules! numbers {
        ($element:ty) => {{
            let (chunks, _) = bytes.as_chunks::<{ size_of::<$element>() }>();
            chunks.iter().map(|chunk| <$element>::from_le_bytes(*chunk)).collect::<Vec<_>>().into()
        }};
    }
    let data: TensorData = match data_type {
        DataType::Bool => {
            if let Some(byte) = bytes.iter().find(|&&byte| byte > 1) {
                return Err(wrong(name, format!("byte {byte} as BOOL"), "0 or 1".to_owned()));
            }
            bytes.iter().map(|&byte| byte == 1).collect::<Vec<_>>().into()
        }
        DataType::U8 => bytes.to_vec().into(),
        DataType::U16 => numbers!(u16),
        DataType::U32 => numbers!(u32),
        DataType::U64 => numbers!(u64),
        DataType::I8 => numbers!(i8),
        DataType::I16 => numbers!(i16),
        DataType::I32 => numbers!(i32),
        DataType::I64 => numbers!(i64),
        DataType::F16 => numbers!(f16),
        DataType::Bf16 => numbers!(bf16),
        DataType::F32 => numbers!(f32),
        DataType::F64 => numbers!(f64),
        DataType::Bytes => strings(name, count, bytes)?.into(),
    };
    Tensor::new(shape, data)
}

/// Appends a tensor's binary form.
pub(super) fn encode(tensor: &Tensor, into: &mut Vec<u8>) {
    macro_rules! numbers {
        ($values:expr) => {
            for value in $values {
                into.extend_from_slice(&value.to_le_bytes());
            }
        };
    }
    match tensor.data() {
        TensorData::Bool(values) => into.extend(values.iter().map(|&value| u8::from(value))),
        TensorData::U8(values) => into.extend_from_slice(values),
        TensorData::U16(values) => numbers!(values),
        TensorData::U32(values) => numbers!(values),
        TensorData::U64(values) => numbers!(values),
        TensorData::I8(values) => numbers!(values),
        TensorData::I16(values) => numbers!(values),
        TensorData::I32(values) => numbers!(values),
        TensorData::I64(values) => numbers!(values),
        TensorData::F16(values) => numbers!(values),
        TensorData::Bf16(values) => numbers!(values),
        TensorData::F32(values) => numbers!(values),
        TensorData::F64(values) => numbers!(values),
        TensorData::Bytes(values) => {
            for value in values {
                // Longer strings cannot have come in, and no backend makes them.
                let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
                into.extend_from_slice(&length.to_le_bytes());
                into.extend_from_slice(&value[..length as usize]);
            }
        }
    }
}

fn strings(name: &str, count: usize, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut values = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((value, rest)) = rest.split_at_checked(length) else {
            let got = format!("string {} of {length} bytes where {} are left", values.len(), rest.len());
            return Err(wrong(name, got, "strings that fit into the data".to_owned()));
        };
        values.push(value.to_vec());
        bytes = rest;
    }
    if !bytes.is_empty() {
        return Err(wrong(name, format!("{} bytes after the last string", bytes.len()), "none".to_owned()));
    }
    if values.len() != count {
        return Err(wrong(name, format!("{} strings", values.len()), format!("{count}, as the shape says")));
    }
    Ok(values)
}

fn wrong(input: &str, got: String, allowed: String) -> Error {
    Error::InvalidInput { input: input.to_owned(), got, allowed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_round_trip(tensor: Tensor, wire: &[u8]) {
        let mut bytes = Vec::new();
        encode(&tensor, &mut bytes);
        assert_eq!(bytes, wire);
        assert_eq!(decode("x", tensor.data_type(), tensor.shape().to_vec(), &bytes).unwrap(), tensor);
    }

    #[test]
    fn every_type_travels_little_endian() {
        check_round_trip(Tensor::new([2], vec![true, false]).unwrap(), &[1, 0]);
        check_round_trip(Tensor::new([1], vec![0x0102u16]).unwrap(), &[2, 1]);
        check_round_trip(Tensor::new([1], vec![-2i64]).unwrap(), &[0xFE, 255, 255, 255, 255, 255, 255, 255]);
        check_round_trip(Tensor::new([1], vec![1.0f32]).unwrap(), &[0, 0, 0x80, 0x3F]);
        check_round_trip(Tensor::new([1], vec![f16::from_f32(1.0)]).unwrap(), &[0, 0x3C]);
        check_round_trip(
            Tensor::new([2], vec![b"ab".to_vec(), vec![]]).unwrap(),
            &[2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0],
        );
    }

    fn check_refused(data_type: DataType, shape: Vec<usize>, bytes: &[u8], expected: &str) {
        assert_eq!(decode("x", data_type, shape, bytes).unwrap_err().to_string(), expected);
    }

    #[test]
    fn data_that_does_not_fill_the_shape_is_refused() {
        check_refused(DataType::F32, vec![2], &[0; 7], "input 'x': got 7 bytes, allowed: 8 bytes for FP32 [2]");
        check_refused(DataType::Bool, vec![1], &[2], "input 'x': got byte 2 as BOOL, allowed: 0 or 1");
        check_refused(
            DataType::Bytes,
            vec![1],
            &[9, 0, 0, 0, 1],
            "input 'x': got string 0 of 9 bytes where 1 are left, allowed: strings that fit into the data",
        );
        check_refused(DataType::Bytes, vec![2], &[0; 4], "input 'x': got 1 strings, allowed: 2, as the shape says");
        check_refused(DataType::Bytes, vec![1], &[0; 6], "input 'x': got 2 bytes after the last string, allowed: none");
        assert!(decode("x", DataType::F64, vec![usize::MAX, 2], &[]).is_err());
    }
}
