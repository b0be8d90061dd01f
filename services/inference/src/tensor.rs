//! Tensors: a shape and its elements in row-major order, and their joining and splitting along axis 0.

use crate::{DataType, Element, Error, Result, TensorData, data_type::with_elements};

/// A dense tensor in row-major order. The number of elements always equals the product of the shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

/// A tensor with the name by which a model knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// The input's or output's name.
    pub name: String,
    /// Its value.
    pub tensor: Tensor,
}

impl NamedTensor {
    /// Names a tensor.
    pub fn new(name: impl Into<String>, tensor: Tensor) -> Self {
        NamedTensor { name: name.into(), tensor }
    }
}

impl Tensor {
    /// A tensor of `shape` over `data`, in row-major order.
    ///
    /// # Errors
    /// [`Error::ElementCount`] when the number of elements is not the product of the shape.
    pub fn new(shape: impl Into<Vec<usize>>, data: impl Into<TensorData>) -> Result<Tensor> {
        let (shape, data) = (shape.into(), data.into());
        match element_count(&shape) {
            Some(count) if count == data.len() => Ok(Tensor { shape, data }),
            _ => Err(Error::ElementCount { got: data.len(), shape }),
        }
    }

    /// A tensor of zeros (`false`, empty strings).
    pub(crate) fn zeros(data_type: DataType, shape: Vec<usize>) -> Result<Tensor> {
        let count = element_count(&shape).ok_or_else(|| Error::ElementCount { got: 0, shape: shape.clone() })?;
        Ok(Tensor { shape, data: TensorData::zeros(data_type, count) })
    }

    /// Length of each axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The type of the elements.
    pub fn data_type(&self) -> DataType {
        self.data.data_type()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements (some axis is 0 long).
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Shape and elements by value.
    pub fn into_parts(self) -> (Vec<usize>, TensorData) {
        (self.shape, self.data)
    }

    /// The elements as `T`.
    ///
    /// # Errors
    /// [`Error::ElementType`] when the tensor holds another type; nothing is converted.
    pub fn values<T: Element>(&self) -> Result<&[T]> {
        T::slice(&self.data).ok_or_else(|| Error::ElementType { asked: T::DATA_TYPE, held: self.data_type() })
    }

    /// Joins tensors of one type and equal trailing axes along axis 0, in order.
    pub(crate) fn concat(parts: &[&Tensor]) -> Result<Tensor> {
        let Some((first, others)) = parts.split_first() else {
            return Err(Error::ElementCount { got: 0, shape: Vec::new() });
        };
        let mut shape = first.shape.clone();
        if let Some(rows) = shape.first_mut() {
            *rows = parts.iter().filter_map(|part| part.shape.first()).sum();
        }
        let total = parts.iter().map(|part| part.len()).sum();
        with_elements!(&first.data, values => {
            let mut joined = Vec::with_capacity(total);
            joined.extend_from_slice(values);
            for part in others {
                joined.extend_from_slice(same_type(values, part)?);
            }
            Tensor::new(shape, joined)
        })
    }

    /// Cuts a tensor along axis 0 into pieces of the given numbers of rows, which together are all of its rows.
    pub(crate) fn split(self, rows: &[usize]) -> Result<Vec<Tensor>> {
        if rows.len() == 1 {
            return Ok(vec![self]);
        }
        let Tensor { shape, data } = self;
        let row_length: usize = shape.iter().skip(1).product();
        with_elements!(data, values => {
            let mut values = values.into_iter();
            rows.iter()
                .map(|&count| {
                    let mut piece = shape.clone();
                    if let Some(first) = piece.first_mut() {
                        *first = count;
                    }
                    Tensor::new(piece, values.by_ref().take(count * row_length).collect::<Vec<_>>())
                })
                .collect()
        })
    }
}

/// The elements of `part` as the type of `_model`.
fn same_type<'a, T: Element>(_model: &[T], part: &'a Tensor) -> Result<&'a [T]> {
    part.values()
}

/// Product of a shape, or `None` when it exceeds what memory can address.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tensor_whose_elements_do_not_fill_its_shape_is_refused() {
        let error = Tensor::new([2, 3], vec![1.0f32; 5]).unwrap_err();
        assert_eq!(error.to_string(), "shape [2, 3] does not hold 5 elements");
        assert!(Tensor::new([usize::MAX, 2], vec![0u8; 2]).is_err());
    }

    #[test]
    fn values_are_given_only_as_the_type_they_are() {
        let tensor = Tensor::new([2], vec![1i64, 2]).unwrap();
        assert_eq!(tensor.values::<i64>().unwrap(), [1, 2]);
        assert_eq!(tensor.values::<f32>().unwrap_err().to_string(), "tensor holds INT64, asked for FP32");
    }

    proptest! {
        #[test]
        fn splitting_undoes_joining(rows in prop::collection::vec(1usize..5, 1..6), width in 1usize..4) {
            let parts: Vec<Tensor> = rows
                .iter()
                .enumerate()
                .map(|(index, &rows)| Tensor::new([rows, width], vec![index as i32; rows * width]).unwrap())
                .collect();
            let joined = Tensor::concat(&parts.iter().collect::<Vec<_>>()).unwrap();
            prop_assert_eq!(joined.shape(), &[rows.iter().sum::<usize>(), width]);
            prop_assert_eq!(joined.split(&rows).unwrap(), parts);
        }
    }
}
