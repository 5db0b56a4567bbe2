//! Which instructions the loops may use. The same code is compiled three times: for any processor, for those with AVX2 and
//! FMA, and for those with AVX-512. All give the same bits, because vectors run over *outputs* and every output keeps its
//! own accumulator and its own order.

/// Proof that the processor was asked, or that the portable loops were chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isa(Level);

/// Instruction sets, each a superset of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The best loops that this processor runs.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma");
            let avx512 = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
            Self(match (avx2, avx512) {
                (true, true) => Level::Avx512,
                (true, false) => Level::Avx2,
                (false, _) => Level::Portable,
            })
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self(Level::Portable)
    }

    /// The loops that run everywhere.
    pub(crate) fn portable() -> Self {
        Self(Level::Portable)
    }

    /// The AVX2 loops, where the processor has them.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn at_most_avx2() -> Self {
        Self(Self::detect().0.min(Level::Avx2))
    }

    pub(crate) fn level(self) -> Level {
        self.0
    }
}

/// Makes `$name(isa, …)` out of the `#[inline(always)]` functions `$body(…)` and, for AVX-512, `$wide(…)`.
macro_rules! dispatch {
    ($(#[$doc:meta])* fn $name:ident = $body:expr, $wide:expr, ($($arg:ident: $ty:ty),* $(,)?)) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        pub(super) fn $name(isa: $crate::backend::cpu::isa::Isa, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) {
                    $body($($arg),*);
                }
                #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) {
                    $wide($($arg),*);
                }
                match isa.level() {
                    $crate::backend::cpu::isa::Level::Portable => {}
                    // SAFETY: an `Isa` only has a level after the processor reported all its features.
                    #[allow(unsafe_code)]
                    $crate::backend::cpu::isa::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    // SAFETY: as above.
                    #[allow(unsafe_code)]
                    $crate::backend::cpu::isa::Level::Avx512 => return unsafe { avx512($($arg),*) },
                }
            }
            let _ = isa;
            $body($($arg),*);
        }
    };
}

pub(super) use dispatch;
