//! Tensors cut, shuffled and put together along an axis.

use drdiff::{DType, Data, Tensor};

/// The slices of `tensor` along `axis` that `picks` names, in that order: a permutation, a part, a repetition.
pub fn gather(tensor: &Tensor, axis: usize, picks: &[usize]) -> Tensor {
    let mut shape = tensor.desc().shape.clone();
    let inner: usize = shape[axis + 1..].iter().product();
    let size = shape[axis];
    shape[axis] = picks.len();
    let outer: usize = shape[..axis].iter().product();
    let places = (0..outer)
        .flat_map(|o| picks.iter().map(move |&pick| (o * size + pick) * inner))
        .flat_map(|first| first..first + inner);
    match tensor.data() {
        Data::F32(data) => Tensor::f32(shape, places.map(|at| data[at]).collect()),
        Data::U32(data) => Tensor::u32(shape, places.map(|at| data[at]).collect()),
    }
    .expect("as many places as the shape has")
}

/// `tensors`, alike except for `axis`, one after another along it.
pub fn concat(tensors: &[&Tensor], axis: usize) -> Tensor {
    let mut shape = tensors[0].desc().shape.clone();
    let outer: usize = shape[..axis].iter().product();
    shape[axis] = tensors.iter().map(|tensor| tensor.desc().shape[axis]).sum();
    let words: Vec<u32> = (0..outer)
        .flat_map(|o| {
            tensors.iter().flat_map(move |tensor| {
                let size = tensor.desc().len() / outer;
                &tensor.words()[o * size..][..size]
            })
        })
        .copied()
        .collect();
    tensor(tensors[0].desc().dtype, shape, words)
}

/// A tensor of these words.
pub(crate) fn tensor(dtype: DType, shape: Vec<usize>, words: Vec<u32>) -> Tensor {
    let tensor = match dtype {
        DType::F32 => Tensor::f32(shape, words.into_iter().map(f32::from_bits).collect()),
        DType::U32 => Tensor::u32(shape, words),
    };
    tensor.expect("as many words as the shape has")
}

/// Every element of an f32 tensor through `of`.
pub fn map(tensor: &Tensor, of: impl Fn(f32) -> f32) -> Tensor {
    let values = tensor.as_f32().unwrap_or(&[]).iter().map(|&x| of(x)).collect();
    Tensor::f32(tensor.desc().shape.clone(), values).expect("an f32 tensor of the same shape")
}

/// Two f32 tensors of one shape, element by element through `of`.
pub fn zip(a: &Tensor, b: &Tensor, of: impl Fn(f32, f32) -> f32) -> Tensor {
    let pairs = a.as_f32().unwrap_or(&[]).iter().zip(b.as_f32().unwrap_or(&[]));
    Tensor::f32(a.desc().shape.clone(), pairs.map(|(&a, &b)| of(a, b)).collect()).expect("f32 tensors of one shape")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_picked_and_put_together() {
        let x = Tensor::u32([2, 3, 1], vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(gather(&x, 1, &[2, 0]).words(), [3, 1, 6, 4]);
        assert_eq!(gather(&x, 0, &[1]).words(), [4, 5, 6]);
        let both = concat(&[&gather(&x, 1, &[0]), &gather(&x, 1, &[1, 2])], 1);
        assert_eq!(both, x);
        assert_eq!(concat(&[&x, &x], 0).desc().shape, [4, 3, 1]);
    }
}
