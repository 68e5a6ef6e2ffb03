//! Uniform structs of kernels, declared once: the struct that the host fills and the list of its fields, which tests
//! compare with the one that the WGSL declares.

/// What the words of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// 32-bit unsigned integers.
    U32,
    /// 32-bit floats.
    F32,
}

/// A field of a uniform struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name, the same in WGSL.
    pub name: &'static str,
    /// Bytes before it.
    pub offset: usize,
    /// Its bytes; those of an array's elements together.
    pub size: usize,
    /// What it consists of.
    pub ty: Scalar,
}

/// Types that a field may have.
pub trait FieldType {
    /// What they consist of.
    const SCALAR: Scalar;
}

impl FieldType for u32 {
    const SCALAR: Scalar = Scalar::U32;
}

impl FieldType for f32 {
    const SCALAR: Scalar = Scalar::F32;
}

impl<T: FieldType, const N: usize> FieldType for [T; N] {
    const SCALAR: Scalar = T::SCALAR;
}

impl Field {
    /// A field of type `T`.
    pub const fn new<T: FieldType>(name: &'static str, offset: usize) -> Self {
        Self { name, offset, size: size_of::<T>(), ty: T::SCALAR }
    }
}

/// Declares the struct of a kernel's uniform `params`: `#[repr(C)]`, plain data, and a constant `FIELDS` with name,
/// offset, size and type of each field, which goes into [`Kernel::params`](crate::gpu::Kernel::params).
///
/// Fields are `u32`, `f32` and arrays of them, in the order and with the names of the WGSL struct. Where WGSL aligns a
/// field to more than 4 bytes, fields named `pad` or `pad0`, `pad1`, .. fill the gap. The calling crate needs `bytemuck` with
/// its feature `derive`.
///
/// ```
/// drdiff::params! {
///     /// Of a kernel that scales `count` numbers.
///     struct Params {
///         count: u32,
///         scale: f32,
///     }
/// }
/// assert_eq!(Params::FIELDS[1].name, "scale");
/// assert_eq!(Params::FIELDS[1].offset, 4);
/// ```
#[macro_export]
macro_rules! params {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $ty:ty),* $(,)?
    }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, ::bytemuck::Pod, ::bytemuck::Zeroable)]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $ty,)*
        }

        impl $name {
            /// Its fields, in order.
            $vis const FIELDS: &'static [$crate::gpu::Field] = &[
                $($crate::gpu::Field::new::<$ty>(stringify!($field), ::core::mem::offset_of!($name, $field)),)*
            ];
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    params! {
        /// Every kind of field.
        #[derive(Default)]
        struct Params {
            count: u32,
            scale: f32,
            pad: [u32; 2],
            /// With a comment.
            pairs: [[u32; 2]; 16],
        }
    }

    #[test]
    fn fields_are_those_of_the_struct() {
        let field = |name, offset, size, ty| Field { name, offset, size, ty };
        let expected = [
            field("count", 0, 4, Scalar::U32),
            field("scale", 4, 4, Scalar::F32),
            field("pad", 8, 8, Scalar::U32),
            field("pairs", 16, 128, Scalar::U32),
        ];
        assert_eq!(Params::FIELDS, expected);
        let params = Params { count: 7, scale: 0.5, ..Params::default() };
        assert_eq!(bytemuck::bytes_of(&params)[..8], [7, 0, 0, 0, 0, 0, 0, 63]);
    }
}
