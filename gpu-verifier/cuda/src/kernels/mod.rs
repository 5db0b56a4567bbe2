//! The kernels' sources, and the host's side of their arguments.

pub mod attention;
pub mod exact;
pub mod fast;
pub mod proofs;
pub mod rows;
pub mod sampling;

use bytemuck::NoUninit;

/// What every source begins with.
pub const PRELUDE: &str = include_str!("../../../kernels/prelude.h");

/// One file of kernels.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its name, without an ending.
    pub name: &'static str,
    /// What it begins with, by file: [`PRELUDE`], and what it shares with other sources.
    pub headers: &'static [(&'static str, &'static str)],
    /// CUDA C, to be compiled after the headers.
    pub text: &'static str,
    /// The kernels in it.
    pub kernels: &'static [&'static str],
    /// Bytes of each kernel's arguments.
    pub bytes: &'static [usize],
}

/// All sources.
pub const SOURCES: [Source; 6] =
    [rows::SOURCE, exact::SOURCE, fast::SOURCE, attention::SOURCE, proofs::SOURCE, sampling::SOURCE];

/// A kernel's arguments: the twin of the structure of the same name in its source. Addresses are `u64`.
pub trait Arguments: NoUninit {
    /// The kernel's name.
    const KERNEL: &'static str;
}

/// The size that another kernel of the same arguments has.
const fn also(_kernel: &str, bytes: usize) -> usize {
    bytes
}

/// Structures of arguments, and the [`Source`] whose kernels take them, with the headers that it begins with. Several kernels may take the same.
macro_rules! kernels {
    ($source:literal $(with $header:literal)*: $($(#[$doc:meta])* $name:ident = $kernel:literal $(| $other:literal)* { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        /// The source.
        pub const SOURCE: $crate::kernels::Source = $crate::kernels::Source {
            name: $source,
            headers: &[
                ("prelude.h", $crate::kernels::PRELUDE),
                $(($header, include_str!(concat!("../../../kernels/", $header))),)*
            ],
            text: include_str!(concat!("../../../kernels/", $source, ".cu")),
            kernels: &[$($kernel, $($other,)*)*],
            bytes: &[$(size_of::<$name>(), $($crate::kernels::also($other, size_of::<$name>()),)*)*],
        };
        $(
            $(#[$doc])*
            #[repr(C)]
            #[derive(Clone, Copy, Debug, bytemuck::NoUninit)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl $crate::kernels::Arguments for $name {
                const KERNEL: &'static str = $kernel;
            }
        )*
    };
}
use kernels;
